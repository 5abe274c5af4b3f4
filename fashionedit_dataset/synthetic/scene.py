"""One garment on one picture: what stays (its look), what may differ (its design), and the layers that show both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .geometry import (
    HEIGHT,
    WIDTH,
    Area,
    Field,
    Point,
    Points,
    broad,
    dashes,
    frozen,
    length,
    noise,
    ribbon,
    stepped,
)
from .layers import Button, Cloth, Fold, Ink, Layer, Shadow, Tile, identity
from .materials import COLOURS, Colour, Material, Palette, brightness
from .rng import choose, uniform

Design = dict[str, str]
"""Attribute → value: everything that may differ."""

PEARL = (COLOURS["ivory"], "pearl")
"""Colour and make of the buttons of shirts and dresses."""


@dataclass(frozen=True)
class Look:
    """One garment's unchanging side: what does not differ between draft and original."""

    kind: str  # `Tshirt`, `Shirt`, `Blazer`, `Coat`, `Dress`, `Skirt` or `Trousers`
    name: str  # names every chance of its cut; two colourways of one garment share it
    gender: str  # `WOMEN` or `MEN`
    palette: Palette
    cloth: Material
    design: Design  # the original's, which the cut may suit (never the draft's)

    def vary(self, low: float, high: float, *name: object) -> float:
        """Returns a measure of the cut in low..high."""
        return uniform(low, high, self.name, *name)

    def pick(self, values: Sequence[str], *name: object) -> str:
        """Returns one of the values for the cut."""
        return choose(values, self.name, *name)

    @property
    def base(self) -> Colour:
        """Colour of the cloth."""
        return self.palette.rgb("base")

    @property
    def trim(self) -> Colour:
        """Colour of details that stand out."""
        return self.palette.rgb("trim")

    def plain(self, fabric: str | None = None) -> Material:
        """Returns the cloth without its pattern."""
        return Material(self.base, fabric or self.cloth.fabric)

    def contrast(self, fabric: str | None = None) -> Material:
        """Returns cloth in the trim colour."""
        return Material(self.trim, fabric or self.cloth.fabric)

    @property
    def thread(self) -> Colour:
        """Colour of contrast stitching."""
        return COLOURS["camel"] if self.cloth.fabric == "denim" else self.trim

    @property
    def buttons(self) -> tuple[Colour, str]:
        """Colour and make of the buttons: always clear against the cloth."""
        dark = (("chocolate", "horn"), ("tobacco", "horn"), ("black", "horn"))
        pale = (("camel", "horn"), ("mustard", "metal"), ("dove", "metal"), ("sand", "horn"))
        light = brightness(self.base) > 120
        name, make = (dark if light else pale)[int(self.vary(0, 2.999 if light else 3.999, "buttons"))]
        return COLOURS[name], make


class Scene:
    """The layers of one picture, added from the bottom up in the garment's own coordinates.

    The garment lies `drop` pixels lower on the picture than in its own coordinates.
    """

    def __init__(self, look: Look, design: Design, drop: float) -> None:
        self.look, self.design = look, design
        self.layers: list[Layer] = []
        self.silhouette: list[Points] = []
        self._drop = drop
        self._tilt, self._scale = look.vary(-0.022, 0.022, "tilt"), look.vary(0.965, 1.03, "size")

    @property
    def backdrop(self) -> Colour:
        """Colour of what the garment lies on."""
        return self.look.palette.backdrop

    def place(self, line: Points) -> Points:
        """Returns a line of the garment as it lies on the picture, turned and scaled about the picture's middle."""
        middle, pivot = WIDTH / 2, HEIGHT / 2
        cosine, sine = math.cos(self._tilt) * self._scale, math.sin(self._tilt) * self._scale
        x, y = line[:, 0], line[:, 1] - pivot
        return np.stack([middle + cosine * x - sine * y, pivot + self._drop + sine * x + cosine * y], axis=1)

    def spot(self, x: float, y: float) -> Point:
        """Returns a point of the garment as it lies on the picture."""
        across, down = self.place(np.array([[x, y]]))[0]
        return float(across), float(down)

    def cloth(
        self,
        outline: Points,
        name: str,
        material: Material | None = None,
        *,
        angle: float = 0.0,
        origin: Point = (0.0, 120.0),
        folds: Iterable[Fold] = (),
        puff: int = 6,
        crease: float = 1.0,
        shadow: Shadow | None = None,
        tone: float = 1.0,
        ground: bool = False,
        within: Cloth | None = None,
    ) -> Cloth:
        """Lays a piece on top and returns it, placed; of the garment's cloth where no material is given.

        `ground` pieces cast the shadow on the backdrop; the others are as in `Cloth`.
        """
        placed = self.place(outline)
        piece = Cloth(
            outlines=(placed,),
            material=material or self.look.cloth,
            name=f"{self.look.name} {name}",
            angle=angle + self._tilt,
            origin=self.spot(*origin),
            folds=tuple(replace(fold, line=self.place(fold.line)) for fold in folds),
            puff=puff,
            crease=crease,
            shadow=shadow,
            tone=tone,
            within=None if within is None else within.outlines,
        )
        self.layers.append(piece)
        if ground:
            self.silhouette.append(placed)
        return piece

    def inlay(
        self,
        piece: Cloth,
        within: Points,
        material: Material | None = None,
        *,
        tone: float = 1.0,
        name: str = "trim",
    ) -> None:
        """Repaints a part of a piece, in the trim colour where no material is given; folds and edges run through.

        `name` tells scenes that colour every part by itself which part this is.
        """
        part = (self.place(within),)
        self.layers.append(
            replace(piece, material=material or self.look.contrast(), within=part, shadow=None, tone=tone)
        )

    def ink(
        self,
        outlines: Points | Sequence[Points],
        colour: Colour,
        *,
        opacity: float = 1.0,
        bevel: float = 0.0,
        shadow: Shadow | None = None,
        over: Colour | None = None,
        within: Cloth | None = None,
    ) -> None:
        """Fills outlines with a colour: a print, embroidery, metal."""
        every = [outlines] if isinstance(outlines, np.ndarray) else outlines
        cut = None if within is None else within.outlines
        self.layers.append(Ink(tuple(map(self.place, every)), colour, opacity, 0.0, bevel, shadow, cut, over))

    def seam(self, line: Points, strength: float = 0.34, width: float = 1.3, within: Cloth | None = None) -> None:
        """Presses a line into the cloth below."""
        cut = None if within is None else within.outlines
        outline = ribbon(self.place(line), width)
        self.layers.append(Ink((outline,), (14, 12, 16), strength, groove=strength * 0.42, within=cut))

    def stitch(
        self,
        line: Points,
        colour: Colour | None = None,
        *,
        long: float = 3.4,
        gap: float = 2.2,
        width: float = 1.3,
        within: Cloth | None = None,
    ) -> None:
        """Sews a dashed line: in thread of a colour, or tone in tone."""
        placed = self.place(line)
        count = int(length(placed) / (long + gap))
        if count < 1:
            return
        # The distance is fixed, so that the stitches of a longer line begin like those of a shorter one.
        fine = stepped(placed, (long + gap) / 8, count * 8 + 1)
        stop = max(round(8 * long / (long + gap)), 1)
        sewn = (dashes(fine[: count * 8 : 8], fine[stop : count * 8 : 8], width),)
        cut = None if within is None else within.outlines
        if colour is None:
            self.layers.append(Ink(sewn, (16, 14, 18), 0.24, groove=0.16, within=cut))
        else:
            self.layers.append(Ink(sewn, colour, 0.95, shadow=Shadow(1, 1, 1, 0.30), within=cut))

    def button(self, x: float, y: float, radius: float, colour: Colour | None = None, make: str | None = None) -> None:
        """Sews a button on: one of the garment's own where no colour and make are given."""
        own_colour, own_make = self.look.buttons
        self.layers.append(Button(*self.spot(x, y), radius * self._scale, colour or own_colour, make or own_make))


class Studio:
    """Photographs scenes and keeps the tiles, so that a second picture costs only what differs."""

    def __init__(self) -> None:
        self._tiles: dict[object, Tile] = {}
        self._grounds: dict[object, Field] = {}

    def canvas(self, scene: Scene, near: tuple[Scene, Field] | None = None) -> Field:
        """Returns the picture before rounding: shape (768, 512, 3), about 0..255.

        Args:
            scene: What to photograph.
            near: Another scene and its canvas; what both share is taken from there, with the same result.
        """
        ground = self._ground(scene)
        if near is None:
            canvas = ground.copy()
            self._paint(canvas, scene.layers, (0, 0, WIDTH, HEIGHT))
            return canvas
        other, known = near
        mine, theirs = {layer.key for layer in scene.layers}, {layer.key for layer in other.layers}
        changed = [layer for layer in scene.layers if layer.key not in theirs]
        changed += [layer for layer in other.layers if layer.key not in mine]
        areas = [self._tile(layer).area for layer in changed]
        under = self._ground(other)
        if under is not ground and (area := bounds(unequal(ground, under))):
            areas.append(area)
        canvas = known.copy()
        if areas:
            left, top = max(min(a[0] for a in areas), 0), max(min(a[1] for a in areas), 0)
            right, bottom = min(max(a[2] for a in areas), WIDTH), min(max(a[3] for a in areas), HEIGHT)
            if left < right and top < bottom:
                canvas[top:bottom, left:right] = ground[top:bottom, left:right]
                self._paint(canvas, scene.layers, (left, top, right, bottom))
        return canvas

    def _paint(self, canvas: Field, layers: Iterable[Layer], area: Area) -> None:
        for layer in layers:
            tile = self._tile(layer)
            left, top, right, bottom = tile.area
            x0, y0, x1, y1 = max(left, area[0]), max(top, area[1]), min(right, area[2]), min(bottom, area[3])
            if x0 < x1 and y0 < y1:
                inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
                view = canvas[y0:y1, x0:x1]
                view *= tile.keep[inside]
                view += tile.add[inside]

    def _tile(self, layer: Layer) -> Tile:
        tile = self._tiles.get(layer.key)
        if tile is None:
            tile = self._tiles[layer.key] = layer.tile()
        return tile

    def _ground(self, scene: Scene) -> Field:
        key = (scene.backdrop, identity(tuple(scene.silhouette)))
        ground = self._grounds.get(key)
        if ground is None:
            ground = self._grounds[key] = _shaded(_paper(scene.backdrop), scene.silhouette)
        return ground


def unequal(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.bool_]:
    """Returns which pixels of two pictures differ, shape (H, W)."""
    changed = one != two
    either: NDArray[np.bool_] = changed[..., 0] | changed[..., 1] | changed[..., 2]
    return either


def bounds(changed: NDArray[np.bool_]) -> Area | None:
    """Returns the smallest area that holds all changed pixels, None where nothing changed."""
    ys, xs = np.nonzero(changed.any(axis=1))[0], np.nonzero(changed.any(axis=0))[0]
    if not len(ys):
        return None
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


@lru_cache(maxsize=16)
def _paper(colour: Colour) -> Field:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    away = np.sqrt(((x - 170) / 640) ** 2 + ((y - 210) / 960) ** 2)
    whole = (0, 0, WIDTH, HEIGHT)
    grain = 0.0035 * noise(3, 3, whole, "paper") + 0.006 * noise(90, 90, whole, "paper")
    return frozen(np.array(colour, np.float32) * (1.03 - 0.10 * away * away + grain)[..., None])


def _shaded(paper: Field, silhouette: Sequence[Points]) -> Field:
    image = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for outline in silhouette:
        draw.polygon(outline.ravel().tolist(), fill=252)
    ints = np.asarray(image.reduce(2), np.int32) * 64
    dark = np.zeros((HEIGHT, WIDTH), np.float32)
    for dx, dy, blur, strength in ((4, 5, 8, 0.30), (1, 2, 3, 0.34)):
        moved = np.zeros_like(ints)
        moved[dy:, dx:] = ints[:-dy, :-dx]
        dark += np.float32(strength / (252 * 64)) * np.clip(broad(moved, blur), 0, None)
    # The faintest tail is cut off: it would widen boxes by pixels whose change nobody sees.
    dark = np.maximum(dark - np.float32(0.012), 0)
    ground: Field = paper * (1 - dark[..., None] * np.array([1.0, 0.98, 0.94], np.float32))
    return ground
