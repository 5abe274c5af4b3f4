"""Stage 1: where photographs come from, and which of them can be built from."""

from __future__ import annotations

from .opening import KINDS, fetch_photographs, open_source
from .sources import PhotoSource, Unusable
from .stage import MIN_SIDE, check_photos

__all__ = ["KINDS", "MIN_SIDE", "PhotoSource", "Unusable", "check_photos", "fetch_photographs", "open_source"]
