"""From outlines to pixels: coverage, blurs and noise, each exact to the last bit wherever its input is equal.

A blur that sums floats along whole rows lets a change at one end disturb the last bit at the other, and the masking
test (equal pixels outside the boxes) would find it. So blurs here sum integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .chance import generator, number
from .geometry import Points

WIDTH, HEIGHT = 512, 768
MARGIN = 96
"""How far beyond the picture fields reach, in pixels, so that a piece may stick out."""

_SUPERSAMPLING = 4
_SHIFT = 256
Field = NDArray[np.floating[Any]]
Area = tuple[int, int, int, int]
"""left, top, right, bottom in pixels, right and bottom exclusive."""


def window(outlines: Sequence[Points], pad: int) -> Area:
    """Returns the smallest area on even pixels that holds the outlines and `pad` pixels around, up to the margin."""
    every = [outline.reshape(-1, 2) for outline in outlines]
    low = np.floor(np.min([part.min(axis=0) for part in every], axis=0)) - pad
    high = np.ceil(np.max([part.max(axis=0) for part in every], axis=0)) + pad
    left, top = max(int(low[0]) // 2 * 2, -MARGIN), max(int(low[1]) // 2 * 2, -MARGIN)
    right, bottom = min(-(-int(high[0]) // 2) * 2, WIDTH + MARGIN), min(-(-int(high[1]) // 2) * 2, HEIGHT + MARGIN)
    return left, top, max(right, left + 2), max(bottom, top + 2)


def coverage(outlines: Sequence[Points], area: Area) -> NDArray[np.uint8]:
    """Returns how much of each pixel the outlines cover, 0..255; an array of shape (K, N, 2) is K outlines."""
    left, top, right, bottom = area
    s = _SUPERSAMPLING
    image = Image.new("L", ((right - left) * s, (bottom - top) * s))
    draw = ImageDraw.Draw(image)
    for outline in outlines:
        placed = ((outline - (left, top)) * s).reshape(-1, outline.shape[-2] * 2)
        for corners in placed.tolist():
            draw.polygon(corners, fill=255)
    return np.asarray(image.reduce(s))


def strokes(outlines: Sequence[tuple[Points, float]], area: Area) -> NDArray[np.int32]:
    """Returns the sum of the heights of the strokes in 1/256 pixel, on every second pixel of the area.

    A stroke is an outline and its height in pixels; the area lies on even pixels.
    """
    left, top, right, bottom = area[0] // 2, area[1] // 2, area[2] // 2, area[3] // 2
    total = np.zeros((bottom - top, right - left), np.int32)
    for outline, height in outlines:
        half = outline / 2
        x0, y0 = (int(v) for v in np.floor(half.min(axis=0)))
        x1, y1 = (int(v) + 1 for v in np.ceil(half.max(axis=0)))
        x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
        if x0 >= x1 or y0 >= y1:
            continue
        image = Image.new("L", ((x1 - x0) * 2, (y1 - y0) * 2))
        ImageDraw.Draw(image).polygon(((half - (x0, y0)) * 2).ravel().tolist(), fill=252)
        total[y0 - top : y1 - top, x0 - left : x1 - left] += (
            np.asarray(image.reduce(2), np.int32) * round(height * 256) // 252
        )
    return total


def soften(values: NDArray[np.int32], radius: int) -> NDArray[np.int32]:
    """Returns the field blurred by three box filters of 2·radius + 1 pixels: near a Gaussian of that radius.

    Beyond the edges it is taken as 0. The result reaches 3·radius pixels and no further.
    """
    size = 2 * radius + 1
    for _ in range(3):
        for axis in (0, 1):
            padded = np.pad(values, [(radius + 1, radius) if axis == a else (0, 0) for a in (0, 1)])
            sums = np.cumsum(padded, axis=axis, dtype=np.int32)
            values = sums[size:] - sums[:-size] if axis == 0 else sums[:, size:] - sums[:, :-size]
        values = values // (size * size)
    return values


def blurred(whole: NDArray[np.uint8], radius: float) -> Field:
    """Returns coverage blurred like a Gaussian of that deviation, 0..1, in 8 bits: for shadows and rims."""
    return np.asarray(Image.fromarray(whole).filter(ImageFilter.GaussianBlur(radius)), np.float32) * np.float32(1 / 255)


def broad(values: NDArray[np.int32], radius: int) -> Field:
    """Returns the field of every second pixel blurred over about `radius` pixels, on every pixel."""
    soft = soften(values, max(round(radius / 2), 1)).astype(np.float32)
    height, width = soft.shape
    return np.asarray(Image.fromarray(soft).resize((width * 2, height * 2), Image.Resampling.BICUBIC))


@lru_cache(maxsize=12)
def _field(across: int, down: int, variant: int) -> Field:
    width, height = WIDTH + 2 * MARGIN + _SHIFT, HEIGHT + 2 * MARGIN + _SHIFT
    columns, rows = math.ceil(width / across) + 3, math.ceil(height / down) + 3
    grid = generator("noise", across, down, variant).standard_normal((rows, columns)).astype(np.float32)
    image = Image.fromarray(grid).resize((columns * across, rows * down), Image.Resampling.BICUBIC)
    field = np.asarray(image, np.float32)[down : down + height, across : across + width]
    field.setflags(write=False)
    return field


def noise(across: int, down: int, area: Area, *name: object) -> Field:
    """Returns smooth noise of deviation about 1 over an area, with cells of across × down pixels.

    The name says from where in one of three large fields it is taken, so that fields are made once per process.
    """
    key = number("noise", *name)
    left, top = area[0] + MARGIN + key // 3 % _SHIFT, area[1] + MARGIN + key // 1024 % _SHIFT
    return _field(across, down, key % 3)[top : top + area[3] - area[1], left : left + area[2] - area[0]]
