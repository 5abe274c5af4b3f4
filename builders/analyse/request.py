"""Builds the request of the analysis, and estimates its tokens and cost."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fashionedit.runtime.vision_model import Picture, image_tokens
from fashionedit.types import DIFFERENCES_PER_SAMPLE

from .analyst import Analyst


class _Difference(BaseModel):
    model_config = ConfigDict(extra="forbid")

    description: str = Field(description="What the first image shows there")
    box_2d: list[int] = Field(
        min_length=4, max_length=4, description="[ymin, xmin, ymax, xmax] on the first image, 0..1000"
    )


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    differences: list[_Difference] = Field(min_length=DIFFERENCES_PER_SAMPLE, max_length=DIFFERENCES_PER_SAMPLE)


def answer_schema() -> dict[str, Any]:
    """Returns the JSON schema of an answer: an object, because services want one at the root."""
    return _Answer.model_json_schema()


def request_body(
    analyst: Analyst, images: tuple[Picture, Picture], exchanges: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Returns the body of the next request; `exchanges` has each answer so far and what was said to it."""
    turns = [
        {"role": role, "content": text}
        for answer, said in exchanges
        for role, text in (("assistant", answer or "(nothing)"), ("user", said))
    ]
    body = _chat(analyst, images, turns) if analyst.api == "chat" else _responses(analyst, images, turns)
    if analyst.temperature is not None:
        body["temperature"] = analyst.temperature
    return {"model": analyst.model, **body, **analyst.extra_body}


def _chat(analyst: Analyst, images: tuple[Picture, Picture], turns: list[dict[str, Any]]) -> dict[str, Any]:
    detail = {} if analyst.images.detail == "auto" else {"detail": analyst.images.detail}
    content: list[dict[str, Any]] = [{"type": "text", "text": analyst.prompt.text}]
    content += [{"type": "image_url", "image_url": {"url": image.url, **detail}} for image in images]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}, *turns]}
    if analyst.structured == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": _schema()}
    elif analyst.structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    if analyst.max_output_tokens is not None:
        body["max_completion_tokens"] = analyst.max_output_tokens
    return body


def _responses(analyst: Analyst, images: tuple[Picture, Picture], turns: list[dict[str, Any]]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": analyst.prompt.text}]
    content += [{"type": "input_image", "image_url": image.url, "detail": analyst.images.detail} for image in images]
    # The conversation is sent whole and nothing is kept there, so that it can be continued after any pause.
    body: dict[str, Any] = {"input": [{"role": "user", "content": content}, *turns], "store": False}
    if analyst.structured == "json_schema":
        body["text"] = {"format": {"type": "json_schema", **_schema()}}
    elif analyst.structured == "json_object":
        body["text"] = {"format": {"type": "json_object"}}
    if analyst.max_output_tokens is not None:
        body["max_output_tokens"] = analyst.max_output_tokens
    return body


def _schema() -> dict[str, Any]:
    return {"name": "three_differences", "strict": True, "schema": answer_schema()}


OUTPUT_TOKENS = 220
"""Tokens of an answer with three differences of about 20 words each, as JSON; a guess until there are measured ones."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Calls (without repairs) and tokens of an analysis, and its cost in USD; None where no price is known."""

    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None


def estimate(sizes: Sequence[tuple[Size, Size]], analyst: Analyst) -> Estimate:
    """Returns what it takes to analyse pairs whose original and draft have these sizes."""
    tokens = sum(request_tokens(analyst, pair) for pair in sizes)
    answers = len(sizes) * OUTPUT_TOKENS
    price = analyst.price
    usd = None if price is None else price.cost(input_tokens=tokens, output_tokens=answers)
    return Estimate(len(sizes), tokens, answers, usd)


def request_tokens(analyst: Analyst, sizes: Sequence[Size], exchanges: Sequence[tuple[str, str]] = ()) -> int:
    """Returns about how many tokens a request has: four characters of text to one, and the images."""
    characters = len(analyst.prompt.text) + sum(len(answer) + len(said) for answer, said in exchanges)
    if analyst.structured == "json_schema":
        characters += len(json.dumps(answer_schema()))
    images = sum(image_tokens(analyst.model, *analyst.images.fitted(size)) for size in sizes)
    return math.ceil(characters / 4) + images
