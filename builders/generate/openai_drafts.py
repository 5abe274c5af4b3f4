"""Drafts from OpenAI's `images.generate`, or from any server that speaks it."""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.images import MAX_FILE_BYTES, read_image
from fashionedit.runtime.http_clients import check_url

from .drafting import DraftRequest, DraftResult
from .openai_failures import failed_call

_DEFAULT_URL = "https://api.openai.com/v1"
_KEY = "OPENAI_API_KEY"
_SET_HERE = {"model", "prompt", "n", "size", "quality"}


class OpenAIDrafts:
    """Makes drafts with `images.generate`; the key is read from `OPENAI_API_KEY` and goes nowhere else.

    The client waits and asks again by itself after 408, 409, 429, 5xx and lost connections, as long as the server's
    `Retry-After` says. What fails then is tried again by the next run; a refusal is a result.

    Args:
        model: Any name that the service knows, such as `gpt-image-1.5`.
        base_url: Where the service is; `OPENAI_BASE_URL`, else OpenAI. Without a key, one is sent that means nothing.
        size: `WIDTHxHEIGHT` or `auto`.
        quality: `low`, `medium`, `high`, …; the model's default if None.
        concurrency: Calls at once; after a kill as many may be paid for twice.
        max_retries: How often the client asks again.
        timeout: Of one try, s.
        extra_body: Further fields of the request, plain JSON. Servers that answer with links by default need
            `{"response_format": "b64_json"}`; links are not followed.
        send_seed: Whether the seed is sent as the field `seed`, which OpenAI doesn't have and many servers do.
        cost_of: Returns the USD of an answer from its `usage` (an `openai` object, or None where there is none), or
            None where no price is known.
        highest_cost: What one draft may cost at most, USD; needed for a budget.

    Raises:
        InvalidDataError: A number is out of range, or `extra_body` is no plain JSON or sets what is set here.
    """

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
        cost_of: Callable[[Any], float | None] | None = None,
        highest_cost: float | None = None,
    ) -> None:
        if concurrency < 1 or max_retries < 0 or timeout <= 0:
            raise InvalidDataError(
                f"concurrency is {concurrency}, max_retries {max_retries} and timeout {timeout}; they must be at least "
                "1, at least 0 and above 0"
            )
        self._extra = dict(extra_body or {})
        if clash := sorted(_SET_HERE & self._extra.keys()):
            raise InvalidDataError(f"extra_body sets {clash[0]}, which has an option of its own; leave it away")
        try:
            json.dumps(self._extra, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidDataError(f"extra_body can't be written as JSON ({error}); give plain values") from error
        self._model = model
        self._url = base_url or os.environ.get("OPENAI_BASE_URL") or _DEFAULT_URL
        check_url(self._url, "base URL")
        self._size = size
        self._quality = quality
        self._concurrency = concurrency
        self._max_retries = max_retries
        self._timeout = timeout
        self._send_seed = send_seed
        self._cost_of = cost_of
        self._highest_cost = highest_cost
        self._reached = False

    @property
    def batch_size(self) -> int:
        """The calls at once."""
        return self._concurrency

    @property
    def highest_cost(self) -> float | None:
        """What one draft may cost at most, USD, as it was given."""
        return self._highest_cost

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
        """Returns the drafts, asked for at the same time; an answer that stops everything is among the results.

        Raises:
            ServiceError: There is no key.
            MissingExtraError: The extra `openai` is not installed.
        """
        start = time.perf_counter()
        with self._client() as client, ThreadPoolExecutor(self._concurrency, thread_name_prefix="drafts") as pool:
            answers = list(pool.map(lambda request: self._ask(client, request), requests))
        seconds = (time.perf_counter() - start) / max(1, len(requests))
        return [self._result(answer, seconds) for answer in answers]

    def _ask(self, client: Any, request: DraftRequest) -> Any:
        """Returns the answer, or the exception in its place."""
        fields: dict[str, Any] = {"size": self._size}
        if self._quality is not None:
            fields["quality"] = self._quality
        extra = self._extra | ({"seed": request.seed} if self._send_seed else {})
        try:
            return client.images.generate(
                model=self._model, prompt=request.caption, n=1, extra_body=extra or None, **fields
            )
        except Exception as error:
            return error

    def _result(self, answer: Any, seconds: float) -> DraftResult:
        if isinstance(answer, Exception):
            failure = failed_call(answer, model=self._model, reached=self._reached)
            self._reached = self._reached or failure.answered
            return failure.result(seconds)
        self._reached = True
        usage = getattr(answer, "usage", None)
        cost = self._cost_of(usage) if self._cost_of is not None else None
        effective = self.describe()
        for name in ("size", "quality", "output_format", "background"):
            if isinstance(value := getattr(answer, name, None), str):
                effective[name] = value
        provenance: dict[str, Any] = {"usage": _plain(usage)}
        first = _first(answer)
        if isinstance(revised := getattr(first, "revised_prompt", None), str):
            provenance["revised_prompt"] = revised
        try:
            image = read_image(_decoded(first), name=f"the answer of {self._model}")
        except ServiceError as error:
            return DraftResult(stop=error, cost=cost)
        except InvalidImageError as error:
            return DraftResult(
                reason="malformed answer",
                detail=str(error),
                retry=True,
                seconds=seconds,
                cost=cost,
                effective=effective,
                provenance=provenance,
            )
        return DraftResult(image, seconds=seconds, cost=cost, effective=effective, provenance=provenance)

    def _client(self) -> Any:
        """Returns a client for one batch: the connections that it keeps are closed with it."""
        try:
            from openai import OpenAI
        except ImportError as error:
            raise MissingExtraError("openai", "openai") from error
        key = os.environ.get(_KEY)
        if not key:
            if self._url == _DEFAULT_URL:
                raise ServiceError(f"{_KEY} is not set; put your key into it, or give the base_url of another service")
            key = "none"
        return OpenAI(api_key=key, base_url=self._url, timeout=self._timeout, max_retries=self._max_retries)


def _first(answer: Any) -> Any:
    images = getattr(answer, "data", None)
    return images[0] if isinstance(images, list) and images else None


def _decoded(first: Any) -> bytes:
    """Returns the image file of an answer.

    Raises:
        ServiceError: It is a link.
        InvalidImageError: There is none, or one that is too large.
    """
    encoded = getattr(first, "b64_json", None)
    if isinstance(encoded, str) and encoded:
        if len(encoded) > MAX_FILE_BYTES * 4 / 3:
            raise InvalidImageError(f"the answer's image is above {MAX_FILE_BYTES // 2**20} MiB; ask for a smaller one")
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidImageError(
                f"the answer's image is no valid base64 ({error}); it is asked for again"
            ) from error
    if getattr(first, "url", None):
        raise ServiceError(
            "the service answers with a link in the place of the image, and links are not followed; give extra_body "
            '{"response_format": "b64_json"}'
        )
    raise InvalidImageError("the answer holds no image; it is asked for again")


def _plain(usage: Any) -> dict[str, Any] | None:
    dumped = usage.model_dump(mode="json") if hasattr(usage, "model_dump") else usage
    return dict(dumped) if isinstance(dumped, Mapping) else None
