"""How the two images of a pair are sent: as data URLs, in which format, size and quality."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from fashionedit.builders.photo import Pair
from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import EncodedImage, png_bytes

_LARGE = 512 * 2**10  # bytes; a draft of 1024 × 1024 as PNG has 1.5 MB
_MIME = {"jpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class SentImages:
    """The form in which images are sent; part of what an answer depends on.

    Args:
        format: `auto` sends the file as it is where it is an upright RGB JPEG or PNG of at most 512 KiB, and otherwise
            a JPEG of this `quality` without chroma subsampling; `png` sends the exact pixels; `jpeg` always encodes.
        quality: Of a JPEG, 1..100.
        max_side: Larger images are scaled down to this many pixels on the longer side; None sends every pixel.
        detail: What is said to the service about how closely to look, in its own words: `auto`, `low`, `high`.

    Raises:
        InvalidDataError: A value is out of range.
    """

    format: Literal["auto", "png", "jpeg"] = "auto"
    quality: int = 95
    max_side: int | None = None
    detail: str = "auto"

    def __post_init__(self) -> None:
        if self.format not in ("auto", "png", "jpeg"):
            raise InvalidDataError(f"images can't be sent as {self.format!r}; choose auto, png or jpeg")
        if not 1 <= self.quality <= 100:
            raise InvalidDataError(f"the quality of a JPEG is {self.quality}; choose 1..100")
        if self.max_side is not None and self.max_side < 64:
            raise InvalidDataError(f"images would be sent with {self.max_side} px a side; choose at least 64")

    def identity(self) -> dict[str, Any]:
        """Returns the settings as plain JSON."""
        return {"format": self.format, "quality": self.quality, "max_side": self.max_side, "detail": self.detail}

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the size in which an image of this width and height is sent, pixels."""
        if self.max_side is None or max(size) <= self.max_side:
            return size
        scale = self.max_side / max(size)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@dataclass(frozen=True, slots=True)
class Picture:
    """One image as it is sent.

    Args:
        data: The encoded file.
        format: `jpeg` or `png`.
        size: Width and height, pixels.
    """

    data: bytes
    format: str
    size: tuple[int, int]

    @property
    def url(self) -> str:
        """The image as a data URL."""
        return f"data:{_MIME[self.format]};base64,{base64.b64encode(self.data).decode('ascii')}"

    def facts(self) -> dict[str, Any]:
        """Returns what is noted of it, as plain JSON."""
        return {"format": self.format, "size": list(self.size), "bytes": len(self.data)}


def pictures(pair: Pair, settings: SentImages) -> tuple[Picture, Picture]:
    """Returns the original and the draft as they are sent.

    Raises:
        InvalidImageError: A file can't be read, or holds other pixels than when the pair was made.
    """
    return (
        _picture(pair.photo.path, pair.original_digest, settings),
        _picture(pair.draft, pair.draft_digest, settings),
    )


def _picture(path: Path, digest: str, settings: SentImages) -> Picture:
    encoded, image = EncodedImage.from_file(path, name=path.name)
    if encoded.digest != digest:
        raise InvalidImageError(
            f"{path.name} has other pixels than when the draft was compared with it; run the stages before this again"
        )
    size = settings.fitted(image.size)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    elif settings.format == "auto" and len(encoded.data) <= _LARGE:
        return Picture(encoded.data, "png" if encoded.suffix == "png" else "jpeg", size)
    if settings.format == "png":
        return Picture(png_bytes(image), "png", size)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=settings.quality, subsampling=0)
    return Picture(buffer.getvalue(), "jpeg", size)
