"""Who is asked, and how: model, service, prompt, and the limits of an analysis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fashionedit.builders.photo import Pair
from fashionedit.builders.stage_store import stage_key
from fashionedit.errors import InvalidDataError
from fashionedit.runtime.costs import Price, price_of
from fashionedit.runtime.failures import Service
from fashionedit.runtime.http_clients import MOST_SECONDS, check_url
from fashionedit.runtime.openai_client import check_service, service_host

from .pictures import SentImages
from .prompts import PAPER, Prompt

PROTOCOL_VERSION = 1
"""Part of every key; it changes whenever the same settings would send something else."""

Api = Literal["chat", "responses"]
Structured = Literal["json_schema", "json_object", "none"]


@dataclass(frozen=True, slots=True)
class Analyst:
    """The settings of an analysis. The key comes from `OPENAI_API_KEY` alone and is never written down.

    Args:
        model: Any name that the service knows; the paper's by default.
        prompt: What is asked.
        base_url: Of an OpenAI-compatible service; None is OpenAI's, or what `OPENAI_BASE_URL` says.
        api: `chat` (chat completions, what every compatible service speaks) or `responses`.
        temperature: None sends none, as models that reason want it.
        structured: How the form of the answer is asked for: a JSON schema, any JSON object, or by the prompt alone.
        max_output_tokens: Where an answer is cut off, so that a runaway has a price; None sends no limit.
        max_repairs: How often an answer that can't be used is sent back with its fault.
        images: How the images are sent.
        extra_body: Sent along with every request, as it is.
        concurrency: Calls under way at the same time, at most.
        max_retries: How often the client tries a call again that met a fault in passing.
        timeout: Seconds without a byte after which a call is given up.
        prices: Of the user, by model; they come before the published ones.

    Raises:
        InvalidDataError: A value is out of range.
    """

    model: str = "gpt-4.1-mini"
    prompt: Prompt = PAPER
    base_url: str | None = None
    api: Api = "chat"
    temperature: float | None = 0.0
    structured: Structured = "json_schema"
    max_output_tokens: int | None = 4096
    max_repairs: int = 2
    images: SentImages = field(default_factory=SentImages)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    max_retries: int = 5
    timeout: float = 120.0
    prices: Mapping[str, Price] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise InvalidDataError("the model has no name; give one with --model")
        if self.api not in ("chat", "responses"):
            raise InvalidDataError(f"api {self.api!r} is unknown; choose chat or responses")
        if self.structured not in ("json_schema", "json_object", "none"):
            raise InvalidDataError(
                f"structured {self.structured!r} is unknown; choose json_schema, json_object or none"
            )
        for name, least, most in (("max_repairs", 0, 10), ("concurrency", 1, 256), ("max_retries", 0, 100)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise InvalidDataError(f"{name} is {value}; choose {least}..{most}")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise InvalidDataError(f"temperature is {self.temperature}; choose 0..2, or none to send none")
        if self.max_output_tokens is not None and self.max_output_tokens < 64:
            raise InvalidDataError(f"max_output_tokens is {self.max_output_tokens}; an answer needs at least 64")
        if not 0 < self.timeout <= MOST_SECONDS:
            raise InvalidDataError(f"timeout is {self.timeout}; give seconds, more than 0 and at most {MOST_SECONDS:,}")
        if self.structured == "json_object" and "json" not in self.prompt.text.lower():
            raise InvalidDataError(
                f"the prompt {self.prompt.name} does not say JSON, which services want for json_object; say it there, "
                "or choose json_schema"
            )
        if self.base_url is not None:
            check_url(self.base_url, "base URL")
        try:
            json.dumps(dict(self.extra_body), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidDataError(f"extra_body is no plain JSON ({error}); give a JSON object") from error

    @property
    def host(self) -> str:
        """The service's host, for messages and records: no port, user name, password or path."""
        return service_host(self.base_url)

    @property
    def service(self) -> Service:
        """The service and the model, as messages name them."""
        return Service(self.host, self.model, address="--base-url and --ask api", model_option="--model")

    def check(self, *, reach: bool) -> None:
        """Checks the key and the model without paying; see `check_service`.

        Raises:
            ServiceError, MissingExtraError: No answer can be had.
        """
        check_service(self.service, base_url=self.base_url, timeout=self.timeout, reach=reach)

    @property
    def price(self) -> Price | None:
        """What the model costs, where that is known."""
        return price_of(self.model, self.prices)

    def identity(self) -> dict[str, Any]:
        """Returns what an answer depends on besides the two images, as plain JSON.

        Not in it: the address, because a model that moves house is the same model; `max_repairs`, because a larger one
        continues what a smaller one gave up; and all that concerns speed.
        """
        return {
            "protocol": PROTOCOL_VERSION,
            "model": self.model,
            "prompt": self.prompt.text,
            "api": self.api,
            "temperature": self.temperature,
            "structured": self.structured,
            "max_output_tokens": self.max_output_tokens,
            "images": self.images.identity(),
            "extra_body": dict(self.extra_body),
        }

    def key(self, pair: Pair) -> str:
        """Returns the key of the record for this pair."""
        return stage_key("analyse", original=pair.original_digest, draft=pair.draft_digest, **self.identity())
