"""The dress and the skirt."""

from __future__ import annotations

import numpy as np

from .cloth import Cloth, Fold, Material, Shadow
from .geometry import Panel, Point, Points, joined, mirrored, moved, points, ribbon, through
from .look import Design, Look
from .motifs import badge, bow, corsage, embroidery, label, neck_label
from .parts import Sleeve, back_hem, falling, finish_hem, opening, radiating, waistband, wavy
from .patterns import COLOURS
from .scene import Scene
from .trims import belt, button_colour, cord, flap_pocket, patch_pocket, ruffle, slant_pocket, zip_line

DRESS: dict[str, dict[str, str]] = {
    "neckline": {
        "V": "A deep V-neckline",
        "scoop": "A low, rounded scoop neckline",
        "square": "A square neckline",
        "boat": "A wide boat neckline",
        "collar": "A {trim} Peter Pan collar",
    },
    "sleeves": {
        "none": "A sleeveless cut with bound armholes",
        "cap": "Small cap sleeves",
        "puff": "Gathered puff sleeves with a narrow band",
        "elbow": "Elbow-length sleeves",
    },
    "waist": {
        "seam": "A plain waist seam",
        "sash": "A {trim} satin sash round the waist",
        "belt": "A narrow {trim} belt with a metal buckle",
        "bow": "A {trim} satin sash tied in a bow at the waist",
    },
    "hem": {
        "plain": "A plain stitched hem",
        "border": "A {trim} border along the hem",
        "lace": "A scalloped lace edging along the hem",
        "ruffle": "A gathered ruffle along the hem",
    },
    "buttons": {
        "none": "A front without buttons",
        "bodice": "A row of round buttons down the bodice",
        "skirt": "A row of buttons down the middle of the skirt",
    },
    "pockets": {
        "none": "A skirt without pockets",
        "patch": "Two patch pockets on the skirt",
        "contrast": "Two {trim} patch pockets on the skirt",
    },
    "bodice": {
        "plain": "A plain bodice without decoration",
        "corsage": "A {trim} fabric rose pinned to the bodice",
        "frill": "A gathered frill across the bodice",
        "bow": "A small {trim} bow on the bodice",
    },
    "skirt": {
        "plain": "A plain skirt without bands",
        "bands": "Two {trim} bands round the skirt",
        "tier": "A second ruffled tier half way down the skirt",
    },
    "embroidery": {
        "none": "A plain hem corner without embroidery",
        "spray": "An embroidered floral spray near the hem",
    },
    "length": {"knee": "A knee-length skirt", "midi": "A midi-length skirt"},
}


def _neck(value: str) -> Points:
    if value == "V":
        half = through((44, 122), (34, 152), (17, 190), (0, 222))
    elif value == "square":
        half = joined(through((54, 126), (52, 160), (50, 188)), points((0, 190)))
    elif value == "boat":
        half = through((72, 134), (62, 142), (36, 148), (0, 150))
    elif value == "scoop":
        half = through((58, 128), (54, 168), (34, 202), (0, 212))
    else:
        half = through((44, 122), (41, 140), (26, 156), (0, 162))
    return joined(mirrored(half), half[::-1])


def draw_dress(scene: Scene, look: Look, design: Design) -> None:
    """Draws the dress."""
    wide = look.vary(-5, 6, "width")
    shoulder, armpit, waist = (94 + wide * 0.5, 142.0), (106.0 + wide, 240.0), (84.0 + wide, 372.0)
    _inside(scene, look, design)
    for n in (-1, 1):
        _sleeve(scene, look, design, n, shoulder, armpit)
    _skirt(scene, look, design, waist)
    body = _bodice(scene, look, design, shoulder, armpit, waist)
    _dress_front(scene, look, design, body, waist)
    if design["neckline"] == "collar":
        for n in (-1, 1):
            leaf = joined(
                through((44, 116), (38, 140), (1, 162)),
                through((1, 164), (12, 198), (46, 206), (76, 180), (72, 144), (46, 114)),
            )
            part = scene.cloth(
                mirrored(leaf, n),
                look.contrast("poplin"),
                f"collar {n}",
                puff=5,
                shadow=Shadow(1, 3, 3, 0.5),
                angle=n * 0.4,
            )
            scene.stitch(mirrored(leaf * 0.9 + (3.0, 15.5), n), within=part)


def _inside(scene: Scene, look: Look, design: Design) -> None:
    front = _neck(design["neckline"])
    nx, ny = -float(front[0, 0]), float(front[0, 1])
    back = through((-nx, ny), (-nx * 0.5, ny + 4), (0, ny + 6), (nx * 0.5, ny + 4), (nx, ny))
    scene.cloth(
        joined(back, points((nx + 4, ny + 20), (40, 250), (-40, 250), (-nx - 4, ny + 20))),
        look.cloth,
        "inside",
        tone=0.66,
        puff=4,
        ground=True,
        crease=0.6,
    )
    scene.stitch(moved(back, 0, 7))
    neck_label(scene, ny + 10, 22, 13)


def _sleeve(scene: Scene, look: Look, design: Design, side: int, shoulder: Point, armpit: Point) -> None:
    value = design["sleeves"]
    if value == "none":
        return
    if value == "puff":
        (sx, sy), (ax, ay) = shoulder, armpit
        outer = through(
            (sx - 14, sy + 2), (sx + 22, sy - 4), (sx + 58, sy + 24), (sx + 68, sy + 62), (sx + 48, sy + 88)
        )
        inner = through((sx + 48, sy + 88), (sx + 26, sy + 98), (ax + 4, ay + 4))
        outline = mirrored(joined(outer, inner, points((ax - 20, ay - 8), (sx - 22, sy + 12))), side)
        folds = []
        for n in range(3):
            folds += radiating(
                side * (sx + 4 + 8 * n),
                sy + 4 + 26 * n,
                0 if side > 0 else 140,
                40 if side > 0 else 180,
                3,
                62,
                look.name,
                "puff",
                side,
                n,
                width=11,
                height=4.2,
            )
        scene.cloth(outline, look.cloth, f"puff {side}", folds=folds, puff=12, ground=True, angle=side * -0.4)
        band = mirrored(ribbon(through((sx + 60, sy + 82), (sx + 38, sy + 94), (ax + 6, ay + 2)), 13), side)
        scene.cloth(band, look.cloth, f"band {side}", puff=4, shadow=Shadow(1, 2, 2, 0.45), ground=True, tone=1.05)
        return
    sleeve = Sleeve(side, shoulder, armpit, lean=look.vary(22, 27, "lean", side), reach=196, end=74, bow=4)
    long = 0.44 if value == "cap" else 0.92
    piece = sleeve.lay(scene, look, long, longest=0.92, strength=1.1)
    scene.stitch(sleeve.line(long - 0.045), within=piece)


def _skirt(scene: Scene, look: Look, design: Design, waist: Point) -> None:
    wx, wy = waist
    flare = look.vary(66, 118, "flare")
    foot = 700.0 if design["length"] == "midi" else 636.0
    full = through((wx - 4, wy - 8), (wx + flare * 0.38, wy + 96), (wx + flare * 0.78, wy + 226), (wx + flare, 704))
    edge = full[full[:, 1] < foot]
    panel = Panel(mirrored(full), full)
    count = 5 + round(flare / 30)
    folds = falling(panel, count, 0.02, 1.0, look.name, "skirt", width=20, height=5.4, soft=5)
    hem = wavy(look, float(edge[-1, 0]), foot, 5.0)
    outline = joined(edge, hem[::-1], mirrored(edge)[::-1])
    back_hem(scene, look, hem, 24, 0.6)
    skirt = scene.cloth(outline, look.cloth, "skirt", folds=folds, puff=10, ground=True, origin=(0, wy))
    if design["skirt"] == "bands":
        for y in (wy + 120, wy + 156):
            x = 230.0
            line = np.stack([np.linspace(-x, x, 30), y + 8 * np.cos(np.linspace(-1.6, 1.6, 30))], axis=1)
            scene.inlay(skirt, look.contrast(), ribbon(line, 19))
    elif design["skirt"] == "tier":
        t = 142 / (704 - wy)
        line = panel.cross(t, start=-0.01, stop=1.01, bulge=6, count=41)
        ruffle(scene, look, line, 62, look.cloth, "tier", wave=5, pitch=24, flare=1.10)
    if design["pockets"] != "none":
        for n in (-1, 1):
            patch_pocket(
                scene, look, n * (wx - 20), wy + 46, 64, 68, lean=n * -0.10, contrast=design["pockets"] == "contrast"
            )
    if design["buttons"] == "skirt":
        scene.seam(points((-13, wy), (-13, foot)), 0.3, within=skirt)
        for k in range(6):
            scene.button(0, wy + 44 + k * 42, 8.5, COLOURS["ivory"], "pearl")
    if design["embroidery"] == "spray":
        embroidery(scene, -78, foot - 78, 38, look.trim)
    finish_hem(scene, look, design["hem"], skirt, hem)


def _bodice(scene: Scene, look: Look, design: Design, shoulder: Point, armpit: Point, waist: Point) -> Cloth:
    (sx, sy), (ax, ay), (wx, wy) = shoulder, armpit, waist
    bare = 8 if design["sleeves"] == "none" else 0
    arm = through((sx - bare, sy), (sx - 8 - bare, sy + 34), (sx - 4 - bare, ay - 34), armpit)
    side = through(armpit, ((ax + wx) / 2 - 1, (ay + wy) / 2), (wx, wy))
    low = through((wx, wy), (0, wy + 7), (-wx, wy))
    neck = _neck(design["neckline"])
    edge = joined(arm, side)
    outline = joined(neck, edge, low, mirrored(edge)[::-1])
    name = (look.name, "bodice")
    folds = radiating(ax, ay, 105, 170, 3, 90, *name, "r", height=3.2) + radiating(
        -ax, ay, 10, 75, 3, 90, *name, "l", height=3.2
    )
    for n in (-1, 1):
        folds += radiating(n * 38, wy, 235 if n < 0 else 255, 285 if n < 0 else 305, 3, 80, *name, "w", n, height=3.0)
    body = scene.cloth(outline, look.cloth, "bodice", folds=folds, puff=8, ground=True, shadow=Shadow(0, 3, 3, 0.42))
    for n in (-1, 1):
        scene.seam(mirrored(arm, n), 0.38, within=body)
        scene.seam(through((n * 44, wy), (n * 43, wy - 60), (n * 50, wy - 112)), 0.26, within=body)
    if design["neckline"] != "collar":
        scene.stitch(moved(neck, 0, 7), within=body)
        scene.seam(moved(neck, 0, 1.5), 0.3, within=body)
    return body


def _dress_front(scene: Scene, look: Look, design: Design, body: Cloth, waist: Point) -> None:
    wx, wy = waist
    value = design["bodice"]
    if value == "frill":
        for n, y in enumerate((248, 282)):
            line = through((-74, y - 8), (0, y), (74, y - 8))
            ruffle(scene, look, line, 32, look.cloth, f"frill {n}", wave=3.0, pitch=17, ground=False)
    elif value == "corsage":
        corsage(scene, 56, 256, 27, look.trim)
    elif value == "bow":
        bow(scene, 0, 262, 40, Material(look.trim, "satin"), tails=0.9)
    if design["buttons"] == "bodice":
        for n in range(5):
            scene.button(0, 240 + n * 26, 7.5, COLOURS["ivory"], "pearl")
    x = wx + 2
    line = through((-x, wy - 2), (0, wy + 6), (x, wy - 2))
    value = design["waist"]
    if value == "seam":
        scene.seam(line, 0.4, 1.6)
    elif value == "belt":
        belt(scene, line, 20, Material(look.trim, "satin"))
    else:
        silk = Material(look.trim, "satin")
        scene.cloth(
            ribbon(line, 34),
            silk,
            "sash",
            puff=5,
            shadow=Shadow(1, 3, 3, 0.45),
            ground=True,
            folds=falling(
                Panel(points((-x, wy), (x, wy)), points((-x, wy + 8), (x, wy + 8))),
                2,
                0.1,
                0.9,
                look.name,
                "sash",
                width=7,
                height=2.4,
                soft=3,
            ),
        )
        if value == "bow":
            bow(scene, -26, wy + 4, 46, silk, tails=1.5)


SKIRT: dict[str, dict[str, str]] = {
    "waistband": {
        "plain": "A plain narrow waistband with one button",
        "wide": "A wide {trim} contrast waistband",
        "elastic": "An elasticated, gathered waistband",
        "corset": "A high waistband laced in front",
    },
    "waist detail": {
        "none": "A waist without belt or bow",
        "belt": "A {trim} leather belt with a metal buckle",
        "bow": "A {trim} satin bow at the waist",
    },
    "front": {
        "plain": "A plain front without buttons",
        "buttons": "A row of buttons down the middle of the front",
        "zip": "A metal zip down the middle of the front",
        "wrap": "A wrap front with a ruffled edge",
    },
    "pockets": {
        "none": "A front without pockets",
        "patch": "Two patch pockets",
        "contrast": "Two {trim} patch pockets",
        "flap": "Two flap pockets",
        "slant": "Two slanted, top-stitched side pockets",
    },
    "hem": {
        "plain": "A plain stitched hem",
        "border": "A {trim} border along the hem",
        "lace": "A scalloped lace edging along the hem",
        "ruffle": "A gathered ruffle along the hem",
        "fringe": "A {trim} fringe along the hem",
    },
    "bands": {
        "none": "No bands round the skirt",
        "two": "Two {trim} bands round the skirt",
        "tier": "A ruffled tier round the middle of the skirt",
    },
    "decoration": {
        "none": "A plain front without embroidery",
        "spray": "An embroidered floral spray at the side",
        "badge": "A round embroidered badge at the side",
        "label": "A woven {trim} label at the side",
    },
    "slit": {"none": "A closed hem without a slit", "side": "A slit at the side of the front"},
    "length": {"knee": "A knee-length cut", "midi": "A midi-length cut"},
}

KNEE = 566.0
"""y at which a knee-length skirt ends; what is sewn on the front is placed from here, whatever the length."""

CUTS = {"straight": (6.0, 2.0), "A-line": (56.0, 4.0), "flared": (98.0, 7.0), "pleated": (74.0, 3.0)}
"""How far a cut widens to the hem and how deep it falls into folds, in pixels."""


def draw_skirt(scene: Scene, look: Look, design: Design) -> None:
    """Draws the skirt."""
    cut = look.pick(tuple(CUTS), "cut")
    flare, depth = CUTS[cut]
    waist, top = 100.0 + look.vary(-4, 8, "waist"), 120.0
    hip = waist + (34 if cut == "straight" else 18 + flare * 0.22)
    full = through((waist - 2, top + 14), (hip, top + 132), (hip + flare * 0.40, top + 290), (hip + flare * 0.86, 690))
    foot = 644.0 if design["length"] == "midi" else KNEE
    edge = full[full[:, 1] < foot]
    panel = Panel(mirrored(full), full)
    hem = wavy(look, float(edge[-1, 0]), foot, depth * 0.7)
    opening(scene, look, waist, top)
    back_hem(scene, look, hem, 26, 0.58)
    skirt = scene.cloth(
        joined(edge, hem[::-1], mirrored(edge)[::-1]),
        look.cloth,
        "skirt",
        folds=_folds(look, panel, cut, depth),
        puff=9,
        ground=True,
        origin=(0, top),
    )
    if cut == "pleated":
        for n in range(1, 10):
            scene.seam(panel.along(n / 10, 0.03, 1.0), 0.30, within=skirt)
    elif cut in ("straight", "A-line"):
        for n in (-1, 1):
            scene.seam(through((n * 52, top + 30), (n * 55, top + 70), (n * 56, top + 106)), 0.26, within=skirt)
    _slit(scene, look, design, skirt, foot)
    _bands(scene, look, design, skirt, panel, top)
    finish_hem(scene, look, design["hem"], skirt, hem)
    _skirt_front(scene, look, design, skirt, top, waist)
    _waist(scene, look, design, waist, top)


def _folds(look: Look, panel: Panel, cut: str, depth: float) -> list[Fold]:
    if cut == "pleated":
        made = []
        for n in range(10):
            made.append(Fold(panel.along((n + 0.36) / 10, 0.0, 1.0), 15.0, 4.4, 4))
            made.append(Fold(panel.along((n + 0.90) / 10, 0.0, 1.0), 9.0, -5.0, 3))
        return made
    count = {"straight": 3, "A-line": 5, "flared": 8}[cut]
    made = falling(panel, count, 0.04, 1.0, look.name, "skirt", width=21, height=2.6 + depth * 0.5, soft=5)
    x, y = panel.at(1, 0.05)
    made += radiating(x, y, 120, 175, 3, 80, look.name, "r", height=2.6)
    return made + radiating(-x, y, 5, 60, 3, 80, look.name, "l", height=2.6)


def _slit(scene: Scene, look: Look, design: Design, skirt: Cloth, foot: float) -> None:
    if design["slit"] == "none":
        return
    gap = joined(
        through((64, 396), (62, 476), (54, foot + 30)),
        points((96, foot + 30)),
        through((92, 526), (76, 456), (64, 396)),
    )
    scene.inlay(skirt, look.plain, gap, tone=0.40)
    for line in (gap[: len(gap) // 2], gap[len(gap) // 2 :]):
        scene.seam(line, 0.4, 1.6, within=skirt)
    scene.stitch(through((58, 394), (55, 476), (46, foot + 20)), within=skirt)


def _bands(scene: Scene, look: Look, design: Design, skirt: Cloth, panel: Panel, top: float) -> None:
    if design["bands"] == "two":
        for y in (396.0, 430.0):
            x = np.linspace(-240, 240, 40)
            line = np.stack([x, y + 9 * np.cos(x / 150)], axis=1)
            scene.inlay(skirt, look.contrast(), ribbon(line, 18))
    elif design["bands"] == "tier":
        line = panel.cross(0.46, start=0.0, stop=1.0, bulge=8, count=41)
        ruffle(scene, look, line, 54, look.cloth, "tier", wave=5, pitch=22, flare=1.09)


def _skirt_front(scene: Scene, look: Look, design: Design, skirt: Cloth, top: float, waist: float) -> None:
    value = design["pockets"]
    for n in (-1, 1):
        if value in ("patch", "contrast"):
            patch_pocket(scene, look, n * 72, 218, 72, 80, lean=n * -0.06, contrast=value == "contrast")
        elif value == "flap":
            flap_pocket(scene, look, n * 70, 222, 80, 38, lean=n * -0.10)
        elif value == "slant":
            slant_pocket(
                scene, through((n * (waist - 28), 160), (n * (waist - 14), 206), (n * (waist + 12), 258)), look.thread
            )
    value = design["front"]
    if value == "wrap":
        line = through((26, top + 30), (-2, 300), (-40, KNEE - 30))
        turned = through((26, top + 30), (18, 300), (8, KNEE + 4))
        scene.seam(turned, 0.5, 1.8, within=skirt)
        for k in range(13):
            x, y = (float(v) for v in line[min(k * 2, len(line) - 1)])
            frill = through((x + 18, y - 4), (x - 2, y - 12), (x - 18, y + 10), (x - 8, y + 32), (x + 18, y + 32))
            if y < KNEE - 16:
                scene.cloth(
                    frill, look.cloth, f"frill {k}", puff=4, shadow=Shadow(-1, 3, 2, 0.42), angle=1.2, tone=1.05
                )
    elif value == "zip":
        zip_line(
            scene,
            points(*((0.0, float(y)) for y in range(round(top) + 34, round(KNEE) - 20, 10))),
            width=13,
            pull=0.02,
        )
    elif value == "buttons":
        colour, make = button_colour(look)
        strip = points((-15, top + 28), (15, top + 28), (15, KNEE + 9), (-15, KNEE + 9))
        piece = scene.cloth(
            strip, look.cloth, "placket", puff=3, shadow=Shadow(1, 2, 2, 0.45), tone=1.04, origin=(0, top)
        )
        for x in (-11, 11):
            scene.stitch(points((x, top + 32), (x, KNEE)), within=piece)
        for k in range(7):
            scene.button(0, top + 60 + k * (KNEE - top - 110) / 6, 9.5, colour, make)
    kind = design["decoration"]
    if kind == "spray":
        embroidery(scene, -88, KNEE - 84, 44, look.trim)
    elif kind == "badge":
        badge(scene, -86, KNEE - 84, 31, look.trim, look.base, look.pick(("star", "heart", "sun"), "badge"))
    elif kind == "label":
        label(scene, -86, KNEE - 92, 66, 38, look.trim, look.base)


def _waist(scene: Scene, look: Look, design: Design, waist: float, top: float) -> None:
    value = design["waistband"]
    high = {"plain": 30.0, "wide": 54.0, "elastic": 36.0, "corset": 66.0}[value]
    material = look.contrast() if value == "wide" else look.cloth
    band, line = waistband(scene, material, waist, top, high, gathered=value == "elastic")
    if value == "elastic":
        for down in (high * 0.30, high * 0.62):
            scene.stitch(moved(line, 0, down), within=band)
    elif value == "corset":
        for k in range(4):
            for n in (-1, 1):
                y = top + 14 + k * 15
                cord(
                    scene,
                    points((n * 15, y), (-n * 15, y + 15)) if k < 3 else points((n * 15, y), (n * 2, y + 8)),
                    3.4,
                    look.trim,
                )
                scene.button(n * 16, y, 3.8, (196, 160, 92), "metal")
    elif value == "plain":
        colour, make = button_colour(look)
        scene.button(waist * 0.12, top + 18, 8, colour, make)
    kind = design["waist detail"]
    if kind == "belt":
        belt(scene, moved(line, 0, 12), 24, Material(look.trim, "satin"))
    elif kind == "bow":
        bow(scene, -18, top + 20, 50, look.contrast("satin"), tails=1.4)
