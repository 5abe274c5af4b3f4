"""Small copies of pictures that fit, all together, into one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, features

from fashionedit.images import to_rgb

__all__ = ["BUDGET", "Thumbnail", "Thumbnails", "image_format"]

BUDGET = 8_000_000
"""Encoded bytes of all pictures of a page; as text in the page they take a third more."""

_SIDES = (720, 640, 560, 480, 420, 360, 300, 240, 180)
_QUALITIES = (80, 68, 55, 40, 25)
_TYPICAL = 0.11  # bytes a pixel of a garment's photograph at the first quality


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture of the page: its number in the page's list, and its size in pixels."""

    key: int
    width: int
    height: int


class Thumbnails:
    """The pictures of a page, each embedded once, however often the page shows it. Safe to fill from several threads.

    Args:
        digests: The pixel digests of all the pictures, each once, in the order of the page: the more, the smaller each.
        budget: Encoded bytes that all of them may take.
    """

    def __init__(self, digests: Sequence[str], budget: int = BUDGET) -> None:
        self._keys = {digest: key for key, digest in enumerate(digests)}
        self._share = budget // max(len(digests), 1)
        fitting = [side for side in _SIDES if side * side * 0.7 * _TYPICAL <= self._share]
        self.side = fitting[0] if fitting else _SIDES[-1]
        self._found: dict[str, Thumbnail] = {}
        self._encoded = [""] * len(digests)

    def __contains__(self, digest: str) -> bool:
        return digest in self._found

    def __getitem__(self, digest: str) -> Thumbnail:
        return self._found[digest]

    def add(self, digest: str, image: Image.Image, *, side: int | None = None) -> None:
        """Embeds the picture, at most `side` pixels long, unless one with this digest is there already.

        What would take more than its share of the budget is encoded at lower quality, then smaller.
        """
        if digest in self._found:
            return
        small = to_rgb(image).copy()
        small.thumbnail((side or self.side,) * 2, Image.Resampling.LANCZOS, reducing_gap=3.0)
        key = self._keys[digest]
        self._encoded[key] = base64.b64encode(_within(small, self._share)).decode("ascii")
        self._found[digest] = Thumbnail(key, small.width, small.height)

    def encoded(self) -> dict[str, object]:
        """Returns what the page's script makes pictures of: the format, and base64 by key."""
        return {"type": f"image/{image_format().lower()}", "data": self._encoded}


@cache
def image_format() -> str:
    """Returns `WEBP` where this Pillow writes it, else `JPEG`."""
    return "WEBP" if features.check("webp") else "JPEG"


def _within(image: Image.Image, most: int) -> bytes:
    data = b""
    for scale in (1, 2, 4):
        smaller = image if scale == 1 else image.resize((max(image.width // scale, 1), max(image.height // scale, 1)))
        for quality in _QUALITIES:
            data = _bytes(smaller, quality)
            if len(data) <= most:
                return data
    return data


def _bytes(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    options = {"method": 2} if image_format() == "WEBP" else {"optimize": True}
    image.save(buffer, image_format(), quality=quality, **options)
    return buffer.getvalue()
