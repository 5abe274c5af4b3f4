"""The skirt."""

from __future__ import annotations

import numpy as np

from .cloth import Cloth, Fold, Material, Shadow
from .folds import falling, radiating
from .geometry import Panel, joined, mirrored, moved, points, ribbon, through
from .hems import finish_hem, wavy
from .look import Design, Look
from .motifs import badge, bow, embroidery, label
from .palette import COLOURS
from .pockets import flap_pocket, patch_pocket, slant_pocket, zip_line
from .scene import Scene
from .tailoring import button_colour
from .trims import belt, cord, ruffle
from .waistbands import opening, waistband

ATTRIBUTES: dict[str, dict[str, str]] = {
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


def draw(scene: Scene, look: Look, design: Design) -> None:
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
    scene.cloth(
        joined(hem * (0.985, 1) + (0, 4), hem[::-1] * (0.9, 1) - (0, 26)),
        look.cloth,
        "back hem",
        tone=0.58,
        puff=3,
        ground=True,
    )
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
    _front(scene, look, design, skirt, top, waist)
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


def _front(scene: Scene, look: Look, design: Design, skirt: Cloth, top: float, waist: float) -> None:
    value = design["pockets"]
    for n in (-1, 1):
        if value in ("patch", "contrast"):
            patch_pocket(
                scene,
                look,
                n * 72,
                218,
                72,
                80,
                lean=n * -0.06,
                foot="round",
                material=look.contrast() if value == "contrast" else None,
            )
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
            COLOURS["charcoal"],
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
