"""One piece of cloth as light sees it: a height field of rounded edges, folds and creases, lit from the upper left."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .fabric import FABRICS, FINE, PERIOD, weave
from .geometry import Points, lens
from .patterns import Colour, Pattern, dyed
from .raster import HEIGHT, WIDTH, Area, Field, blurred, broad, coverage, noise, strokes, window

LIGHT = (0.55, 0.83)
"""The light's direction over the picture, from the upper left."""


@dataclass(frozen=True, eq=False)
class Tile:
    """What one layer does to the picture below it: `picture * keep + add`, from (left, top) on.

    Args:
        keep: Shape (H, W, 1) or (H, W, 3), 0..1 and above for dyes lighter than the cloth.
        add: Shape (H, W, 3), 0..255.
    """

    left: int
    top: int
    keep: Field
    add: Field

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
    if isinstance(value, Fold):
        return identity((value.line, value.width, value.height, value.soft))
    return value


@dataclass(frozen=True)
class Material:
    """Cloth before it is cut."""

    colour: Colour
    fabric: str
    pattern: Pattern | None = None

    def plain(self, colour: Colour | None = None, fabric: str | None = None) -> Material:
        """Returns the same without pattern, in another colour or fabric where given."""
        return Material(colour or self.colour, fabric or self.fabric)


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
class Cloth:
    """A piece of cloth, ready to be painted.

    Args:
        outlines: What is cut out, in pixels of the picture.
        material: Of what.
        name: Names its creases; pieces of one name crease alike.
        angle: By how many radians the grain is turned.
        origin: Where the pattern starts.
        folds: Ridges and valleys.
        puff: How far its edges are rounded, in pixels.
        crease: A factor on the fabric's own wrinkling.
        shadow: What it casts on pieces below.
        tone: A factor on its brightness.
        within: If given, only this part of the piece is painted: an inlay that bends with the whole piece.
    """

    outlines: tuple[Points, ...]
    material: Material
    name: str
    angle: float = 0.0
    origin: tuple[float, float] = (0.0, 0.0)
    folds: tuple[Fold, ...] = ()
    puff: int = 7
    crease: float = 1.0
    shadow: Shadow | None = None
    tone: float = 1.0
    within: tuple[Points, ...] | None = None

    @cached_property
    def key(self) -> object:
        """What this piece looks like, hashable."""
        return identity(tuple(getattr(self, name) for name in self.__dataclass_fields__))

    def inlay(self, material: Material, *within: Points, tone: float = 1.0) -> Cloth:
        """Returns a part of this piece in another material."""
        return replace(self, material=material, within=within, shadow=None, tone=tone)

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
        down, across = _slopes(height)
        lit = across * LIGHT[0] + down * LIGHT[1]
        shade = np.where(lit > 0, 0.27 * np.tanh(lit * 1.35), 0.56 * np.tanh(lit * 1.15))
        top, left = area[1] + part[0].start, area[0] + part[1].start
        y = np.arange(top, top + shade.shape[0], dtype=np.float32)[:, None]
        x = np.arange(left, left + shade.shape[1], dtype=np.float32)[None, :]
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        x0, y0 = x - np.float32(self.origin[0]), y - np.float32(self.origin[1])
        u = np.float32(cosine) * x0 + np.float32(sine) * y0 + bent * np.float32(0.6)
        v = np.float32(-sine) * x0 + np.float32(cosine) * y0 + bent * np.float32(0.9)
        colour = dyed(self.material.colour, self.material.pattern, u, v)
        side = PERIOD * FINE
        texture = weave(self.material.fabric)[(v * FINE).astype(np.int32) % side, (u * FINE).astype(np.int32) % side]
        fall = 1.035 - 0.055 * (x / WIDTH + y / HEIGHT - 0.35)
        light = self.tone * fall * (1 + shade + texture - 0.20 * np.clip(1 - rim, 0, 1))
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
            lines = [(fold.line, fold.height, fold.width) for fold in self.folds if fold.soft == soft]
            relief = broad(strokes([(lens(line, width), height) for line, height, width in lines], area), soft)
            bent = bent + relief * np.float32(1 / 256)
        return bent.astype(np.float32)


def _slopes(height: Field) -> tuple[Field, Field]:
    down, across = np.zeros_like(height), np.zeros_like(height)
    down[1:-1] = (height[2:] - height[:-2]) / 2
    across[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / 2
    return down, across
