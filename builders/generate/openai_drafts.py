"""Drafts from OpenAI's `images.generate`, or from any server that speaks it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fashionedit.errors import InvalidDataError, InvalidImageError, ServiceError
from fashionedit.images import read_image
from fashionedit.runtime.failures import Failure, Problem, Service, problem_in
from fashionedit.runtime.http_clients import (
    MOST_SECONDS,
    check_url,
    json_object,
    picture_bytes,
    picture_text,
    token_counts,
)
from fashionedit.runtime.limiter import ServiceReply
from fashionedit.runtime.openai_client import (
    call_errors,
    call_problem,
    check_service,
    may_have_cost,
    open_client,
    reply_of,
    service_host,
    service_url,
)

from .drafting import DraftRequest, DraftResult

if TYPE_CHECKING:
    from openai import OpenAI

_SET_HERE = {"model", "prompt", "n", "size", "quality"}


class OpenAIDrafts:
    """Makes drafts with `images.generate`; the key is read from `OPENAI_API_KEY` and goes nowhere else.

    It never asks twice by itself: the stage's worker pool does, after 408, 409, 429, 5xx and lost connections, when the
    server's `Retry-After` says. What fails then is tried again by the next run; a refusal is a result.

    Args:
        model: Any name that the service knows, such as `gpt-image-1.5`.
        base_url: Where the service is; `OPENAI_BASE_URL`, else OpenAI. Without a key, one is sent that means nothing.
        size: `WIDTHxHEIGHT` or `auto`.
        quality: `low`, `medium`, `high`, …; the model's default if None.
        concurrency: Calls at once; after a kill as many may be paid for twice.
        max_retries: How often a call is made again whose failure may pass.
        timeout: Of one try, s.
        extra_body: Further fields of the request, plain JSON.
        send_seed: Whether the seed is sent as the field `seed`, which OpenAI doesn't have and many servers do.
        cost_of: Returns the USD of an answer from its token counts (`input_tokens`, `output_tokens`), or None where no
            price is known; it is not called for an answer that tells none.
        highest_cost: What one draft may cost at most, USD; needed for a budget. A draft that the service tells no cost
            of counts as so much.

    Raises:
        InvalidDataError: A number is out of range, or `extra_body` is no plain JSON or sets what is set here.
    """

    batch_size = 1  # a call makes one draft

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        size: str = "1024x1024",
        quality: str | None = None,
        concurrency: int = 4,
        max_retries: int = 5,
        timeout: float = 300.0,
        extra_body: Mapping[str, Any] | None = None,
        send_seed: bool = False,
        cost_of: Callable[[Mapping[str, int]], float | None] | None = None,
        highest_cost: float | None = None,
    ) -> None:
        if concurrency < 1 or max_retries < 0 or not 0 < timeout <= MOST_SECONDS:
            raise InvalidDataError(
                f"concurrency is {concurrency}, max_retries {max_retries} and timeout {timeout}; they must be at least "
                f"1, at least 0, and above 0 and at most {MOST_SECONDS:,}"
            )
        if highest_cost is not None and not (
            isinstance(highest_cost, int | float) and math.isfinite(highest_cost) and highest_cost >= 0
        ):
            raise InvalidDataError(f"highest_cost is {highest_cost!r}; give an amount in USD from 0 on")
        self._extra = dict(extra_body or {})
        if clash := sorted(_SET_HERE & self._extra.keys()):
            raise InvalidDataError(f"extra_body sets {clash[0]}, which has an option of its own; leave it away")
        try:
            json.dumps(self._extra, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidDataError(f"extra_body can't be written as JSON ({error}); give plain values") from error
        self._model = model
        self._base_url = base_url
        self._url = service_url(base_url)
        check_url(self._url, "base URL")
        self._service = Service(service_host(base_url), model, address="base_url")
        self._size = size
        self._quality = quality
        self.concurrency = concurrency
        self.max_retries = max_retries
        self._timeout = timeout
        self._send_seed = send_seed
        self._cost_of = cost_of
        self.highest_cost = highest_cost
        self._reached = False
        self._lock = Lock()
        self._client: OpenAI | None = None

    def describe(self) -> dict[str, Any]:
        """Returns what decides the pixels as far as one can tell: of the service's address, the host alone."""
        return {
            "kind": "openai",
            "model": self._model,
            "host": urlsplit(self._url).hostname,
            "size": self._size,
            "quality": self._quality,
            "extra_body": self._extra,
            "seed_sent": self._send_seed,
        }

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns the drafts; an answer that stops everything is among the results."""
        with self._lock:
            client = self._client = self._client or open_client(base_url=self._base_url, timeout=self._timeout)
        return [self._draft(client, request) for request in requests]

    def check(self, *, reach: bool) -> None:
        """Checks the key and the model without paying; see `check_service`."""
        check_service(self._service, base_url=self._base_url, timeout=self._timeout, reach=reach)

    def close(self) -> None:
        """Ends the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _draft(self, client: OpenAI, request: DraftRequest) -> DraftResult:
        fields: dict[str, Any] = {"size": self._size} | ({} if self._quality is None else {"quality": self._quality})
        extra = self._extra | ({"seed": request.seed} if self._send_seed else {})
        start = time.perf_counter()
        try:
            raw: Any = client.images.with_raw_response.generate(
                model=self._model, prompt=request.caption, n=1, extra_body=extra or None, **fields
            )
        except ServiceError as stop:
            return DraftResult(stop=stop)
        except call_errors() as error:
            cost = None if may_have_cost(error) else 0.0
            try:
                problem = call_problem(error, url=self._url, timeout=self._timeout)
            except ServiceError as stop:
                return DraftResult(stop=stop, cost=cost)
            result = self._failed(problem, seconds=time.perf_counter() - start, cost=cost)
            return replace(result, reply=reply_of(error))
        seconds = time.perf_counter() - start
        try:
            answer = json_object(raw.content)
        except InvalidDataError as error:
            result = self._failed(Problem(Failure.MALFORMED, message=str(error)), seconds=seconds, cost=None)
        else:
            result = self._read(answer, seconds)
        return replace(result, reply=ServiceReply(raw.status_code, dict(raw.headers)))

    def _read(self, answer: dict[str, Any], seconds: float) -> DraftResult:
        self._reached = True
        counts = token_counts(answer.get("usage"))
        told = sum(counts.get(name, 0) for name in ("input_tokens", "output_tokens"))  # a picture has some tokens
        cost = self._cost_of(counts) if self._cost_of is not None and told > 0 else None
        named = ("size", "quality", "output_format", "background")
        effective = self.describe() | {name: answer[name] for name in named if isinstance(answer.get(name), str)}
        data = answer.get("data")
        first = data[0] if isinstance(data, list) and data else None
        provenance: dict[str, Any] = {"usage": answer.get("usage") if isinstance(answer.get("usage"), dict) else None}
        if isinstance(first, dict) and isinstance(first.get("revised_prompt"), str):
            provenance["revised_prompt"] = first["revised_prompt"]
        details: dict[str, Any] = {"seconds": seconds, "cost": cost, "effective": effective, "provenance": provenance}
        text = picture_text(first)
        if text is None:
            problem = problem_in(answer)
            if problem is not None and cost is None:
                details["cost"] = 0.0  # an error in the place of a result
            return self._failed(problem or Problem(Failure.MALFORMED, message="it holds no image"), **details)
        try:
            file = picture_bytes(text, service=self._url, seconds=self._timeout)
            return DraftResult(read_image(file, name=f"the answer of {self._model}"), **details)
        except (InvalidImageError, OSError) as error:  # an answer that was paid for: only --retry asks again
            reason = "draft not readable" if isinstance(error, InvalidImageError) else "draft not fetched"
            return DraftResult(reason=reason, detail=str(error), **details)

    def _failed(self, problem: Problem, *, cost: float | None, **details: Any) -> DraftResult:
        """Returns what a failure means; one that every caption would meet stops the stage."""
        said = problem.sentence(self._service)
        if problem.failure is Failure.NO_CONNECTION and not self._reached and cost == 0.0:  # never sent
            return DraftResult(stop=ServiceError(f"{said}; check base_url and the network"), cost=cost)
        self._reached = self._reached or problem.status > 0
        rejected = problem.failure is Failure.REJECTED
        if problem.failure.final or (rejected and problem.parameter != "prompt"):
            return DraftResult(stop=problem.stop(self._service), cost=cost)
        reason = "caption not accepted" if rejected else str(problem.failure)
        transient = problem.failure.transient
        again = transient and problem.failure is not Failure.MALFORMED  # which was paid for
        return DraftResult(reason=reason, detail=said, retry=transient, again=again, cost=cost, **details)
