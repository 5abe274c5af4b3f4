"""What both OpenAI editors share: one client, one try a call, and what the answer says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import EditResult, ServiceReply
from fashionedit.runtime.openai_client import open_client, service_host
from fashionedit.runtime.prices import Price, price_of

from .openai_failures import failed_call, limits_of, malformed
from .pictures import MOST_BYTES
from .settings import EditorSettings

if TYPE_CHECKING:
    from openai import OpenAI

AT_ONCE = 8
"""Edits at the same time by default; accounts of the first tier bear about that many."""

_PICTURE_IN = 7_100  # tokens of a 1024 × 1536 picture that is sent, at high fidelity
_PICTURE_OUT = 6_240  # tokens of one that comes back, at high quality
_EFFECTIVE = ("size", "quality", "background", "output_format")


class OpenAIService:
    """The official client, opened at the first call and shared by all threads; it never asks twice by itself.

    Args:
        model: As the user names it, for messages.
        settings: Address, timeout.
    """

    def __init__(self, model: str, settings: EditorSettings) -> None:
        self._model = model
        self._settings = settings
        self._host = service_host(settings.base_url)
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
        import openai

        try:
            raw = call(self._open())
        except openai.OpenAIError as error:
            return failed_call(error, model=self._model, host=self._host, timeout=self._settings.timeout)
        reply = limits_of(raw.status_code, raw.headers)
        if len(raw.content) > 2 * MOST_BYTES:
            return malformed(self._host, reply, f"{len(raw.content):,} bytes")
        try:
            answer = json.loads(raw.content)
        except (ValueError, RecursionError):
            page = raw.content.lstrip()[:1] == b"<"
            return malformed(self._host, reply, "a page of HTML" if page else "no JSON")
        if not isinstance(answer, dict):
            return malformed(self._host, reply, f"JSON with a {type(answer).__name__} in the place of an object")
        return read(answer, reply)

    def close(self) -> None:
        """Ends the connections."""
        with self._lock:
            client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()


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
