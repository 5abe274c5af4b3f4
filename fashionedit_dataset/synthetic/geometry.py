"""Shapes as arrays of points, and the pixels that they cover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .rng import generator, number

Point = tuple[float, float]
"""x to the right and y down."""

Points = NDArray[np.float64]
"""Points of shape (N, 2): x to the right, y down."""


def points(*values: Point) -> Points:
    """Returns the corners as they are, for straight edges."""
    return np.array(values, np.float64)


def through(*values: Point | Points, steps: int = 12) -> Points:
    """Returns a smooth curve through the points (Catmull-Rom, `steps` samples between two of them)."""
    knots = np.array(values, np.float64)
    if len(knots) < 3:
        return knots
    ends = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    before, start, stop, after = ends[:-3], ends[1:-2], ends[2:-1], ends[3:]
    s = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    before, start, stop, after = (part[:, None, :] for part in (before, start, stop, after))
    curve = 0.5 * (
        2 * start
        + (stop - before) * s
        + (2 * before - 5 * start + 4 * stop - after) * s**2
        + (3 * start - before - 3 * stop + after) * s**3
    )
    return np.vstack([curve.reshape(-1, 2), knots[-1:]])


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """Returns the four corners, from the upper left clockwise."""
    return points((left, top), (right, top), (right, bottom), (left, bottom))


def sized(x: float, y: float, size: float, *spots: Point, side: float = 1.0, stretch: float = 1.0) -> tuple[Point, ...]:
    """Returns the spots, given about (0, 0) in units of `size`, about (x, y); mirrored where `side` is -1."""
    return tuple((x + side * size * across, y + size * down * stretch) for across, down in spots)


def joined(*parts: Points) -> Points:
    """Returns one line made of several, in the order given."""
    return np.vstack(parts)


def mirrored(line: Points, side: float = -1) -> Points:
    """Returns the line on the other side of the middle (`side` -1), or as it is (`side` 1)."""
    made: Points = line * np.array([side, 1.0])
    return made


def moved(line: Points, across: float, down: float) -> Points:
    """Returns the line shifted by these pixels."""
    made: Points = line + np.array([across, down])
    return made


def length(line: Points) -> float:
    """Returns the line's length in pixels."""
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def resampled(line: Points, count: int) -> Points:
    """Returns `count` points at equal distances from the line's start to its end."""
    along = _reached(line)
    return _at(line, along, np.linspace(0, along[-1], count))


def stepped(line: Points, step: float, count: int) -> Points:
    """Returns `count` points along the line, `step` pixels apart from its start on."""
    return _at(line, _reached(line), np.arange(count) * step)


def shared(line: Points, where: NDArray[Any]) -> Points:
    """Returns the points at these shares of the line's corners, 0 at its start to 1 at its end."""
    return _at(line, np.linspace(0, 1, len(line)), where)


def _reached(line: Points) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(1), np.cumsum(np.hypot(*np.diff(line, axis=0).T))])


def _at(line: Points, along: NDArray[np.float64], where: NDArray[Any]) -> Points:
    return np.stack([np.interp(where, along, line[:, axis]) for axis in (0, 1)], axis=1)


def _normals(line: Points) -> Points:
    direction = np.empty_like(line)
    direction[1:-1] = line[2:] - line[:-2]
    direction[0], direction[-1] = line[1] - line[0], line[-1] - line[-2]
    length = np.sqrt(direction[:, 0] ** 2 + direction[:, 1] ** 2) + 1e-9
    return np.stack([-direction[:, 1] / length, direction[:, 0] / length], axis=1)


def dashes(start: Points, stop: Points, width: float) -> Points:
    """Returns the outlines of straight dashes between pairs of points, shape (N, 4, 2)."""
    along = stop - start
    length = np.sqrt(along[:, :1] ** 2 + along[:, 1:] ** 2) + 1e-9
    beside = np.stack([-along[:, 1], along[:, 0]], axis=1) / length * (width / 2)
    return np.stack([start + beside, stop + beside, stop - beside, start - beside], axis=1)


def ribbon(line: Points, width: float | Points) -> Points:
    """Returns the outline of a band along the line; `width` is one number or one per point."""
    normal = _normals(line) * (width[:, None] / 2 if isinstance(width, np.ndarray) else width / 2)
    return np.vstack([line + normal, (line - normal)[::-1]])


def lens(line: Points, width: float) -> Points:
    """Returns the outline of a stroke that tapers to nothing at both ends: the plan of a fold."""
    swell = np.sin(np.linspace(0, math.pi, len(line))) ** 0.8
    return ribbon(line, width * swell)


def circle(x: float, y: float, radius: float, *, squash: float = 1.0, count: int = 40) -> Points:
    """Returns a circle, or an ellipse `squash` times as high as wide."""
    turn = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * squash * np.sin(turn)], axis=1)


@dataclass(frozen=True)
class Panel:
    """A piece of cloth between two edges, addressed by s (0 at the first edge, 1 at the other) and t (0 top, 1 end)."""

    first: Points
    second: Points

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", resampled(self.first, 65))
        object.__setattr__(self, "second", resampled(self.second, 65))

    def at(self, s: float, t: float) -> Point:
        """Returns the point at (s, t)."""
        one, two = self._edge(self.first, t), self._edge(self.second, t)
        x, y = one + (two - one) * s
        return float(x), float(y)

    def cross(self, t: float, *, start: float = 0.0, stop: float = 1.0, bulge: float = 0.0, count: int = 17) -> Points:
        """Returns a line across the panel at t, bent by `bulge` pixels towards the end in its middle."""
        where = np.linspace(start, stop, count)
        one, two = self._edge(self.first, t), self._edge(self.second, t)
        line = one + (two - one) * where[:, None]
        ahead = self._heading(t)
        bent: Points = line + ahead * (bulge * np.sin(math.pi * np.linspace(0, 1, count)))[:, None]
        return bent

    def along(self, s: float, start: float = 0.0, stop: float = 1.0) -> Points:
        """Returns a line down the panel at s, from t = start to t = stop.

        It turns where the edges turn, so that a longer piece has the very edge of a shorter one and then some.
        """
        last = len(self.first) - 1
        between = np.arange(math.floor(start * last + 1e-9) + 1, math.ceil(stop * last - 1e-9))
        where = np.concatenate([[start * last], between, [stop * last]])
        low = np.clip(np.floor(where).astype(int), 0, len(self.first) - 2)
        rest = (where - low)[:, None]
        one = self.first[low] + (self.first[low + 1] - self.first[low]) * rest
        two = self.second[low] + (self.second[low + 1] - self.second[low]) * rest
        line: Points = one + (two - one) * s
        return line

    def section(
        self, start: float, stop: float, *, bulge: tuple[float, float] = (0.0, 0.0), spread: float = 0.0
    ) -> Points:
        """Returns the outline of the part between t = start and t = stop, `spread` of its width wider on each side."""
        right = self.along(1 + spread, start, stop)
        return joined(
            self.along(-spread, start, stop),
            self.cross(stop, start=-spread, stop=1 + spread, bulge=bulge[1]),
            right[::-1],
            self.cross(start, start=-spread, stop=1 + spread, bulge=bulge[0])[::-1],
        )

    def lean(self, t: float) -> float:
        """Returns by how many radians the panel leans from the vertical at t; to the right at its end is negative."""
        x, y = self._heading(t)
        return -math.atan2(x, y)

    def _edge(self, edge: Points, t: float) -> Points:
        place = t * (len(edge) - 1)
        low = min(max(math.floor(place), 0), len(edge) - 2)
        point: Points = edge[low] + (edge[low + 1] - edge[low]) * (place - low)
        return point

    def _heading(self, t: float) -> Point:
        low, high = max(t - 0.03, 0.0), min(t + 0.03, 1.0)
        step = np.array(self.at(0.5, high)) - np.array(self.at(0.5, low))
        x, y = step / (np.hypot(*step) + 1e-9)
        return float(x), float(y)


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


def frozen(field: Field) -> Field:
    """Returns the field, from now on read-only, so that it may be shared."""
    field.setflags(write=False)
    return field


def blurred(whole: NDArray[np.uint8], radius: float) -> Field:
    """Returns coverage blurred like a Gaussian of that deviation, 0..1, in 8 bits: for shadows and rims."""
    return np.asarray(Image.fromarray(whole).filter(ImageFilter.GaussianBlur(radius)), np.float32) * np.float32(1 / 255)


def broad(values: NDArray[np.int32], radius: int) -> Field:
    """Returns the field of every second pixel blurred over about `radius` pixels, on every pixel.

    Three box filters come near a Gaussian, and reach three times as far and no further; beyond the edges is 0.
    """
    reach = max(round(radius / 2), 1)
    size = 2 * reach + 1
    for _ in range(3):
        for axis in (0, 1):
            padded = np.pad(values, [(reach + 1, reach) if axis == a else (0, 0) for a in (0, 1)])
            sums = np.cumsum(padded, axis=axis, dtype=np.int32)
            values = sums[size:] - sums[:-size] if axis == 0 else sums[:, size:] - sums[:, :-size]
        values = values // (size * size)
    height, width = values.shape
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((width * 2, height * 2), Image.Resampling.BICUBIC))


@lru_cache(maxsize=12)
def _field(across: int, down: int, variant: int) -> Field:
    width, height = WIDTH + 2 * MARGIN + _SHIFT, HEIGHT + 2 * MARGIN + _SHIFT
    columns, rows = math.ceil(width / across) + 3, math.ceil(height / down) + 3
    grid = generator("noise", across, down, variant).standard_normal((rows, columns)).astype(np.float32)
    image = Image.fromarray(grid).resize((columns * across, rows * down), Image.Resampling.BICUBIC)
    return frozen(np.asarray(image, np.float32)[down : down + height, across : across + width])


def noise(across: int, down: int, area: Area, *name: object) -> Field:
    """Returns smooth noise of deviation about 1 over an area, with cells of across × down pixels.

    The name says from where in one of three large fields it is taken, so that fields are made once per process.
    """
    key = number("noise", *name)
    left, top = area[0] + MARGIN + key // 3 % _SHIFT, area[1] + MARGIN + key // 1024 % _SHIFT
    return _field(across, down, key % 3)[top : top + area[3] - area[1], left : left + area[2] - area[0]]
