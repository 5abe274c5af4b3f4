"""Where cloth folds: from points that pull on it, down its length, and across a bend."""

from __future__ import annotations

import math

import numpy as np

from .chance import uniform
from .cloth import Fold
from .geometry import Panel, points, through


def radiating(
    x: float,
    y: float,
    start: float,
    stop: float,
    count: int,
    length: float,
    *name: object,
    width: float = 13.0,
    height: float = 3.4,
) -> list[Fold]:
    """Returns folds that run from a point outwards, between two headings in degrees (0 right, 90 down)."""
    made = []
    for n in range(count):
        turn = math.radians(start + (stop - start) * (n + uniform(0.2, 0.8, *name, n, "turn")) / count)
        reach = length * uniform(0.6, 1.15, *name, n, "reach")
        begin = uniform(4, 14, *name, n, "begin")
        sag = uniform(-0.14, 0.14, *name, n, "sag") * reach
        heading = np.array([math.cos(turn), math.sin(turn)])
        beside = np.array([-heading[1], heading[0]])
        spots = [
            np.array([x, y]) + heading * (begin + reach * k) + beside * sag * math.sin(math.pi * k) for k in (0, 0.5, 1)
        ]
        rise = height * uniform(0.7, 1.25, *name, n, "rise") * (1 if n % 2 else -0.9)
        line = through(*((float(a), float(b)) for a, b in spots))
        made.append(Fold(line, width * uniform(0.8, 1.4, *name, n, "width"), rise, 3 if n % 2 else 4))
    return made


def falling(
    panel: Panel,
    count: int,
    start: float,
    stop: float,
    *name: object,
    width: float = 20.0,
    height: float = 4.0,
    soft: int = 5,
) -> list[Fold]:
    """Returns folds that hang down a panel between t = start and t = stop, ridge beside valley."""
    made = []
    for n in range(count):
        s = (n + uniform(0.25, 0.75, *name, n, "place")) / count
        first = start + uniform(0.0, 0.22, *name, n, "first") * (stop - start)
        last = stop - uniform(-0.12, 0.15, *name, n, "last") * (stop - start)
        drift = uniform(-0.03, 0.03, *name, n, "drift")
        spots = [panel.at(s + drift * k, first + (min(last, 1.0) - first) * k) for k in (0, 0.33, 0.66, 1)]
        broad = width * uniform(0.8, 1.35, *name, n, "width")
        rise = height * uniform(0.65, 1.2, *name, n, "rise")
        made.append(Fold(through(*spots), broad, rise, soft))
        aside = points(*((px + broad * 0.75, py + 6) for px, py in spots[::1]))
        made.append(
            Fold(through(*((float(a), float(b)) for a, b in aside)), broad * 0.62, -0.8 * rise, max(soft - 1, 3))
        )
    return made


def bending(
    panel: Panel, t: float, count: int, *name: object, side: float = 1.0, width: float = 12.0, height: float = 3.6
) -> list[Fold]:
    """Returns the creases inside a bend (elbow, knee) about t, from the edge s = 1 inwards."""
    made = []
    for n in range(count):
        at = t + 0.05 * (n - (count - 1) / 2) + uniform(-0.012, 0.012, *name, n, "at")
        reach = uniform(0.35, 0.75, *name, n, "reach")
        slant = uniform(-0.03, 0.05, *name, n, "slant")
        spots = [
            panel.at(1.0 - 0.04 * n, at),
            panel.at(1 - reach * 0.5, at + slant * 0.3),
            panel.at(1 - reach, at - slant),
        ]
        rise = height * uniform(0.7, 1.2, *name, n, "rise") * (1 if n % 2 else -1) * side
        made.append(Fold(through(*spots), width, rise, 3))
    return made
