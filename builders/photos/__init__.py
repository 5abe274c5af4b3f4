"""Stage 1: where photographs come from, and which of them can be built from."""

from __future__ import annotations

from .opening import KINDS, open_source, photographs_folder
from .sources import PhotoSource, Unusable
from .stage import MIN_SIDE, check_photos

__all__ = ["KINDS", "MIN_SIDE", "PhotoSource", "Unusable", "check_photos", "open_source", "photographs_folder"]
