"""The official client on the wire: one request, its retries, and the limits that all requests share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fashionedit.errors import InvalidDataError
from fashionedit.runtime import openai_client
from fashionedit.runtime.answers import json_object
from fashionedit.runtime.failures import Failure, Problem, problem_in, problem_of
from fashionedit.runtime.limiter import Limiter

from .analyst import Analyst
from .failures import failure_of
from .replies import Reply, read_reply

if TYPE_CHECKING:
    from openai import OpenAI

_LONG_RETRY = (
    2.0  # seconds; the client sleeps through anything shorter, the limiter, which can be stopped, through more
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that was answered.

    Args:
        reply: What came back.
        seconds: From the first try to the answer.
        attempts: How often it was sent.
    """

    reply: Reply
    seconds: float
    attempts: int


class Service:
    """Calls of one analysis; safe to use from several threads.

    Retries are the client's own. What the service says about its limits, in answers to retried requests too, goes to
    one limiter that every request passes.

    Args:
        analyst: Who is asked.

    Raises:
        MissingExtraError: The client is not installed.
        ServiceError: There is no key.
    """

    def __init__(self, analyst: Analyst) -> None:
        self.analyst = analyst
        self.limiter = Limiter(analyst.concurrency)
        self._client = open_client(analyst, {"request": [self._before_sending], "response": [self._after_answer]})

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, body: Mapping[str, Any]) -> Answered:
        """Returns the answer to a request.

        Raises:
            CallFailedError: It was not answered.
            ServiceError: The service won't work at all.
        """
        rest = {name: value for name, value in body.items() if name not in ("model", "messages", "input")}
        with self.limiter.call():
            start = time.monotonic()
            try:
                raw: Any
                if self.analyst.api == "chat":
                    raw = self._client.chat.completions.with_raw_response.create(
                        model=body["model"], messages=body["messages"], extra_body=rest
                    )
                else:
                    raw = self._client.responses.with_raw_response.create(
                        model=body["model"], input=body["input"], extra_body=rest
                    )
                reply = self._read(raw.content)
            except openai_client.call_errors() as error:
                url = openai_client.service_url(self.analyst.base_url)
                problem = openai_client.call_problem(error, url=url, timeout=self.analyst.timeout)
                raise failure_of(problem, self.analyst) from error
        self.limiter.after_tokens(reply.input_tokens + reply.output_tokens)
        return Answered(reply, time.monotonic() - start, raw.retries_taken + 1)

    def _read(self, body: bytes) -> Reply:
        try:
            answer = json_object(body)
            choices = answer.get("choices")
            # A router passes the error of a provider on with status 200, as its own or as the only choice's.
            inner = problem_in(choices[0]) if isinstance(choices, list) and choices else None
            if (problem := problem_in(answer) or inner) is not None:
                raise failure_of(problem, self.analyst)
            return read_reply(answer, self.analyst.api)
        except InvalidDataError as error:
            raise failure_of(Problem(Failure.MALFORMED, message=str(error)), self.analyst) from error

    def _before_sending(self, request: Any) -> None:
        self.limiter.before_sending()

    def _after_answer(self, response: Any) -> None:
        if response.status_code == 429 and problem_of(429, response.read()).failure.final:  # waiting brings no money
            response.headers["x-should-retry"] = "false"
            return
        self.limiter.after_answer(response.status_code, response.headers)
        try:
            long = float(response.headers.get("retry-after", 0)) > _LONG_RETRY
        except ValueError:
            long = True  # a date
        if long:
            del response.headers["retry-after"]


def open_client(analyst: Analyst, hooks: Mapping[str, list[Any]] | None = None) -> OpenAI:
    """Returns the official client as the analyst wants it, to be closed; see `fashionedit.runtime.openai_client`."""
    return openai_client.open_client(
        base_url=analyst.base_url, timeout=analyst.timeout, max_retries=analyst.max_retries, hooks=hooks
    )
