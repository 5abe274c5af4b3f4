"""Everything on cloth that is not cloth: seams, stitches, prints, metal, buttons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .cloth import LIGHT, Cloth, Fold, Material, Shadow, Tile, identity
from .geometry import (
    HEIGHT,
    WIDTH,
    Area,
    Field,
    Frame,
    Point,
    Points,
    blurred,
    broad,
    coverage,
    dashes,
    noise,
    resampled,
    ribbon,
    stepped,
    window,
)
from .patterns import Colour


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


class Layer(Protocol):
    """Something painted on the picture."""

    @property
    def key(self) -> object:
        """What it looks like, hashable."""

    def tile(self) -> Tile:
        """Returns what it does to the picture."""


def darker(colour: Colour, share: float) -> Colour:
    """Returns the colour mixed with black (share above 0) or white (below 0)."""
    goal = 0 if share > 0 else 255
    red, green, blue = (round(part + (goal - part) * abs(share)) for part in colour)
    return red, green, blue


@dataclass
class Scene:
    """The layers of one picture, added from the bottom up in the garment's own coordinates.

    Args:
        frame: How the garment lies on the picture.
        backdrop: Colour of what it lies on.
        name: Names its creases.
    """

    frame: Frame
    backdrop: Colour
    name: str
    layers: list[Layer] = field(default_factory=list)
    silhouette: list[Points] = field(default_factory=list)

    def cloth(
        self,
        outline: Points | Sequence[Points],
        material: Material,
        name: str,
        *,
        angle: float = 0.0,
        origin: Point = (0.0, 120.0),
        folds: Iterable[Fold] = (),
        puff: int = 6,
        crease: float = 1.0,
        shadow: Shadow | None = None,
        tone: float = 1.0,
        ground: bool = False,
        within: Points | None = None,
    ) -> Cloth:
        """Lays a piece of cloth on top and returns it, placed; `ground` pieces cast the shadow on the backdrop."""
        outlines = tuple(self._placed([outline] if isinstance(outline, np.ndarray) else outline))
        piece = Cloth(
            outlines=outlines,
            material=material,
            name=f"{self.name} {name}",
            angle=angle + self.frame.tilt,
            origin=tuple(float(v) for v in self.frame.place(np.array([origin]))[0]),  # type: ignore[arg-type]  # two numbers
            folds=tuple(replace(one, line=self.frame.place(one.line)) for one in folds),
            puff=puff,
            crease=crease,
            shadow=shadow,
            tone=tone,
            within=None if within is None else (self.frame.place(within),),
        )
        self.layers.append(piece)
        if ground:
            self.silhouette.extend(outlines)
        return piece

    def inlay(self, piece: Cloth, material: Material, *within: Points, tone: float = 1.0) -> None:
        """Repaints a part of a piece in another material; folds and edges run through."""
        self.layers.append(piece.inlay(material, *self._placed(within), tone=tone))

    def seam(self, line: Points, strength: float = 0.34, width: float = 1.3, within: Cloth | None = None) -> None:
        """Presses a line into the cloth below."""
        cut = None if within is None else within.outlines
        outline = ribbon(self.frame.place(line), width)
        self.layers.append(Ink((outline,), (14, 12, 16), strength, groove=strength * 0.42, within=cut))

    def stitch(
        self,
        line: Points,
        colour: Colour | None = None,
        *,
        length: float = 3.4,
        gap: float = 2.2,
        width: float = 1.3,
        within: Cloth | None = None,
    ) -> None:
        """Sews a dashed line: in thread of a colour, or tone in tone."""
        placed = self.frame.place(line)
        total = float(np.hypot(*np.diff(placed, axis=0).T).sum())
        count = int(total / (length + gap))
        if count < 1:
            return
        # The distance is fixed, so that the stitches of a longer line begin like those of a shorter one.
        fine = stepped(placed, (length + gap) / 8, count * 8 + 1)
        stop = max(round(8 * length / (length + gap)), 1)
        sewn = (dashes(fine[: count * 8 : 8], fine[stop : count * 8 : 8], width),)
        cut = None if within is None else within.outlines
        if colour is None:
            self.layers.append(Ink(sewn, (16, 14, 18), 0.24, groove=0.16, within=cut))
        else:
            self.layers.append(Ink(sewn, colour, 0.95, shadow=Shadow(1, 1, 1, 0.30), within=cut))

    def stitch_teeth(self, line: Points, colour: Colour, *, start: float = 0.0) -> None:
        """Sets one row of a zip's teeth along the line, shifted by `start` of their distance."""
        count = max(int(np.hypot(*np.diff(line, axis=0).T).sum() / 3.0), 2)
        fine = resampled(self.frame.place(line), count * 4 + 1)
        first = round(start * 4)
        teeth = dashes(fine[first : count * 4 - 2 : 4], fine[first + 2 : count * 4 : 4], 3.0)
        self.layers.append(Ink((teeth,), colour, 1.0, bevel=0.5, shadow=Shadow(1, 1, 1, 0.5)))

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
        placed = tuple(self._placed([outlines] if isinstance(outlines, np.ndarray) else outlines))
        cut = None if within is None else within.outlines
        self.layers.append(Ink(placed, colour, opacity, 0.0, bevel, shadow, cut, over))

    def button(
        self, x: float, y: float, radius: float, colour: Colour, make: str = "horn", thread: Colour = (60, 50, 45)
    ) -> None:
        """Sews a button on."""
        at = self.frame.place(np.array([[x, y]]))[0]
        self.layers.append(Button(float(at[0]), float(at[1]), radius * self.frame.scale, colour, make, thread))

    def _placed(self, outlines: Sequence[Points]) -> list[Points]:
        return [self.frame.place(outline) for outline in outlines]


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
        if under is not ground:
            areas.append(_bounds(unequal(ground, under)))
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


def _bounds(changed: NDArray[np.bool_]) -> Area:
    ys, xs = np.nonzero(changed.any(axis=1))[0], np.nonzero(changed.any(axis=0))[0]
    if not len(ys):
        return 0, 0, 0, 0
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


@lru_cache(maxsize=16)
def _paper(colour: Colour) -> Field:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    away = np.sqrt(((x - 170) / 640) ** 2 + ((y - 210) / 960) ** 2)
    whole = (0, 0, WIDTH, HEIGHT)
    grain = 0.0035 * noise(3, 3, whole, "paper") + 0.006 * noise(90, 90, whole, "paper")
    paper: Field = np.array(colour, np.float32) * (1.03 - 0.10 * away * away + grain)[..., None]
    paper.setflags(write=False)
    return paper


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
