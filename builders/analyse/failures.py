"""What a call that went wrong means: for this pair alone, or for the whole stage."""

from __future__ import annotations

from typing import Any

from fashionedit.errors import FashionEditError, ServiceError
from fashionedit.runtime.failures import Failure, masked
from fashionedit.runtime.failures import failure_of as service_failure

from .analyst import Analyst

_PARAMETERS = {
    "temperature": "give --ask temperature=none",
    "response_format": "give --ask structured=json_object or --ask structured=none",
    "text.format": "give --ask structured=json_object or --ask structured=none",
    "max_completion_tokens": "give another --ask max_output_tokens=N, or none",
    "max_output_tokens": "give another --ask max_output_tokens=N, or none",
}


class CallFailedError(Exception):
    """A call about one pair that was not answered; the next run tries again.

    Args:
        reason: In the same few words for the same cause.
        detail: In a sentence.
        refused: Whether the service looked and would not answer, which trying again does not change.
    """

    def __init__(self, reason: str, detail: str, *, refused: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.refused = refused


NotAnswered = CallFailedError | FashionEditError


def failure_of(error: Exception, analyst: Analyst) -> NotAnswered:
    """Returns what an error of the client means: a `ServiceError` stops the stage, a `CallFailedError` one pair."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return CallFailedError("timeout", f"no answer within {analyst.timeout:g} s, {analyst.max_retries + 1} times")
    if isinstance(error, openai.APIConnectionError):
        cause = masked(str(error.__cause__ or error))
        return CallFailedError("no connection", f"the connection to {analyst.host} broke: {cause}")
    if isinstance(error, openai.APIStatusError):
        code = error.code if isinstance(error.code, str) else None
        kind = error.type if isinstance(error.type, str) else None
        return failure_of_code(error.status_code, code or kind, _message(error.body, error), analyst, error.param)
    return CallFailedError("no answer", masked(str(error)) or type(error).__name__)


def failure_of_code(
    status: int, code: str | None, message: str, analyst: Analyst, parameter: str | None = None
) -> NotAnswered:
    """Returns what a status and an error code mean.

    Args:
        status: Of HTTP.
        code: The service's word for the error.
        message: The service's sentence.
        analyst: Who was asked.
        parameter: Which part of the request the service objects to.
    """
    message = masked(message)
    said = f" ({message})" if message else ""
    match service_failure(status, code, message):
        case Failure.NO_KEY:
            return ServiceError(f"{analyst.host} does not accept the key; set OPENAI_API_KEY to a valid one")
        case Failure.NO_QUOTA:
            return ServiceError(
                f"the account at {analyst.host} has no quota left{said}; add credit, and the same command continues"
            )
        case Failure.NO_MODEL:
            return ServiceError(
                f"the model {analyst.model} is not to be had at {analyst.host}, or not any more{said}; name another "
                "with --model"
            )
        case Failure.REFUSED:
            return CallFailedError(
                "refused", message or "the service's content filter refused the images", refused=True
            )
        case Failure.FORBIDDEN:
            return ServiceError(f"{analyst.host} forbids the call{said}; use a key with access to {analyst.model}")
        case Failure.NO_ADDRESS:
            return ServiceError(f"{analyst.host} knows no such address{said}; check --base-url and --ask api")
        case Failure.RATE_LIMITED:
            return CallFailedError("rate limited", f"too many calls for {analyst.host}{said}")
        case Failure.SERVER_ERROR:
            return CallFailedError("server error", f"{analyst.host} answered {status}{said}")
        case Failure.REJECTED:
            pass
    if advice := _PARAMETERS.get(parameter or ""):
        return ServiceError(f"{analyst.host} does not accept {parameter} for {analyst.model}{said}; {advice}")
    return CallFailedError("request rejected", f"{analyst.host} answered {status}{said}")


def _message(body: Any, error: Exception) -> str:
    if isinstance(body, dict):
        for name in ("message", "detail", "error"):
            if isinstance(body.get(name), str):
                return str(body[name])
    if isinstance(body, str) and "<" in body:
        return "a page of HTML"
    return str(error)
