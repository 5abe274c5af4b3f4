"""One call of a model that looks at pictures, by the official client: what it sends, what came back, what it counts.

Image tokens follow the rules that OpenAI publishes (developers.openai.com/api/docs/guides/images-vision, "Calculating
costs", read 2026-11-24 from stored copies):

- patches: the image is covered with squares of 32 px; where there are more than the model's cap it is scaled down until
  they fit; each counts as so many tokens as the model's multiplier says;
- tiles: the image is fitted into 2048 × 2048, then its short side to 768, and covered with squares of 512 px; each
  counts a fixed number of tokens, on top of a base.

For `gpt-5-mini` the documented 1.62 is kept although 1.20 has been measured, so that the estimate errs high; a model
that is not listed counts with the largest published multiplier for the same reason.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.errors import FashionEditError, InvalidDataError, InvalidImageError, ServiceError

from . import openai_client
from .costs import Price
from .failures import Failure, Problem, Service, problem_in
from .http_clients import MOST_SECONDS, check_url, json_object, token_counts
from .limiter import ServiceReply
from .secrets import clean, masked
from .worker_pool import Outcome

Api = Literal["chat", "responses"]
"""Chat completions, which every compatible service speaks, or OpenAI's responses."""

MAX_TEXT = 65_536
"""How much of a text is kept, characters. Three differences take some hundred; whatever is longer can't be used."""


class Reply(BaseModel):
    """What came back from one call: the text up to `MAX_TEXT`, or why there is none, in the model's or service's words.

    `finish` is why it stopped, as the service calls it. Tokens are as billed; the cached ones are among the input's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = ""
    refusal: str | None = None
    finish: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    response_id: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def usd(self, price: Price | None) -> float | None:
        """Returns what the call cost; None where no price is known, or the service tells no usage."""
        if price is None or not self.input_tokens + self.output_tokens:
            return None
        counts = {name: getattr(self, name) for name in ("input_tokens", "cached_tokens", "output_tokens")}
        return price.cost(**counts)


class _Lenient(BaseModel):
    """Compatible services leave fields out, or fill them with null."""

    model_config = ConfigDict(extra="ignore")


class _Part(_Lenient):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Message(_Lenient):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(_Lenient):
    message: _Message
    finish_reason: str | None = None


class _Completion(_Lenient):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None


class _Item(_Lenient):
    type: str
    content: list[_Part] | None = None


class _Incomplete(_Lenient):
    reason: str | None = None


class _Response(_Lenient):
    output: list[_Item]
    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None


def read_reply(answer: dict[str, Any], api: Api) -> Reply:
    """Returns what an answer of one of the two APIs says.

    Raises:
        InvalidDataError: It is no answer of this API.
    """
    try:
        if api == "chat":
            reply = _of_completion(_Completion.model_validate(answer))
        else:
            reply = _of_response(_Response.model_validate(answer))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise InvalidDataError(f"the service's answer is none of this API ({where}: {first['msg']})") from error
    if reply.finish == "content_filter" and reply.refusal is None:
        reply = reply.model_copy(update={"refusal": "the service's content filter stopped the answer"})
    reply = Reply.model_validate(masked(clean(reply.model_dump()), names=False))  # it goes into records and datasets
    names = ("input_tokens", "cached_tokens", "output_tokens")
    counts = token_counts(answer.get("usage"))
    return reply.model_copy(update={name: counts[name] for name in names if name in counts})


def _of_completion(found: _Completion) -> Reply:
    if not found.choices:
        raise InvalidDataError("the service's answer is empty: it has no choices")
    choice = found.choices[0]
    content = choice.message.content
    parts = content if isinstance(content, list) else [_Part(type="text", text=content)]
    return Reply(
        text=_joined(part.text for part in parts),
        refusal=_joined([choice.message.refusal]) or _joined(part.refusal for part in parts) or None,
        finish=choice.finish_reason,
        model=found.model,
        system_fingerprint=found.system_fingerprint,
        response_id=found.id,
    )


def _of_response(found: _Response) -> Reply:
    parts = [part for item in found.output if item.type == "message" for part in item.content or ()]
    reason = found.incomplete_details.reason if found.incomplete_details else None
    return Reply(
        text=_joined(part.text for part in parts if part.type == "output_text"),
        refusal=_joined(part.refusal for part in parts) or None,
        finish={"max_output_tokens": "length"}.get(reason, reason) if reason else found.status,
        model=found.model,
        response_id=found.id,
    )


def _joined(texts: Iterable[str | None]) -> str:
    return "".join(text for text in texts if text)[:MAX_TEXT]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image as it is sent: the encoded file, `jpeg` or `png`, and its width and height, pixels."""

    data: bytes
    format: str
    size: tuple[int, int]

    @property
    def url(self) -> str:
        """The image as a data URL."""
        return f"data:image/{self.format};base64,{base64.b64encode(self.data).decode('ascii')}"

    def facts(self) -> dict[str, Any]:
        """Returns what a record notes of it."""
        return {"format": self.format, "size": list(self.size), "bytes": len(self.data)}


_PATCH = 32
_CAP = 1536
_PATCHES = {  # multiplier: how the names of its models begin
    1.62: ("gpt-4.1-mini", "gpt-5-mini", "gpt-5.4-mini"),
    1.72: ("o4-mini",),
    2.46: ("gpt-4.1-nano", "gpt-5-nano", "gpt-5.4-nano"),
}
_TILES = {  # base and each tile; looked up after the patches, the first that fits counts
    (2833, 5667): ("gpt-4o-mini",),
    (85, 170): ("gpt-4o", "gpt-4.1"),
    (70, 140): ("gpt-5.1", "gpt-5-"),
    (75, 150): ("o3", "o1"),
}
_OTHERS = 2.46


def image_tokens(model: str, width: int, height: int) -> int:
    """Returns about how many input tokens an image of this size is, in pixels.

    >>> image_tokens("gpt-4o", 1024, 1024), image_tokens("gpt-4.1-mini", 1024, 1024)
    (765, 1659)
    """
    name = f"{model}-"
    for multiplier, names in _PATCHES.items():
        if name.startswith(names):
            return math.ceil(_patches(width, height, _CAP) * multiplier)
    for (base, tile), names in _TILES.items():
        if name.startswith(names):
            return base + tile * _tiles(width, height)
    return math.ceil(_patches(width, height, None) * _OTHERS)


def _patches(width: int, height: int, cap: int | None) -> int:
    across, down = math.ceil(width / _PATCH), math.ceil(height / _PATCH)
    if cap is None or across * down <= cap:
        return across * down
    shrink = math.sqrt(cap * _PATCH**2 / (width * height))
    across_shrunk, down_shrunk = width * shrink / _PATCH, height * shrink / _PATCH
    # One more step down to the next whole number of patches, on the side that loses more by it.
    shrink = min(math.floor(across_shrunk) / across_shrunk, math.floor(down_shrunk) / down_shrunk)
    return math.ceil(round(across_shrunk * shrink, 6)) * math.ceil(round(down_shrunk * shrink, 6))


def _tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return math.ceil(round(width * scale, 6) / 512) * math.ceil(round(height * scale, 6) / 512)


@dataclass(eq=False)
class CallFailedError(Exception):
    """A call that was not answered; the next run tries again.

    Args:
        reason: In the same few words for the same cause.
        detail: In a sentence.
        refused: Whether the service looked and would not answer, which trying again does not change.
        again: Whether the same call may be answered a little later.
        paid: Whether it may have been paid for all the same.
        reply: What the service said about its limits.
    """

    reason: str
    detail: str
    refused: bool = False
    again: bool = False
    paid: bool = False
    reply: ServiceReply | None = None


def failed_call(error: CallFailedError | FashionEditError) -> Outcome:
    """Returns the worker pool's outcome of a call without an answer; the value says why, unless the stage stops.

    Args:
        error: Why the call failed, an image that could not be sent, or what stops the stage.
    """
    if isinstance(error, InvalidImageError):
        failure = CallFailedError("image not readable", str(error))
        return Outcome(answered=None, message=failure.detail, value=failure)
    if isinstance(error, CallFailedError):
        return Outcome(
            answered=not error.again,
            reason=None if error.again else error.reason,
            message=error.detail,
            again=error.again,
            reply=error.reply,
            value=error,
        )
    return Outcome(answered=None, stop=error)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is called, and how.

    Args:
        service: The service and the model, as messages name them.
        base_url: Of an OpenAI-compatible service; None is OpenAI's, or what `OPENAI_BASE_URL` says.
        timeout: Seconds without a byte after which a call is given up.
        advice: By the name of a part of the request what to do where the service objects to it.
    """

    service: Service
    base_url: str | None = None
    api: Api = "chat"
    timeout: float = 120.0
    advice: Mapping[str, str] = field(default_factory=dict)

    def ask(self, client: Any, body: Mapping[str, Any]) -> tuple[Reply, ServiceReply]:
        """Returns the answer to a request, and what the service said about its limits; never asks twice by itself.

        Raises:
            CallFailedError: It was not answered.
            ServiceError: The service won't work at all.
        """
        chat = self.api == "chat"
        resource, turns = (client.chat.completions, "messages") if chat else (client.responses, "input")
        rest = {name: value for name, value in body.items() if name not in ("model", turns)}
        try:
            raw = resource.with_raw_response.create(model=body["model"], **{turns: body[turns]}, extra_body=rest)
            return self._read(raw.content), ServiceReply(raw.status_code, dict(raw.headers))
        except openai_client.call_errors() as error:
            url = openai_client.service_url(self.base_url)
            failure = self._failure(openai_client.call_problem(error, url=url, timeout=self.timeout))
            if isinstance(failure, CallFailedError):
                failure.paid = openai_client.may_have_cost(error)
                failure.reply = openai_client.reply_of(error)
            raise failure from error

    def _read(self, body: bytes) -> Reply:
        try:
            answer = json_object(body)
            choices = answer.get("choices")
            # A router passes the error of a provider on with status 200, as its own or as the only choice's.
            inner = problem_in(choices[0]) if isinstance(choices, list) and choices else None
            if (problem := problem_in(answer) or inner) is not None:
                raise self._failure(problem)
            return read_reply(answer, self.api)
        except InvalidDataError as error:
            raise self._failure(Problem(Failure.MALFORMED, message=str(error))) from error

    def _failure(self, problem: Problem) -> CallFailedError | FashionEditError:
        """Returns what a service's failure means: a `ServiceError` stops the stage, a `CallFailedError` one task."""
        if problem.failure.final:
            return problem.stop(self.service)
        if problem.failure is Failure.REFUSED:
            message = problem.message or "the service's content filter refused the images"
            return CallFailedError(str(problem.failure), message, refused=True)
        said = problem.sentence(self.service)
        if problem.failure is Failure.REJECTED and (advice := self.advice.get(problem.parameter or "")):
            return ServiceError(f"{said}: it does not accept {problem.parameter} for {self.service.model}; {advice}")
        malformed = problem.failure in (Failure.MALFORMED, Failure.TOO_LARGE)  # an answer that was paid for
        again = problem.failure.transient and not malformed
        return CallFailedError(str(problem.failure), said, again=again, paid=malformed)


Structured = Literal["json_schema", "json_object", "none"]

_ADVICE = {
    "temperature": "give --ask temperature=none",
    "response_format": "give --ask structured=json_object or --ask structured=none",
    "text.format": "give --ask structured=json_object or --ask structured=none",
    "max_completion_tokens": "give another --ask max_output_tokens=N, or none",
    "max_output_tokens": "give another --ask max_output_tokens=N, or none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """How a model is called. The key comes from `OPENAI_API_KEY` alone and is never written down.

    Args:
        model: Any name that the service knows.
        base_url: Of an OpenAI-compatible service; None is OpenAI's, or what `OPENAI_BASE_URL` says.
        api: `chat` (chat completions, what every compatible service speaks) or `responses`.
        temperature: None sends none, as models that reason want it.
        structured: How the form of the answer is asked for: a JSON schema, any JSON object, or by the prompt alone.
        max_output_tokens: Where an answer is cut off, so that a runaway has a price; None sends no limit.
        concurrency: Calls under way at the same time, at most.
        max_retries: How often a call is made again whose failure may pass.
        timeout: Seconds without a byte after which a call is given up.

    Raises:
        InvalidDataError: A value is out of range.
    """

    model: str
    base_url: str | None = None
    api: Api = "chat"
    temperature: float | None = 0.0
    structured: Structured = "json_schema"
    max_output_tokens: int | None = 1024
    concurrency: int = 8
    max_retries: int = 5
    timeout: float = 120.0

    _address_options: ClassVar[str] = "--base-url"

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise InvalidDataError("the model has no name; give one with --model")
        if self.api not in get_args(Api):
            raise InvalidDataError(f"api {self.api!r} is unknown; choose chat or responses")
        if self.structured not in get_args(Structured):
            raise InvalidDataError(
                f"structured {self.structured!r} is unknown; choose json_schema, json_object or none"
            )
        self._check_whole("concurrency", 1, 256)
        self._check_whole("max_retries", 0, 100)
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise InvalidDataError(f"temperature is {self.temperature}; choose 0..2, or none to send none")
        if self.max_output_tokens is not None and self.max_output_tokens < 64:
            raise InvalidDataError(f"max_output_tokens is {self.max_output_tokens}; an answer needs at least 64")
        if not 0 < self.timeout <= MOST_SECONDS:
            raise InvalidDataError(f"timeout is {self.timeout}; give seconds, more than 0 and at most {MOST_SECONDS:,}")
        if self.base_url is not None:
            check_url(self.base_url, "base URL")

    def _check_whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or not least <= value <= most:
            raise InvalidDataError(f"{name} is {value}; choose {least}..{most}")

    @property
    def host(self) -> str:
        """The service's host, for messages and records: no port, user name, password or path."""
        return openai_client.service_host(self.base_url)

    @property
    def service(self) -> Service:
        """The service and the model, as messages name them."""
        port = urlsplit(openai_client.service_url(self.base_url)).port
        host = f"{self.host}:{port}" if port else self.host
        return Service(host, self.model, address=self._address_options, model_option="--model")

    @property
    def endpoint(self) -> Endpoint:
        """Where and how the model is called."""
        return Endpoint(self.service, self.base_url, self.api, self.timeout, _ADVICE)

    def check(self, *, reach: bool = True) -> None:
        """Checks the key and the model without paying; see `check_service`."""
        openai_client.check_service(self.service, base_url=self.base_url, timeout=self.timeout, reach=reach)


_LEAST_MARGIN = 1.25  # between an estimate and what is promised for it
_UNLIMITED_OUTPUT = 16_384  # promised where no limit is sent


class Promises:
    """What a call may cost at most: the input as estimated, with a margin, and as much output as it may write.

    The margin grows with the dearest input seen, so that a service that counts otherwise is not underestimated twice.

    Args:
        price: Of the model; without one every call is promised to be free.
        max_output_tokens: The limit that is sent; None where none is.
    """

    def __init__(self, price: Price | None, max_output_tokens: int | None) -> None:
        self._price = price
        self._output = max_output_tokens or _UNLIMITED_OUTPUT
        self._margin = _LEAST_MARGIN
        self._lock = Lock()

    def usd(self, tokens: int) -> float:
        """Returns what a request of about so many tokens may cost at most, USD; 0 where no price is known."""
        if self._price is None:
            return 0.0
        return self._price.cost(input_tokens=math.ceil(tokens * self._margin), output_tokens=self._output)

    def learn(self, tokens: int, input_tokens: int) -> None:
        """Takes in how many tokens a request of about `tokens` really had."""
        with self._lock:
            self._margin = max(self._margin, input_tokens / tokens)
