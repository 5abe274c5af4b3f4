"""The trousers."""

from __future__ import annotations

from .geometry import Panel, circle, joined, mirrored, moved, points, rectangle, ribbon, through
from .layers import Shadow
from .materials import Colour, Material
from .parts import bending, falling, opening, radiating, waistband
from .scene import Scene
from .trims import badge, belt, cord, embroidery, flap_pocket, label, patch_pocket, slant_pocket, zip_line

TROUSERS: dict[str, dict[str, str]] = {
    "waistband": {
        "button": "A waistband with belt loops and one button",
        "contrast": "A {trim} contrast waistband",
        "elastic": "An elasticated, gathered waistband",
    },
    "waist detail": {
        "none": "A waist without belt or cord",
        "belt": "A {trim} leather belt with a metal buckle",
        "drawstring": "A {trim} drawstring with metal tips",
    },
    "front pockets": {
        "slant": "Two slanted, top-stitched front pockets",
        "patch": "Two patch pockets on the front",
        "contrast": "Two {trim} patch pockets on the front",
        "zip": "Two zipped front pockets",
    },
    "leg pockets": {
        "none": "Legs without cargo pockets",
        "cargo": "A cargo pocket with a flap on each thigh",
        "contrast": "A {trim} cargo pocket on each thigh",
        "flap": "A flap pocket on each thigh",
    },
    "knees": {
        "plain": "Plain knees",
        "patches": "{Trim} patches over the knees",
        "quilted": "Quilted knee panels with rows of stitching",
    },
    "side stripe": {
        "none": "Plain side seams",
        "one": "A {trim} stripe down the right side seam",
    },
    "hems": {
        "plain": "Plain stitched hems",
        "turn-up": "Deep turn-ups at the hems",
        "band": "{Trim} bands at the hems",
        "ribbed": "Ribbed cuffs at the hems",
        "zip": "Zips at the hems",
    },
    "length": {"full": "Full-length legs", "ankle": "Cropped legs that end above the ankle"},
    "fly": {"plain": "A stitched zip fly", "buttons": "A fly closed with four visible buttons"},
    "decoration": {
        "none": "Legs without decoration",
        "spray": "An embroidered floral spray on the lower leg",
        "badge": "A round embroidered badge on the lower leg",
        "label": "A woven {trim} label on the lower leg",
    },
}

_LEGS = {"slim": (60.0, 76.0), "straight": (74.0, 84.0), "wide": (102.0, 96.0)}
"""Width of a leg at the hem and at the knee, in pixels, by cut."""

_LENGTHS = {"full": 0.985, "ankle": 0.885, "calf": 0.74, "knee": 0.59, "short": 0.44}
"""Where a leg ends, as a share of the longest; the control set has the first two."""

_METAL: Colour = (206, 200, 186)


def draw_trousers(scene: Scene) -> None:
    """Draws the trousers."""
    look = scene.look
    end, knee = _LEGS[look.pick(tuple(_LEGS), "cut")]
    waist, top, apart = 92.0 + look.vary(-3, 6, "waist"), 84.0, look.vary(14, 22, "apart")
    hip = waist + 30
    low = ((apart + knee + 26, 430), (apart + end + 26, 704))
    outer = through((waist - 2, top + 10), (hip - 6, top + 86), (hip + 4, top + 180), *low)
    inner = through((5, top + 184), (apart * 0.5 + 4, 330), (apart + 6, 450), (apart + 22, 704))
    inner = joined(points((-4, top + 10), (-4, top + 178)), inner)
    opening(scene, waist, top)
    for n in (-1, 1):
        leg = _Leg(scene, n, Panel(mirrored(inner, n), mirrored(outer, n)), top)
        leg.stripe()
        leg.front_pocket(waist, top)
        leg.pocket()
        leg.knee()
        leg.hem()
        if n < 0:
            leg.decoration()
    scene.seam(points((-3, top + 26), (-3, top + 192)), 0.5, 1.8)
    curve = through((20, top + 118), (16, top + 138), (0, top + 148))
    scene.stitch(joined(points((20, top + 28), (20, top + 118)), curve), _thread(scene))
    if scene.design["fly"] == "buttons":
        for n in range(4):
            scene.button(8, top + 46 + 26 * n, 8.5)
    _waist(scene, waist, top)


def _thread(scene: Scene) -> Colour | None:
    """Returns the colour of the seams' stitches: denim is sewn in contrast, other cloth tone in tone."""
    return scene.look.thread if scene.look.cloth.fabric == "denim" else None


class _Leg:
    """One leg, laid on the scene; `panel` runs from its inner (s = 0) to its outer edge, from waist to hem."""

    def __init__(self, scene: Scene, side: int, panel: Panel, top: float) -> None:
        self.scene, self.side, self.panel, self.design = scene, side, panel, scene.design
        self.long = long = _LENGTHS.get(scene.design["length"], 0.885)
        name = (scene.look.name, "leg", side)
        folds = radiating(6, top + 186, 25, 75, 4, 92, *name, side=side, height=3.8)
        folds += bending(panel, 0.60, 4, *name, "knee", height=3.0)
        folds += falling(panel, 2, 0.36, 1.0, *name, width=17, height=2.8, soft=5)
        folds += bending(panel, 0.90, 3, *name, "ankle", height=3.0)
        self.piece = scene.cloth(
            joined(panel.along(0, 0, long), panel.cross(long, bulge=5), panel.along(1, 0, long)[::-1]),
            f"leg {side}",
            angle=side * -0.04,
            origin=panel.at(0.5, 0.0),
            folds=folds,
            puff=11,
            ground=True,
            shadow=Shadow(-2 * side, 3, 3, 0.36),
        )
        if scene.look.vary(0, 1, "crease") < 0.5:
            scene.seam(panel.along(0.5, 0.14, long), 0.16, within=self.piece)
        scene.seam(panel.along(0.965, 0.05, long), 0.16, within=self.piece)

    def stripe(self) -> None:
        if self.design["side stripe"] == "one" and self.side > 0:
            low = min(0.84, self.long)
            self.scene.inlay(self.piece, ribbon(self.panel.along(0.86, 0.02, low), 15), name="side stripe")
            for s in (0.86 - 0.085, 0.86 + 0.085):
                self.scene.stitch(self.panel.along(s, 0.04, low), within=self.piece)

    def front_pocket(self, waist: float, top: float) -> None:
        scene, side, value = self.scene, self.side, self.design["front pockets"]
        if value == "slant":
            cut = through((waist - 30, top + 22), (waist - 16, top + 58), (waist + 15, top + 98))
            bag = joined(cut[:1], cut, points((waist + 40, top + 60), (waist + 20, top + 10)))
            scene.inlay(self.piece, mirrored(bag, side), scene.look.plain(), tone=0.86, name="inside")
            slant_pocket(scene, mirrored(cut, side))
        elif value == "zip":
            line = through((waist - 32, top + 36), (waist - 20, top + 70), (waist + 1, top + 116))
            zip_line(scene, mirrored(line, side), width=12)
        elif value != "none":
            contrast, thread = value == "contrast", scene.look.thread
            patch_pocket(scene, side * 64, top + 46, 68, 78, lean=side * -0.10, contrast=contrast, thread=thread)

    def pocket(self) -> None:
        value, lean = self.design["leg pockets"], self.panel.lean(0.45)
        x, y = self.panel.at(0.60, 0.43)
        if value == "flap" and self.long > 0.5:
            flap_pocket(self.scene, x, y, 76, 40, lean=lean)
        elif value != "none" and self.long > 0.6:
            contrast, (button, _) = value == "contrast", self.scene.look.buttons
            patch_pocket(
                self.scene, x, y, 70, 86, lean=lean, flap=True, foot="square", contrast=contrast, button=button
            )

    def knee(self) -> None:
        scene, panel, value = self.scene, self.panel, self.design["knees"]
        part, cast = panel.section(0.585, 0.70, bulge=(3, 3), spread=-0.06), Shadow(1, 2, 2, 0.42)
        if self.long < 0.72:
            return
        if value == "patches":
            cloth = scene.look.contrast()
            piece = scene.cloth(part, f"knee {self.side}", cloth, puff=4, shadow=cast, angle=self.side * -0.04)
            scene.stitch(panel.section(0.593, 0.692, bulge=(3, 3), spread=-0.10), within=piece)
        elif value == "quilted":
            scene.cloth(part, f"knee {self.side}", puff=4, shadow=cast, tone=1.08, crease=0.4)
            for k in range(6):
                scene.seam(panel.cross(0.598 + 0.0178 * k, bulge=3, start=0.08, stop=0.92), 0.42, 1.6)

    def hem(self) -> None:
        scene, panel, side, long, value = self.scene, self.panel, self.side, self.long, self.design["hems"]
        if value == "turn-up":
            outline, cast = panel.section(long - 0.085, long + 0.004, bulge=(5, 5), spread=0.03), Shadow(1, 4, 3, 0.5)
            piece = scene.cloth(outline, f"turn-up {side}", angle=1.57, puff=5, shadow=cast, ground=True, tone=1.10)
            scene.stitch(panel.cross(long - 0.015, bulge=5), within=piece)
            return
        if value == "ribbed":
            outline, cast = panel.section(long - 0.075, long + 0.014, bulge=(4, 4), spread=-0.06), Shadow(1, 2, 2, 0.45)
            rib = scene.look.plain("rib")
            scene.cloth(outline, f"rib {side}", rib, puff=5, shadow=cast, ground=True, tone=0.94)
            scene.seam(panel.cross(long - 0.075, bulge=4), 0.5, 2.0)
            return
        if value == "band":
            scene.inlay(self.piece, panel.section(long - 0.075, long + 0.02, bulge=(5, 9), spread=0.15), name="hem")
            scene.seam(panel.cross(long - 0.075, bulge=5), 0.34, within=self.piece)
        elif value == "zip":
            zip_line(scene, panel.along(0.72, long - 0.16, long - 0.005), width=12)
        for up in (0.022, 0.030):
            scene.stitch(panel.cross(long - up, bulge=5), _thread(scene), within=self.piece)

    def decoration(self) -> None:
        value, (x, y) = self.design["decoration"], self.panel.at(0.5, min(0.785, self.long - 0.1))
        if value == "spray":
            embroidery(self.scene, x, y, 34)
        elif value == "badge":
            badge(self.scene, x, y, 26)
        elif value == "label":
            label(self.scene, x, y - 18, 58, 36)


def _waist(scene: Scene, waist: float, top: float) -> None:
    look, value, detail, high = scene.look, scene.design["waistband"], scene.design["waist detail"], 31.0
    _, line = waistband(scene, waist, top, high, contrast=value == "contrast", gathered=value == "elastic")
    if value == "button":
        scene.seam(points((-3, top + 6), (-3, top + high + 4)), 0.45, 1.8)
        scene.button(10, top + 20, 8)
    if detail == "belt":
        belt(scene, moved(line, 0, 13), 23, look.contrast("satin"))
    cast = Shadow(1, 2, 2, 0.5)
    if value != "elastic":
        for x in (-66, -32, 34, 66):
            y = top + 8 - abs(x) * 0.07
            loop = rectangle(x - 4, y - 4, x + 4, y + high - 1)
            scene.cloth(loop, f"loop {x}", puff=3, shadow=cast, tone=1.08, crease=0.3)
    if detail == "drawstring":
        for n in (-1, 1):
            tail = through((n * 7, top + 20), (n * 18, top + 56), (n * 13, top + 98), (n * 24, top + 126))
            cord(scene, tail, 5.0, tip=_METAL)
            scene.ink(circle(n * 7, top + 20, 4.4), _METAL, bevel=0.5)
        left, right = (-10, top + 14), (10, top + 14)
        knot = through(left, (0, top + 10), right, (10, top + 26), (0, top + 30), (-10, top + 26), left)
        scene.cloth(knot, "knot", Material(look.trim, "rib"), puff=3, shadow=cast)
