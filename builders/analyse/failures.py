"""What a call that went wrong means: for this pair alone, or for the whole stage."""

from __future__ import annotations

from fashionedit.errors import FashionEditError, ServiceError
from fashionedit.runtime.failures import Failure, Problem
from fashionedit.runtime.limiter import ServiceReply

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
        again: Whether the same call may be answered a little later.
        paid: Whether it may have been paid for all the same.
        reply: What the service said about its limits.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        refused: bool = False,
        again: bool = False,
        paid: bool = False,
        reply: ServiceReply | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.refused = refused
        self.again = again
        self.paid = paid
        self.reply = reply


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
