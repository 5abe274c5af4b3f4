"""A vision model as a judge: its settings, the question, and what its answer means."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import canonical_json
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import read_regular
from fashionedit.runtime.costs import Price, price_of
from fashionedit.runtime.vision_model import Api, ModelSettings, Picture, Reply, image_tokens

from .pairs import Pair, Pictures
from .votes import Answer, Choice, SideName, answer_of, prompt_digest

REFUSED, INVALID = "refused", "invalid"
"""The reasons for a missing answer; it is kept, and the showing is asked about again only if `--retry` names it."""

PROMPT = """\
Two image editors were given the same draft of a garment and the same wishes. You see the draft, then each wish with a \
reference image of the detail that is wanted, then the two results, LEFT and RIGHT.

Which result would the person who made the wishes prefer? Look first at whether every wish is carried out as its \
reference shows it, in the right place; then at whether everything else of the draft was left as it is; then at \
whether the picture is free of faults. The order of the two says nothing. If neither is better, or you see no \
difference that matters, say tie.

Answer with a JSON object: {"reason": "one or two sentences", "better": "left" or "right" or "tie"}.
"""

_MAX_PROMPT = 64 * 2**10
_PROTOCOL_VERSION = 1  # part of every key; it changes whenever the same settings would send something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge(ModelSettings):
    """The settings of a judge, besides those of every model.

    Args:
        prompt: The question, which comes before the pictures.
        show_original: Whether the judge sees the original, which the editors never see.
        max_side: The longest side of the pictures that are sent, pixels; larger ones are scaled down.
        quality: The quality of the JPEGs that are sent, 1..100.
        detail: How closely the service is to look: `auto`, `low` or `high`.
        price_given: The user's price of the model, in the place of the published one.

    Raises:
        InvalidDataError: A value is out of range.
    """

    prompt: str = PROMPT
    show_original: bool = False
    max_side: int = 768
    quality: int = 90
    detail: str = "auto"
    price_given: Price | None = None

    def __post_init__(self) -> None:
        ModelSettings.__post_init__(self)
        if not self.prompt.strip():
            raise InvalidDataError("the prompt is empty; write what the judge is to decide")
        if self.structured == "json_object" and "json" not in self.prompt.lower():
            raise InvalidDataError("the prompt does not say JSON, which services want for json_object; say it there")
        self._check_whole("max_side", 64, 8192)
        self._check_whole("quality", 1, 100)

    @property
    def price(self) -> Price | None:
        """The price of the model; None where it is not known."""
        return self.price_given or price_of(self.model)

    @property
    def settings(self) -> str:
        """The hash of all that an answer depends on besides the pictures and the wishes, 16 hex digits.

        Not in it: the address, because the same model elsewhere is the same model; whether the original is shown, which
        is part of the question; and all that concerns speed.
        """
        parts = {
            "protocol": _PROTOCOL_VERSION,
            "model": self.model,
            "prompt": self.prompt,
            "api": self.api,
            "temperature": self.temperature,
            "structured": self.structured,
            "max_output_tokens": self.max_output_tokens,
            "pictures": [self.max_side, self.quality, self.detail],
        }
        return hashlib.sha256(canonical_json(parts, name="a setting").encode()).hexdigest()[:16]

    @property
    def prompt_digest(self) -> str:
        """The name of the prompt's file."""
        return prompt_digest(self.prompt)


def judge_model(spec: str) -> tuple[str, Api]:
    """Returns the model and the API of a spec such as `openai:gpt-4.1-mini`.

    Raises:
        UnknownNameError: The spec names no judge.

    >>> judge_model("openai:gpt-4.1-mini")
    ('gpt-4.1-mini', 'chat')
    """
    prefix, _, model = spec.partition(":")
    apis: Mapping[str, Api] = {"openai": "chat", "openai-responses": "responses"}
    if prefix not in apis or not model.strip():
        raise UnknownNameError(
            f"{spec!r} names no judge; give openai:MODEL (chat completions, with --base-url any compatible service) or "
            "openai-responses:MODEL"
        )
    return model.strip(), apis[prefix]


def read_prompt(path: Path) -> str:
    """Returns the prompt in a text file.

    Raises:
        InvalidDataError: It can't be read, is no UTF-8, or is longer than 64 KiB.
    """
    try:
        return read_regular(path, _MAX_PROMPT).decode("utf-8-sig")
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(description="One or two sentences")
    better: Literal["left", "right", "tie"]


def request_body(judge: Judge, pair: Pair, pictures: Pictures, left: SideName) -> dict[str, Any]:
    """Returns the body of the request that shows the pair with this side on the left."""
    parts = list(_parts(judge, pair, pictures, left))
    chat = judge.api == "chat"
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, str):
            content.append({"type": "text" if chat else "input_text", "text": part})
        elif chat:
            detail = {} if judge.detail == "auto" else {"detail": judge.detail}
            content.append({"type": "image_url", "image_url": {"url": _picture(part, judge).url, **detail}})
        else:
            content.append({"type": "input_image", "image_url": _picture(part, judge).url, "detail": judge.detail})
    turns = [{"role": "user", "content": content}]
    body: dict[str, Any] = {"model": judge.model}
    body |= {"messages": turns} if chat else {"input": turns, "store": False}
    if judge.structured != "none":
        form: dict[str, Any] = {"type": "json_object"}
        if judge.structured == "json_schema":
            schema = {"name": "better_result", "strict": True, "schema": _Answer.model_json_schema()}
            form = {"type": "json_schema", **({"json_schema": schema} if chat else schema)}
        body |= {"response_format": form} if chat else {"text": {"format": form}}
    if judge.max_output_tokens is not None:
        body["max_completion_tokens" if chat else "max_output_tokens"] = judge.max_output_tokens
    if judge.temperature is not None:
        body["temperature"] = judge.temperature
    return body


def _parts(judge: Judge, pair: Pair, pictures: Pictures, left: SideName) -> Iterator[str | Image.Image]:
    yield judge.prompt
    yield "The draft:"
    yield pictures.draft
    for number, (words, reference) in enumerate(zip(pair.wishes, pictures.references, strict=True), 1):
        yield f"Wish {number}: {words}"
        yield reference
    if judge.show_original:
        yield "The garment as the person has it in mind:"
        yield pictures.original
    shown = (pictures.first, pictures.second) if left == "first" else (pictures.second, pictures.first)
    for name, image in zip(("LEFT", "RIGHT"), shown, strict=True):
        yield f"{name} result:"
        yield image


def _picture(image: Image.Image, judge: Judge) -> Picture:
    size = _fitted(image.size, judge.max_side)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=judge.quality, subsampling=0)
    return Picture(buffer.getvalue(), "jpeg", size)


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


OUTPUT_TOKENS = 90
"""Tokens of an answer with a reason of two sentences, as JSON; a guess until there are measured ones."""


def request_tokens(judge: Judge, pair: Pair, source: SampleSource) -> int:
    """Returns an estimate of a request's tokens: a quarter of the characters of text, and the images."""
    known = source.sizes(pair.sample)
    sizes = [known.draft, *known.crops[: len(pair.wishes)], pair.first.size, pair.second.size]
    sizes += [known.original] if judge.show_original else []
    characters = len(judge.prompt) + sum(map(len, pair.wishes)) + 100
    if judge.structured == "json_schema":
        characters += len(json.dumps(_Answer.model_json_schema()))
    images = sum(image_tokens(judge.model, *_fitted(size, judge.max_side)) for size in sizes)
    return math.ceil(characters / 4) + images


_OBJECT = re.compile(r"\{[^{}]*\}", re.S)
_WORDS: Mapping[str, Choice] = {
    **{"left": "left", "right": "right", "tie": "tie"},
    **{"neither": "tie", "both": "tie", "equal": "tie"},
}


def read_answer(reply: Reply, left: SideName) -> tuple[Answer | None, str | None]:
    """Returns the side that an answer prefers, or why it names none: `refused` or `invalid`.

    It reads a JSON object with `better`, in code fences or in prose, the last one where there are several; and a single
    word.

    >>> read_answer(Reply(text='{"reason": "It kept the hem.", "better": "right"}'), left="second")
    ('first', None)
    """
    if reply.refusal is not None:
        return None, REFUSED
    choice = _better(reply.text)
    return (None, INVALID) if choice is None else (answer_of(choice, left), None)


def _better(text: str) -> Choice | None:
    objects: Sequence[str] = [text, *reversed(_OBJECT.findall(text))]
    for candidate in objects:
        try:
            value = json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("better"), str):
            return _WORDS.get(value["better"].strip().lower().rstrip("."))
    return _WORDS.get(text.strip(" \n\t.\"'*`").lower())
