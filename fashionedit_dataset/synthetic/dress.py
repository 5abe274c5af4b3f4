"""The dress."""

from __future__ import annotations

import numpy as np

from .cloth import Cloth, Material, Shadow
from .folds import falling, radiating
from .geometry import Panel, Points, joined, mirrored, moved, points, ribbon, through
from .hems import finish_hem, wavy
from .look import Design, Look
from .motifs import bow, corsage, embroidery, neck_label
from .palette import COLOURS
from .pockets import patch_pocket
from .scene import Scene
from .sleeves import Sleeve
from .trims import belt, ruffle

ATTRIBUTES: dict[str, dict[str, str]] = {
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


def draw(scene: Scene, look: Look, design: Design) -> None:
    """Draws the dress."""
    wide = look.vary(-5, 6, "width")
    shoulder, armpit, waist = (94 + wide * 0.5, 142.0), (106.0 + wide, 240.0), (84.0 + wide, 372.0)
    _inside(scene, look, design)
    for n in (-1, 1):
        _sleeve(scene, look, design, n, shoulder, armpit)
    _skirt(scene, look, design, waist)
    body = _bodice(scene, look, design, shoulder, armpit, waist)
    _front(scene, look, design, body, waist)
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


def _sleeve(
    scene: Scene, look: Look, design: Design, side: int, shoulder: tuple[float, float], armpit: tuple[float, float]
) -> None:
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


def _skirt(scene: Scene, look: Look, design: Design, waist: tuple[float, float]) -> None:
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
    scene.cloth(
        joined(hem * (0.985, 1) + (0, 4), hem[::-1] * (0.9, 1) - (0, 24)),
        look.cloth,
        "back hem",
        tone=0.6,
        puff=3,
        ground=True,
    )
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
                scene,
                look,
                n * (wx - 20),
                wy + 46,
                64,
                68,
                lean=n * -0.10,
                foot="round",
                material=look.contrast() if design["pockets"] == "contrast" else None,
            )
    if design["buttons"] == "skirt":
        scene.seam(points((-13, wy), (-13, foot)), 0.3, within=skirt)
        for k in range(6):
            scene.button(0, wy + 44 + k * 42, 8.5, COLOURS["ivory"], "pearl")
    if design["embroidery"] == "spray":
        embroidery(scene, -78, foot - 78, 38, look.trim)
    finish_hem(scene, look, design["hem"], skirt, hem)


def _bodice(
    scene: Scene,
    look: Look,
    design: Design,
    shoulder: tuple[float, float],
    armpit: tuple[float, float],
    waist: tuple[float, float],
) -> Cloth:
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


def _front(scene: Scene, look: Look, design: Design, body: Cloth, waist: tuple[float, float]) -> None:
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
