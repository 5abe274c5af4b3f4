"""Reading, naming and cutting images: the only place where foreign bytes become pixels."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import InvalidDataError, InvalidImageError
from .files import read_regular

if TYPE_CHECKING:
    from .types import Box

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""What is read. Pillow knows many more, some of which hand the file to other programs."""

MAX_FILE_BYTES = 256 * 2**20
"""The largest image file that is taken in, in bytes; a 64-megapixel PNG without compression has 192 MB."""

MAX_PIXELS = 64_000_000
"""The largest image that is decoded, in pixels (8,000 × 8,000); anything above is refused before it is unpacked."""


def read_image(source: bytes | Path | str, *, name: str | None = None) -> Image.Image:
    """Returns the decoded image in mode RGB, upright (EXIF orientation applied), transparency laid on white.

    Args:
        source: Encoded bytes, or the path of a file.
        name: How messages call the image; the path by default.

    Raises:
        InvalidImageError: The file is missing, no image, truncated, animated beyond reading, or above `MAX_PIXELS`.
    """
    label = name or (str(source) if not isinstance(source, bytes) else "the image")
    try:
        data = source if isinstance(source, bytes) else read_regular(Path(source), MAX_FILE_BYTES)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InvalidImageError(
                    f"{label} has {image.width}×{image.height} pixels, more than the {MAX_PIXELS:,} that are read; "
                    "make it smaller"
                )
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))  # a copy, free of the file it came from
    except InvalidImageError:
        raise
    except InvalidDataError as error:  # no regular file, or too large a one
        raise InvalidImageError(str(error)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidImageError(
            f"{label} has more than the {MAX_PIXELS:,} pixels that are read; make it smaller"
        ) from None
    except FileNotFoundError:
        raise InvalidImageError(f"{label} does not exist; check the path") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise InvalidImageError(f"{label} can't be read as an image ({error}); replace the file") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns the image in mode RGB, 8 bits a channel, transparency laid on white; RGB comes back as it is.

    Raises:
        InvalidImageError: The image has more than 8 bits a channel, which Pillow would clip to white.
    """
    if image.mode == "RGB":
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise InvalidImageError(
            f"an image of mode {image.mode} has more than 8 bits a channel; scale it to 0..255 and convert it to RGB"
        )
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def pixel_digest(image: Image.Image) -> str:
    """Returns the SHA-256 of the decoded RGB pixels and the size, as 64 hex digits.

    Two files with the same pixels have the same digest whatever their format, compression or metadata.
    """
    rgb = to_rgb(image)
    digest = hashlib.sha256(f"RGB {rgb.width} {rgb.height}\n".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def png_bytes(image: Image.Image) -> bytes:
    """Returns the image as PNG, lossless and without metadata."""
    import numpy as np

    from .png import encode_png

    return encode_png(np.asarray(to_rgb(image)))


def crop(image: Image.Image, box: Box) -> Image.Image:
    """Returns the part of the image inside the box (at least one pixel)."""
    return image.crop(box.pixels(image.width, image.height))
