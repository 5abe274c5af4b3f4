"""Sleeves: a tube from the armhole to the hem."""

from __future__ import annotations

import math

from .cloth import Cloth, Fold, Shadow
from .folds import bending, falling, radiating
from .geometry import Panel, Points, joined, mirrored, points, ribbon, through
from .look import Look
from .scene import Scene


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
        shoulder: tuple[float, float],
        armpit: tuple[float, float],
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
        origin: tuple[float, float] | None = None,
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

    def line(self, t: float, bulge: float = 3.0, start: float = 0.0, stop: float = 1.0) -> Points:
        """Returns a line round the sleeve at t."""
        return self.panel.cross(t, bulge=bulge, start=start, stop=stop)

    def band(self, start: float, stop: float, bulge: float = 3.0) -> Points:
        """Returns the outline of a band round the sleeve, a little wider than the sleeve."""
        return self.panel.section(start, stop, bulge=(bulge, bulge), spread=0.10)

    def stripe(self, s: float, width: float, start: float, stop: float) -> Points:
        """Returns the outline of a stripe down the sleeve."""
        return ribbon(self.panel.along(s, start, stop), width)

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
