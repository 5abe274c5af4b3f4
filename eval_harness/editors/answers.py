"""Turns what a service or a program answered into an `EditResult`: its picture, or why there is none.

`request_json` and `EditAnswer` are the JSON that `http:` and `command:` editors get and give.
"""

from __future__ import annotations

import base64
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeInt, ValidationError

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.eval_harness.editing import (
    CPU_SLOTS,
    EditRequest,
    EditResult,
    RequestImage,
    ServiceReply,
    Status,
    plain_json,
)
from fashionedit.images import png_bytes, read_image
from fashionedit.runtime.failures import Failure, Problem, Service, one_line, problem_in
from fashionedit.runtime.http_clients import MOST_PICTURE_BYTES, call_problem, json_object, picture_bytes


class EditAnswer(BaseModel):
    """An answer; fields that are not listed are ignored.

    Args:
        status: By default `ok` with an image, `no_image` without.
        image: A PNG, JPEG or WebP file in base64, a `data:` URL of one, or a link to one.
        message: Why there is no image.
        retry: Whether the same request may succeed a little later; for `timeout` and `error`.
        params: The effective parameters.
        model_version: What answered.
        usage: Counts.
        cost_usd: Money, USD.
        state: Comes back with the next round, if the run is one of `--state conversation`.
    """

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    status: Literal["ok", "refused", "no_image", "invalid_image", "timeout", "error"] | None = None
    image: str | None = None
    message: str = ""
    retry: bool = False
    params: dict[str, JsonValue] = Field(default_factory=dict)
    model_version: str | None = None
    usage: dict[str, NonNegativeInt] = Field(default_factory=dict)
    cost_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    state: JsonValue = None

    def result(
        self,
        *,
        picture: bytes | None = None,
        carried: bool,
        reply: ServiceReply | None = None,
        service: str = "",
        seconds: float = 60.0,
    ) -> EditResult:
        """Returns the answer as a result.

        `picture` is the image file where it does not come inside the JSON; `carried` hands the state on. A link is
        opened only where `service` says where the service is, and may take so many `seconds`.
        """
        details: dict[str, Any] = {
            "params": self.params,
            "model_version": self.model_version,
            "usage": self.usage,
            "cost_usd": self.cost_usd,
            "state": self.state if carried else None,
            "reply": reply,
        }
        data = picture if picture is not None else self.image
        status = Status(self.status) if self.status else (Status.OK if data else Status.NO_IMAGE)
        if status is Status.OK and data:
            return picture_result(data, service=service, seconds=seconds, **details)
        if status is Status.OK:
            status = Status.NO_IMAGE
        message = one_line(self.message) or f"answered {status} without an image or a message"
        return EditResult.failed(status, message, retry=self.retry and status.transient, **details)


def request_json(request: EditRequest, *, carried: bool, with_images: bool) -> dict[str, Any]:
    """Returns the request as JSON: with the last round's state if `carried`, `with_images` as PNG in base64."""
    written: dict[str, Any] = {
        "request_id": request.request_id,
        "protocol": request.protocol,
        "round": request.round,
        "instruction": request.instruction,
        "seed": request.seed,
        "params": plain_json(dict(request.params), name="params"),
        "state": request.state if carried else None,
    }
    if with_images:
        written["images"] = [
            {"role": item.role, "image": base64.b64encode(item.png).decode()} for item in request.images
        ]
    return written


def read_answer(data: bytes) -> EditAnswer | Problem:
    """Returns the answer in these bytes, or what is wrong: they hold no answer, or an error in the place of one."""
    try:
        values = json_object(data)
        problem = None if values.get("image") or values.get("status") else problem_in(values)
        return problem or EditAnswer.model_validate(_completed(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        return Problem(
            Failure.MALFORMED,
            message=one_line(f"{place}: {first['msg']}, in {one_line(data[:2000].decode(errors='replace'))[:80]!r}"),
        )
    except InvalidDataError as error:
        return Problem(Failure.MALFORMED, message=one_line(str(error)))


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the answer without what is null, and with the sentence of its `error` where it has no message."""
    values = {name: value for name, value in values.items() if value is not None}
    if isinstance(usage := values.get("usage"), dict):
        values["usage"] = {name: count for name, count in usage.items() if count is not None}
    if not values.get("message") and (problem := problem_in({"error": values.get("error")})) is not None:
        values["message"] = problem.message
    return values


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
    with CPU_SLOTS:
        return read_image(data, name="the answer's image")


def picture_result(data: bytes | str, *, service: str = "", seconds: float = 60.0, **details: Any) -> EditResult:
    """Returns the result that an answer's picture makes: `ok`, or `invalid_image` with the reason.

    `data` is the file, or the text that stands for it: base64, a `data:` URL, or a link, which may take so many
    `seconds`. `details` are further fields of the result.
    """
    try:
        file = picture_bytes(data, service=service, seconds=seconds) if isinstance(data, str) else data
        return EditResult.ok(decoded(file), **details)
    except (InvalidImageError, OSError) as error:  # the answer was paid for: only --retry asks again
        return EditResult.failed(Status.INVALID_IMAGE, str(error), **details)


def failed_call(error: Exception, service: Service, *, url: str, timeout: float, **details: Any) -> EditResult | None:
    """Returns the result of a call that raised an error of HTTP, None for any other error.

    Raises:
        ServiceError: No further call is worth making.
    """
    problem = call_problem(error, url=url, timeout=timeout)
    response = getattr(error, "response", None)
    reply = None if response is None else ServiceReply.of(response)
    return None if problem is None else failed_result(problem, service, reply=reply, **details)


def failed_result(problem: Problem, service: Service, **details: Any) -> EditResult:
    """Returns the result that a service's failure makes; `details` are its further fields.

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
