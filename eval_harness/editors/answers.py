"""What an edit is asked for and answered with as JSON, by one's own server (`http:`) or program (`command:`)."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeInt, ValidationError

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.running.keys import plain_json
from fashionedit.runtime.failures import Failure, Problem, one_line, problem_in
from fashionedit.runtime.http_clients import json_object

from .results import picture_result


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

        Args:
            picture: The image file, where it does not come inside the JSON.
            carried: Whether the state is handed on.
            reply: What HTTP said.
            service: Where the service is; without one, no link is opened.
            seconds: That a link may take.
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
    """Returns the request as JSON.

    Args:
        carried: Whether the last round's state goes with it.
        with_images: Whether the images are inside, as PNG in base64.
    """
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
