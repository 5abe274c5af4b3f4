"""One request of the analysis, by the official client: its body, its answer, and what a failure means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashionedit.errors import FashionEditError, InvalidDataError, ServiceError
from fashionedit.runtime import openai_client
from fashionedit.runtime.failures import Failure, Problem, problem_in
from fashionedit.runtime.http_clients import json_object, token_counts
from fashionedit.runtime.limiter import ServiceReply
from fashionedit.runtime.secrets import clean, masked
from fashionedit.types import DIFFERENCES_PER_SAMPLE

from .analyst import Analyst, Picture

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


def read_reply(answer: dict[str, Any], api: Literal["chat", "responses"]) -> Reply:
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


class _Difference(BaseModel):
    model_config = ConfigDict(extra="forbid")

    description: str = Field(description="What the first image shows there")
    box_2d: list[int] = Field(
        min_length=4, max_length=4, description="[ymin, xmin, ymax, xmax] on the first image, 0..1000"
    )


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    differences: list[_Difference] = Field(min_length=DIFFERENCES_PER_SAMPLE, max_length=DIFFERENCES_PER_SAMPLE)


def answer_schema() -> dict[str, Any]:
    """Returns the JSON schema of an answer: an object, because services want one at the root."""
    return _Answer.model_json_schema()


def request_body(
    analyst: Analyst, images: tuple[Picture, Picture], exchanges: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Returns the body of the next request; `exchanges` has each answer so far and what was said to it."""
    turns = [
        {"role": role, "content": text}
        for answer, said in exchanges
        for role, text in (("assistant", answer or "(nothing)"), ("user", said))
    ]
    body = _chat(analyst, images, turns) if analyst.api == "chat" else _responses(analyst, images, turns)
    if analyst.temperature is not None:
        body["temperature"] = analyst.temperature
    return {"model": analyst.model, **body, **analyst.extra_body}


def _chat(analyst: Analyst, images: tuple[Picture, Picture], turns: list[dict[str, Any]]) -> dict[str, Any]:
    detail = {} if analyst.images.detail == "auto" else {"detail": analyst.images.detail}
    content: list[dict[str, Any]] = [{"type": "text", "text": analyst.prompt.text}]
    content += [{"type": "image_url", "image_url": {"url": image.url, **detail}} for image in images]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}, *turns]}
    if analyst.structured == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": _schema()}
    elif analyst.structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    if analyst.max_output_tokens is not None:
        body["max_completion_tokens"] = analyst.max_output_tokens
    return body


def _responses(analyst: Analyst, images: tuple[Picture, Picture], turns: list[dict[str, Any]]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": analyst.prompt.text}]
    content += [{"type": "input_image", "image_url": image.url, "detail": analyst.images.detail} for image in images]
    # The conversation is sent whole and nothing is kept there, so that it can be continued after any pause.
    body: dict[str, Any] = {"input": [{"role": "user", "content": content}, *turns], "store": False}
    if analyst.structured == "json_schema":
        body["text"] = {"format": {"type": "json_schema", **_schema()}}
    elif analyst.structured == "json_object":
        body["text"] = {"format": {"type": "json_object"}}
    if analyst.max_output_tokens is not None:
        body["max_output_tokens"] = analyst.max_output_tokens
    return body


def _schema() -> dict[str, Any]:
    return {"name": "three_differences", "strict": True, "schema": answer_schema()}


_PARAMETERS = {
    "temperature": "give --ask temperature=none",
    "response_format": "give --ask structured=json_object or --ask structured=none",
    "text.format": "give --ask structured=json_object or --ask structured=none",
    "max_completion_tokens": "give another --ask max_output_tokens=N, or none",
    "max_output_tokens": "give another --ask max_output_tokens=N, or none",
}


@dataclass(eq=False)
class CallFailedError(Exception):
    """A call about one pair that was not answered; the next run tries again.

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


def failure_of(problem: Problem, analyst: Analyst) -> CallFailedError | FashionEditError:
    """Returns what a service's failure means: a `ServiceError` stops the stage, a `CallFailedError` one pair."""
    service = analyst.service
    if problem.failure.final:
        return problem.stop(service)
    if problem.failure is Failure.REFUSED:
        message = problem.message or "the service's content filter refused the images"
        return CallFailedError(str(problem.failure), message, refused=True)
    said = problem.sentence(service)
    if problem.failure is Failure.REJECTED and (advice := _PARAMETERS.get(problem.parameter or "")):
        return ServiceError(f"{said}: it does not accept {problem.parameter} for {analyst.model}; {advice}")
    malformed = problem.failure in (Failure.MALFORMED, Failure.TOO_LARGE)  # an answer that was paid for
    again = problem.failure.transient and not malformed
    return CallFailedError(str(problem.failure), said, again=again, paid=malformed)


def ask(client: Any, analyst: Analyst, body: Mapping[str, Any]) -> tuple[Reply, ServiceReply]:
    """Returns the answer to a request, and what the service said about its limits; never asks twice by itself.

    Raises:
        CallFailedError: It was not answered.
        ServiceError: The service won't work at all.
    """
    chat = analyst.api == "chat"
    resource, turns = (client.chat.completions, "messages") if chat else (client.responses, "input")
    rest = {name: value for name, value in body.items() if name not in ("model", turns)}
    try:
        raw = resource.with_raw_response.create(model=body["model"], **{turns: body[turns]}, extra_body=rest)
        return _read(raw.content, analyst), ServiceReply(raw.status_code, dict(raw.headers))
    except openai_client.call_errors() as error:
        url = openai_client.service_url(analyst.base_url)
        failure = failure_of(openai_client.call_problem(error, url=url, timeout=analyst.timeout), analyst)
        if isinstance(failure, CallFailedError):
            failure.paid = openai_client.may_have_cost(error)
            failure.reply = openai_client.reply_of(error)
        raise failure from error


def _read(body: bytes, analyst: Analyst) -> Reply:
    try:
        answer = json_object(body)
        choices = answer.get("choices")
        # A router passes the error of a provider on with status 200, as its own or as the only choice's.
        inner = problem_in(choices[0]) if isinstance(choices, list) and choices else None
        if (problem := problem_in(answer) or inner) is not None:
            raise failure_of(problem, analyst)
        return read_reply(answer, analyst.api)
    except InvalidDataError as error:
        raise failure_of(Problem(Failure.MALFORMED, message=str(error)), analyst) from error
