"""From the bytes of an answer to what was said, by which model, and what it took."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.http_clients import token_counts
from fashionedit.runtime.secrets import clean, masked

MAX_TEXT = 65_536
"""How much of a text is kept, characters. Three differences take some hundred; whatever is longer can't be used."""


class Reply(BaseModel):
    """What came back from one call.

    Args:
        text: What the model said, in full up to `MAX_TEXT`.
        refusal: Why it said nothing, in its words or the service's.
        finish: Why it stopped, as the service calls it.
        model: The version that answered.
        system_fingerprint: Of the service's configuration, where it tells.
        response_id: The service's name for the answer.
        input_tokens, cached_tokens, output_tokens: As billed; `cached_tokens` are among the `input_tokens`.
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
    """Returns what an answer says.

    Args:
        answer: Its JSON.
        api: Which of the two it comes from.

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
    refusal = choice.message.refusal or _joined(part.refusal for part in parts)
    if choice.finish_reason == "content_filter":
        refusal = refusal or "the service's content filter stopped the answer"
    return Reply(
        text=_joined(part.text for part in parts),
        refusal=refusal[:MAX_TEXT] if refusal else None,
        finish=choice.finish_reason,
        model=found.model,
        system_fingerprint=found.system_fingerprint,
        response_id=found.id,
    )


def _of_response(found: _Response) -> Reply:
    parts = [part for item in found.output if item.type == "message" for part in item.content or ()]
    refusal = _joined(part.refusal for part in parts)
    reason = found.incomplete_details.reason if found.incomplete_details else None
    if reason == "content_filter":
        refusal = refusal or "the service's content filter stopped the answer"
    return Reply(
        text=_joined(part.text for part in parts if part.type == "output_text"),
        refusal=refusal or None,
        finish={"max_output_tokens": "length"}.get(reason, reason) if reason else found.status,
        model=found.model,
        response_id=found.id,
    )


def _joined(texts: Any) -> str:
    return "".join(text for text in texts if text)[:MAX_TEXT]
