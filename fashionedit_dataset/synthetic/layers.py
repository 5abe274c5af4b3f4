"""What a picture is made of: pieces of cloth lit from the upper left, ink, and buttons, each painted as one tile."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .geometry import HEIGHT, WIDTH, Area, Field, Point, Points, blurred, broad, coverage, lens, noise, strokes, window
from .materials import FABRICS, Colour, Material

LIGHT = (0.55, 0.83)
"""The light's direction over the picture, from the upper left."""


@dataclass(frozen=True, eq=False)
class Tile:
    """What one layer does to the picture below it: `picture * keep + add`, from (left, top) on."""

    left: int
    top: int
    keep: Field  # shape (H, W, 1) or (H, W, 3), 0..1 and above for dyes lighter than the cloth
    add: Field  # shape (H, W, 3), 0..255

    @property
    def area(self) -> Area:
        """Where the layer acts, which may reach beyond the picture."""
        height, width = self.keep.shape[:2]
        return self.left, self.top, self.left + width, self.top + height


def identity(value: object) -> object:
    """Returns something hashable that two equal layers share, whatever arrays they hold."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, tuple):
        return tuple(identity(part) for part in value)
    if is_dataclass(value):
        return type(value).__name__, *(identity(getattr(value, field.name)) for field in fields(value))
    return value


class Layer:
    """Something painted on the picture."""

    @cached_property
    def key(self) -> object:
        """What it looks like, hashable."""
        return identity(self)

    def tile(self) -> Tile:
        """Returns what it does to the picture."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Fold:
    """A ridge (height above 0) or a valley along a line; all in pixels."""

    line: Points
    width: float
    height: float
    soft: int = 4


@dataclass(frozen=True)
class Shadow:
    """What a piece casts on what lies below it; dx, dy and blur in pixels, strength 0..1."""

    dx: int = 2
    dy: int = 3
    blur: int = 2
    strength: float = 0.4

    @property
    def reach(self) -> int:
        """How far it may fall, in pixels."""
        return 3 * (self.blur + 1) + max(abs(self.dx), abs(self.dy)) + 2

    def cast(self, whole: NDArray[np.uint8]) -> Field:
        """Returns the shadow that the coverage casts: shape (H, W, 1), 0..strength."""
        height, width = whole.shape
        top, left = max(self.dy, 0), max(self.dx, 0)
        moved = np.zeros_like(whole)
        moved[top : height + min(self.dy, 0), left : width + min(self.dx, 0)] = whole[
            max(-self.dy, 0) : height - top, max(-self.dx, 0) : width - left
        ]
        return blurred(moved, self.blur + 0.5)[..., None] * np.float32(self.strength)


@dataclass(frozen=True, eq=False)
class Cloth(Layer):
    """A piece of cloth, ready to be painted: a height field of edges, folds and creases."""

    outlines: tuple[Points, ...]  # what is cut out, in pixels of the picture
    material: Material
    name: str  # names its creases; pieces of one name crease alike
    angle: float  # by how many radians the grain is turned
    origin: Point  # where the pattern starts
    folds: tuple[Fold, ...]
    puff: int  # how far its edges are rounded, in pixels
    crease: float  # a factor on the fabric's own wrinkling
    shadow: Shadow | None
    tone: float  # a factor on its brightness
    within: tuple[Points, ...] | None  # only this part is painted: an inlay that bends with the whole piece

    def tile(self) -> Tile:
        """Returns what the piece does to the picture."""
        reach = 3 * max(self.puff, 5) + 6
        if self.shadow:
            reach = max(reach, self.shadow.reach)
        area = window(self.within or self.outlines, reach)
        whole = coverage(self.outlines, area)
        seen = whole.astype(np.float32) / 255
        part_seen = coverage(self.within, area).astype(np.float32) / 255 if self.within else None
        if part_seen is not None:
            seen = seen * part_seen
        keep = (1 - seen)[..., None]
        if self.shadow:
            dark = self.shadow.cast(whole)
            keep = keep * (1 - (dark if part_seen is None else dark * part_seen[..., None]))
        add = np.zeros((*seen.shape, 3), np.float32)
        ys, xs = np.nonzero(whole.any(axis=1))[0], np.nonzero(whole.any(axis=0))[0]
        if len(ys):
            part = (slice(max(ys[0] - 1, 0), ys[-1] + 2), slice(max(xs[0] - 1, 0), xs[-1] + 2))
            add[part] = self._lit(whole, area, part) * seen[part][..., None]
        return Tile(area[0], area[1], keep, add)

    def _lit(self, whole: NDArray[np.uint8], area: Area, part: tuple[slice, slice]) -> Field:
        fabric = FABRICS[self.material.fabric]
        rim = blurred(whole, 2.5)[part]
        half = whole.reshape(whole.shape[0] // 2, 2, whole.shape[1] // 2, 2).sum(axis=(1, 3), dtype=np.int32) * 16
        round_ = broad(half, self.puff)[part] * np.float32(1 / (255 * 64))
        bent = self._bent(area, fabric.crease * self.crease)[part]
        height = bent + (2.0 * rim + 0.75 * self.puff * round_) * fabric.loft
        down, across = np.zeros_like(height), np.zeros_like(height)
        down[1:-1] = (height[2:] - height[:-2]) / 2
        across[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / 2
        lit = across * LIGHT[0] + down * LIGHT[1]
        shade = np.where(lit > 0, 0.27 * np.tanh(lit * 1.35), 0.56 * np.tanh(lit * 1.15))
        top, left = area[1] + part[0].start, area[0] + part[1].start
        y = np.arange(top, top + shade.shape[0], dtype=np.float32)[:, None]
        x = np.arange(left, left + shade.shape[1], dtype=np.float32)[None, :]
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        x0, y0 = x - np.float32(self.origin[0]), y - np.float32(self.origin[1])
        u = np.float32(cosine) * x0 + np.float32(sine) * y0 + bent * np.float32(0.6)
        v = np.float32(-sine) * x0 + np.float32(cosine) * y0 + bent * np.float32(0.9)
        colour = self.material.dyed(u, v)
        fall = 1.035 - 0.055 * (x / WIDTH + y / HEIGHT - 0.35)
        light = self.tone * fall * (1 + shade + self.material.texture(u, v) - 0.20 * np.clip(1 - rim, 0, 1))
        glow = np.maximum(shade, 0) * 32
        if fabric.gloss:
            glow = glow + fabric.gloss * 46 * np.exp(-(((lit - 0.30) / 0.22) ** 2))
        tint = np.array([-0.03, 0.0, 0.06], np.float32) * np.minimum(shade, 0)[..., None]
        lit_colour: Field = np.clip(colour * (light[..., None] - tint) + glow[..., None], 0, 255)
        return lit_colour

    def _bent(self, area: Area, crease: float) -> Field:
        wide, narrow = noise(58, 88, area, self.name), noise(31, 47, area, self.name)
        bent = crease * (1.1 * wide - 1.5 * np.sqrt(narrow * narrow + np.float32(0.05)))
        for soft in sorted({fold.soft for fold in self.folds}):
            plans = [(lens(fold.line, fold.width), fold.height) for fold in self.folds if fold.soft == soft]
            bent = bent + broad(strokes(plans, area), soft) * np.float32(1 / 256)
        return bent.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Ink(Layer):
    """Outlines filled with one colour."""

    outlines: tuple[Points, ...]  # in pixels of the picture
    colour: Colour
    opacity: float = 1.0  # 0..1
    groove: float = 0.0  # how bright the lower right edge of a pressed-in line is, 0..1
    bevel: float = 0.0  # how round raised ink is, 0 for flat
    shadow: Shadow | None = None
    within: tuple[Points, ...] | None = None  # ink outside is cut off
    over: Colour | None = None  # of the cloth below, which then shows its folds through the ink

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
            down, across = np.gradient(blurred(whole, 1.5) * np.float32(3.0))
            lit = (across * LIGHT[0] + down * LIGHT[1]) * 2.2
            light = (self.bevel * np.tanh(lit))[..., None]
            add = share * np.clip(colour * (1 + light) + np.maximum(light, 0) * 70, 0, 255)
        if self.shadow is not None:
            keep = keep * (1 - self.shadow.cast(whole))
        if self.groove:
            shine = np.roll(seen, (1, 1), (0, 1)) * (1 - seen) * np.float32(self.groove)
            keep, add = keep * (1 - shine), add * (1 - shine) + 255 * shine
        return Tile(area[0], area[1], keep, add)


_THREAD: Colour = (60, 50, 45)


@dataclass(frozen=True, eq=False)
class Button(Layer):
    """A button with its middle at (x, y) of the picture: `horn` and `pearl` have four holes, `metal` is a dome."""

    x: float
    y: float
    radius: float
    colour: Colour
    make: str

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
        if self.make == "metal":
            light = 1.02 + 0.34 * slope * (away / r) + 0.22 * np.cos(away * 9 / r) * 0.35
        else:
            bowl = np.clip(1 - np.abs(away - 0.70 * r) / 1.3, 0, 1)
            brim = np.clip(1 - np.abs(away - 0.90 * r) / 1.4, 0, 1)
            light = 1.0 + 0.16 * slope - 0.34 * slope * bowl - 0.10 * bowl + 0.26 * np.clip(slope, -0.4, 1) * brim
        if self.make == "horn":
            light = light + 0.07 * noise(5, 4, (left, top, left + size, top + size), "horn")
        colour = np.array(self.colour, np.float32) * light[..., None]
        spot = np.exp(-((x + 0.36 * r) ** 2 + (y + 0.42 * r) ** 2) / (0.30 * r) ** 2)
        shine = {"horn": 60, "pearl": 46, "metal": 130}[self.make]
        colour = colour + shine * spot[..., None]
        if self.make != "metal":
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
            colour = colour + (np.array(_THREAD, np.float32) - colour) * (0.75 * near[..., None])
        return colour
