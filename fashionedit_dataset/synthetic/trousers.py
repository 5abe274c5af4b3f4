"""The trousers."""

from __future__ import annotations

from .cloth import Cloth, Material, Shadow
from .geometry import Panel, circle, joined, mirrored, moved, points, ribbon, through
from .look import Design, Look
from .motifs import badge, embroidery, label
from .parts import bending, falling, opening, radiating, waistband
from .scene import Scene
from .trims import belt, button_colour, cord, flap_pocket, patch_pocket, slant_pocket, zip_line

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

LEGS = {"slim": (60.0, 76.0), "straight": (74.0, 84.0), "wide": (102.0, 96.0)}
"""Width of a leg at the hem and at the knee, in pixels, by cut."""


def draw_trousers(scene: Scene, look: Look, design: Design) -> None:
    """Draws the trousers."""
    end, knee = LEGS[look.pick(tuple(LEGS), "cut")]
    waist, top, apart = 92.0 + look.vary(-3, 6, "waist"), 84.0, look.vary(14, 22, "apart")
    hip = waist + 30
    outer = through(
        (waist - 2, top + 10),
        (hip - 6, top + 86),
        (hip + 4, top + 180),
        (apart + knee + 26, 430),
        (apart + end + 26, 704),
    )
    inner = through((5, top + 184), (apart * 0.5 + 4, 330), (apart + 6, 450), (apart + 22, 704))
    long = 0.985 if design["length"] == "full" else 0.885
    opening(scene, look, waist, top)
    for n in (-1, 1):
        upper = joined(points((-4, top + 10), (-4, top + 178)), inner)
        panel = Panel(mirrored(upper, n), mirrored(outer, n))
        leg = _leg(scene, look, design, n, panel, long, top)
        _details(scene, look, design, n, panel, leg, long, waist, top)
    _fly(scene, look, design, top)
    _waist(scene, look, design, waist, top)


def _leg(scene: Scene, look: Look, design: Design, side: int, panel: Panel, long: float, top: float) -> Cloth:
    name = (look.name, "leg", side)
    folds = radiating(side * 6, top + 186, 25 if side > 0 else 105, 75 if side > 0 else 155, 4, 92, *name, height=3.8)
    folds += bending(panel, 0.60, 4, *name, "knee", height=3.0)
    folds += falling(panel, 2, 0.36, 1.0, *name, width=17, height=2.8, soft=5)
    folds += bending(panel, 0.90, 3, *name, "ankle", height=3.0)
    outline = joined(panel.along(0, 0, long), panel.cross(long, bulge=5), panel.along(1, 0, long)[::-1])
    x, y = panel.at(0.5, 0.0)
    leg = scene.cloth(
        outline,
        look.cloth,
        f"leg {side}",
        angle=side * -0.04,
        origin=(x, y),
        folds=folds,
        puff=11,
        ground=True,
        shadow=Shadow(-2 if side > 0 else 2, 3, 3, 0.36),
    )
    if look.vary(0, 1, "crease") < 0.5:
        scene.seam(panel.along(0.5, 0.14, long), 0.16, within=leg)
    scene.seam(panel.along(0.965, 0.05, long), 0.16, within=leg)
    return leg


def _details(
    scene: Scene, look: Look, design: Design, side: int, panel: Panel, leg: Cloth, long: float, waist: float, top: float
) -> None:
    if design["side stripe"] == "one" and side > 0:
        scene.inlay(leg, look.contrast(), ribbon(panel.along(0.86, 0.02, 0.84), 15))
        for s in (0.86 - 0.085, 0.86 + 0.085):
            scene.stitch(panel.along(s, 0.04, 0.84), within=leg)
    _front_pocket(scene, look, design["front pockets"], side, leg, waist, top)
    value = design["leg pockets"]
    x, y = panel.at(0.60, 0.43)
    if value in ("cargo", "contrast"):
        patch_pocket(
            scene,
            look,
            x,
            y,
            70,
            86,
            lean=panel.lean(0.45),
            flap=True,
            foot="square",
            contrast=value == "contrast",
            button=button_colour(look)[0],
        )
    elif value == "flap":
        flap_pocket(scene, look, x, y, 76, 40, lean=panel.lean(0.45))
    value = design["knees"]
    if value != "plain":
        part = panel.section(0.585, 0.70, bulge=(3, 3), spread=-0.06)
        if value == "patches":
            piece = scene.cloth(
                part, look.contrast(), f"knee {side}", puff=4, shadow=Shadow(1, 2, 2, 0.42), angle=side * -0.04
            )
            scene.stitch(panel.section(0.593, 0.692, bulge=(3, 3), spread=-0.10), within=piece)
        else:
            scene.cloth(part, look.cloth, f"knee {side}", puff=4, shadow=Shadow(1, 2, 2, 0.42), tone=1.08, crease=0.4)
            for k in range(6):
                scene.seam(panel.cross(0.598 + 0.0178 * k, bulge=3, start=0.08, stop=0.92), 0.42, 1.6)
    _hem(scene, look, design["hems"], side, panel, leg, long)
    if side < 0:
        x, y = panel.at(0.5, 0.785)
        kind = design["decoration"]
        if kind == "spray":
            embroidery(scene, x, y, 34, look.trim)
        elif kind == "badge":
            badge(scene, x, y, 26, look.trim, look.base, look.pick(("star", "heart", "sun"), "badge"))
        elif kind == "label":
            label(scene, x, y - 18, 58, 36, look.trim, look.base)


def _front_pocket(scene: Scene, look: Look, value: str, side: int, leg: Cloth, waist: float, top: float) -> None:
    if value == "slant":
        bag = joined(
            points((waist - 30, top + 22)),
            through((waist - 30, top + 22), (waist - 16, top + 58), (waist + 15, top + 98)),
            points((waist + 40, top + 60), (waist + 20, top + 10)),
        )
        scene.inlay(leg, look.plain, mirrored(bag, side), tone=0.86)
        slant_pocket(
            scene,
            mirrored(through((waist - 30, top + 22), (waist - 16, top + 58), (waist + 15, top + 98)), side),
            look.thread,
        )
    elif value == "zip":
        line = mirrored(through((waist - 32, top + 36), (waist - 20, top + 70), (waist + 1, top + 116)), side)
        zip_line(scene, line, width=12)
    else:
        patch_pocket(
            scene,
            look,
            side * 64,
            top + 46,
            68,
            78,
            lean=side * -0.10,
            contrast=value == "contrast",
            thread=look.thread,
        )


def _hem(scene: Scene, look: Look, value: str, side: int, panel: Panel, leg: Cloth, long: float) -> None:
    if value == "turn-up":
        outline = panel.section(long - 0.085, long + 0.004, bulge=(5, 5), spread=0.03)
        piece = scene.cloth(
            outline,
            look.cloth,
            f"turn-up {side}",
            angle=1.57,
            puff=5,
            shadow=Shadow(1, 4, 3, 0.5),
            ground=True,
            tone=1.10,
        )
        scene.stitch(panel.cross(long - 0.015, bulge=5), within=piece)
        return
    if value == "band":
        scene.inlay(leg, look.contrast(), panel.section(long - 0.075, long + 0.02, bulge=(5, 9), spread=0.15))
        scene.seam(panel.cross(long - 0.075, bulge=5), 0.34, within=leg)
    elif value == "ribbed":
        outline = panel.section(long - 0.075, long + 0.014, bulge=(4, 4), spread=-0.06)
        scene.cloth(
            outline,
            look.plain.plain(fabric="rib"),
            f"rib {side}",
            puff=5,
            shadow=Shadow(1, 2, 2, 0.45),
            ground=True,
            tone=0.94,
        )
        scene.seam(panel.cross(long - 0.075, bulge=4), 0.5, 2.0)
        return
    elif value == "zip":
        line = panel.along(0.72, long - 0.16, long - 0.005)
        zip_line(scene, line, width=12)
    for up in (0.022, 0.030):
        scene.stitch(panel.cross(long - up, bulge=5), look.thread if look.cloth.fabric == "denim" else None, within=leg)


def _fly(scene: Scene, look: Look, design: Design, top: float) -> None:
    scene.seam(points((-3, top + 26), (-3, top + 192)), 0.5, 1.8)
    scene.stitch(
        joined(points((20, top + 28), (20, top + 118)), through((20, top + 118), (16, top + 138), (0, top + 148))),
        look.thread if look.cloth.fabric == "denim" else None,
    )
    if design["fly"] == "buttons":
        colour, make = button_colour(look)
        for n in range(4):
            scene.button(8, top + 46 + 26 * n, 8.5, colour, make)


def _waist(scene: Scene, look: Look, design: Design, waist: float, top: float) -> None:
    value = design["waistband"]
    high = 31.0
    material = look.contrast() if value == "contrast" else look.cloth
    _, line = waistband(scene, material, waist, top, high, gathered=value == "elastic")
    if value == "button":
        scene.seam(points((-3, top + 6), (-3, top + high + 4)), 0.45, 1.8)
        colour, make = button_colour(look)
        scene.button(10, top + 20, 8, colour, make)
    kind = design["waist detail"]
    if kind == "belt":
        belt(scene, moved(line, 0, 13), 23, Material(look.trim, "satin"))
    if value != "elastic":
        for x in (-66, -32, 34, 66):
            y = top + 8 - abs(x) * 0.07
            loop = points((x - 4, y - 4), (x + 4, y - 4), (x + 4, y + high - 1), (x - 4, y + high - 1))
            scene.cloth(loop, look.cloth, f"loop {x}", puff=3, shadow=Shadow(1, 2, 2, 0.5), tone=1.08, crease=0.3)
    if kind == "drawstring":
        for n in (-1, 1):
            tail = through((n * 7, top + 20), (n * 18, top + 56), (n * 13, top + 98), (n * 24, top + 126))
            cord(scene, tail, 5.0, look.trim, tip=(206, 200, 186))
            scene.ink(circle(n * 7, top + 20, 4.4), (206, 200, 186), bevel=0.5)
        knot = through(
            (-10, top + 14),
            (0, top + 10),
            (10, top + 14),
            (10, top + 26),
            (0, top + 30),
            (-10, top + 26),
            (-10, top + 14),
        )
        scene.cloth(knot, Material(look.trim, "rib"), "knot", puff=3, shadow=Shadow(1, 2, 2, 0.5))
