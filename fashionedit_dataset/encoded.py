"""An image as it is stored: encoded bytes, and the digest and size of the pixels in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from .image_metadata import picture_alone
from .images import decode_image, pixel_digest, png_bytes, read_image, read_image_file, to_rgb

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

        A plain JPEG or PNG (`images.decode_image`) keeps its bytes, so that nothing is lost or grown, but for what
        stands in it beside the picture, such as place, time and author (`without_metadata`). Anything else
        (other formats, palettes, transparency, 16 bits, an EXIF orientation, a profile other than sRGB, animations,
        damaged metadata) becomes PNG.

        Raises:
            InvalidImageError: The file is missing, no image, or too large; the message calls it `name`.
        """
        data = read_image_file(path, name=name)
        image, plain = decode_image(data, name=name)
        kept = without_metadata(cls(data, pixel_digest(image), image.size), name=name) if plain else cls.of(image)
        return kept, image

    @property
    def sha256(self) -> str:
        """SHA-256 of the encoded bytes, 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        """What a file with these bytes is called after the dot."""
        return next((suffix for start, suffix in _SIGNATURES.items() if self.data.startswith(start)), "img")


def without_metadata(image: EncodedImage, *, name: str) -> EncodedImage:
    """Returns the image with the same pixels and nothing else in its file.

    PNG and JPEG lose the parts that hold no pixels; where the picture would then look different (an orientation, a
    transparency), and in every other format, it is encoded anew as PNG.

    Raises:
        InvalidImageError: The bytes can't be decoded; the message calls them `name`.
    """
    bare = picture_alone(image.data)
    if bare == image.data:
        return image
    if bare is not None and pixel_digest(read_image(bare, name=name)) == image.digest:
        return EncodedImage(bare, image.digest, image.size)
    return EncodedImage(png_bytes(read_image(image.data, name=name)), image.digest, image.size)
