"""What is sewn onto a garment: belts, ruffles, fringes, cords, pockets and zips."""

from __future__ import annotations

import math

import numpy as np

from .cloth import Cloth, Fold, Material, Shadow
from .geometry import Point, Points, joined, moved, points, ribbon, through
from .look import Look
from .patterns import COLOURS, Colour, brightness
from .rng import uniform
from .scene import Scene, darker

_LYING = Shadow(1, 3, 3, 0.45)
BRASS: Colour = (196, 160, 92)
_STEEL: Colour = (196, 194, 188)


def belt(
    scene: Scene,
    line: Points,
    width: float,
    material: Material,
    *,
    buckle: Colour | None = BRASS,
) -> Cloth:
    """Lays a belt along the line, with a buckle in its middle where given."""
    piece = scene.cloth(
        ribbon(line, width),
        material,
        "belt",
        puff=4,
        shadow=_LYING,
        crease=0.5,
        ground=True,
        origin=(0, float(line[:, 1].mean())),
    )
    for edge in (-1, 1):
        scene.stitch(moved(line, 0, edge * (width / 2 - 3)), darker(material.colour, -0.35), width=1.0)
    if buckle is None:
        return piece
    middle = line[len(line) // 2]
    x, y = float(middle[0]), float(middle[1])
    high, wide = width / 2 + 4.5, width / 2 + 5.0
    for n in range(3):
        scene.ink(points(*_ring(x + wide + 11 + 9 * n, y, 1.6)), (24, 20, 20))
    corners = points((x - wide, y - high), (x + wide, y - high), (x + wide, y + high), (x - wide, y + high))
    bars = [ribbon(corners[[one, two]], 4.6) for one, two in ((0, 1), (3, 2), (0, 3), (1, 2))]
    frame = [*bars, *(points(*_ring(float(cx), float(cy), 2.9)) for cx, cy in corners)]
    scene.ink(frame, buckle, bevel=0.5, shadow=Shadow(1, 2, 2, 0.5))
    scene.ink(ribbon(points((x - wide + 2, y), (x + wide - 1, y)), 3.2), buckle, bevel=0.5, shadow=Shadow(1, 2, 1, 0.5))
    return piece


def _ring(x: float, y: float, radius: float) -> list[Point]:
    return [(x + radius * math.cos(n * math.pi / 12), y + radius * math.sin(n * math.pi / 12)) for n in range(24)]


def cord(scene: Scene, line: Points, width: float, colour: Colour, *, tip: Colour | None = None) -> None:
    """Lays a cord along the line, with a metal tip at its end where given."""
    scene.cloth(ribbon(line, width), Material(colour, "rib"), "cord", puff=2, shadow=Shadow(2, 3, 2, 0.5), crease=0.2)
    scene.stitch(line, darker(colour, 0.25), length=1.6, gap=2.0, width=width * 0.5)
    if tip:
        end = line[-6:]
        scene.ink(ribbon(end, width + 1.2), tip, bevel=0.5, shadow=Shadow(1, 2, 1, 0.4))


def toggle(scene: Scene, x: float, y: float, reach: float, colour: Colour, loop: Colour) -> None:
    """Sews a toggle with its two leather tabs and its loop on."""
    leather = Material(loop, "satin")
    for side in (-1, 1):
        tab = points(
            (x + side * reach * 0.55, y - 10),
            (x + side * reach, y - 8),
            (x + side * reach * 1.05, y),
            (x + side * reach, y + 8),
            (x + side * reach * 0.55, y + 10),
        )
        scene.cloth(tab, leather, "tab", puff=2, shadow=Shadow(1, 2, 1, 0.45), crease=0.2)
        scene.stitch(tab * 0.86 + np.array([x + side * reach * 0.8, y]) * 0.14, darker(loop, -0.45), width=1.1)
        for lift in (-3.4, 3.4):
            scene.ink(
                ribbon(points((x + side * reach * 0.62, y + lift), (x, y + lift * 0.6)), 2.4),
                darker(loop, 0.2),
                bevel=0.3,
                shadow=Shadow(1, 1, 1, 0.4),
            )
    horn = through(
        (x, y - 17),
        (x + 5, y - 12),
        (x + 6.5, y),
        (x + 5, y + 12),
        (x, y + 17),
        (x - 5, y + 12),
        (x - 6.5, y),
        (x - 5, y - 12),
        (x, y - 17),
    )
    scene.ink(horn, colour, bevel=0.34, shadow=Shadow(2, 3, 2, 0.5))
    for lift in (-3.4, 3.4):
        scene.ink(points(*_ring(x, y + lift, 1.7)), darker(colour, 0.7))


def ruffle(
    scene: Scene,
    look: Look,
    line: Points,
    depth: float,
    material: Material,
    name: str,
    *,
    wave: float = 5.0,
    pitch: float = 26.0,
    ground: bool = True,
    flare: float = 1.0,
    middle: float = 0.0,
) -> Cloth:
    """Gathers a ruffle along the line and lets it fall `depth` pixels downwards, `flare` times as wide at its edge."""
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    count = max(round(length / pitch), 3)
    where = np.linspace(0, 1, count * 8 + 1)
    along = np.linspace(0, 1, len(line))
    upper = np.stack([np.interp(where, along, line[:, axis]) for axis in (0, 1)], axis=1)
    turn = where * count * 2 * math.pi + uniform(0, 6, look.name, name)
    lower = upper + np.stack(
        [(upper[:, 0] - middle) * (flare - 1) + 1.2 * np.cos(turn), depth + 0.75 * wave * np.sin(turn)], axis=1
    )
    folds = []
    for n in range(count):
        at = min(int((n + 0.5) * 8), len(upper) - 1)
        top, foot = upper[at], lower[at]
        mid = (top + foot) / 2
        strength = uniform(0.7, 1.2, look.name, name, n)
        spots = (
            (float(top[0]), float(top[1]) - 4),
            (float(mid[0]), float(mid[1])),
            (float(foot[0]), float(foot[1]) + 9),
        )
        folds.append(Fold(through(*spots), pitch * 0.6, 5.0 * strength, 3))
        beside = through(*((x + pitch * 0.5, y) for x, y in spots))
        folds.append(Fold(beside, pitch * 0.4, -4.2 * strength, 3))
    outline = joined(upper, lower[::-1])
    piece = scene.cloth(
        outline,
        material,
        name,
        folds=folds,
        puff=4,
        shadow=_LYING,
        ground=ground,
        crease=0.5,
        origin=(middle, float(line[:, 1].mean())),
    )
    scene.seam(line, 0.42, 1.6)
    return piece


def lace(scene: Scene, line: Points, depth: float, colour: Colour) -> None:
    """Sews a scalloped lace edging on along the line."""
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    count = max(round(length / 15), 3)
    where = np.linspace(0, 1, count * 8 + 1)
    along = np.linspace(0, 1, len(line))
    upper = np.stack([np.interp(where, along, line[:, axis]) for axis in (0, 1)], axis=1)
    drop = depth * (0.72 + 0.28 * np.abs(np.sin(where * count * math.pi)))
    lower = upper + np.stack([np.zeros_like(drop), drop], axis=1)
    scene.cloth(
        joined(upper, lower[::-1]),
        Material(colour, "chiffon"),
        "lace",
        puff=2,
        shadow=Shadow(1, 2, 2, 0.35),
        ground=True,
    )
    eyes = []
    for n in range(count):
        x, y = (float(v) for v in upper[n * 8 + 4])
        eyes.append(points(*_ring(x, y + depth * 0.70, depth * 0.13)))
        for side in (-4.0, 4.0):
            eyes.append(points(*_ring(x + side, y + depth * 0.42, depth * 0.08)))
    scene.ink(eyes, darker(colour, 0.62), opacity=0.8)
    scene.stitch(moved(line, 0, depth * 0.16), darker(colour, 0.3), width=1.4)


def fringe(scene: Scene, look: Look, line: Points, depth: float, colour: Colour) -> None:
    """Hangs a fringe along the line."""
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    count = max(round(length / 4.2), 6)
    along = np.linspace(0, 1, len(line))
    strands = []
    for n in range(count):
        k = (n + 0.5) / count
        x, y = (float(np.interp(k, along, line[:, axis])) for axis in (0, 1))
        sway = uniform(-4, 4, look.name, "fringe", n)
        foot = depth * uniform(0.88, 1.06, look.name, "fringe", n, "foot")
        strands.append(ribbon(through((x, y), (x + sway * 0.3, y + foot * 0.5), (x + sway, y + foot), steps=5), 3.0))
    scene.silhouette.append(scene.frame.place(ribbon(moved(line, 0, depth / 2), depth)))
    scene.ink(strands[::2], darker(colour, 0.16), bevel=0.30, shadow=Shadow(1, 2, 1, 0.4))
    scene.ink(strands[1::2], colour, bevel=0.30, shadow=Shadow(1, 2, 1, 0.4))
    scene.stitch(moved(line, 0, 1.0), darker(colour, 0.3), width=2.2)


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
    contrast: bool = False,
    foot: str = "round",
    lean: float = 0.0,
    thread: Colour | None = None,
    button: Colour | None = None,
    flap: bool = False,
) -> None:
    """Sews a patch pocket on, in the trim colour if `contrast`; (x, y) is the middle of its upper edge."""
    cloth = look.contrast() if contrast else look.cloth
    bag = _turned(_bag(width, height, foot), x, y, lean)
    piece = scene.cloth(
        bag, cloth, "pocket", angle=lean + 0.03, origin=(x - 5, y - 7), puff=4, shadow=_CAST, tone=1.05, crease=0.6
    )
    sewn = _bag(width, height, foot, 3.2)
    scene.stitch(_turned(sewn, x, y, lean), thread, within=piece)
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
    contrast: bool = False,
) -> None:
    """Sews a flap over a jetted opening, in the trim colour if `contrast`; (x, y) is the middle of the opening."""
    opening = _turned(points((-width / 2 - 1, -2), (width / 2 + 1, -2)), x, y, lean)
    scene.seam(opening, 0.62, 2.2)
    lid = _turned(_bag(width, height, "round"), x, y, lean)
    piece = scene.cloth(
        lid,
        look.contrast() if contrast else look.cloth,
        "flap",
        angle=lean,
        origin=(x, y + 3),
        puff=4,
        shadow=_CAST,
        tone=1.10,
        crease=0.5,
    )
    scene.stitch(_turned(_bag(width, height, "round", 3.0)[1:-1], x, y, lean), within=piece)


def welt_pocket(
    scene: Scene, look: Look, x: float, y: float, width: float, height: float, *, lean: float = 0.0
) -> None:
    """Sews a standing welt on; (x, y) is the middle of its upper edge."""
    welt = _turned(points((-width / 2, 0), (width / 2, 0), (width / 2, height), (-width / 2, height)), x, y, lean)
    scene.cloth(welt, look.cloth, "welt", angle=lean, origin=(x, y), puff=3, shadow=_CAST, tone=1.12, crease=0.4)
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


def zip_line(scene: Scene, line: Points, *, width: float, pull: float = 0.0) -> None:
    """Sews a zip in along the line; its slider stands at `pull`, 0 at the line's start to 1 at its end."""
    scene.cloth(
        ribbon(line, width),
        Material(COLOURS["charcoal"], "twill"),
        "zip tape",
        puff=2,
        shadow=Shadow(1, 1, 1, 0.45),
        tone=0.95,
    )
    scene.stitch(moved(line, width / 2 + 2.5, 0.0))
    scene.stitch(line - (width / 2 + 2.5, 0.0))
    for shift in (-1.1, 1.1):
        scene.stitch_teeth(moved(line, shift, 0.0), _STEEL, start=0.5 if shift > 0 else 0.0)
    spot = line[min(round(pull * (len(line) - 1)), len(line) - 1)]
    x, y = float(spot[0]), float(spot[1])
    body = points((x - 4, y - 5), (x + 4, y - 5), (x + 3, y + 6), (x - 3, y + 6))
    tab = points((x - 2.6, y + 4), (x + 2.6, y + 4), (x + 3.2, y + 19), (x - 3.2, y + 19))
    for part in (tab, body):
        scene.ink(part, darker(_STEEL, 0.06), bevel=0.4, shadow=Shadow(1, 2, 1, 0.5))


def button_colour(look: Look) -> tuple[Colour, str]:
    """Returns colour and make of the garment's buttons: always clear against its cloth."""
    light = brightness(look.base) > 120
    dark = (("chocolate", "horn"), ("tobacco", "horn"), ("black", "horn"))
    pale = (("camel", "horn"), ("mustard", "metal"), ("dove", "metal"), ("sand", "horn"))
    name, make = (dark if light else pale)[int(look.vary(0, 2.999 if light else 3.999, "buttons"))]
    return COLOURS[name], make
