"""The blazer."""

from __future__ import annotations

from .cloth import Material
from .geometry import points, through
from .look import Design, Look
from .motifs import badge, corsage
from .pockets import flap_pocket, patch_pocket, pocket_square, welt_pocket
from .scene import Scene
from .tailoring import Jacket, button_colour
from .trims import belt

ATTRIBUTES: dict[str, dict[str, str]] = {
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


def draw(scene: Scene, look: Look, design: Design) -> None:
    """Draws the blazer."""
    wide, deep = look.vary(-6, 8, "width"), look.vary(-20, 22, "length")
    double = look.original("buttons").startswith("double")
    jacket = Jacket(
        shoulder=(124 + wide * 0.5, 138.0),
        armpit=(142.0 + wide, 262.0),
        waist=(120 + wide + look.vary(-4, 6, "waist"), 388.0),
        foot=(144 + wide, 596 + deep),
        overlap=44.0 if double else 13.0,
        roll=look.vary(366, 392, "roll"),
        hem=596 + deep,
        rounded=not double and look.vary(0, 1, "fronts") < 0.75,
    )
    jacket.lining(scene, look)
    colour, make = button_colour(look)
    for n in (-1, 1):
        sleeve, piece = jacket.sleeve(scene, look, n, reach=452, end=62)
        if design["elbows"] == "patches":
            jacket.elbow_patch(scene, look, sleeve, piece)
        if design["cuffs"] == "turned":
            cuff = sleeve.cuff(scene, look, 0.845, 0.99, name="turn-up", spread=0.05, bulge=5)
            scene.inlay(cuff, look.contrast(), sleeve.panel.section(0.8, 1.0, spread=0.3))
            scene.stitch(sleeve.line(0.86, bulge=5), within=cuff)
        elif design["cuffs"] == "buttons":
            jacket.cuff_buttons(scene, sleeve, 4, colour, make)
    for n in (-1, 1):
        front = jacket.front(scene, look, n)
        if design["hem"] == "border":
            x, y = jacket.foot
            scene.inlay(front, look.contrast(), points((-220, y - 40), (220, y - 40), (220, y + 40), (-220, y + 40)))
            scene.seam(points((-x - 6, y - 40), (x + 6, y - 40)), 0.3, within=front)
        _pockets(scene, look, design, n, jacket)
        kind = design["lapels"]
        satin = Material(look.trim, "satin") if kind == "satin" else None
        jacket.lapel(scene, look, n, "shawl" if satin else kind, size=look.vary(0.94, 1.06, "lapel"), collar=satin)
    jacket.buttons(scene, look, design["buttons"], radius=10.5, pitch=60 if double else 54, start=jacket.roll + 26)
    if design["waist"] != "none":
        y = jacket.waist[1] + 26
        x = jacket.waist[0] + 1
        strap = Material(look.trim, "satin") if design["waist"] == "belt" else look.cloth
        belt(scene, through((-x, y - 2), (0, y + 5), (x, y - 2)), 27, strap)
    if design["lapel flower"] == "rose":
        corsage(scene, 66, 226, 25, look.trim)
    if design["shoulders"] == "epaulettes":
        jacket.epaulettes(scene, look)


def _pockets(scene: Scene, look: Look, design: Design, side: int, jacket: Jacket) -> None:
    y = jacket.foot[1] - 118
    kind = design["hip pockets"]
    if kind in ("flap", "contrast"):
        flap_pocket(
            scene,
            look,
            side * 86,
            y,
            82,
            36,
            lean=side * -0.05,
            material=look.contrast() if kind == "contrast" else None,
        )
    elif kind == "patch":
        patch_pocket(scene, look, side * 84, y - 14, 92, 106, lean=side * -0.03, foot="round")
    if side < 0:
        return
    if design["ticket pocket"] == "flap":
        flap_pocket(scene, look, 88, y - 48, 60, 27, lean=-0.05)
    kind = design["chest pocket"]
    if kind == "square":
        pocket_square(scene, look, 92, 272, 48, look.trim, lean=-0.10)
    if kind in ("welt", "square"):
        welt_pocket(scene, look, 92, 274, 60, 17, lean=-0.10)
    elif kind == "crest":
        badge(scene, 98, 290, 27, look.trim, look.base, look.pick(("star", "anchor", "sun"), "crest"))
