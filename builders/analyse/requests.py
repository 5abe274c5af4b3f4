"""The body of a request, for chat completions and for Responses; a repair continues the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fashionedit.types import DIFFERENCES_PER_SAMPLE

from .analyst import Analyst
from .pictures import Picture

ENDPOINTS = {"chat": "/chat/completions", "responses": "/responses"}
"""The path of each API, from the service's base URL on."""

_SCHEMA_NAME = "three_differences"


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
    """Returns the body of the next request, as plain JSON.

    Args:
        analyst: Who is asked.
        images: The original and the draft.
        exchanges: What went before: an answer and what was said to it, for each repair.
    """
    body = _chat(analyst, images, exchanges) if analyst.api == "chat" else _responses(analyst, images, exchanges)
    if analyst.temperature is not None:
        body["temperature"] = analyst.temperature
    return {"model": analyst.model, **body, **analyst.extra_body}


def _chat(analyst: Analyst, images: tuple[Picture, Picture], exchanges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    detail = {} if analyst.images.detail == "auto" else {"detail": analyst.images.detail}
    content: list[dict[str, Any]] = [{"type": "text", "text": analyst.prompt.text}]
    content += [{"type": "image_url", "image_url": {"url": image.url, **detail}} for image in images]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}, *_turns(exchanges)]}
    if analyst.structured == "json_schema":
        schema = {"name": _SCHEMA_NAME, "strict": True, "schema": answer_schema()}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif analyst.structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    if analyst.max_output_tokens is not None:
        body["max_completion_tokens"] = analyst.max_output_tokens
    return body


def _responses(
    analyst: Analyst, images: tuple[Picture, Picture], exchanges: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": analyst.prompt.text}]
    content += [{"type": "input_image", "image_url": image.url, "detail": analyst.images.detail} for image in images]
    # The conversation is sent whole and nothing is kept there, so that it can be continued after any pause.
    body: dict[str, Any] = {"input": [{"role": "user", "content": content}, *_turns(exchanges)], "store": False}
    if analyst.structured == "json_schema":
        form = {"type": "json_schema", "name": _SCHEMA_NAME, "strict": True, "schema": answer_schema()}
        body["text"] = {"format": form}
    elif analyst.structured == "json_object":
        body["text"] = {"format": {"type": "json_object"}}
    if analyst.max_output_tokens is not None:
        body["max_output_tokens"] = analyst.max_output_tokens
    return body


def _turns(exchanges: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"role": role, "content": text}
        for answer, said in exchanges
        for role, text in (("assistant", answer or "(nothing)"), ("user", said))
    ]
