"""What garments share: folds, sleeves and waistbands."""

from __future__ import annotations

import math

import numpy as np

from .geometry import Panel, Point, Points, circle, joined, mirrored, moved, points, through
from .layers import Cloth, Fold, Shadow
from .rng import uniform
from .scene import Scene
from .trims import neck_label


def radiating(
    x: float,
    y: float,
    start: float,
    stop: float,
    count: int,
    length: float,
    *name: object,
    side: int = 1,
    width: float = 13.0,
    height: float = 3.4,
) -> list[Fold]:
    """Returns folds that run from a point outwards, between two headings in degrees (0 right, 90 down).

    Point and headings are given for the right of the picture, and mirrored where `side` is -1.
    """
    if side < 0:
        x, start, stop = -x, 180 - stop, 180 - start
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
        broad = width * uniform(0.8, 1.4, *name, n, "width")
        made.append(Fold(through(*spots), broad, rise, 3 if n % 2 else 4))
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
        aside = [(x + broad * 0.75, y + 6) for x, y in spots]
        made.append(Fold(through(*spots), broad, rise, soft))
        made.append(Fold(through(*aside), broad * 0.62, -0.8 * rise, max(soft - 1, 3)))
    return made


def bending(panel: Panel, t: float, count: int, *name: object, height: float) -> list[Fold]:
    """Returns the creases inside a bend (elbow, knee) about t, from the edge s = 1 inwards."""
    made = []
    for n in range(count):
        at = t + 0.05 * (n - (count - 1) / 2) + uniform(-0.012, 0.012, *name, n, "at")
        reach = uniform(0.35, 0.75, *name, n, "reach")
        slant = uniform(-0.03, 0.05, *name, n, "slant")
        places = ((1.0 - 0.04 * n, at), (1 - reach * 0.5, at + slant * 0.3), (1 - reach, at - slant))
        rise = height * uniform(0.7, 1.2, *name, n, "rise") * (1 if n % 2 else -1)
        made.append(Fold(through(*(panel.at(s, t) for s, t in places)), 12.0, rise, 3))
    return made


class Sleeve:
    """One sleeve, addressed by t from the armhole (0) to the end of its panel (1).

    Its armhole runs from shoulder to armpit on the right of the picture, mirrored where `side` is -1. The arm is spread
    by `lean` degrees; its outer edge is `reach` pixels long and swells by `bow`, and it is `end` wide at t = 1.
    """

    def __init__(
        self,
        scene: Scene,
        side: int,
        shoulder: Point,
        armpit: Point,
        *,
        lean: float,
        reach: float,
        end: float,
        bow: float,
    ) -> None:
        turn = math.radians(lean)
        ahead, inward = (math.sin(turn), math.cos(turn)), (-math.cos(turn), math.sin(turn))
        sx, sy = shoulder
        x0, y0 = sx + 24 + 22 * ahead[0], sy + 38 - 18 * ahead[0]
        rest = reach - 48
        out = [
            (x0 + ahead[0] * rest * k + bow * math.sin(math.pi * k), y0 + ahead[1] * rest * k)
            for k in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        last = (out[-1][0] + inward[0] * end, out[-1][1] + inward[1] * end)
        outer = through(shoulder, (sx + 13, sy + 9), *out)
        middle = ((armpit[0] + last[0]) / 2 + 3, (armpit[1] + last[1]) / 2)
        # The inner edge starts under the body, level with the shoulder, so that lines across the sleeve are square.
        under = points((min(sx, armpit[0]) - 30, sy + 22), (armpit[0] - 32, armpit[1] - 16))
        inner = joined(under, through(armpit, middle, last))
        self.scene, self.side = scene, side
        self.panel = Panel(mirrored(outer, side), mirrored(inner, side))
        self.lean = self.panel.lean(0.7)
        self._root = mirrored(points((sx - 26, sy + 8)), side)
        self._armpit = (float(side * armpit[0]), armpit[1])

    def lay(self, length: float, *, longest: float, bulge: float = 3.0, strength: float = 1.0, puff: int = 8) -> Cloth:
        """Lays the sleeve down to t = length and returns it; its folds are made for the `longest` it may be."""
        name = (self.scene.look.name, "sleeve", self.side)
        toward = 65 if self.side > 0 else 115
        folds = radiating(*self._armpit, toward - 50, toward + 20, 4, 80, *name, height=3.2 * strength)
        folds += falling(self.panel, 2, 0.12, longest, *name, width=16, height=2.4 * strength)
        folds += bending(self.panel, 0.47, 4, *name, height=3.2 * strength)
        outer, inner = self.panel.along(0, 0, length), self.panel.along(1, 0, length)
        return self.scene.cloth(
            joined(outer, self.line(length, bulge), inner[::-1], self._root),
            f"sleeve {self.side}",
            angle=self.lean,
            origin=self.panel.at(0.5, 0),
            folds=folds,
            puff=puff,
            ground=True,
        )

    def line(self, t: float, bulge: float = 3.0) -> Points:
        """Returns a line round the sleeve at t."""
        return self.panel.cross(t, bulge=bulge)

    def band(self, start: float, stop: float) -> Points:
        """Returns the outline of a band round the sleeve, a little wider than the sleeve."""
        return self.panel.section(start, stop, bulge=(3.0, 3.0), spread=0.10)

    def elbow_patch(self, piece: Cloth, t: float) -> None:
        """Sews an oval patch on at t of the sleeve laid as `piece`."""
        x, y = self.panel.at(0.45, t)
        self.scene.cloth(
            circle(x, y, 21, squash=1.7),
            "elbow",
            self.scene.look.contrast("corduroy"),
            puff=3,
            shadow=Shadow(1, 2, 2, 0.42),
            within=piece,
            angle=self.lean,
        )
        self.scene.stitch(circle(x, y, 17, squash=1.8, count=49), self.scene.look.base, within=piece)

    def cuff(self, start: float, stop: float, *, name: str, spread: float, bulge: float = 3.0) -> Cloth:
        """Returns a separate cuff laid over the sleeve's end."""
        return self.scene.cloth(
            self.panel.section(start, stop, bulge=(bulge, bulge), spread=spread),
            f"{name} {self.side}",
            angle=self.lean,
            origin=self.panel.at(0.5, start),
            puff=5,
            shadow=Shadow(1, 2, 2, 0.4),
            ground=True,
            crease=0.6,
        )


def opening(scene: Scene, waist: float, top: float) -> None:
    """Lays the inside of the back, which shows above the front, with its label."""
    back = through((-waist, top - 5), (-waist * 0.4, top - 14), (waist * 0.4, top - 14), (waist, top - 5))
    inside = joined(back, points((waist, top + 22), (-waist, top + 22)))
    scene.cloth(inside, "inside", scene.look.plain(), tone=0.55, puff=3, ground=True)
    neck_label(scene, top - 7, 24, 14)


def waistband(
    scene: Scene, waist: float, top: float, high: float, *, contrast: bool, gathered: bool
) -> tuple[Cloth, Points]:
    """Sews a waistband on, in the trim colour if `contrast`, and returns it with its upper line."""
    lower = waist + high * 0.16
    outline = joined(
        through((-waist, top - 5), (0, top + 4), (waist, top - 5)),
        through((lower, top - 5 + high), (0, top + 4 + high), (-lower, top - 5 + high)),
    )
    folds = []
    if gathered:
        for k in range(27):
            x = -waist + 6 + k * (2 * waist - 12) / 26
            line = points((x, top - 8), (x * 1.02, top + high + 6))
            folds.append(Fold(line, 6.0, 4.0 if k % 2 else -4.0, 2))
    band = scene.cloth(
        outline,
        "waistband",
        scene.look.contrast() if contrast else None,
        origin=(0, top),
        folds=folds,
        puff=5,
        crease=0.5,
        shadow=Shadow(0, 3, 3, 0.48),
        tone=1.04,
        ground=True,
    )
    line = through((-waist + 1, top), (0, top + 9), (waist - 1, top))
    for down in (2.0, high - 12):
        scene.stitch(moved(line, 0, down), within=band)
    return band, line


def hem_band(scene: Scene, piece: Cloth, line: Points, down: float, up: float) -> None:
    """Paints a band in the trim colour along a hem, from `down` pixels below the line to `up` above it."""
    scene.inlay(piece, joined(moved(line, 0, down), moved(line[::-1], 0, -up)), name="hem")
    scene.seam(line - (0, up), 0.3, within=piece)
