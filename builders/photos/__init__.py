"""Stage 1, photos: sources of photographs, and which photographs can be used."""

from __future__ import annotations

from .opening import fetch_photographs, open_source
from .sources import Photo, PhotoSource, Unusable
from .stage import check_photos

__all__ = ["Photo", "PhotoSource", "Unusable", "check_photos", "fetch_photographs", "open_source"]
