"""The coat."""

from __future__ import annotations

from dataclasses import replace

from .cloth import Material, Shadow
from .geometry import joined, mirrored, points, through
from .look import Design, Look
from .motifs import bow, corsage
from .palette import COLOURS
from .pockets import flap_pocket, patch_pocket, welt_pocket, zip_line
from .scene import Scene
from .sleeves import Sleeve
from .tailoring import LEAF, Jacket, button_colour
from .trims import belt, fringe, toggle

ATTRIBUTES: dict[str, dict[str, str]] = {
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


def draw(scene: Scene, look: Look, design: Design) -> None:
    """Draws the coat."""
    wide, flare = look.vary(-5, 8, "width"), look.vary(-10, 10, "flare")
    base = Jacket(
        shoulder=(116 + wide * 0.5, 136.0),
        armpit=(134.0 + wide, 258.0),
        waist=(126 + wide + look.vary(-7, 5, "waist"), 392.0),
        foot=(160 + wide + flare, 706.0),
        overlap=46.0,
        roll=344.0,
        hem=706.0 if design["length"] == "knee" else 648.0,
        rounded=False,
    )
    closed = design["collar"] in ("funnel", "round")
    jacket = replace(base, roll=152.0) if closed else base
    jacket.lining(scene, look, closed)
    for n in (-1, 1):
        _sleeve(scene, look, design, n, jacket)
    for n in (-1, 1):
        front = jacket.front(scene, look, n)
        x, y = (float(v) for v in jacket.side[-1])
        if design["hem"] in ("border", "fur"):
            cloth = look.contrast("shearling" if design["hem"] == "fur" else None)
            scene.inlay(front, cloth, points((-230, y - 46), (230, y - 46), (230, y + 40), (-230, y + 40)))
            scene.seam(points((-x - 8, y - 46), (x + 8, y - 46)), 0.4, 1.6, within=front)
        _pockets(scene, look, design, n)
        if n > 0:
            _chest(scene, look, design)
        if not closed:
            kind = design["collar"]
            fur = look.contrast("shearling") if kind == "fur" else None
            jacket.lapel(scene, look, n, "shawl" if fur else kind, size=1.1, collar=fur)
    if design["hem"] == "fringe":
        x, y = (float(v) for v in jacket.side[-1])
        fringe(scene, look, through((-x, y - 10), (0, y), (x, y - 10)), 44, look.trim)
    _closure(scene, look, design, jacket)
    if closed:
        _collar(scene, look, design)
    if design["chest"] == "rose":
        corsage(scene, 96, 258, 27, look.trim)
    _belt(scene, look, design, jacket)
    if design["shoulders"] == "epaulettes":
        jacket.epaulettes(scene, look)


def _sleeve(scene: Scene, look: Look, design: Design, side: int, jacket: Jacket) -> None:
    sleeve, _ = jacket.sleeve(scene, look, side, reach=462, end=70)
    value = design["cuffs"]
    if value == "strap":
        colour, make = button_colour(look)
        band = sleeve.cuff(scene, look, 0.84, 0.895, name="strap", spread=0.03, bulge=4)
        for t in (0.852, 0.882):
            scene.stitch(sleeve.line(t, 4), within=band)
        x, y = sleeve.panel.at(0.24, 0.872)
        scene.button(x, y, 8, colour, make)
    elif value != "plain":
        _turn_up(scene, look, sleeve, look.contrast("shearling" if value == "fur" else None))


def _turn_up(scene: Scene, look: Look, sleeve: Sleeve, cloth: Material) -> None:
    outline = sleeve.panel.section(0.84, 0.99, bulge=(5, 5), spread=0.08)
    scene.cloth(
        outline, cloth, f"turn-up {sleeve.side}", angle=sleeve.lean, puff=7, shadow=Shadow(1, 3, 3, 0.45), ground=True
    )


def _pockets(scene: Scene, look: Look, design: Design, side: int) -> None:
    kind = design["pockets"]
    if kind == "welt":
        welt_pocket(scene, look, side * 88, 476, 92, 22, lean=side * 1.16)
    elif kind == "flap":
        flap_pocket(scene, look, side * 84, 500, 82, 42, lean=side * -0.06)
    elif kind != "none":
        patch_pocket(
            scene,
            look,
            side * 86,
            494,
            84,
            104,
            lean=side * -0.04,
            foot="round",
            material=look.contrast() if kind == "contrast" else None,
        )


def _closure(scene: Scene, look: Look, design: Design, jacket: Jacket) -> None:
    kind = design["closure"]
    if kind == "zip":
        zip_line(
            scene, points(*((-37.0, float(y)) for y in range(352, 622, 10))), COLOURS["charcoal"], width=13, pull=0.05
        )
    elif kind == "toggles":
        for n in range(3):
            toggle(scene, -6, 386 + n * 74, 50, COLOURS["tobacco"], COLOURS["chocolate"])
    else:
        jacket.buttons(scene, look, kind, radius=13, pitch=74, start=384)


def _collar(scene: Scene, look: Look, design: Design) -> None:
    colour, make = button_colour(look)
    for y in (206, 280):
        scene.button(0, y, 13, colour, make)
    for n in (-1, 1):
        if design["collar"] == "funnel":
            half = joined(
                points((-9, 186), (-6, 112)),
                through((-6, 112), (20, 108), (50, 92)),
                through((58, 98), (64, 122), (60, 150)),
                through((60, 150), (30, 176), (-9, 186)),
            )
        else:
            half = joined(
                through((44, 98), (30, 130), (1, 154)),
                through((1, 154), (20, 196), (62, 204), (96, 176), (84, 130), (46, 94)),
            )
        leaf = scene.cloth(
            mirrored(half, n),
            look.cloth,
            f"collar {n}",
            puff=9,
            shadow=LEAF,
            angle=n * 0.4,
            tone=1.12,
            ground=True,
            crease=0.6,
        )
        inner = half * 0.92 + ((4.0, 12.0) if design["collar"] == "round" else (3.0, 10.0))
        scene.stitch(mirrored(inner, n), within=leaf)


def _chest(scene: Scene, look: Look, design: Design) -> None:
    value = design["chest"]
    if value == "storm flap":
        colour, make = button_colour(look)
        flap = joined(
            points((66, 116)),
            points((116, 138)),
            through((118, 170), (120, 222), (126, 256)),
            through((126, 262), (104, 288), (66, 292)),
            through((66, 292), (62, 240), (66, 116)),
        )
        piece = scene.cloth(flap, look.cloth, "storm flap", puff=7, shadow=Shadow(1, 5, 4, 0.6), tone=1.08)
        scene.stitch(through((120, 258), (100, 280), (70, 285)), within=piece)
        scene.button(82, 272, 9, colour, make)
    elif value == "welt":
        welt_pocket(scene, look, 92, 284, 58, 20, lean=-0.14)


def _belt(scene: Scene, look: Look, design: Design, jacket: Jacket) -> None:
    value = design["belt"]
    if value == "none":
        return
    x, y = jacket.waist[0] + 2, jacket.waist[1] + 34
    line = through((-x, y - 3), (0, y + 6), (x, y - 3))
    if value == "tied":
        belt(scene, line, 30, look.cloth, buckle=None)
        bow(scene, -8, y + 6, 52, look.cloth, tails=1.0)
    else:
        belt(scene, line, 32, Material(look.trim, "satin") if value == "contrast" else look.cloth)
        for n in (-1, 1):
            scene.cloth(
                mirrored(points((92, y - 22), (101, y - 22), (101, y + 24), (92, y + 24)), n),
                look.cloth,
                "loop",
                puff=3,
                shadow=Shadow(1, 2, 2, 0.5),
                tone=1.08,
            )
