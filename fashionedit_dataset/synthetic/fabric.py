"""Fabrics: how a weave or knit looks up close, how it shines and how it creases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from .chance import generator
from .raster import Field

PERIOD = 192
"""Side of the repeating square of every weave, in pixels of cloth."""

FINE = 2
"""Samples of the weave per pixel of cloth and axis."""


@dataclass(frozen=True)
class Fabric:
    """What a fabric does to light.

    Args:
        word: How a caption calls it.
        crease: How sharply it wrinkles, in pixels of relief.
        loft: How thick and round its edges are, as a factor.
        gloss: How much it shines, 0..1.
    """

    word: str
    crease: float
    loft: float
    gloss: float


FABRICS = {
    "jersey": Fabric("cotton", 1.5, 1.0, 0.0),
    "rib": Fabric("knitted", 0.6, 1.2, 0.0),
    "knit": Fabric("knitted", 1.0, 1.5, 0.0),
    "pique": Fabric("cotton", 1.2, 1.0, 0.0),
    "poplin": Fabric("cotton", 1.9, 0.8, 0.04),
    "oxford": Fabric("cotton", 1.7, 0.9, 0.0),
    "linen": Fabric("linen", 2.6, 0.8, 0.0),
    "twill": Fabric("cotton", 1.4, 1.0, 0.02),
    "denim": Fabric("denim", 1.5, 1.2, 0.0),
    "wool": Fabric("wool", 0.9, 1.2, 0.0),
    "herringbone": Fabric("wool", 0.9, 1.2, 0.0),
    "boucle": Fabric("wool", 0.7, 1.6, 0.0),
    "shearling": Fabric("furry", 0.4, 2.0, 0.0),
    "corduroy": Fabric("corduroy", 1.0, 1.2, 0.05),
    "satin": Fabric("satin", 2.2, 0.8, 1.0),
    "chiffon": Fabric("chiffon", 2.2, 0.6, 0.2),
}


def _streaks(grain: Field, across: int, down: int, length: int) -> Field:
    total = np.zeros_like(grain)
    for step in range(length):
        total += np.roll(grain, (step * down, step * across), (0, 1))
    total /= np.float32(math.sqrt(length))
    return total


@cache
def weave(name: str) -> Field:
    """Returns one repeat of the fabric's brightness, about 0 ± 0.05, two samples per pixel: shape (384, 384)."""
    side = PERIOD * FINE
    grain = generator("weave", name).standard_normal((side, side)).astype(np.float32)
    y, x = (axis.astype(np.float32) / FINE for axis in np.mgrid[0:side, 0:side])
    wave = 2 * math.pi
    soft = (grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1) + np.roll(grain, (1, 1), (0, 1))) / 2
    if name == "jersey":
        made = 0.016 * np.sin(x * wave / 3) + 0.012 * _streaks(grain, 0, 1, 8) + 0.010 * soft
    elif name == "rib":
        made = 0.085 * np.sin(x * wave / 4.8) + 0.010 * _streaks(grain, 0, 1, 6)
    elif name == "knit":
        column = np.abs(((x / 8) % 1) - 0.5)
        made = 0.10 * np.sin((y + column * 9) * wave / 6) * np.sin(column * wave) + 0.05 * (column - 0.25)
        made = made + 0.02 * soft
    elif name == "pique":
        made = 0.040 * np.sin(x * wave / 4) * np.sin(y * wave / 4) + 0.012 * soft
    elif name == "poplin":
        made = 0.010 * _streaks(grain, 1, 0, 6) + 0.010 * _streaks(grain, 0, 1, 6)
    elif name == "oxford":
        made = 0.030 * np.sign(np.sin(x * wave / 3) * np.sin(y * wave / 3)) + 0.016 * soft
    elif name == "linen":
        made = 0.034 * _streaks(grain, 1, 0, 34) + 0.034 * _streaks(np.roll(grain, 77, 1), 0, 1, 34) + 0.010 * soft
    elif name == "twill":
        made = 0.026 * np.sin((x + y) * wave / 4) + 0.018 * _streaks(grain, 1, -1, 8)
    elif name == "denim":
        made = 0.045 * np.sin((x * 2 + y) * wave / 5) + 0.024 * _streaks(grain, 0, 1, 14) + 0.030 * soft
    elif name == "wool":
        made = 0.034 * soft + 0.020 * _streaks(np.roll(grain, 31, 0), 1, 1, 5)
    elif name == "herringbone":
        turn = np.where((x / 12) % 2 < 1, x, -x)
        made = 0.075 * np.sin((turn + y) * wave / 4) + 0.022 * soft
    elif name == "boucle":
        knots = _streaks(_streaks(grain, 1, 0, 6), 0, 1, 6)
        made = 0.060 * np.sin(knots * 2.2) + 0.030 * soft
    elif name == "shearling":
        curls = _streaks(_streaks(grain, 1, 0, 10), 0, 1, 10)
        made = 0.120 * np.sin(curls * 2.0) + 0.030 * soft
    elif name == "corduroy":
        made = 0.095 * np.sin(x * wave / 6) + 0.020 * _streaks(grain, 0, 1, 8)
    elif name == "satin":
        made = 0.008 * _streaks(grain, 1, 0, 12)
    else:
        made = 0.014 * _streaks(grain, 1, 0, 3) + 0.014 * _streaks(grain, 0, 1, 3)
    field: Field = made.astype(np.float32)
    field.setflags(write=False)
    return field
