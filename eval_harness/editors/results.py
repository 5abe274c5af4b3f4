"""From what a service sent to the result of an edit: its picture, or why there is none."""

from __future__ import annotations

import base64
from typing import Any

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.coding import processor
from fashionedit.eval_harness.editing import EditResult, RequestImage, Status
from fashionedit.images import png_bytes, read_image
from fashionedit.runtime.failures import Failure, Problem, Service
from fashionedit.runtime.http_clients import MOST_PICTURE_BYTES, picture_bytes


def data_url(image: Image.Image | RequestImage) -> str:
    """Returns the picture as a PNG in a `data:` URL."""
    png = image.png if isinstance(image, RequestImage) else png_bytes(image)
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def decoded(data: bytes) -> Image.Image:
    """Returns the picture in these bytes, upright and RGB.

    Raises:
        InvalidImageError: They are none, cut short, or unpack to too many pixels.
    """
    if len(data) > MOST_PICTURE_BYTES:
        raise InvalidImageError(f"the answer's image is above {MOST_PICTURE_BYTES // 2**20} MiB; ask for a smaller one")
    with processor():
        return read_image(data, name="the answer's image")


def picture_result(data: bytes | str, *, service: str = "", seconds: float = 60.0, **details: Any) -> EditResult:
    """Returns the result that an answer's picture makes: `ok`, or `invalid_image` with the reason.

    Args:
        data: The file, or the text that stands for it in an answer: base64, a `data:` URL, a link.
        service: Where the service is that answered.
        seconds: That a link may take.
        details: Further fields of the result.
    """
    try:
        file = picture_bytes(data, service=service, seconds=seconds) if isinstance(data, str) else data
        return EditResult.ok(decoded(file), **details)
    except InvalidImageError as error:
        return EditResult.failed(Status.INVALID_IMAGE, str(error), **details)
    except OSError as error:
        return EditResult.failed(Status.ERROR, str(error), retry=True, **details)


def failed_result(problem: Problem, service: Service, **details: Any) -> EditResult:
    """Returns the result that a service's failure makes.

    Args:
        problem: What the service said, or that it said nothing.
        service: Who was called.
        details: Further fields of the result.

    Raises:
        ServiceError: No further call is worth making.
    """
    if problem.failure.final:
        raise problem.stop(service)
    said = problem.sentence(service)
    match problem.failure:
        case Failure.REFUSED:
            return EditResult.failed(Status.REFUSED, problem.message or said, **details)
        case Failure.TIMEOUT:
            return EditResult.failed(Status.TIMEOUT, said, retry=True, **details)
        case Failure.TOO_LARGE:
            return EditResult.failed(Status.INVALID_IMAGE, said, **details)
        case _:
            return EditResult.failed(Status.ERROR, said, retry=problem.failure.transient, **details)
