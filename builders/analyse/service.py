"""One request of the analysis, by the official client; the worker pool does all that concerns many of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.runtime import openai_client
from fashionedit.runtime.failures import Failure, Problem, problem_in
from fashionedit.runtime.http_clients import json_object
from fashionedit.runtime.limiter import ServiceReply

from .analyst import Analyst
from .failures import CallFailedError, failure_of
from .replies import Reply, read_reply


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that was answered.

    Args:
        reply: What came back.
        seconds: How long it took.
        limits: What the service said about its limits.
    """

    reply: Reply
    seconds: float
    limits: ServiceReply


class Service:
    """Calls of one analysis; safe to use from several threads. It never asks twice by itself.

    Args:
        analyst: Who is asked.

    Raises:
        MissingExtraError: The client is not installed.
        ServiceError: There is no key.
    """

    def __init__(self, analyst: Analyst) -> None:
        self.analyst = analyst
        self._client = openai_client.open_client(base_url=analyst.base_url, timeout=analyst.timeout)

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def ask(self, body: Mapping[str, Any]) -> Answered:
        """Returns the answer to a request.

        Raises:
            CallFailedError: It was not answered.
            ServiceError: The service won't work at all.
        """
        rest = {name: value for name, value in body.items() if name not in ("model", "messages", "input")}
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
            failure = failure_of(openai_client.call_problem(error, url=url, timeout=self.analyst.timeout), self.analyst)
            if isinstance(failure, CallFailedError):
                failure.paid = openai_client.may_have_cost(error)
                failure.reply = openai_client.reply_of(error)
            raise failure from error
        return Answered(reply, time.monotonic() - start, ServiceReply(raw.status_code, dict(raw.headers)))

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
