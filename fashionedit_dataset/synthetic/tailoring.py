"""What blazer and coat share: structured fronts, linings, lapels, set-in sleeves, buttons."""

from __future__ import annotations

from dataclasses import dataclass

from .cloth import Cloth, Material, Shadow
from .folds import falling, radiating
from .geometry import Panel, Points, circle, joined, mirrored, points, through
from .look import Look
from .motifs import neck_label
from .palette import COLOURS, brightness
from .patterns import Colour
from .scene import Scene
from .sleeves import Sleeve

LEAF = Shadow(2, 4, 4, 0.60)


def button_colour(look: Look) -> tuple[Colour, str]:
    """Returns colour and make of the garment's buttons: always clear against its cloth."""
    light = brightness(look.base) > 120
    dark = (("chocolate", "horn"), ("tobacco", "horn"), ("black", "horn"))
    pale = (("camel", "horn"), ("mustard", "metal"), ("dove", "metal"), ("sand", "horn"))
    name, make = (dark if light else pale)[int(look.vary(0, 2.999 if light else 3.999, "buttons"))]
    return COLOURS[name], make


@dataclass(frozen=True)
class Jacket:
    """The measures of a tailored piece, on the right of the picture.

    Args:
        shoulder, armpit, waist, foot: Where the side runs.
        overlap: How far each front reaches beyond the middle, in pixels.
        roll: y at which the lapels meet.
        hem: y at which it ends, at the foot or above.
        rounded: Whether the fronts curve away at the hem.
    """

    shoulder: tuple[float, float]
    armpit: tuple[float, float]
    waist: tuple[float, float]
    foot: tuple[float, float]
    overlap: float
    roll: float
    hem: float
    rounded: bool

    @property
    def arm(self) -> Points:
        """The armhole."""
        (sx, sy), (ax, ay) = self.shoulder, self.armpit
        return through(self.shoulder, (sx + 1, sy + 34), (sx + 2, ay - 42), (ax, ay))

    @property
    def side(self) -> Points:
        """The side seam, down to the hem."""
        middle = ((self.waist[0] + self.foot[0]) / 2 + 3, (self.waist[1] + self.foot[1]) / 2)
        whole = through(self.armpit, self.waist, middle, self.foot)
        return whole[whole[:, 1] <= self.hem + 0.5]

    def lining(self, scene: Scene, look: Look, closed: bool = False) -> None:
        """Lays what shows inside the neck: lining, facing, label."""
        silk = Material(look.palette.rgb("third"), "satin")
        deep = self.roll + 40
        back = through((-46, 112), (-24, 102), (0, 99), (24, 102), (46, 112))
        scene.cloth(joined(back, points((48, deep), (-48, deep))), silk, "lining", tone=0.66, puff=4, ground=True)
        crest = 104 if closed else 88
        facing = joined(
            through((-50, 108), (-26, (108 + 3 * crest) / 4), (0, crest), (26, (108 + 3 * crest) / 4), (50, 108)),
            through((40, 134), (20, 126), (0, 124), (-20, 126), (-40, 134)),
        )
        scene.cloth(facing, look.cloth, "facing", tone=0.76, puff=5, ground=True, shadow=Shadow(0, 4, 4, 0.5))
        if not closed:
            neck_label(scene, 134, 40, 19, (70, 62, 60))

    def sleeve(self, scene: Scene, look: Look, side: int, *, reach: float, end: float) -> tuple[Sleeve, Cloth]:
        """Lays one sleeve."""
        sleeve = Sleeve(
            side, self.shoulder, self.armpit, lean=look.vary(6.5, 9, "lean", side), reach=reach, end=end, bow=9
        )
        piece = sleeve.lay(scene, look, 0.98, longest=0.98, bulge=5, puff=11, strength=0.9)
        scene.seam(sleeve.panel.along(0.22, 0.25, 0.98), 0.20, within=piece)
        return sleeve, piece

    def cuff_buttons(self, scene: Scene, sleeve: Sleeve, count: int, colour: Colour, make: str) -> None:
        """Sews buttons on above the sleeve's hem."""
        for n in range(count):
            x, y = sleeve.panel.at(0.17, 0.935 - 0.036 * n)
            scene.button(x, y, 6.4, colour, make)

    def elbow_patch(self, scene: Scene, look: Look, sleeve: Sleeve, piece: Cloth) -> None:
        """Sews an elbow patch on."""
        x, y = sleeve.panel.at(0.45, 0.55)
        scene.cloth(
            circle(x, y, 21, squash=1.7),
            Material(look.trim, "corduroy"),
            "elbow",
            puff=3,
            shadow=Shadow(1, 2, 2, 0.42),
            within=sleeve.outline(0.98),
            angle=sleeve.lean,
        )
        scene.stitch(circle(x, y, 17, squash=1.8, count=49), look.base, within=piece)

    def front(self, scene: Scene, look: Look, side: int) -> Cloth:
        """Lays one front; the right of the picture (1) lies on top."""
        over, side_seam = self.overlap, self.side
        fx, fy = (float(v) for v in side_seam[-1])
        bend = (6.0, self.roll - 90) if self.roll > 250 else (8.0, 134.0)
        if self.rounded:
            foot = through(
                (fx, fy), (fx * 0.6, fy + 8), (fx * 0.28, fy + 7), (8 - over * 0.5, fy - 20), (-over, fy - 84)
            )
        else:
            foot = through((fx, fy), (fx * 0.5, fy + 10), (-over, fy + 14))
        edge = joined(points((-over, self.roll + 8)), through((-over, self.roll), bend, (44, 106)))
        if not self.rounded:
            # A corner above every hem keeps the edge over it the same, pixel for pixel, whatever the length.
            edge = joined(points((-over, 540)), edge)
        outline = joined(points((44, 106), self.shoulder), self.arm, side_seam, foot, edge)
        name = (look.name, "front", side)
        (ax, ay), (wx, wy) = self.armpit, self.waist
        folds = radiating(side * ax, ay, 120 if side > 0 else 20, 160 if side > 0 else 60, 3, 110, *name, height=3.0)
        folds += radiating(
            side * (wx + 4), wy, 150 if side > 0 else -20, 205 if side > 0 else 30, 4, 62, *name, "w", height=2.8
        )
        half = Panel(
            points((side * 6, self.waist[1]), (side * 4, self.foot[1])), mirrored(through(self.waist, self.foot), side)
        )
        folds += falling(half, 2, 0.2, 1.0, *name, width=24, height=2.4, soft=6)
        piece = scene.cloth(
            mirrored(outline, side),
            look.cloth,
            f"front {side}",
            folds=folds,
            puff=9,
            ground=True,
            shadow=Shadow(-3 if side > 0 else 1, 3, 4, 0.48),
        )
        scene.seam(mirrored(self.arm, side), 0.42, 1.5, within=piece)
        dart = through((side * 72, 318), (side * 62, 380), (side * 68, 460))
        scene.seam(dart, 0.22, within=piece)
        trail = joined(
            points((-over + 5, max(self.roll, 344) + 10)), points((-over + 5, fy - 84 if self.rounded else fy + 8))
        )
        scene.stitch(mirrored(trail, side), within=piece)
        scene.stitch(mirrored(foot - (0, 8), side), within=piece)
        return piece

    def lapel(
        self, scene: Scene, look: Look, side: int, kind: str, *, size: float = 1.0, collar: Material | None = None
    ) -> None:
        """Turns one lapel and its half of the collar back: `notch`, `peak` or `shawl`."""
        cloth = look.cloth
        over, roll = self.overlap, self.roll
        inside = through((-over, roll), (-8 + over * 0.1, roll - 64), (24, 214), (36, 150), (40, 100))
        if kind == "shawl":
            silk = collar or cloth
            edge = through(
                (40, 92), (64, 122), (84 * size, 180), (88 * size, 236), (58 * size, roll - 70), (-over, roll)
            )
            leaf = scene.cloth(
                mirrored(joined(inside, edge), side),
                silk,
                f"lapel {side}",
                angle=side * 0.3,
                puff=12,
                shadow=LEAF,
                tone=1.10,
                origin=(side * 60, 170),
                crease=0.7,
            )
            scene.stitch(mirrored(edge * 0.955 + (0, 8), side), within=leaf)
            return
        if kind == "peak":
            out = through((120 * size, 158), (112 * size, 222), (74 * size, roll - 84), (-over, roll))
            gorge = points((52, 178), (64, 186))
        else:
            out = through((104 * size, 194), (100 * size, 240), (66 * size, roll - 76), (-over, roll))
            gorge = points((52, 176), (60, 180))
        leaf = scene.cloth(
            mirrored(joined(inside, gorge, out), side),
            cloth,
            f"lapel {side}",
            angle=side * 0.3,
            puff=11,
            shadow=LEAF,
            tone=1.12,
            origin=(side * 60, 170),
            crease=0.7,
        )
        scene.stitch(mirrored(joined(gorge[1:], out) * 0.955 + (0, 8), side), within=leaf)
        leafs = collar or cloth
        tip = points((90, 150), (62, 178)) if kind == "notch" else points((92, 146), (60, 178))
        half = joined(through((38, 92), (50, 100), (72, 126)), tip, through((52, 172), (40, 138), (34, 108)))
        part = scene.cloth(
            mirrored(half, side), leafs, f"collar {side}", angle=side * 0.6, puff=7, shadow=LEAF, tone=1.10, crease=0.5
        )
        scene.stitch(mirrored(points((70, 130), (85, 150), (62, 172)), side), within=part)
        if side > 0:
            hole = (
                points((78 * size, 178), (94 * size, 171))
                if kind == "peak"
                else points((74 * size, 197), (92 * size, 203))
            )
            scene.seam(hole, 0.6, 2.2, within=leaf)

    def buttons(self, scene: Scene, look: Look, layout: str, *, radius: float, pitch: float, start: float) -> None:
        """Sews the front's buttons on: `single N` or `double N`."""
        kind, _, number = layout.partition(" ")
        colour, make = button_colour(look)
        count = int(number) if kind == "single" else int(number) // 2
        for n in range(count):
            y = start + n * pitch
            if kind == "double":
                for x in (-self.overlap + 18, self.overlap - 12):
                    scene.button(x, y, radius, colour, make)
            else:
                scene.seam(points((-self.overlap + 2, y), (-self.overlap + 16, y)), 0.45, 2.0)
                scene.button(0, y, radius, colour, make)

    def epaulettes(self, scene: Scene, look: Look) -> None:
        """Buttons straps down on both shoulders."""
        colour, make = button_colour(look)
        sx, sy = self.shoulder
        for n in (-1, 1):
            strap = mirrored(
                points((sx - 2, sy - 1), (sx - 52, sy - 20), (sx - 64, sy - 6), (sx - 54, sy + 10), (sx - 4, sy + 30)),
                n,
            )
            scene.cloth(
                strap, look.cloth, f"epaulette {n}", puff=5, shadow=Shadow(2, 4, 2, 0.55), angle=n * 0.3, tone=1.12
            )
            scene.stitch(strap * 0.86 + (n * (sx - 32) * 0.14, (sy + 2) * 0.14))
            scene.button(n * (sx - 48), sy - 3, 7, colour, make)
