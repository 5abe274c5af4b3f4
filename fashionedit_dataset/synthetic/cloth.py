"""Fabrics, and a piece of one as light sees it: a height field of edges, folds and creases, lit from the upper left."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from .geometry import HEIGHT, WIDTH, Area, Field, Point, Points, blurred, broad, coverage, lens, noise, strokes, window
from .patterns import Colour, Pattern, dyed
from .rng import generator

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
    origin: Point = (0.0, 0.0)
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
