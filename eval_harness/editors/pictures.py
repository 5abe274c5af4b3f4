"""Pictures on the wire: what is sent, and how what comes back is told from what only claims to be one."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.coding import processor
from fashionedit.eval_harness.editing import EditResult, RequestImage, Status
from fashionedit.images import png_bytes, read_image

MOST_BYTES = 128 * 2**20
"""The largest answer that is read; a 4096² PNG of noise has half of it."""


def data_url(image: Image.Image | RequestImage) -> str:
    """Returns the picture as a PNG in a `data:` URL."""
    png = image.png if isinstance(image, RequestImage) else png_bytes(image)
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def from_base64(text: str) -> bytes:
    """Returns the bytes of a base64 text, with or without `data:…;base64,` before it.

    Raises:
        InvalidImageError: It is none, or too long.
    """
    _, _, encoded = text.rpartition("base64,")
    if len(encoded) > MOST_BYTES * 4 // 3 + 4:
        raise InvalidImageError(f"the answer's image is above {MOST_BYTES // 2**20} MiB; ask for a smaller one")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImageError(f"the answer's image is no valid base64 ({error}); ask again") from error


def decoded(data: bytes) -> Image.Image:
    """Returns the picture in these bytes, upright and RGB.

    Raises:
        InvalidImageError: They are none, cut short, or unpack to too many pixels.
    """
    if len(data) > MOST_BYTES:
        raise InvalidImageError(f"the answer's image is above {MOST_BYTES // 2**20} MiB; ask for a smaller one")
    with processor():
        return read_image(data, name="the answer's image")


def result_of(data: bytes | str, **details: Any) -> EditResult:
    """Returns the result that an answer's picture makes: `ok`, or `invalid_image` with the reason.

    Args:
        data: The file, or its base64 text.
        details: Further fields of the result.
    """
    try:
        image = decoded(from_base64(data) if isinstance(data, str) else data)
    except InvalidImageError as error:
        return EditResult.failed(Status.INVALID_IMAGE, str(error), **details)
    return EditResult.ok(image, **details)
