"""Everything on cloth that is not cloth: seams, stitches, prints, metal, buttons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .cloth import LIGHT, Shadow, Tile, identity
from .geometry import Points
from .patterns import Colour
from .raster import Field, blurred, coverage, noise, window


@dataclass(frozen=True, eq=False)
class Ink:
    """Outlines filled with one colour.

    Args:
        outlines: What is filled, in pixels of the picture.
        colour: With what.
        opacity: 0..1.
        groove: How bright the lower right edge of a pressed-in line is, 0..1.
        bevel: How round raised ink is, 0 for flat.
        shadow: What raised ink casts.
        within: If given, ink outside is cut off.
        over: If given, the colour of the cloth below, which then shows its folds through the ink.
    """

    outlines: tuple[Points, ...]
    colour: Colour
    opacity: float = 1.0
    groove: float = 0.0
    bevel: float = 0.0
    shadow: Shadow | None = None
    within: tuple[Points, ...] | None = None
    over: Colour | None = None

    @cached_property
    def key(self) -> object:
        """What this ink looks like, hashable."""
        return identity(("ink", *(getattr(self, name) for name in self.__dataclass_fields__)))

    def tile(self) -> Tile:
        """Returns what the ink does to the picture."""
        area = window(self.outlines, 8 if self.shadow is None else max(8, self.shadow.reach))
        whole = coverage(self.outlines, area)
        if self.within:
            whole = (whole.astype(np.uint16) * coverage(self.within, area) // 255).astype(np.uint8)
        seen = whole.astype(np.float32)[..., None] * np.float32(1 / 255)
        colour = np.array(self.colour, np.float32)
        share = seen * np.float32(self.opacity)
        if self.over is not None:
            ratio = (colour + 6) / (np.array(self.over, np.float32) + 6)
            return Tile(area[0], area[1], 1 - share + share * ratio, np.zeros((*whole.shape, 3), np.float32))
        keep, add = 1 - share, share * colour
        if self.bevel:
            light = (self.bevel * np.tanh(_lit(whole)))[..., None]
            add = share * np.clip(colour * (1 + light) + np.maximum(light, 0) * 70, 0, 255)
        if self.shadow is not None:
            keep = keep * (1 - self.shadow.cast(whole))
        if self.groove:
            shine = np.roll(seen, (1, 1), (0, 1)) * (1 - seen) * np.float32(self.groove)
            keep, add = keep * (1 - shine), add * (1 - shine) + 255 * shine
        return Tile(area[0], area[1], keep, add)


def _lit(whole: NDArray[np.uint8]) -> Field:
    height = blurred(whole, 1.5) * np.float32(3.0)
    down, across = np.gradient(height)
    lit: Field = (across * LIGHT[0] + down * LIGHT[1]) * 2.2
    return lit


@dataclass(frozen=True)
class Button:
    """A button, seen from above.

    Args:
        x, y: Its middle, in pixels of the picture.
        radius: In pixels.
        colour: Of its material.
        make: `horn` and `pearl` have four holes, `metal` is a dome on a shank, `covered` is cloth.
        thread: Colour of what holds it.
    """

    x: float
    y: float
    radius: float
    colour: Colour
    make: str = "horn"
    thread: Colour = (60, 50, 45)

    @cached_property
    def key(self) -> object:
        """What this button looks like, hashable."""
        return ("button", self.x, self.y, self.radius, self.colour, self.make, self.thread)

    def tile(self) -> Tile:
        """Returns what the button does to the picture."""
        r = np.float32(self.radius)
        reach = int(self.radius) + 9
        left, top = math.floor(self.x) - reach, math.floor(self.y) - reach
        size = 2 * reach + 1
        y, x = np.mgrid[top : top + size, left : left + size].astype(np.float32)
        x, y = x - np.float32(self.x - 0.5), y - np.float32(self.y - 0.5)
        away = np.sqrt(x * x + y * y)
        seen = np.clip(r - away + 0.5, 0, 1)
        fallen = np.sqrt((x - 1.8) ** 2 + (y - 2.6) ** 2)
        keep = (1 - 0.55 * np.clip((r + 2.6 - fallen) / 4.5, 0, 1)) * (1 - seen)
        slope = -(x * np.float32(LIGHT[0]) + y * np.float32(LIGHT[1])) / r
        if self.make in ("metal", "covered"):
            light = 1.02 + 0.34 * slope * (away / r)
            light = light + (0.22 if self.make == "metal" else 0.0) * np.cos(away * 9 / r) * 0.35
        else:
            bowl = np.clip(1 - np.abs(away - 0.70 * r) / 1.3, 0, 1)
            brim = np.clip(1 - np.abs(away - 0.90 * r) / 1.4, 0, 1)
            light = 1.0 + 0.16 * slope - 0.34 * slope * bowl - 0.10 * bowl + 0.26 * np.clip(slope, -0.4, 1) * brim
        if self.make == "horn":
            light = light + 0.07 * noise(5, 4, (left, top, left + size, top + size), "horn")
        colour = np.array(self.colour, np.float32) * light[..., None]
        spot = np.exp(-((x + 0.36 * r) ** 2 + (y + 0.42 * r) ** 2) / (0.30 * r) ** 2)
        shine = {"horn": 60, "pearl": 46, "metal": 130, "covered": 12}[self.make]
        colour = colour + shine * spot[..., None]
        if self.make in ("horn", "pearl"):
            colour = self._sewn(colour, x, y, r)
        return Tile(left, top, keep[..., None], np.clip(colour, 0, 255) * seen[..., None])

    def _sewn(self, colour: Field, x: Field, y: Field, r: np.float32) -> Field:
        for hx in (-0.25, 0.25):
            for hy in (-0.25, 0.25):
                hole = np.clip(0.15 * r - np.sqrt((x - hx * r) ** 2 + (y - hy * r) ** 2) + 0.5, 0, 1)
                colour = colour * (1 - 0.75 * hole[..., None])
        for sign in (-1, 1):
            near = np.clip(0.09 * r + 0.4 - np.abs(x - sign * y) * np.float32(0.7), 0, 1)
            near = near * (np.maximum(np.abs(x), np.abs(y)) < 0.27 * r)
            colour = colour + (np.array(self.thread, np.float32) - colour) * (0.75 * near[..., None])
        return colour
