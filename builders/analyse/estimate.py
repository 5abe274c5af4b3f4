"""What an analysis will take before anything is spent: calls, tokens, money. Estimates, and said to be.

Image tokens follow the rules that OpenAI publishes (developers.openai.com/api/docs/guides/images-vision, "Calculating
costs", read 2026-11-24 from stored copies):

- patches: the image is covered with squares of 32 px; where there are more than the model's cap it is scaled down until
  they fit; each counts as so many tokens as the model's multiplier says;
- tiles: the image is fitted into 2048 × 2048, then its short side to 768, and covered with squares of 512 px; each
  counts a fixed number of tokens, on top of a base.

For `gpt-5-mini` the documented 1.62 is kept although 1.20 has been measured, so that the estimate errs high; a model
that is not listed counts with the largest published multiplier for the same reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from .analyst import Analyst
from .service import answer_schema

OUTPUT_TOKENS = 220
"""Tokens of an answer with three differences of about 20 words each, as JSON; a guess until there are measured ones."""

Size = tuple[int, int]

_PATCH = 32
_CAP = 1536
_PATCHES = {  # multiplier: how the names of its models begin
    1.62: ("gpt-4.1-mini", "gpt-5-mini", "gpt-5.4-mini"),
    1.72: ("o4-mini",),
    2.46: ("gpt-4.1-nano", "gpt-5-nano", "gpt-5.4-nano"),
}
_TILES = {  # base and each tile; looked up after the patches, the first that fits counts
    (2833, 5667): ("gpt-4o-mini",),
    (85, 170): ("gpt-4o", "gpt-4.1"),
    (70, 140): ("gpt-5.1", "gpt-5-"),
    (75, 150): ("o3", "o1"),
}
_OTHERS = 2.46
_LEAST_MARGIN = 1.25  # between an estimate and what is promised for it
_UNLIMITED_OUTPUT = 16_384  # promised where no limit is sent


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


def image_tokens(model: str, width: int, height: int) -> int:
    """Returns about how many input tokens an image of this size is, in pixels.

    >>> image_tokens("gpt-4o", 1024, 1024), image_tokens("gpt-4.1-mini", 1024, 1024)
    (765, 1659)
    """
    name = f"{model}-"
    for multiplier, names in _PATCHES.items():
        if name.startswith(names):
            return math.ceil(_patches(width, height, _CAP) * multiplier)
    for (base, tile), names in _TILES.items():
        if name.startswith(names):
            return base + tile * _tiles(width, height)
    return math.ceil(_patches(width, height, None) * _OTHERS)


def _patches(width: int, height: int, cap: int | None) -> int:
    across, down = math.ceil(width / _PATCH), math.ceil(height / _PATCH)
    if cap is None or across * down <= cap:
        return across * down
    shrink = math.sqrt(cap * _PATCH**2 / (width * height))
    across_shrunk, down_shrunk = width * shrink / _PATCH, height * shrink / _PATCH
    # One more step down to the next whole number of patches, on the side that loses more by it.
    shrink = min(math.floor(across_shrunk) / across_shrunk, math.floor(down_shrunk) / down_shrunk)
    return math.ceil(round(across_shrunk * shrink, 6)) * math.ceil(round(down_shrunk * shrink, 6))


def _tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return math.ceil(round(width * scale, 6) / 512) * math.ceil(round(height * scale, 6) / 512)


class Promises:
    """What a call may cost at most: the input as estimated, with a margin, and as much output as it may write.

    The margin grows with the dearest input seen, so that a service that counts otherwise is not underestimated twice.
    """

    def __init__(self, analyst: Analyst) -> None:
        self._analyst = analyst
        self._margin = _LEAST_MARGIN
        self._lock = Lock()

    def usd(self, sizes: Sequence[Size], exchanges: Sequence[tuple[str, str]] = ()) -> float:
        """Returns what the next request may cost at most, USD; 0 where no price is known."""
        price = self._analyst.price
        if price is None:
            return 0.0
        tokens = math.ceil(request_tokens(self._analyst, sizes, exchanges) * self._margin)
        output = self._analyst.max_output_tokens or _UNLIMITED_OUTPUT
        return price.cost(input_tokens=tokens, output_tokens=output)

    def learn(self, sizes: Sequence[Size], exchanges: Sequence[tuple[str, str]], input_tokens: int) -> None:
        """Takes in how many tokens a request really had."""
        with self._lock:
            self._margin = max(self._margin, input_tokens / request_tokens(self._analyst, sizes, exchanges))
