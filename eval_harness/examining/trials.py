"""Requests for trying an editor out: pictures drawn on the spot, in the sizes and words that trip editors up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from PIL import Image

from fashionedit.eval_harness.editing import EditRequest, RequestImage
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.types import Box, Difference, Sample

from .tried_editor import Asked

PLAIN = (96, 128)
SIZES: Mapping[str, tuple[int, int]] = {
    "odd": (65, 97),
    "tall": (48, 192),
    "wide": (192, 48),
}
"""Base images, width and height in pixels."""

REFERENCE_SIZES: Mapping[str, tuple[int, int]] = {
    "of 8 pixels": (8, 8),
    "ten times as wide as high": (80, 8),
    "ten times as high as wide": (8, 80),
}
"""Reference images: a crop of a button, of a hem, of a zip."""

_WORDS = "The blazer has a notched lapel and two buttons."
INSTRUCTIONS: Mapping[str, str] = {
    "of 4,000 characters": "The coat has a belt, five buttons and a collar that is turned up. " * 61,
    "in several scripts": "Das Kleid hat Rüschen – 袖は長い, والياقة مستديرة,\n\t“tailored” 👗🧵 {braces} <b>%s</b>",
}
"""Descriptions that an instruction may hold."""


def trial(
    protocol: str,
    *,
    size: tuple[int, int] = PLAIN,
    reference: tuple[int, int] = (40, 32),
    words: str = _WORDS,
    round: int = 1,
    seed: int = 1,
    params: Mapping[str, Any] | None = None,
    state: Any = None,
    picture: int = 0,
) -> Asked:
    """Returns one request; equal arguments give equal requests that share nothing.

    Args:
        protocol: `vanilla` or `bug`.
        size: Width and height of the base image, pixels.
        reference: Width and height of the reference image, pixels.
        words: The description of the difference.
        round: 1, 2 or 3.
        seed: Of the request.
        params: Of the request.
        state: What the result behind the base image returned.
        picture: Another number is another base image.
    """
    shown = {"base": _drawn(size, picture), "reference": _drawn(reference, picture + 100)}
    name = hashlib.sha256(repr((protocol, size, reference, words, round, seed, params, state, picture)).encode())
    request = EditRequest(
        request_id=name.hexdigest()[:32],
        protocol=protocol,
        round=round,
        instruction=PROTOCOLS[protocol].instruction(words),
        images=tuple(RequestImage(role, shown[role]) for role in PROTOCOLS[protocol].roles),
        seed=seed,
        params=deepcopy(dict(params or {})),
        state=deepcopy(state),
    )
    difference = Difference(words, Box(100, 100, 500, 600), _drawn(reference, picture + 100))
    sample = Sample("trial", "A trial.", _drawn(size, picture), _drawn(size, picture + 200), (difference,) * 3)
    return Asked(request, sample)


def _drawn(size: tuple[int, int], number: int) -> Image.Image:
    """Returns a smooth picture with some grain: a gradient that no two numbers share."""
    width, height = size
    random = np.random.default_rng(number)
    corners = random.integers(30, 226, (2, 3))
    slope = np.linspace(0, 1, height)[:, None, None] * 0.7 + np.linspace(0, 1, width)[None, :, None] * 0.3
    smooth = corners[0] * (1 - slope) + corners[1] * slope
    grain = random.integers(-20, 21, (height, width, 3))
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
