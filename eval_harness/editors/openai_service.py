"""What both OpenAI editors share: one client, one try a call, and what the answer says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import EditResult, ServiceReply, Status
from fashionedit.runtime.costs import Price, price_of
from fashionedit.runtime.failures import Failure, Problem, Service, problem_in
from fashionedit.runtime.http_clients import json_object
from fashionedit.runtime.openai_client import call_errors, call_problem, open_client, service_host, service_url

from .results import failed_result, picture_result
from .settings import EditorSettings

if TYPE_CHECKING:
    from openai import OpenAI

AT_ONCE = 8
"""Edits at the same time by default; accounts of the first tier bear about that many."""

_PICTURE_IN = 7_100  # tokens of a 1024 × 1536 picture that is sent, at high fidelity
_PICTURE_OUT = 6_240  # tokens of one that comes back, at high quality
_EFFECTIVE = ("size", "quality", "background", "output_format")
_LIMITS = ("retry-after", "retry-after-ms", "x-ratelimit-")


class OpenAIService:
    """The official client, opened at the first call and shared by all threads; it never asks twice by itself.

    Args:
        model: As the user names it, for messages.
        settings: Address, timeout.
    """

    def __init__(self, model: str, settings: EditorSettings) -> None:
        self._settings = settings
        self._service = Service(service_host(settings.base_url), model)
        self._url = service_url(settings.base_url)
        self._lock = Lock()
        self._open()  # a missing key or package is told before the run begins

    def _open(self) -> OpenAI:
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> OpenAI:
        return open_client(base_url=self._settings.base_url, timeout=self._settings.timeout, max_retries=0)

    def ask(
        self, call: Callable[[OpenAI], Any], read: Callable[[dict[str, Any], ServiceReply], EditResult]
    ) -> EditResult:
        """Returns what one call came to.

        Args:
            call: Makes it, through `with_raw_response`.
            read: Makes the result of the answer's JSON.

        Raises:
            ServiceError: No further call is worth making.
        """
        try:
            raw = call(self._open())
        except call_errors() as error:
            response = getattr(error, "response", None)
            reply = None if response is None else _limits(response.status_code, response.headers)
            problem = call_problem(error, url=self._url, timeout=self._settings.timeout)
            return failed_result(problem, self._service, reply=reply)
        reply = _limits(raw.status_code, raw.headers)
        try:
            answer = json_object(raw.content)
        except InvalidDataError as error:
            return self.failed(Problem(Failure.MALFORMED, raw.status_code, str(error)), reply=reply)
        return read(answer, reply)

    def picture(self, text: str, **details: Any) -> EditResult:
        """Returns the result that the text of a picture makes, which may be a link; `details` are further fields."""
        return picture_result(text, service=self._url, seconds=self._settings.timeout, **details)

    def failed(self, problem: Problem, **details: Any) -> EditResult:
        """Returns the result that a failure makes; `details` are further fields.

        Raises:
            ServiceError: No further call is worth making.
        """
        return failed_result(problem, self._service, **details)

    def no_picture(self, answer: Mapping[str, Any], said: str, **details: Any) -> EditResult:
        """Returns why an answer holds no picture: its error, else `said`, in the service's own words.

        Raises:
            ServiceError: No further call is worth making.
        """
        if (problem := problem_in(answer)) is not None:
            return self.failed(problem, **details)
        return EditResult.failed(Status.NO_IMAGE, said or "the answer holds no picture", **details)

    def close(self) -> None:
        """Ends the connections."""
        with self._lock:
            client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()


def _limits(status: int, headers: Mapping[str, str]) -> ServiceReply:
    """Returns what an answer said about the service's limits."""
    named = {name.lower(): value for name, value in headers.items()}
    return ServiceReply(status, {name: value for name, value in named.items() if name.startswith(_LIMITS)})


def effective(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters that were used: those asked for, and over them what the answer says of itself."""
    return {**asked, **{name: answer[name] for name in _EFFECTIVE if isinstance(answer.get(name), str)}}


def usd_per_edit(price: Price | None) -> float | None:
    """Returns what an edit costs at most, by estimate, USD: two portraits in at high fidelity, one out at high quality.

    The token counts are those of OpenAI's image guide for gpt-image-1 (read in November 2026 from a stored copy).
    """
    if price is None:
        return None
    pictures = 2 * _PICTURE_IN
    return price.cost(input_tokens=pictures + 300, image_tokens=pictures, output_tokens=_PICTURE_OUT)


def found_price(model: str, settings: EditorSettings) -> Price | None:
    """Returns the user's price, else the published one of the model; None where neither is known."""
    return settings.price or price_of(model)


def object_option(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns an option that is a JSON object.

    Raises:
        InvalidDataError: It is something else.
    """
    value = options.get(name, {})
    if not isinstance(value, dict):
        raise InvalidDataError(f'option {name} is {value!r}; give a JSON object, as {name}=\'{{"key": "value"}}\'')
    return dict(value)
