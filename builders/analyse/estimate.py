"""What an analysis will take before anything is spent: calls, tokens, money. Estimates, and said to be."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from fashionedit.runtime.vision_model import image_tokens

from .analyst import Analyst
from .service import answer_schema

OUTPUT_TOKENS = 220
"""Tokens of an answer with three differences of about 20 words each, as JSON; a guess until there are measured ones."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an analysis will take: calls without repairs, the tokens of all of them, and USD where a price is known."""

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
