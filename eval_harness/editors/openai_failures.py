"""What a failed call of the OpenAI client means for an edit: a refusal, a passing failure, or the end of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fashionedit.errors import ServiceError
from fashionedit.eval_harness.editing import EditResult, ServiceReply, Status
from fashionedit.runtime.failures import Failure, failure_of, masked

_LIMITS = ("retry-after", "retry-after-ms", "x-ratelimit-")


def limits_of(status: int, headers: Mapping[str, str]) -> ServiceReply:
    """Returns what an answer said about the service's limits."""
    found = {name.lower(): value for name, value in headers.items()}
    return ServiceReply(status, {name: value for name, value in found.items() if name.startswith(_LIMITS)})


def malformed(who: str, reply: ServiceReply | None, why: str) -> EditResult:
    """Returns the result of an answer that can't be understood: asking again may help."""
    return EditResult.failed(Status.ERROR, f"the answer of {who} can't be understood ({why})", retry=True, reply=reply)


def failed_call(error: Exception, *, model: str, host: str, timeout: float) -> EditResult:
    """Returns what the client's exception means for this edit.

    Args:
        error: What the call raised.
        model: As the user names it.
        host: Of the service, for messages.
        timeout: Of the call, s.

    Raises:
        ServiceError: No further call is worth making.
        Exception: The error itself, where it is not one of the client's: that is a bug.
    """
    import openai

    if isinstance(error, openai.APITimeoutError):
        return EditResult.failed(Status.TIMEOUT, f"{host} gave no answer within {timeout:g} s", retry=True)
    if isinstance(error, openai.APIStatusError):
        return _status(error, model, host)
    if isinstance(error, openai.APIConnectionError):
        cause = masked(str(error.__cause__ or error)) or type(error.__cause__).__name__
        return EditResult.failed(Status.ERROR, f"the connection to {host} broke ({cause})", retry=True)
    if isinstance(error, openai.APIResponseValidationError | ValueError):
        return malformed(host, None, masked(str(error)))
    raise error


def _status(error: Any, model: str, host: str) -> EditResult:
    reply = limits_of(error.status_code, error.response.headers)
    code = error.code if isinstance(error.code, str) else error.type if isinstance(error.type, str) else None
    message = masked(_message(error))
    said = f" ({message})" if message else ""
    failure = failure_of(error.status_code, code, message)
    match failure:
        case Failure.NO_KEY:
            raise ServiceError(f"{host} does not accept the key; set OPENAI_API_KEY to a valid one") from error
        case Failure.NO_QUOTA:
            raise ServiceError(
                f"the account at {host} has no quota left{said}; add credit, and the same command continues"
            ) from error
        case Failure.NO_MODEL:
            raise ServiceError(
                f"the model {model} is not to be had at {host}, or not any more{said}; name another one"
            ) from error
        case Failure.FORBIDDEN:
            raise ServiceError(f"{host} forbids the call{said}; use a key with access to {model}") from error
        case Failure.NO_ADDRESS:
            raise ServiceError(f"{host} knows no such address{said}; check --base-url") from error
        case Failure.REFUSED:
            return EditResult.failed(Status.REFUSED, message or f"{host} refused the request", reply=reply)
        case _:
            return EditResult.failed(
                Status.ERROR, f"{host} answered {error.status_code}{said}", retry=failure.passing, reply=reply
            )


def _message(error: Any) -> str:
    body = error.body
    if isinstance(body, dict):
        for name in ("message", "detail", "error"):
            if isinstance(body.get(name), str):
                return str(body[name])
    if isinstance(body, str) and "<" in body:
        return "a page of HTML"
    return str(error.message)
