"""Curves, outlines and panels: where cloth lies, in pixels, x measured from the middle of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Points of shape (N, 2): x to the right, y down."""


def points(*values: tuple[float, float]) -> Points:
    """Returns the corners as they are, for straight edges."""
    return np.array(values, np.float64)


def through(*values: tuple[float, float], steps: int = 12) -> Points:
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


def resampled(line: Points, count: int) -> Points:
    """Returns `count` points at equal distances from the line's start to its end."""
    along = _reached(line)
    return _at(line, along, np.linspace(0, along[-1], count))


def stepped(line: Points, step: float, count: int) -> Points:
    """Returns `count` points along the line, `step` pixels apart from its start on."""
    return _at(line, _reached(line), np.arange(count) * step)


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
    """A piece of cloth between two edges, addressed by s (0 at the first edge, 1 at the other) and t (0 top, 1 end).

    Args:
        first, second: The two edges from top to end, resampled here to the same number of points.
    """

    first: Points
    second: Points

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", resampled(self.first, 65))
        object.__setattr__(self, "second", resampled(self.second, 65))

    def at(self, s: float, t: float) -> tuple[float, float]:
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

    def width(self, t: float) -> float:
        """Returns the width in pixels at t."""
        return float(np.hypot(*(self._edge(self.second, t) - self._edge(self.first, t))))

    def _edge(self, edge: Points, t: float) -> Points:
        place = t * (len(edge) - 1)
        low = min(max(math.floor(place), 0), len(edge) - 2)
        point: Points = edge[low] + (edge[low + 1] - edge[low]) * (place - low)
        return point

    def _heading(self, t: float) -> tuple[float, float]:
        low, high = max(t - 0.03, 0.0), min(t + 0.03, 1.0)
        step = np.array(self.at(0.5, high)) - np.array(self.at(0.5, low))
        x, y = step / (np.hypot(*step) + 1e-9)
        return float(x), float(y)


@dataclass(frozen=True)
class Frame:
    """How a garment lies on the picture: turned by `tilt` radians and scaled about a centre.

    Args:
        middle: x of the middle of the garment on the picture, in pixels.
        pivot: y of the garment about which it turns and scales.
        drop: By how many pixels it lies lower on the picture than in its own coordinates.
    """

    middle: float
    pivot: float
    tilt: float = 0.0
    scale: float = 1.0
    drop: float = 0.0

    def place(self, line: Points) -> Points:
        """Returns the line on the picture."""
        cosine, sine = math.cos(self.tilt) * self.scale, math.sin(self.tilt) * self.scale
        x, y = line[:, 0], line[:, 1] - self.pivot
        return np.stack([self.middle + cosine * x - sine * y, self.pivot + self.drop + sine * x + cosine * y], axis=1)
