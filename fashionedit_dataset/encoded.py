"""An image as it is stored: encoded bytes, and the digest and size of the pixels in them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from .errors import InvalidImageError
from .images import MAX_FILE_BYTES, pixel_digest, png_bytes, read_image, to_rgb

_ORIENTATION = 0x0112
_UPRIGHT = (None, 1)
_KEPT_FORMATS = ("JPEG", "PNG")
_SIGNATURES = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp"}


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """One image of a row, ready to be written.

    Args:
        data: The encoded file.
        digest: SHA-256 of the decoded RGB pixels and their size (`images.pixel_digest`).
        size: Width and height, pixels.
    """

    data: bytes = field(repr=False)
    digest: str
    size: tuple[int, int]

    @classmethod
    def of(cls, image: Image.Image) -> EncodedImage:
        """Returns the image as PNG, lossless."""
        rgb = to_rgb(image)
        return cls(png_bytes(rgb), pixel_digest(rgb), rgb.size)

    @classmethod
    def read(cls, data: bytes, *, name: str) -> EncodedImage:
        """Returns bytes that are stored already, as they are, with the digest of their pixels.

        Raises:
            InvalidImageError: They can't be decoded; the message calls them `name`.
        """
        image = read_image(data, name=name)
        return cls(data, pixel_digest(image), image.size)

    @classmethod
    def from_file(cls, path: Path, *, name: str) -> tuple[EncodedImage, Image.Image]:
        """Returns the file's image as it will be stored, and decoded.

        A JPEG or PNG whose pixels are RGB and upright keeps its bytes, so that nothing is lost or grown; anything else
        (other formats, palettes, transparency, an EXIF orientation, animations) becomes PNG.

        Raises:
            InvalidImageError: The file is missing, no image, or too large; the message calls it `name`.
        """
        if not path.is_file():
            raise InvalidImageError(f"{name} {'is no file' if path.exists() else 'does not exist'}; check the path")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise InvalidImageError(
                f"{name} has {size / 2**20:,.0f} MiB, more than the {MAX_FILE_BYTES // 2**20} MiB that are read; "
                "make it smaller"
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InvalidImageError(f"{name} can't be read ({error.strerror}); check its permissions") from error
        image = read_image(data, name=name)
        if _can_stay(data):
            return cls(data, pixel_digest(image), image.size), image
        return cls.of(image), image

    @property
    def sha256(self) -> str:
        """SHA-256 of the encoded bytes, 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        """What a file with these bytes is called after the dot."""
        return next((suffix for start, suffix in _SIGNATURES.items() if self.data.startswith(start)), "img")


def _can_stay(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        return (
            image.format in _KEPT_FORMATS
            and image.mode == "RGB"
            and not image.has_transparency_data
            and getattr(image, "n_frames", 1) == 1
            and _orientation(image, data) in _UPRIGHT
        )


def _orientation(image: Image.Image, data: bytes) -> int | None:
    # Pillow decodes all of a PNG to look for EXIF behind the pixels; one without any of these names has none.
    if image.format == "PNG" and not any(name in data for name in (b"eXIf", b"exif", b"adobe.xmp")):
        return None
    found: int | None = image.getexif().get(_ORIENTATION)
    return found
