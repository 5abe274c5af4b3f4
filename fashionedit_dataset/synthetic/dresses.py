"""The dress and the skirt."""

from __future__ import annotations

import numpy as np

from .geometry import Panel, Point, Points, joined, mirrored, moved, points, rectangle, ribbon, through
from .layers import Cloth, Fold, Shadow
from .materials import COLOURS
from .parts import Sleeve, falling, hem_band, opening, radiating, waistband
from .scene import PEARL, Scene
from .trims import (
    BRASS,
    badge,
    belt,
    bow,
    cord,
    corsage,
    embroidery,
    flap_pocket,
    fringe,
    label,
    lace,
    neck_label,
    patch_pocket,
    ruffle,
    slant_pocket,
    zip_line,
)

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

_NECKS = {
    "V": through((44, 122), (34, 152), (17, 190), (0, 222)),
    "square": joined(through((54, 126), (52, 160), (50, 188)), points((0, 190))),
    "boat": through((72, 134), (62, 142), (36, 148), (0, 150)),
    "scoop": through((58, 128), (54, 168), (34, 202), (0, 212)),
    "collar": through((44, 122), (41, 140), (26, 156), (0, 162)),
}
"""Right half of the dress's neckline, from the shoulder to the middle."""


def draw_dress(scene: Scene) -> None:
    """Draws the dress."""
    wide, neckline = scene.look.vary(-5, 6, "width"), scene.design["neckline"]
    shoulder, armpit, waist = (94 + wide * 0.5, 142.0), (106.0 + wide, 240.0), (84.0 + wide, 372.0)
    half = _NECKS[neckline]
    neck = joined(mirrored(half), half[::-1])
    nx, ny = (float(v) for v in half[0])
    back = through((-nx, ny), (-nx * 0.5, ny + 4), (0, ny + 6), (nx * 0.5, ny + 4), (nx, ny))
    inside = joined(back, points((nx + 4, ny + 20), (40, 250), (-40, 250), (-nx - 4, ny + 20)))
    scene.cloth(inside, "inside", tone=0.66, puff=4, ground=True, crease=0.6)
    scene.stitch(moved(back, 0, 7))
    neck_label(scene, ny + 10, 22, 13)
    for n in (-1, 1):
        _sleeve(scene, n, shoulder, armpit)
    _dress_skirt(scene, waist)
    body = _bodice(scene, neck, shoulder, armpit, waist)
    if neckline != "collar":
        scene.stitch(moved(neck, 0, 7), within=body)
        scene.seam(moved(neck, 0, 1.5), 0.3, within=body)
    _dress_front(scene)
    _dress_waist(scene, waist)
    if neckline == "collar":
        curve = through((1, 164), (12, 198), (46, 206), (76, 180), (72, 144), (46, 114))
        leaf, cast = joined(through((44, 116), (38, 140), (1, 162)), curve), Shadow(1, 3, 3, 0.5)
        for n in (-1, 1):
            silk = scene.look.contrast("poplin")
            part = scene.cloth(mirrored(leaf, n), f"collar {n}", silk, puff=5, shadow=cast, angle=n * 0.4)
            scene.stitch(mirrored(leaf * 0.9 + (3.0, 15.5), n), within=part)


_LONG_SLEEVES = {"three-quarter": 0.74, "long": 0.97}
"""Where sleeves end that the control set has not."""


def _sleeve(scene: Scene, side: int, shoulder: Point, armpit: Point) -> None:
    value = scene.design["sleeves"]
    if value == "puff":
        _puff_sleeve(scene, side, shoulder, armpit)
    elif value != "none":
        lean = scene.look.vary(22, 27, "lean", side)
        if value in _LONG_SLEEVES:
            long = _LONG_SLEEVES[value]
            sleeve = Sleeve(scene, side, shoulder, armpit, lean=lean / 2, reach=404, end=52, bow=4)
        else:
            long = {"cap": 0.44, "short": 0.64}.get(value, 0.92)
            sleeve = Sleeve(scene, side, shoulder, armpit, lean=lean, reach=196, end=74, bow=4)
        piece = sleeve.lay(long, longest=0.92, strength=1.1)
        scene.stitch(sleeve.line(long - 0.045), within=piece)


def _puff_sleeve(scene: Scene, side: int, shoulder: Point, armpit: Point) -> None:
    (sx, sy), (ax, ay) = shoulder, armpit
    outer = through((sx - 14, sy + 2), (sx + 22, sy - 4), (sx + 58, sy + 24), (sx + 68, sy + 62), (sx + 48, sy + 88))
    inner = through((sx + 48, sy + 88), (sx + 26, sy + 98), (ax + 4, ay + 4))
    outline = mirrored(joined(outer, inner, points((ax - 20, ay - 8), (sx - 22, sy + 12))), side)
    folds = []
    for n in range(3):
        name = (scene.look.name, "puff", side, n)
        folds += radiating(sx + 4 + 8 * n, sy + 4 + 26 * n, 0, 40, 3, 62, *name, side=side, width=11, height=4.2)
    scene.cloth(outline, f"puff {side}", folds=folds, puff=12, ground=True, angle=side * -0.4)
    band = mirrored(ribbon(through((sx + 60, sy + 82), (sx + 38, sy + 94), (ax + 6, ay + 2)), 13), side)
    scene.cloth(band, f"band {side}", puff=4, shadow=Shadow(1, 2, 2, 0.45), ground=True, tone=1.05)


def _dress_skirt(scene: Scene, waist: Point) -> None:
    (wx, wy), look, design = waist, scene.look, scene.design
    flare = look.vary(66, 118, "flare")
    foot = {"midi": 700.0, "mini": 566.0}.get(design["length"], 636.0)
    edge = through((wx - 4, wy - 8), (wx + flare * 0.38, wy + 96), (wx + flare * 0.78, wy + 226), (wx + flare, 704))
    panel = Panel(mirrored(edge), edge)
    folds = falling(panel, 5 + round(flare / 30), 0.02, 1.0, look.name, "skirt", width=20, height=5.4, soft=5)
    skirt, hem = _lay_skirt(scene, edge, foot, wy, folds, swing=5.0, back=(24, 0.6), puff=10)
    if design["skirt"] == "bands":
        for y in (wy + 120, wy + 156):
            line = np.stack([np.linspace(-230, 230, 30), y + 8 * np.cos(np.linspace(-1.6, 1.6, 30))], axis=1)
            scene.inlay(skirt, ribbon(line, 19), name="bands")
    elif design["skirt"] == "tier":
        line = panel.cross(142 / (704 - wy), start=-0.01, stop=1.01, bulge=6, count=41)
        ruffle(scene, line, 62, "tier", pitch=24, flare=1.10)
    value = design["pockets"]
    if value != "none":
        for n in (-1, 1):
            patch_pocket(scene, n * (wx - 20), wy + 46, 64, 68, lean=n * -0.10, contrast=value == "contrast")
    if design["buttons"] == "skirt":
        scene.seam(points((-13, wy), (-13, foot)), 0.3, within=skirt)
        for k in range(6):
            if wy + 44 + k * 42 < foot - 20:
                scene.button(0, wy + 44 + k * 42, 8.5, *PEARL)
    if design["embroidery"] == "spray":
        embroidery(scene, -78, foot - 78, 38)
    _finish_hem(scene, skirt, hem)


def _bodice(scene: Scene, neck: Points, shoulder: Point, armpit: Point, waist: Point) -> Cloth:
    (sx, sy), (ax, ay), (wx, wy) = shoulder, armpit, waist
    bare = 8 if scene.design["sleeves"] == "none" else 0
    arm = through((sx - bare, sy), (sx - 8 - bare, sy + 34), (sx - 4 - bare, ay - 34), armpit)
    edge = joined(arm, through(armpit, ((ax + wx) / 2 - 1, (ay + wy) / 2), (wx, wy)))
    outline = joined(neck, edge, through((wx, wy), (0, wy + 7), (-wx, wy)), mirrored(edge)[::-1])
    name = (scene.look.name, "bodice")
    folds = radiating(ax, ay, 105, 170, 3, 90, *name, "r", height=3.2)
    folds += radiating(ax, ay, 105, 170, 3, 90, *name, "l", side=-1, height=3.2)
    for n, start in ((-1, 235), (1, 255)):
        folds += radiating(n * 38, wy, start, start + 50, 3, 80, *name, "w", n, height=3.0)
    body = scene.cloth(outline, "bodice", folds=folds, puff=8, ground=True, shadow=Shadow(0, 3, 3, 0.42))
    for n in (-1, 1):
        scene.seam(mirrored(arm, n), 0.38, within=body)
        scene.seam(through((n * 44, wy), (n * 43, wy - 60), (n * 50, wy - 112)), 0.26, within=body)
    return body


def _dress_front(scene: Scene) -> None:
    value = scene.design["bodice"]
    if value == "frill":
        for n, y in enumerate((248, 282)):
            line = through((-74, y - 8), (0, y), (74, y - 8))
            ruffle(scene, line, 32, f"frill {n}", wave=3.0, pitch=17, ground=False)
    elif value == "corsage":
        corsage(scene, 56, 256, 27)
    elif value == "bow":
        bow(scene, 0, 262, 40, tails=0.9)
    if scene.design["buttons"] == "bodice":
        for n in range(5):
            scene.button(0, 240 + n * 26, 7.5, *PEARL)


def _dress_waist(scene: Scene, waist: Point) -> None:
    look, value = scene.look, scene.design["waist"]
    x, y = waist[0] + 2, waist[1]
    line, silk = through((-x, y - 2), (0, y + 6), (x, y - 2)), look.contrast("satin")
    if value == "seam":
        scene.seam(line, 0.4, 1.6)
    elif value == "belt":
        belt(scene, line, 20, silk)
    else:
        panel = Panel(points((-x, y), (x, y)), points((-x, y + 8), (x, y + 8)))
        folds = falling(panel, 2, 0.1, 0.9, look.name, "sash", width=7, height=2.4, soft=3)
        scene.cloth(ribbon(line, 34), "sash", silk, puff=5, shadow=Shadow(1, 3, 3, 0.45), ground=True, folds=folds)
        if value == "bow":
            bow(scene, -26, y + 4, 46, tails=1.5)


def _lay_skirt(
    scene: Scene,
    edge: Points,
    foot: float,
    top: float,
    folds: list[Fold],
    *,
    swing: float,
    back: tuple[float, float],
    puff: int,
) -> tuple[Cloth, Points]:
    """Lays a skirt from y = `top` to `foot` and returns it with its hem, which swings with the folds above it.

    `edge` is the right side seam, longer than any skirt; `back` is height and tone of what shows of the back below.
    """
    side = edge[edge[:, 1] < foot]
    half = float(side[-1, 0])
    x = np.linspace(-half, half, 81)
    turns, phase = scene.look.vary(0.032, 0.046, "hem waves"), scene.look.vary(0, 6.28, "hem phase")
    waves = swing * np.sin(x * turns * np.pi + phase) * np.cos(x * 0.011)
    hem = np.stack([x, foot + 12 * (1 - (x / half) ** 2) + waves], axis=1)
    deep, tone = back
    below = joined(hem * (0.985, 1) + (0, 4), hem[::-1] * (0.9, 1) - (0, deep))
    scene.cloth(below, "back hem", tone=tone, puff=3, ground=True)
    outline = joined(side, hem[::-1], mirrored(side)[::-1])
    return scene.cloth(outline, "skirt", folds=folds, puff=puff, ground=True, origin=(0, top)), hem


def _finish_hem(scene: Scene, skirt: Cloth, hem: Points) -> None:
    """Finishes a skirt's hem: `plain`, `border`, `lace`, `ruffle` or `fringe`."""
    look, value = scene.look, scene.design["hem"]
    if value == "border":
        hem_band(scene, skirt, hem, 12, 36)
    elif value == "lace":
        pale = COLOURS["ivory"] if min(look.base) < 200 else look.trim
        lace(scene, hem * (0.992, 1) - (0, 8), 34, pale)
    elif value == "ruffle":
        ruffle(scene, hem * (0.985, 1) - (0, 12), 46, "hem ruffle", pitch=22, flare=1.06)
    elif value == "fringe":
        fringe(scene, hem - (0, 4), 42)
    if value in ("plain", "border"):
        for up in (9, 13):
            scene.stitch(hem - (0, up), within=skirt)


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

_KNEE = 566.0
"""y at which a knee-length skirt ends; what is sewn on the front is placed from here, whatever the length."""

_CUTS = {"straight": (6.0, 2.0, 3), "A-line": (56.0, 4.0, 5), "flared": (98.0, 7.0, 8), "pleated": (74.0, 3.0, 10)}
"""How far a cut widens to the hem, how deep it falls into folds (both in pixels), and into how many."""


def draw_skirt(scene: Scene) -> None:
    """Draws the skirt."""
    look, design = scene.look, scene.design
    cut = look.pick(tuple(_CUTS), "cut")
    flare, depth, count = _CUTS[cut]
    waist, top = 100.0 + look.vary(-4, 8, "waist"), 120.0
    hip = waist + (34 if cut == "straight" else 18 + flare * 0.22)
    edge = through((waist - 2, top + 14), (hip, top + 132), (hip + flare * 0.40, top + 290), (hip + flare * 0.86, 690))
    foot = {"midi": 644.0, "mini": 486.0}.get(design["length"], _KNEE)
    panel = Panel(mirrored(edge), edge)
    if cut == "pleated":
        folds = []
        for n in range(count):
            folds.append(Fold(panel.along((n + 0.36) / 10, 0.0, 1.0), 15.0, 4.4, 4))
            folds.append(Fold(panel.along((n + 0.90) / 10, 0.0, 1.0), 9.0, -5.0, 3))
    else:
        folds = falling(panel, count, 0.04, 1.0, look.name, "skirt", width=21, height=2.6 + depth * 0.5, soft=5)
        x, y = panel.at(1, 0.05)
        folds += radiating(x, y, 120, 175, 3, 80, look.name, "r", height=2.6)
        folds += radiating(x, y, 120, 175, 3, 80, look.name, "l", side=-1, height=2.6)
    opening(scene, waist, top)
    skirt, hem = _lay_skirt(scene, edge, foot, top, folds, swing=depth * 0.7, back=(26, 0.58), puff=9)
    if cut == "pleated":
        for n in range(1, 10):
            scene.seam(panel.along(n / 10, 0.03, 1.0), 0.30, within=skirt)
    elif cut != "flared":
        for n in (-1, 1):
            scene.seam(through((n * 52, top + 30), (n * 55, top + 70), (n * 56, top + 106)), 0.26, within=skirt)
    _slit(scene, skirt, foot)
    if design["bands"] == "two":
        for y in (396.0, 430.0):
            across = np.linspace(-240, 240, 40)
            scene.inlay(skirt, ribbon(np.stack([across, y + 9 * np.cos(across / 150)], axis=1), 18), name="bands")
    elif design["bands"] == "tier":
        ruffle(scene, panel.cross(0.46, bulge=8, count=41), 54, "tier", pitch=22, flare=1.09)
    _finish_hem(scene, skirt, hem)
    _skirt_pockets(scene, waist)
    _skirt_front(scene, skirt, top, min(foot, _KNEE))
    _skirt_waist(scene, waist, top)


def _slit(scene: Scene, skirt: Cloth, foot: float) -> None:
    if scene.design["slit"] == "none":
        return
    left = through((64, 396), (62, 476), (54, foot + 30))
    gap = joined(left, points((96, foot + 30)), through((92, 526), (76, 456), (64, 396)))
    scene.inlay(skirt, gap, scene.look.plain(), tone=0.40, name="inside")
    for line in (gap[: len(gap) // 2], gap[len(gap) // 2 :]):
        scene.seam(line, 0.4, 1.6, within=skirt)
    scene.stitch(through((58, 394), (55, 476), (46, foot + 20)), within=skirt)


def _skirt_pockets(scene: Scene, waist: float) -> None:
    value = scene.design["pockets"]
    for n in (-1, 1):
        if value in ("patch", "contrast"):
            patch_pocket(scene, n * 72, 218, 72, 80, lean=n * -0.06, contrast=value == "contrast")
        elif value == "flap":
            flap_pocket(scene, n * 70, 222, 80, 38, lean=n * -0.10)
        elif value == "slant":
            slant_pocket(scene, through((n * (waist - 28), 160), (n * (waist - 14), 206), (n * (waist + 12), 258)))


def _skirt_front(scene: Scene, skirt: Cloth, top: float, low: float) -> None:
    """Draws the front down to y = `low`."""
    value = scene.design["front"]
    if value == "wrap":
        line = through((26, top + 30), (-2, 300), (-40, low - 30))
        scene.seam(through((26, top + 30), (18, 300), (8, low + 4)), 0.5, 1.8, within=skirt)
        for k in range(13):
            x, y = (float(v) for v in line[min(k * 2, len(line) - 1)])
            frill = through((x + 18, y - 4), (x - 2, y - 12), (x - 18, y + 10), (x - 8, y + 32), (x + 18, y + 32))
            if y < low - 16:
                scene.cloth(frill, f"frill {k}", puff=4, shadow=Shadow(-1, 3, 2, 0.42), angle=1.2, tone=1.05)
    elif value == "zip":
        line = points(*((0.0, y) for y in range(round(top) + 34, round(low) - 20, 10)))
        zip_line(scene, line, width=13, pull=0.02)
    elif value == "buttons":
        strip, cast = rectangle(-15, top + 28, 15, low + 9), Shadow(1, 2, 2, 0.45)
        piece = scene.cloth(strip, "placket", puff=3, shadow=cast, tone=1.04, origin=(0, top))
        for x in (-11, 11):
            scene.stitch(points((x, top + 32), (x, low)), within=piece)
        for k in range(7):
            scene.button(0, top + 60 + k * (low - top - 110) / 6, 9.5)
    value = scene.design["decoration"]
    if value == "spray":
        embroidery(scene, -88, low - 84, 44)
    elif value == "badge":
        badge(scene, -86, low - 84, 31)
    elif value == "label":
        label(scene, -86, low - 92, 66, 38)


def _skirt_waist(scene: Scene, waist: float, top: float) -> None:
    value = scene.design["waistband"]
    high = {"plain": 30.0, "wide": 54.0, "elastic": 36.0, "corset": 66.0}[value]
    band, line = waistband(scene, waist, top, high, contrast=value == "wide", gathered=value == "elastic")
    if value == "elastic":
        for down in (high * 0.30, high * 0.62):
            scene.stitch(moved(line, 0, down), within=band)
    elif value == "corset":
        for k in range(4):
            y = top + 14 + k * 15
            for n in (-1, 1):
                end = (-n * 15, y + 15) if k < 3 else (n * 2, y + 8)
                cord(scene, points((n * 15, y), end), 3.4)
                scene.button(n * 16, y, 3.8, BRASS, "metal")
    elif value == "plain":
        scene.button(waist * 0.12, top + 18, 8)
    value = scene.design["waist detail"]
    if value == "belt":
        belt(scene, moved(line, 0, 12), 24, scene.look.contrast("satin"))
    elif value == "bow":
        bow(scene, -18, top + 20, 50, tails=1.4)
