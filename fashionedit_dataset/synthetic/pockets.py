"""Pockets: patch, flap, welt, zipped and slanted."""

from __future__ import annotations

import math

import numpy as np

from .cloth import Material, Shadow
from .geometry import Points, joined, moved, points, ribbon, through
from .look import Look
from .patterns import Colour
from .scene import Scene, darker

_CAST = Shadow(2, 3, 2, 0.50)


def _turned(line: Points, x: float, y: float, lean: float) -> Points:
    cosine, sine = math.cos(lean), math.sin(lean)
    return np.stack([x + cosine * line[:, 0] - sine * line[:, 1], y + sine * line[:, 0] + cosine * line[:, 1]], axis=1)


def _bag(width: float, height: float, foot: str, inset: float = 0.0) -> Points:
    half, top, low = width / 2 - inset, inset if inset else 0.0, height - inset
    if foot == "pointed":
        return points((-half, top), (-half, low * 0.82), (0, low), (half, low * 0.82), (half, top))
    if foot == "square":
        return points((-half, top), (-half, low), (half, low), (half, top))
    round_ = min(half, 12.0)
    return joined(
        points((-half, top)),
        through((-half, low - round_), (-half + round_ * 0.3, low - round_ * 0.3), (-half + round_, low), steps=5),
        through((half - round_, low), (half - round_ * 0.3, low - round_ * 0.3), (half, low - round_), steps=5),
        points((half, top)),
    )


def patch_pocket(
    scene: Scene,
    look: Look,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    material: Material | None = None,
    foot: str = "round",
    lean: float = 0.0,
    thread: Colour | None = None,
    button: Colour | None = None,
    flap: bool = False,
    pleat: bool = False,
) -> None:
    """Sews a patch pocket on; (x, y) is the middle of its upper edge."""
    cloth = material or look.cloth
    bag = _turned(_bag(width, height, foot), x, y, lean)
    piece = scene.cloth(
        bag, cloth, "pocket", angle=lean + 0.03, origin=(x - 5, y - 7), puff=4, shadow=_CAST, tone=1.05, crease=0.6
    )
    sewn = _bag(width, height, foot, 3.2)
    scene.stitch(_turned(sewn, x, y, lean), thread, within=piece)
    if pleat:
        for place in (-4.0, 4.0):
            scene.seam(_turned(points((place, 4), (place, height - 3)), x, y, lean), 0.34, within=piece)
    if flap:
        lid = points(
            (-width / 2 - 1.5, -3), (-width / 2 - 1.5, 14), (0, 23), (width / 2 + 1.5, 14), (width / 2 + 1.5, -3)
        )
        scene.cloth(_turned(lid, x, y, lean), cloth, "lid", angle=lean, origin=(x, y), puff=4, shadow=_CAST, tone=1.08)
        scene.stitch(_turned(lid * 0.9 + (0, 0.5), x, y, lean), thread)
    else:
        scene.seam(_turned(points((-width / 2, 11), (width / 2, 11)), x, y, lean), 0.30, within=piece)
        scene.seam(_turned(points((-width / 2, 0), (width / 2, 0)), x, y, lean), 0.55, 1.6)
    if button:
        at = _turned(points((0, 15 if flap else 6.5)), x, y, lean)[0]
        scene.button(float(at[0]), float(at[1]), 5.4, button, "horn")


def flap_pocket(
    scene: Scene,
    look: Look,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    lean: float = 0.0,
    material: Material | None = None,
    thread: Colour | None = None,
) -> None:
    """Sews a flap over a jetted opening; (x, y) is the middle of the opening."""
    opening = _turned(points((-width / 2 - 1, -2), (width / 2 + 1, -2)), x, y, lean)
    scene.seam(opening, 0.62, 2.2)
    lid = _turned(_bag(width, height, "round"), x, y, lean)
    piece = scene.cloth(
        lid,
        material or look.cloth,
        "flap",
        angle=lean,
        origin=(x, y + 3),
        puff=4,
        shadow=_CAST,
        tone=1.10,
        crease=0.5,
    )
    scene.stitch(_turned(_bag(width, height, "round", 3.0)[1:-1], x, y, lean), thread, within=piece)


def welt_pocket(
    scene: Scene,
    look: Look,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    lean: float = 0.0,
    material: Material | None = None,
) -> None:
    """Sews a standing welt on; (x, y) is the middle of its upper edge."""
    welt = _turned(points((-width / 2, 0), (width / 2, 0), (width / 2, height), (-width / 2, height)), x, y, lean)
    scene.cloth(
        welt, material or look.cloth, "welt", angle=lean, origin=(x, y), puff=3, shadow=_CAST, tone=1.12, crease=0.4
    )
    scene.seam(_turned(points((-width / 2, 0), (width / 2, 0)), x, y, lean), 0.60, 2.0)
    for end in (-width / 2 + 2, width / 2 - 2):
        scene.stitch(_turned(points((end, 1), (end, height - 1)), x, y, lean))


def pocket_square(
    scene: Scene, look: Look, x: float, y: float, width: float, colour: Colour, *, lean: float = 0.0
) -> None:
    """Lays the peaks of a pocket square, to be covered by a welt at (x, y)."""
    silk = Material(colour, "satin")
    for place, high in ((-0.22, 20.0), (0.24, 17.0), (0.0, 24.0)):
        peak = points((width * (place - 0.26), 6), (width * (place - 0.05), -high), (width * (place + 0.28), 6))
        scene.cloth(
            _turned(peak, x, y, lean), silk, f"square {place}", puff=4, shadow=Shadow(1, 2, 2, 0.4), origin=(x, y)
        )


def slant_pocket(scene: Scene, line: Points, thread: Colour | None = None) -> None:
    """Cuts a slanted side pocket along the line."""
    scene.seam(line, 0.62, 2.2)
    scene.stitch(moved(line, -5.0 if line[0, 0] > 0 else 5.0, 2.0), thread)


def zip_line(
    scene: Scene, line: Points, tape: Colour, metal: Colour = (196, 194, 188), *, width: float = 9.0, pull: float = 0.0
) -> None:
    """Sews a zip in along the line; its slider stands at `pull`, 0 at the line's start to 1 at its end."""
    scene.cloth(
        ribbon(line, width), Material(tape, "twill"), "zip tape", puff=2, shadow=Shadow(1, 1, 1, 0.45), tone=0.95
    )
    scene.stitch(moved(line, width / 2 + 2.5, 0.0))
    scene.stitch(line - (width / 2 + 2.5, 0.0))
    for shift in (-1.1, 1.1):
        scene.stitch_teeth(moved(line, shift, 0.0), metal, start=0.5 if shift > 0 else 0.0)
    spot = line[min(round(pull * (len(line) - 1)), len(line) - 1)]
    x, y = float(spot[0]), float(spot[1])
    body = points((x - 4, y - 5), (x + 4, y - 5), (x + 3, y + 6), (x - 3, y + 6))
    tab = points((x - 2.6, y + 4), (x + 2.6, y + 4), (x + 3.2, y + 19), (x - 3.2, y + 19))
    for part in (tab, body):
        scene.ink(part, darker(metal, 0.06), bevel=0.4, shadow=Shadow(1, 2, 1, 0.5))
