"""The blazer and the coat, and the jacket that both are cut from."""

from __future__ import annotations

from dataclasses import dataclass

from .geometry import Panel, Point, Points, joined, mirrored, points, rectangle, through
from .layers import Cloth, Shadow
from .materials import Material
from .parts import Sleeve, falling, radiating
from .scene import Scene
from .trims import (
    badge,
    belt,
    bow,
    corsage,
    flap_pocket,
    fringe,
    neck_label,
    patch_pocket,
    pocket_square,
    toggle,
    welt_pocket,
    zip_line,
)

_LEAF = Shadow(2, 4, 4, 0.60)


@dataclass(frozen=True)
class Jacket:
    """A tailored piece on a scene; from shoulder to foot its side runs down the right of the picture."""

    scene: Scene
    shoulder: Point
    armpit: Point
    waist: Point
    foot: Point
    overlap: float  # how far each front reaches beyond the middle, in pixels
    roll: float  # y at which the lapels meet
    hem: float  # y at which it ends, at the foot or above
    rounded: bool = False  # whether the fronts curve away at the hem

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

    def lining(self, *, closed: bool = False) -> None:
        """Lays what shows inside the neck: lining, facing, label."""
        silk = Material(self.scene.look.palette.rgb("third"), "satin")
        back = through((-46, 112), (-24, 102), (0, 99), (24, 102), (46, 112))
        inside = joined(back, points((48, self.roll + 40), (-48, self.roll + 40)))
        self.scene.cloth(inside, "lining", silk, tone=0.66, puff=4, ground=True)
        crest = 104 if closed else 88
        slope = (108 + 3 * crest) / 4
        facing = joined(
            through((-50, 108), (-26, slope), (0, crest), (26, slope), (50, 108)),
            through((40, 134), (20, 126), (0, 124), (-20, 126), (-40, 134)),
        )
        self.scene.cloth(facing, "facing", tone=0.76, puff=5, ground=True, shadow=Shadow(0, 4, 4, 0.5))
        if not closed:
            neck_label(self.scene, 134, 40, 19, (70, 62, 60))

    def sleeve(self, side: int, *, reach: float, end: float) -> tuple[Sleeve, Cloth]:
        """Lays one sleeve."""
        lean = self.scene.look.vary(6.5, 9, "lean", side)
        sleeve = Sleeve(self.scene, side, self.shoulder, self.armpit, lean=lean, reach=reach, end=end, bow=9)
        piece = sleeve.lay(0.98, longest=0.98, bulge=5, puff=11, strength=0.9)
        self.scene.seam(sleeve.panel.along(0.22, 0.25, 0.98), 0.20, within=piece)
        return sleeve, piece

    def front(self, side: int) -> Cloth:
        """Lays one front; the right of the picture (1) lies on top."""
        scene, over, side_seam = self.scene, self.overlap, self.side
        fx, fy = (float(v) for v in side_seam[-1])
        bend = (6.0, self.roll - 90) if self.roll > 250 else (8.0, 134.0)
        edge = joined(points((-over, self.roll + 8)), through((-over, self.roll), bend, (44, 106)))
        if self.rounded:
            low = fy - 84
            foot = through((fx, fy), (fx * 0.6, fy + 8), (fx * 0.28, fy + 7), (8 - over * 0.5, fy - 20), (-over, low))
        else:
            low = fy + 8
            foot = through((fx, fy), (fx * 0.5, fy + 10), (-over, fy + 14))
            # A corner above every hem keeps the edge over it the same, pixel for pixel, whatever the length.
            edge = joined(points((-over, min(540.0, low - 44))), edge)
        outline = joined(points((44, 106), self.shoulder), self.arm, side_seam, foot, edge)
        name = (scene.look.name, "front", side)
        wx, wy = self.waist
        folds = radiating(*self.armpit, 120, 160, 3, 110, *name, side=side, height=3.0)
        headings = (150, 205) if side > 0 else (-20, 30)
        folds += radiating(side * (wx + 4), wy, *headings, 4, 62, *name, "w", height=2.8)
        half = Panel(points((side * 6, wy), (side * 4, self.foot[1])), mirrored(through(self.waist, self.foot), side))
        folds += falling(half, 2, 0.2, 1.0, *name, width=24, height=2.4, soft=6)
        cast = Shadow(-3 if side > 0 else 1, 3, 4, 0.48)
        piece = scene.cloth(mirrored(outline, side), f"front {side}", folds=folds, puff=9, ground=True, shadow=cast)
        scene.seam(mirrored(self.arm, side), 0.42, 1.5, within=piece)
        scene.seam(through((side * 72, 318), (side * 62, 380), (side * 68, 460)), 0.22, within=piece)
        trail = points((-over + 5, max(self.roll, 344) + 10), (-over + 5, low))
        scene.stitch(mirrored(trail, side), within=piece)
        scene.stitch(mirrored(foot - (0, 8), side), within=piece)
        return piece

    def lapel(self, side: int, kind: str, *, size: float) -> None:
        """Turns one lapel back: `notch` or `peak` with half a collar, or a `shawl`, perhaps of `satin` or `fur`."""
        scene, over, roll = self.scene, self.overlap, self.roll
        inside = through((-over, roll), (-8 + over * 0.1, roll - 64), (24, 214), (36, 150), (40, 100))
        if kind in ("shawl", "satin", "fur"):
            upper, middle = (84 * size, 180), (88 * size, 236)
            edge = through((40, 92), (64, 122), upper, middle, (58 * size, roll - 70), (-over, roll))
            facing = {"satin": scene.look.contrast("satin"), "fur": scene.look.contrast("shearling")}.get(kind)
            self._leaf(side, joined(inside, edge), edge, facing, puff=12, tone=1.10)
            return
        if kind == "peak":
            out = through((120 * size, 158), (112 * size, 222), (74 * size, roll - 84), (-over, roll))
            gorge, tip = points((52, 178), (64, 186)), points((92, 146), (60, 178))
            hole = points((78 * size, 178), (94 * size, 171))
        else:
            out = through((104 * size, 194), (100 * size, 240), (66 * size, roll - 76), (-over, roll))
            gorge, tip = points((52, 176), (60, 180)), points((90, 150), (62, 178))
            hole = points((74 * size, 197), (92 * size, 203))
        leaf = self._leaf(side, joined(inside, gorge, out), joined(gorge[1:], out), puff=11, tone=1.12)
        half = joined(through((38, 92), (50, 100), (72, 126)), tip, through((52, 172), (40, 138), (34, 108)))
        collar = scene.cloth(
            mirrored(half, side), f"collar {side}", angle=side * 0.6, puff=7, shadow=_LEAF, tone=1.10, crease=0.5
        )
        scene.stitch(mirrored(points((70, 130), (85, 150), (62, 172)), side), within=collar)
        if side > 0:
            scene.seam(hole, 0.6, 2.2, within=leaf)

    def _leaf(
        self, side: int, outline: Points, edge: Points, material: Material | None = None, *, puff: int, tone: float
    ) -> Cloth:
        leaf = self.scene.cloth(
            mirrored(outline, side),
            f"lapel {side}",
            material,
            angle=side * 0.3,
            puff=puff,
            shadow=_LEAF,
            tone=tone,
            origin=(side * 60, 170),
            crease=0.7,
        )
        self.scene.stitch(mirrored(edge * 0.955 + (0, 8), side), within=leaf)
        return leaf

    def buttons(self, layout: str, *, radius: float, pitch: float, start: float) -> None:
        """Sews the front's buttons on: `single N` or `double N`."""
        kind, _, number = layout.partition(" ")
        count = int(number) if kind == "single" else int(number) // 2
        for n in range(count):
            y = start + n * pitch
            if kind == "double":
                for x in (-self.overlap + 18, self.overlap - 12):
                    self.scene.button(x, y, radius)
            else:
                self.scene.seam(points((-self.overlap + 2, y), (-self.overlap + 16, y)), 0.45, 2.0)
                self.scene.button(0, y, radius)

    def epaulettes(self) -> None:
        """Buttons straps down on both shoulders."""
        scene, (sx, sy) = self.scene, self.shoulder
        half = points((sx - 2, sy - 1), (sx - 52, sy - 20), (sx - 64, sy - 6), (sx - 54, sy + 10), (sx - 4, sy + 30))
        for n in (-1, 1):
            strap, cast = mirrored(half, n), Shadow(2, 4, 2, 0.55)
            scene.cloth(strap, f"epaulette {n}", puff=5, shadow=cast, angle=n * 0.3, tone=1.12)
            scene.stitch(strap * 0.86 + (n * (sx - 32) * 0.14, (sy + 2) * 0.14))
            scene.button(n * (sx - 48), sy - 3, 7)


BLAZER: dict[str, dict[str, str]] = {
    "lapels": {
        "notch": "Notch lapels of medium width",
        "peak": "Peak lapels with pointed tips",
        "shawl": "A smooth shawl lapel without a notch",
        "satin": "A shawl lapel faced with {trim} satin",
    },
    "buttons": {
        "single 1": "A single button at the waist",
        "single 3": "Three buttons in one row",
        "double 2": "Two buttons side by side at the waist",
        "double 4": "Four buttons in two rows",
        "double 6": "Six buttons in two rows",
    },
    "hip pockets": {
        "none": "A front without hip pockets",
        "flap": "Two flap pockets at the hips",
        "patch": "Two large patch pockets at the hips",
        "contrast": "Two {trim} flaps on the hip pockets",
    },
    "chest pocket": {
        "none": "A clean chest without a pocket",
        "welt": "A welt pocket on the chest",
        "square": "A {trim} pocket square in the chest pocket",
        "crest": "A round embroidered crest on the chest",
    },
    "ticket pocket": {
        "none": "No ticket pocket above the hip pocket",
        "flap": "A small flap ticket pocket above the hip",
    },
    "lapel flower": {"none": "A bare lapel", "rose": "A {trim} fabric rose pinned to the lapel"},
    "cuffs": {
        "buttons": "Cuffs with four buttons each",
        "plain": "Plain cuffs without buttons",
        "turned": "Turned-back {trim} cuffs",
    },
    "elbows": {"plain": "Plain elbows", "patches": "Oval {trim} elbow patches"},
    "waist": {
        "none": "An unbelted waist",
        "belt": "A {trim} leather belt with a metal buckle at the waist",
        "self": "A self-fabric belt with a buckle at the waist",
    },
    "shoulders": {"plain": "Plain padded shoulders", "epaulettes": "Buttoned epaulettes on the shoulders"},
    "hem": {"plain": "A plain hem", "border": "A {trim} border along the hem"},
}


def draw_blazer(scene: Scene) -> None:
    """Draws the blazer."""
    look, design = scene.look, scene.design
    wide, deep = look.vary(-6, 8, "width"), look.vary(-20, 22, "length")
    deep += {"cropped": -88.0, "long": 66.0}.get(design.get("length", ""), 0.0)
    double = look.design["buttons"].startswith("double")
    jacket = Jacket(
        scene,
        shoulder=(124 + wide * 0.5, 138.0),
        armpit=(142.0 + wide, 262.0),
        waist=(120 + wide + look.vary(-4, 6, "waist"), 388.0),
        foot=(144 + wide, 596 + deep),
        overlap=44.0 if double else 13.0,
        roll=look.vary(366, 392, "roll"),
        hem=596 + deep,
        rounded=not double and look.vary(0, 1, "fronts") < 0.75,
    )
    jacket.lining()
    for n in (-1, 1):
        _blazer_sleeve(scene, jacket, n)
    for n in (-1, 1):
        front = jacket.front(n)
        if design["hem"] == "border":
            x, y = jacket.foot
            scene.inlay(front, rectangle(-220, y - 40, 220, y + 40), name="hem")
            scene.seam(points((-x - 6, y - 40), (x + 6, y - 40)), 0.3, within=front)
        _blazer_pockets(scene, n, jacket.foot[1] - 118)
        jacket.lapel(n, design["lapels"], size=look.vary(0.94, 1.06, "lapel"))
    jacket.buttons(design["buttons"], radius=10.5, pitch=60 if double else 54, start=jacket.roll + 26)
    if design["waist"] != "none":
        x, y = jacket.waist[0] + 1, jacket.waist[1] + 26
        strap = look.contrast("satin") if design["waist"] == "belt" else look.cloth
        belt(scene, through((-x, y - 2), (0, y + 5), (x, y - 2)), 27, strap)
    if design["lapel flower"] == "rose":
        corsage(scene, 66, 226, 25)
    if design["shoulders"] == "epaulettes":
        jacket.epaulettes()


def _blazer_sleeve(scene: Scene, jacket: Jacket, side: int) -> None:
    sleeve, piece = jacket.sleeve(side, reach=452, end=62)
    if scene.design["elbows"] == "patches":
        sleeve.elbow_patch(piece, 0.55)
    value = scene.design["cuffs"]
    if value == "turned":
        cuff = sleeve.cuff(0.845, 0.99, name="turn-up", spread=0.05, bulge=5)
        scene.inlay(cuff, sleeve.panel.section(0.8, 1.0, spread=0.3), name="cuffs")
        scene.stitch(sleeve.line(0.86, bulge=5), within=cuff)
    elif value == "buttons":
        for n in range(4):
            scene.button(*sleeve.panel.at(0.17, 0.935 - 0.036 * n), 6.4)


def _blazer_pockets(scene: Scene, side: int, y: float) -> None:
    value = scene.design["hip pockets"]
    if value in ("flap", "contrast"):
        flap_pocket(scene, side * 86, y, 82, 36, lean=side * -0.05, contrast=value == "contrast")
    elif value == "patch":
        patch_pocket(scene, side * 84, y - 14, 92, 106, lean=side * -0.03)
    if side < 0:
        return
    if scene.design["ticket pocket"] == "flap":
        flap_pocket(scene, 88, y - 48, 60, 27, lean=-0.05)
    value = scene.design["chest pocket"]
    if value == "square":
        pocket_square(scene, 92, 272, 48, lean=-0.10)
    if value in ("welt", "square"):
        welt_pocket(scene, 92, 274, 60, 17, lean=-0.10)
    elif value == "crest":
        badge(scene, 98, 290, 27, ("star", "anchor", "sun"), "crest")


COAT: dict[str, dict[str, str]] = {
    "collar": {
        "notch": "Broad notch lapels",
        "peak": "Broad peak lapels",
        "fur": "A {trim} shearling shawl collar",
        "funnel": "A high funnel collar closed up to the chin",
        "round": "A flat round collar closed at the neck",
    },
    "closure": {
        "single 3": "Three large buttons in one row",
        "double 6": "Six large buttons in two rows",
        "toggles": "Three horn toggles with leather loops",
        "zip": "A metal zip down the front",
    },
    "pockets": {
        "none": "A front without pockets",
        "welt": "Two slanted welt pockets",
        "flap": "Two flap pockets at the hips",
        "patch": "Two large patch pockets",
        "contrast": "Two {trim} patch pockets",
    },
    "chest": {
        "none": "A clean chest",
        "storm flap": "A buttoned storm flap over one shoulder",
        "welt": "A welt pocket on the chest",
        "rose": "A {trim} fabric rose pinned to the chest",
    },
    "belt": {
        "none": "An unbelted waist",
        "buckle": "A belt with a metal buckle at the waist",
        "contrast": "A {trim} leather belt with a metal buckle",
        "tied": "A self-fabric sash tied in a bow at the waist",
    },
    "shoulders": {"plain": "Plain shoulders", "epaulettes": "Buttoned epaulettes on the shoulders"},
    "cuffs": {
        "plain": "Plain cuffs",
        "strap": "Cuffs with a buttoned strap",
        "turned": "Turned-back {trim} cuffs",
        "fur": "{Trim} shearling cuffs",
    },
    "hem": {
        "plain": "A plain hem",
        "border": "A {trim} border along the hem",
        "fur": "{Trim} shearling along the hem",
        "fringe": "A {trim} fringe along the hem",
    },
    "length": {"knee": "A length down to the knee", "thigh": "A shorter length that ends on the thigh"},
}


def draw_coat(scene: Scene) -> None:
    """Draws the coat."""
    look, design = scene.look, scene.design
    wide, flare = look.vary(-5, 8, "width"), look.vary(-10, 10, "flare")
    closed = design["collar"] in ("funnel", "round")
    jacket = Jacket(
        scene,
        shoulder=(116 + wide * 0.5, 136.0),
        armpit=(134.0 + wide, 258.0),
        waist=(126 + wide + look.vary(-7, 5, "waist"), 392.0),
        foot=(160 + wide + flare, 706.0),
        overlap=46.0,
        roll=152.0 if closed else 344.0,
        hem={"knee": 706.0, "hip": 612.0}.get(design["length"], 648.0),
    )
    jacket.lining(closed=closed)
    for n in (-1, 1):
        _coat_sleeve(scene, jacket, n)
    x, y = (float(v) for v in jacket.side[-1])
    for n in (-1, 1):
        front = jacket.front(n)
        if design["hem"] in ("border", "fur"):
            cloth = look.contrast("shearling" if design["hem"] == "fur" else None)
            scene.inlay(front, rectangle(-230, y - 46, 230, y + 40), cloth, name="hem")
            scene.seam(points((-x - 8, y - 46), (x + 8, y - 46)), 0.4, 1.6, within=front)
        _coat_pockets(scene, n)
        if n > 0:
            _chest(scene)
        if not closed:
            jacket.lapel(n, design["collar"], size=1.1)
    if design["hem"] == "fringe":
        fringe(scene, through((-x, y - 10), (0, y), (x, y - 10)), 44)
    _closure(scene, jacket)
    if closed:
        _closed_collar(scene)
    if design["chest"] == "rose":
        corsage(scene, 96, 258, 27)
    _coat_belt(scene, jacket.waist[0] + 2, jacket.waist[1] + 34)
    if design["shoulders"] == "epaulettes":
        jacket.epaulettes()


def _coat_sleeve(scene: Scene, jacket: Jacket, side: int) -> None:
    sleeve, _ = jacket.sleeve(side, reach=462, end=70)
    value = scene.design["cuffs"]
    if value == "strap":
        band = sleeve.cuff(0.84, 0.895, name="strap", spread=0.03, bulge=4)
        for t in (0.852, 0.882):
            scene.stitch(sleeve.line(t, 4), within=band)
        scene.button(*sleeve.panel.at(0.24, 0.872), 8)
    elif value != "plain":
        cloth = scene.look.contrast("shearling" if value == "fur" else None)
        outline, cast = sleeve.panel.section(0.84, 0.99, bulge=(5, 5), spread=0.08), Shadow(1, 3, 3, 0.45)
        scene.cloth(outline, f"turn-up {side}", cloth, angle=sleeve.lean, puff=7, shadow=cast, ground=True)


def _coat_pockets(scene: Scene, side: int) -> None:
    value = scene.design["pockets"]
    if value == "welt":
        welt_pocket(scene, side * 88, 476, 92, 22, lean=side * 1.16)
    elif value == "flap":
        flap_pocket(scene, side * 84, 500, 82, 42, lean=side * -0.06)
    elif value != "none":
        patch_pocket(scene, side * 86, 494, 84, 104, lean=side * -0.04, contrast=value == "contrast")


def _closure(scene: Scene, jacket: Jacket) -> None:
    value = scene.design["closure"]
    if value == "zip":
        zip_line(scene, points(*((-37.0, y) for y in range(352, 622, 10))), width=13, pull=0.05)
    elif value == "toggles":
        for n in range(3):
            toggle(scene, -6, 386 + n * 74, 50)
    else:
        jacket.buttons(value, radius=13, pitch=74, start=384)


def _closed_collar(scene: Scene) -> None:
    if scene.design["closure"] != "single 0":
        for y in (206, 280):
            scene.button(0, y, 13)
    if scene.design["collar"] == "funnel":
        half = joined(
            points((-9, 186), (-6, 112)),
            through((-6, 112), (20, 108), (50, 92)),
            through((58, 98), (64, 122), (60, 150)),
            through((60, 150), (30, 176), (-9, 186)),
        )
        inner = half * 0.92 + (3.0, 10.0)
    else:
        half = joined(
            through((44, 98), (30, 130), (1, 154)),
            through((1, 154), (20, 196), (62, 204), (96, 176), (84, 130), (46, 94)),
        )
        inner = half * 0.92 + (4.0, 12.0)
    for n in (-1, 1):
        leaf = scene.cloth(
            mirrored(half, n),
            f"collar {n}",
            puff=9,
            shadow=_LEAF,
            angle=n * 0.4,
            tone=1.12,
            ground=True,
            crease=0.6,
        )
        scene.stitch(mirrored(inner, n), within=leaf)


def _chest(scene: Scene) -> None:
    value = scene.design["chest"]
    if value == "storm flap":
        flap = joined(
            points((66, 116), (116, 138)),
            through((118, 170), (120, 222), (126, 256)),
            through((126, 262), (104, 288), (66, 292)),
            through((66, 292), (62, 240), (66, 116)),
        )
        piece = scene.cloth(flap, "storm flap", puff=7, shadow=Shadow(1, 5, 4, 0.6), tone=1.08)
        scene.stitch(through((120, 258), (100, 280), (70, 285)), within=piece)
        scene.button(82, 272, 9)
    elif value == "welt":
        welt_pocket(scene, 92, 284, 58, 20, lean=-0.14)


def _coat_belt(scene: Scene, x: float, y: float) -> None:
    look, value = scene.look, scene.design["belt"]
    if value == "none":
        return
    line = through((-x, y - 3), (0, y + 6), (x, y - 3))
    if value == "tied":
        belt(scene, line, 30, look.cloth, buckle=False)
        bow(scene, -8, y + 6, 52, look.cloth)
        return
    belt(scene, line, 32, look.contrast("satin") if value == "contrast" else look.cloth)
    for n in (-1, 1):
        loop = mirrored(rectangle(92, y - 22, 101, y + 24), n)
        scene.cloth(loop, "loop", puff=3, shadow=Shadow(1, 2, 2, 0.5), tone=1.08)
