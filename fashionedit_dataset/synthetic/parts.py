"""What garments share: folds, sleeves, hems and waistbands."""

from __future__ import annotations

import math

import numpy as np

from .cloth import Cloth, Fold, Material, Shadow
from .geometry import Panel, Point, Points, circle, joined, mirrored, moved, points, ribbon, through
from .look import Look
from .motifs import neck_label
from .patterns import COLOURS
from .rng import uniform
from .scene import Scene
from .trims import fringe, lace, ruffle


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


class Sleeve:
    """One sleeve, addressed by t from the armhole (0) to the end of its panel (1).

    Args:
        side: 1 for the right of the picture, -1 for the left.
        shoulder, armpit: Ends of the armhole, given for the right of the picture.
        lean: How far the arm is spread, in degrees from hanging straight down.
        reach: Length of the outer edge, in pixels.
        end: Width at t = 1, in pixels.
        bow: How far the outer edge swells, in pixels.
    """

    def __init__(
        self,
        side: int,
        shoulder: Point,
        armpit: Point,
        *,
        lean: float,
        reach: float,
        end: float,
        bow: float = 6.0,
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
        self.side = side
        self.panel = Panel(mirrored(outer, side), mirrored(inner, side))
        self.root = mirrored(points((sx - 26, sy + 8)), side)
        self.armpit = mirrored(points(armpit), side)[0]
        self.lean = self.panel.lean(0.7)

    def outline(self, length: float, bulge: float = 3.0) -> Points:
        """Returns the outline down to t = length, rooted under the body."""
        return joined(
            self.panel.along(0, 0, length), self.line(length, bulge), self.panel.along(1, 0, length)[::-1], self.root
        )

    def lay(
        self,
        scene: Scene,
        look: Look,
        length: float,
        *,
        longest: float,
        bulge: float = 3.0,
        strength: float = 1.0,
        origin: Point | None = None,
        puff: int = 8,
    ) -> Cloth:
        """Lays the sleeve down to t = length and returns it; its folds are made for the `longest` it may be."""
        name = (look.name, "sleeve", self.side)
        ax, ay = (float(v) for v in self.armpit)
        toward = 65 if self.side > 0 else 115
        folds: list[Fold] = radiating(ax, ay, toward - 50, toward + 20, 4, 80, *name, height=3.2 * strength)
        folds += falling(self.panel, 2, 0.12, longest, *name, width=16, height=2.4 * strength)
        if longest > 0.7:
            folds += bending(self.panel, 0.47, 4, *name, height=3.2 * strength)
        return scene.cloth(
            self.outline(length, bulge),
            look.cloth,
            f"sleeve {self.side}",
            angle=self.lean,
            origin=origin or self.panel.at(0.5, 0),
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

    def stripe(self, s: float, width: float, start: float, stop: float) -> Points:
        """Returns the outline of a stripe down the sleeve."""
        return ribbon(self.panel.along(s, start, stop), width)

    def elbow_patch(self, scene: Scene, look: Look, piece: Cloth, *, length: float, t: float) -> None:
        """Sews an oval patch on at t of a sleeve that ends at `length`."""
        x, y = self.panel.at(0.45, t)
        scene.cloth(
            circle(x, y, 21, squash=1.7),
            look.contrast("corduroy"),
            "elbow",
            puff=3,
            shadow=Shadow(1, 2, 2, 0.42),
            within=self.outline(length),
            angle=self.lean,
        )
        scene.stitch(circle(x, y, 17, squash=1.8, count=49), look.base, within=piece)

    def cuff(
        self,
        scene: Scene,
        look: Look,
        start: float,
        stop: float,
        *,
        name: str,
        spread: float = 0.05,
        bulge: float = 3.0,
    ) -> Cloth:
        """Returns a separate cuff laid over the sleeve's end."""
        outline = self.panel.section(start, stop, bulge=(bulge, bulge), spread=spread)
        return scene.cloth(
            outline,
            look.cloth,
            f"{name} {self.side}",
            angle=self.lean,
            origin=self.panel.at(0.5, start),
            puff=5,
            shadow=Shadow(1, 2, 2, 0.4),
            ground=True,
            crease=0.6,
        )


def wavy(look: Look, half: float, y: float, swing: float) -> Points:
    """Returns a hem from left to right that sags in the middle and swings with the folds above it."""
    x = np.linspace(-half, half, 81)
    turns = look.vary(0.032, 0.046, "hem waves")
    phase = look.vary(0, 6.28, "hem phase")
    sag = 12 * (1 - (x / half) ** 2)
    return np.stack([x, y + sag + swing * np.sin(x * turns * math.pi + phase) * np.cos(x * 0.011)], axis=1)


def back_hem(scene: Scene, look: Look, hem: Points, deep: float, tone: float) -> None:
    """Lays what shows of a skirt's back below the front's hem, `deep` pixels high."""
    outline = joined(hem * (0.985, 1) + (0, 4), hem[::-1] * (0.9, 1) - (0, deep))
    scene.cloth(outline, look.cloth, "back hem", tone=tone, puff=3, ground=True)


def finish_hem(scene: Scene, look: Look, kind: str, skirt: Cloth, hem: Points) -> None:
    """Finishes a skirt's hem: `plain`, `border`, `lace`, `ruffle` or `fringe`."""
    if kind == "border":
        scene.inlay(skirt, look.contrast(), joined(moved(hem, 0, 12), hem[::-1] - (0, 36)))
        scene.seam(hem - (0, 36), 0.3, within=skirt)
    elif kind == "lace":
        pale = COLOURS["ivory"] if min(look.base) < 200 else look.trim
        lace(scene, hem * (0.992, 1) - (0, 8), 34, pale)
    elif kind == "ruffle":
        ruffle(scene, look, hem * (0.985, 1) - (0, 12), 46, look.cloth, "hem ruffle", wave=5, pitch=22, flare=1.06)
    elif kind == "fringe":
        fringe(scene, look, hem - (0, 4), 42, look.trim)
    if kind in ("plain", "border"):
        for up in (9, 13):
            scene.stitch(hem - (0, up), within=skirt)


def opening(scene: Scene, look: Look, waist: float, top: float) -> None:
    """Lays the inside of the back, which shows above the front, with its label."""
    back = through((-waist, top - 5), (-waist * 0.4, top - 14), (waist * 0.4, top - 14), (waist, top - 5))
    inside = joined(back, points((waist, top + 22), (-waist, top + 22)))
    scene.cloth(inside, look.plain, "inside", tone=0.55, puff=3, ground=True)
    neck_label(scene, top - 7, 24, 14)


def waistband(
    scene: Scene, material: Material, waist: float, top: float, high: float, *, gathered: bool
) -> tuple[Cloth, Points]:
    """Sews a waistband on, stitched at both edges, and returns it with its upper line."""
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
    cast = Shadow(0, 3, 3, 0.48)
    band = scene.cloth(
        outline,
        material,
        "waistband",
        origin=(0, top),
        folds=folds,
        puff=5,
        crease=0.5,
        shadow=cast,
        tone=1.04,
        ground=True,
    )
    line = through((-waist + 1, top), (0, top + 9), (waist - 1, top))
    for down in (2.0, high - 12):
        scene.stitch(moved(line, 0, down), within=band)
    return band, line
