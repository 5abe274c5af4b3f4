"""What a failed call of the OpenAI client means: a refusal, a failure to try again, or the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fashionedit.errors import ServiceError
from fashionedit.runtime.failures import Failure, failure_of, masked

from .drafting import DraftResult


@dataclass(frozen=True, slots=True)
class FailedCall:
    """What became of one call.

    Args:
        answered: Whether a server answered at all.
        reason, detail: As in `DraftResult`; None where everything stops.
        retry: Whether the next run should ask again.
        stop: Why everything stops.
    """

    answered: bool
    reason: str | None = None
    detail: str | None = None
    retry: bool = False
    stop: ServiceError | None = None

    def result(self, seconds: float) -> DraftResult:
        """Returns it as the result of a request; a failed call costs nothing."""
        if self.stop is not None:
            return DraftResult(stop=self.stop)
        return DraftResult(reason=self.reason, detail=self.detail, retry=self.retry, seconds=seconds)


def failed_call(error: Exception, *, model: str, reached: bool) -> FailedCall:
    """Returns what the client's exception means.

    Args:
        error: What the call raised.
        model: For messages.
        reached: Whether the service has answered before; one that never has is not there.

    Raises:
        Exception: The error itself, where it is not one of the client's: that is a bug.
    """
    import openai

    if isinstance(error, openai.APITimeoutError):
        return FailedCall(False, "time-out", f"{model} gave no answer in time", retry=True)
    if isinstance(error, openai.APIConnectionError):
        if reached:
            return FailedCall(False, "no connection", f"the connection to {model}'s service was lost", retry=True)
        return FailedCall(
            False, stop=ServiceError(f"the service of {model} can't be reached; check base_url and the network")
        )
    if isinstance(error, openai.APIStatusError):
        return _refused(error, model)
    if isinstance(error, openai.APIResponseValidationError | ValueError):  # ValueError: the body is no JSON
        return FailedCall(True, "malformed answer", f"the answer of {model} can't be understood", retry=True)
    raise error


def _refused(error: Any, model: str) -> FailedCall:
    said = _said(error)
    code = error.code or error.type
    match failure_of(error.status_code, code if isinstance(code, str) else None, said):
        case Failure.NO_QUOTA:
            return _stop(f"the account has no quota left ({said}); add money to it, and the same command continues")
        case Failure.REFUSED:
            return FailedCall(True, "refused", f"{model} refused the caption: {said}")
        case Failure.RATE_LIMITED:
            return FailedCall(True, "rate limit", f"{model} was asked too often: {said}", retry=True)
        case Failure.SERVER_ERROR:
            return FailedCall(True, "server error", f"{model} failed with {error.status_code}: {said}", retry=True)
        case Failure.NO_MODEL | Failure.NO_ADDRESS:
            return _stop(f"the service has no model {model} ({said}); name one that it has, as openai:MODEL")
        case Failure.NO_KEY | Failure.FORBIDDEN:
            return _stop(f"the service refuses the key for {model} ({error.status_code}); check OPENAI_API_KEY")
        case Failure.REJECTED:
            pass
    if error.param == "prompt":
        return FailedCall(True, "caption not accepted", f"{model} can't take the caption: {said}")
    return _stop(f"the service can't serve {model} as asked ({error.status_code}: {said}); change the settings")


def _stop(sentence: str) -> FailedCall:
    return FailedCall(True, stop=ServiceError(sentence))


def _said(error: Any) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return masked(str(message or error.code or error.status_code)).rstrip(".")
