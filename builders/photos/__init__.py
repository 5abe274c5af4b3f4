"""Stage 1: where photographs come from, and which of them can be built from."""

from __future__ import annotations

from .opening import fetch_photographs, open_source
from .sources import Photo, PhotoSource, Unusable
from .stage import check_photos

__all__ = ["Photo", "PhotoSource", "Unusable", "check_photos", "fetch_photographs", "open_source"]
