"""What is sewn onto a garment or printed on it: pockets, zips, belts, ruffles, badges, bows."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from .geometry import (
    Points,
    circle,
    dashes,
    joined,
    length,
    moved,
    points,
    rectangle,
    resampled,
    ribbon,
    shared,
    sized,
    through,
)
from .layers import Cloth, Fold, Ink, Shadow
from .materials import COLOURS, Colour, Material, darker
from .rng import uniform
from .scene import Scene

BRASS: Colour = (196, 160, 92)
_STEEL: Colour = (196, 194, 188)

_LYING = Shadow(1, 3, 3, 0.45)
_SEWN = Shadow(2, 2, 2, 0.42)
_CAST = Shadow(2, 3, 2, 0.50)


def belt(scene: Scene, line: Points, width: float, material: Material, *, buckle: bool = True) -> None:
    """Lays a belt along the line, with a brass buckle in its middle."""
    middle = float(line[:, 1].mean())
    scene.cloth(
        ribbon(line, width), "belt", material, puff=4, shadow=_LYING, crease=0.5, ground=True, origin=(0, middle)
    )
    for edge in (-1, 1):
        scene.stitch(moved(line, 0, edge * (width / 2 - 3)), darker(material.colour, -0.35), width=1.0)
    if not buckle:
        return
    x, y = (float(v) for v in line[len(line) // 2])
    high, wide = width / 2 + 4.5, width / 2 + 5.0
    for n in range(3):
        scene.ink(_ring(x + wide + 11 + 9 * n, y, 1.6), (24, 20, 20))
    corners = rectangle(x - wide, y - high, x + wide, y + high)
    bars = [ribbon(corners[[one, two]], 4.6) for one, two in ((0, 1), (3, 2), (0, 3), (1, 2))]
    frame = [*bars, *(_ring(float(cx), float(cy), 2.9) for cx, cy in corners)]
    scene.ink(frame, BRASS, bevel=0.5, shadow=Shadow(1, 2, 2, 0.5))
    scene.ink(ribbon(points((x - wide + 2, y), (x + wide - 1, y)), 3.2), BRASS, bevel=0.5, shadow=Shadow(1, 2, 1, 0.5))


def _ring(x: float, y: float, radius: float) -> Points:
    turns = (n * math.pi / 12 for n in range(24))
    return points(*((x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns))


def cord(scene: Scene, line: Points, width: float, *, tip: Colour | None = None) -> None:
    """Lays a cord in the trim colour along the line, with a metal tip at its end where given."""
    colour = scene.look.trim
    scene.cloth(ribbon(line, width), "cord", Material(colour, "rib"), puff=2, shadow=Shadow(2, 3, 2, 0.5), crease=0.2)
    scene.stitch(line, darker(colour, 0.25), long=1.6, gap=2.0, width=width * 0.5)
    if tip:
        scene.ink(ribbon(line[-6:], width + 1.2), tip, bevel=0.5, shadow=Shadow(1, 2, 1, 0.4))


def toggle(scene: Scene, x: float, y: float, reach: float) -> None:
    """Sews a horn toggle with its two leather tabs and its loop on."""
    horn, leather = COLOURS["tobacco"], COLOURS["chocolate"]
    for side in (-1, 1):
        near, far = x + side * reach * 0.55, x + side * reach
        tab = points((near, y - 10), (far, y - 8), (x + side * reach * 1.05, y), (far, y + 8), (near, y + 10))
        scene.cloth(tab, "tab", Material(leather, "satin"), puff=2, shadow=Shadow(1, 2, 1, 0.45), crease=0.2)
        scene.stitch(tab * 0.86 + np.array([x + side * reach * 0.8, y]) * 0.14, darker(leather, -0.45), width=1.1)
        for lift in (-3.4, 3.4):
            loop = ribbon(points((x + side * reach * 0.62, y + lift), (x, y + lift * 0.6)), 2.4)
            scene.ink(loop, darker(leather, 0.2), bevel=0.3, shadow=Shadow(1, 1, 1, 0.4))
    right = ((0, -17), (5, -12), (6.5, 0), (5, 12), (0, 17))
    left = ((-5, 12), (-6.5, 0), (-5, -12), (0, -17))
    scene.ink(through(*sized(x, y, 1, *right, *left)), horn, bevel=0.34, shadow=Shadow(2, 3, 2, 0.5))
    for lift in (-3.4, 3.4):
        scene.ink(_ring(x, y + lift, 1.7), darker(horn, 0.7))


def ruffle(
    scene: Scene,
    line: Points,
    depth: float,
    name: str,
    *,
    wave: float = 5.0,
    pitch: float = 26.0,
    ground: bool = True,
    flare: float = 1.0,
    middle: float = 0.0,
) -> None:
    """Gathers a ruffle along the line and lets it fall `depth` pixels downwards, `flare` times as wide at its edge."""
    count = max(round(length(line) / pitch), 3)
    where = np.linspace(0, 1, count * 8 + 1)
    upper = shared(line, where)
    turn = where * count * 2 * math.pi + uniform(0, 6, scene.look.name, name)
    lower = upper + np.stack(
        [(upper[:, 0] - middle) * (flare - 1) + 1.2 * np.cos(turn), depth + 0.75 * wave * np.sin(turn)], axis=1
    )
    folds = []
    for n in range(count):
        at = min(int((n + 0.5) * 8), len(upper) - 1)
        top, foot = upper[at], lower[at]
        x, y = (top + foot) / 2
        strength = uniform(0.7, 1.2, scene.look.name, name, n)
        ridge = ((top[0], top[1] - 4), (x, y), (foot[0], foot[1] + 9))
        folds.append(Fold(through(*ridge), pitch * 0.6, 5.0 * strength, 3))
        folds.append(Fold(through(*((x + pitch * 0.5, y) for x, y in ridge)), pitch * 0.4, -4.2 * strength, 3))
    scene.cloth(
        joined(upper, lower[::-1]),
        name,
        folds=folds,
        puff=4,
        shadow=_LYING,
        ground=ground,
        crease=0.5,
        origin=(middle, float(line[:, 1].mean())),
    )
    scene.seam(line, 0.42, 1.6)


def lace(scene: Scene, line: Points, depth: float, colour: Colour) -> None:
    """Sews a scalloped lace edging on along the line."""
    count = max(round(length(line) / 15), 3)
    where = np.linspace(0, 1, count * 8 + 1)
    upper = shared(line, where)
    drop = depth * (0.72 + 0.28 * np.abs(np.sin(where * count * math.pi)))
    outline = joined(upper, (upper + np.stack([np.zeros_like(drop), drop], axis=1))[::-1])
    scene.cloth(outline, "lace", Material(colour, "chiffon"), puff=2, shadow=Shadow(1, 2, 2, 0.35), ground=True)
    eyes = []
    for n in range(count):
        x, y = (float(v) for v in upper[n * 8 + 4])
        eyes.append(_ring(x, y + depth * 0.70, depth * 0.13))
        eyes += [_ring(x + side, y + depth * 0.42, depth * 0.08) for side in (-4.0, 4.0)]
    scene.ink(eyes, darker(colour, 0.62), opacity=0.8)
    scene.stitch(moved(line, 0, depth * 0.16), darker(colour, 0.3), width=1.4)


def fringe(scene: Scene, line: Points, depth: float) -> None:
    """Hangs a fringe in the trim colour along the line."""
    look, colour = scene.look, scene.look.trim
    count = max(round(length(line) / 4.2), 6)
    strands = []
    for n, (x, y) in enumerate(shared(line, (np.arange(count) + 0.5) / count)):
        sway = look.vary(-4, 4, "fringe", n)
        foot = depth * look.vary(0.88, 1.06, "fringe", n, "foot")
        strands.append(ribbon(through((x, y), (x + sway * 0.3, y + foot * 0.5), (x + sway, y + foot), steps=5), 3.0))
    scene.silhouette.append(scene.place(ribbon(moved(line, 0, depth / 2), depth)))
    scene.ink(strands[::2], darker(colour, 0.16), bevel=0.30, shadow=Shadow(1, 2, 1, 0.4))
    scene.ink(strands[1::2], colour, bevel=0.30, shadow=Shadow(1, 2, 1, 0.4))
    scene.stitch(moved(line, 0, 1.0), darker(colour, 0.3), width=2.2)


def _turned(line: Points, x: float, y: float, lean: float) -> Points:
    cosine, sine = math.cos(lean), math.sin(lean)
    return np.stack([x + cosine * line[:, 0] - sine * line[:, 1], y + sine * line[:, 0] + cosine * line[:, 1]], axis=1)


def _bag(width: float, height: float, foot: str, inset: float = 0.0) -> Points:
    half, top, low = width / 2 - inset, inset, height - inset
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
    turned = partial(_turned, x=x, y=y, lean=lean)
    cloth, half = scene.look.contrast() if contrast else None, width / 2
    bag, origin = turned(_bag(width, height, foot)), (x - 5, y - 7)
    piece = scene.cloth(
        bag, "pocket", cloth, angle=lean + 0.03, origin=origin, puff=4, shadow=_CAST, tone=1.05, crease=0.6
    )
    scene.stitch(turned(_bag(width, height, foot, 3.2)), thread, within=piece)
    if flap:
        lid = points((-half - 1.5, -3), (-half - 1.5, 14), (0, 23), (half + 1.5, 14), (half + 1.5, -3))
        scene.cloth(turned(lid), "lid", cloth, angle=lean, origin=(x, y), puff=4, shadow=_CAST, tone=1.08)
        scene.stitch(turned(lid * 0.9 + (0, 0.5)), thread)
    else:
        scene.seam(turned(points((-half, 11), (half, 11))), 0.30, within=piece)
        scene.seam(turned(points((-half, 0), (half, 0))), 0.55, 1.6)
    if button:
        at = turned(points((0, 15 if flap else 6.5)))[0]
        scene.button(float(at[0]), float(at[1]), 5.4, button, "horn")


def flap_pocket(
    scene: Scene, x: float, y: float, width: float, height: float, *, lean: float = 0.0, contrast: bool = False
) -> None:
    """Sews a flap over a jetted opening, in the trim colour if `contrast`; (x, y) is the middle of the opening."""
    turned = partial(_turned, x=x, y=y, lean=lean)
    scene.seam(turned(points((-width / 2 - 1, -2), (width / 2 + 1, -2))), 0.62, 2.2)
    cloth, lid = scene.look.contrast() if contrast else None, turned(_bag(width, height, "round"))
    piece = scene.cloth(lid, "flap", cloth, angle=lean, origin=(x, y + 3), puff=4, shadow=_CAST, tone=1.10, crease=0.5)
    scene.stitch(turned(_bag(width, height, "round", 3.0)[1:-1]), within=piece)


def welt_pocket(scene: Scene, x: float, y: float, width: float, height: float, *, lean: float) -> None:
    """Sews a standing welt on; (x, y) is the middle of its upper edge."""
    turned = partial(_turned, x=x, y=y, lean=lean)
    half = width / 2
    welt = turned(rectangle(-half, 0, half, height))
    scene.cloth(welt, "welt", angle=lean, origin=(x, y), puff=3, shadow=_CAST, tone=1.12, crease=0.4)
    scene.seam(turned(points((-half, 0), (half, 0))), 0.60, 2.0)
    for end in (-half + 2, half - 2):
        scene.stitch(turned(points((end, 1), (end, height - 1))))


def pocket_square(scene: Scene, x: float, y: float, width: float, *, lean: float) -> None:
    """Lays the peaks of a pocket square in the trim colour, to be covered by a welt at (x, y)."""
    silk, cast = scene.look.contrast("satin"), Shadow(1, 2, 2, 0.4)
    for place, high in ((-0.22, 20.0), (0.24, 17.0), (0.0, 24.0)):
        peak = points((width * (place - 0.26), 6), (width * (place - 0.05), -high), (width * (place + 0.28), 6))
        scene.cloth(_turned(peak, x, y, lean), f"square {place}", silk, puff=4, shadow=cast, origin=(x, y))


def slant_pocket(scene: Scene, line: Points) -> None:
    """Cuts a slanted side pocket along the line."""
    scene.seam(line, 0.62, 2.2)
    scene.stitch(moved(line, -5.0 if line[0, 0] > 0 else 5.0, 2.0), scene.look.thread)


def zip_line(scene: Scene, line: Points, *, width: float, pull: float = 0.0) -> None:
    """Sews a zip in along the line; its slider stands at `pull`, 0 at the line's start to 1 at its end."""
    tape, cast = Material(COLOURS["charcoal"], "twill"), Shadow(1, 1, 1, 0.45)
    scene.cloth(ribbon(line, width), "zip tape", tape, puff=2, shadow=cast, tone=0.95)
    for aside in (width / 2 + 2.5, -(width / 2 + 2.5)):
        scene.stitch(moved(line, aside, 0.0))
    for shift, first in ((-1.1, 0), (1.1, 2)):
        row = moved(line, shift, 0.0)
        count = max(int(length(row) / 3.0), 2)
        fine = resampled(scene.place(row), count * 4 + 1)
        teeth = dashes(fine[first : count * 4 - 2 : 4], fine[first + 2 : count * 4 : 4], 3.0)
        scene.layers.append(Ink((teeth,), _STEEL, bevel=0.5, shadow=Shadow(1, 1, 1, 0.5)))
    x, y = (float(v) for v in line[min(round(pull * (len(line) - 1)), len(line) - 1)])
    body = points((x - 4, y - 5), (x + 4, y - 5), (x + 3, y + 6), (x - 3, y + 6))
    tab = points((x - 2.6, y + 4), (x + 2.6, y + 4), (x + 3.2, y + 19), (x - 3.2, y + 19))
    for part in (tab, body):
        scene.ink(part, darker(_STEEL, 0.06), bevel=0.4, shadow=Shadow(1, 2, 1, 0.5))


def _star(x: float, y: float, radius: float, tips: int = 5, depth: float = 0.45) -> Points:
    angles = -math.pi / 2 + np.arange(2 * tips) * math.pi / tips
    reach = np.where(np.arange(2 * tips) % 2 == 0, radius, radius * depth)
    return np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)


def _heart(x: float, y: float, radius: float) -> Points:
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x + across * radius / 17, y + down * radius / 17], axis=1)


def badge(
    scene: Scene,
    x: float,
    y: float,
    radius: float,
    signs: tuple[str, ...] = ("star", "heart", "sun"),
    name: str = "badge",
) -> None:
    """Sews a round badge in the trim colour on; the cut decides which of the signs is embroidered on it."""
    ground, sign = scene.look.trim, scene.look.base
    cloth = Material(ground, "twill")
    scene.cloth(circle(x, y, radius), "badge", cloth, puff=3, shadow=_SEWN, crease=0.2, origin=(x, y))
    ring = circle(x, y, radius - 3.0, count=41)
    scene.stitch(joined(ring, ring[:1]), sign, long=3.0, gap=0.9, width=1.8)
    inner = radius * 0.58
    kind = scene.look.pick(signs, name)
    if kind == "heart":
        scene.ink(_heart(x, y, inner), sign, bevel=0.18)
    elif kind == "anchor":
        shank = ribbon(points(*sized(x, y, inner, (0, -0.7), (0, 0.8))), radius * 0.15)
        stock = ribbon(points(*sized(x, y, inner, (-0.5, -0.3), (0.5, -0.3))), radius * 0.14)
        arms = ribbon(through(*sized(x, y, inner, (-0.9, 0.2), (0, 1), (0.9, 0.2))), radius * 0.15)
        scene.ink([shank, stock, arms, circle(x, y - inner * 0.85, radius * 0.13)], sign, bevel=0.18)
    elif kind == "sun":
        scene.ink(_star(x, y, inner * 1.1, 12, 0.66), sign, bevel=0.18)
        scene.ink(circle(x, y, inner * 0.42), ground)
    else:
        scene.ink(_star(x, y, inner * 1.1), sign, bevel=0.18)


def _leaf(x: float, y: float, tip: tuple[float, float], width: float, start: float, steps: int = 8) -> Points:
    """Returns the outline of a leaf from (x, y) to its tip; `start` 0 lets it begin in a point."""
    line = through((x, y), ((x + tip[0]) / 2, (y + tip[1]) / 2), tip, steps=steps)
    return ribbon(line, width * np.sin(np.linspace(start, math.pi, len(line))))


def embroidery(scene: Scene, x: float, y: float, size: float) -> None:
    """Embroiders a spray of three flowers in the trim colour, with leaves."""
    green, cast = (84, 122, 84), Shadow(1, 1, 1, 0.25)
    stem = through(*sized(x, y, size, (-0.7, 0.8), (-0.1, 0.1), (0.6, -0.8)))
    scene.ink(ribbon(stem, size * 0.07), green, bevel=0.2)
    for k, turn in ((0.2, -0.3), (0.42, 2.2), (0.6, -0.6), (0.8, 2.5)):
        bx, by = (float(v) for v in stem[int(k * (len(stem) - 1))])
        tip = (bx + size * 0.42 * math.cos(turn), by + size * 0.42 * math.sin(turn))
        scene.ink(_leaf(bx, by, tip, size * 0.17, 0, steps=6), green, bevel=0.2, shadow=cast)
    for across, down, share in ((-0.38, -0.30, 0.34), (0.42, 0.22, 0.36), (0.55, -0.80, 0.30)):
        fx, fy, radius = x + across * size, y + down * size, share * size
        for n in range(5):
            turn = n * 1.2566 - 1.57
            px, py = fx + radius * 0.55 * math.cos(turn), fy + radius * 0.55 * math.sin(turn)
            petal = circle(px, py, radius * 0.48, count=20)
            scene.ink(petal, darker(scene.look.trim, -0.06 * n), bevel=0.22, shadow=cast)
        scene.ink(circle(fx, fy, radius * 0.24), (232, 190, 84), bevel=0.3)


def corsage(scene: Scene, x: float, y: float, radius: float) -> None:
    """Pins a fabric rose in the trim colour on: rings of petals, and two leaves behind them."""
    for turn in (0.5, 2.6, 4.3):
        tip = (x + radius * 1.25 * math.cos(turn), y + radius * 1.25 * math.sin(turn))
        leaf = _leaf(x, y, tip, radius * 0.6, 0.4)
        scene.cloth(leaf, "leaf", Material((86, 110, 78), "poplin"), puff=3, shadow=_SEWN)
    puff, cast = max(2, round(radius * 0.12)), Shadow(1, 2, 1, 0.42)
    for ring, (reach, size, count) in enumerate(((0.58, 0.46, 7), (0.34, 0.40, 5), (0.10, 0.30, 3))):
        for n in range(count):
            turn = n * 2 * math.pi / count + ring * 0.5
            px, py = x + radius * reach * math.cos(turn), y + radius * reach * math.sin(turn)
            silk = Material(darker(scene.look.trim, 0.05 * ring - 0.04 * (n % 2)), "satin")
            petal = circle(px, py, radius * size, count=22)
            scene.cloth(petal, f"petal {ring} {n}", silk, puff=puff, shadow=cast, crease=0.3)


def bow(scene: Scene, x: float, y: float, size: float, material: Material | None = None, *, tails: float = 1.0) -> None:
    """Ties a bow, of satin in the trim colour where no material is given: two tails, two loops, a knot."""
    material = material or scene.look.contrast("satin")
    at = partial(sized, x, y, size)
    for side in (-1.0, 1.0):
        tail = joined(
            through(*at((0.05, 0), (0.28, 0.6), (0.34, 1.5), side=side, stretch=tails)),
            through(*at((0.66, 1.38), (0.50, 0.6), (0.22, 0), side=side, stretch=tails)),
        )
        scene.cloth(tail, f"tail {side}", material, puff=3, shadow=_SEWN, origin=(x, y), angle=side * -0.3)
    for side in (-1.0, 1.0):
        lower = ((1.02, 0.24), (0.55, 0.30), (0, 0.14))
        loop = through(*at((0, -0.12), (0.55, -0.46), (0.98, -0.34), *lower, side=side))
        scene.cloth(loop, f"loop {side}", material, puff=5, shadow=_SEWN, origin=(x, y), angle=side * 1.2, tone=1.04)
        scene.seam(through(*at((0.12, 0), (0.42, -0.10), (0.62, -0.08), side=side)), 0.4, 1.6)
    corner = (-0.15, -0.2)
    knot = through(*at(corner, (0, -0.23), (0.15, -0.2), (0.17, 0.2), (0, 0.24), (-0.17, 0.2), corner))
    scene.cloth(knot, "knot", material, puff=4, shadow=_SEWN, tone=1.08, origin=(x, y))


def label(scene: Scene, x: float, y: float, width: float, height: float) -> None:
    """Sews a woven label in the trim colour on, with two lines of mock lettering."""
    silk, ink = scene.look.contrast("satin"), scene.look.base
    outline = rectangle(x - width / 2, y, x + width / 2, y + height)
    scene.cloth(outline, "label", silk, puff=2, shadow=Shadow(1, 2, 1, 0.4), crease=0.1)
    scene.stitch(outline[[0, 1, 2, 3, 0]] * 0.96 + np.array([x, y + height / 2]) * 0.04, ink, long=2.6, width=1.0)
    for place, share in ((0.38, 0.56), (0.66, 0.34)):
        half = width * share / 2
        scene.ink(ribbon(points((x - half, y + height * place), (x + half, y + height * place)), height * 0.11), ink)


def neck_label(scene: Scene, y: float, width: float, height: float, ink: Colour | None = None) -> None:
    """Sews a label on inside the neck or the waist, its upper edge at y, with a line of mock lettering in ink."""
    half, silk = width / 2, Material((238, 234, 226), "satin")
    outline = rectangle(-half, y, half, y + height)
    scene.cloth(outline, "label", silk, puff=2, shadow=Shadow(0, 1, 1, 0.4), crease=0.1)
    if ink is not None:
        middle = y + height / 2
        scene.ink(ribbon(points((-half * 0.6, middle), (half * 0.6, middle)), 2.4), ink)


def graphic(scene: Scene, kind: str, y: float, size: float, on: Cloth) -> None:
    """Prints a large graphic about (0, y), `size` pixels to each side, on a plain piece."""
    look = scene.look
    one, two, three = (look.palette.rgb(part) for part in ("second", "third", "fourth"))
    ink = partial(scene.ink, opacity=0.94, over=None if look.cloth.pattern else look.base, within=on)
    at = partial(sized, 0, y, size)
    if kind == "sun":
        ink(_arc(y + size * 0.2, size * 0.86), one)
        for n in range(4):
            down = y + size * (0.32 + 0.17 * n)
            ink(ribbon(points((-size, down), (size, down)), size * (0.13 - 0.022 * n)), two)
    elif kind == "waves":
        x = np.linspace(-size, size, 60)
        for n in range(3):
            crest = np.stack([x, y + size * (0.42 * n - 0.42) + size * 0.13 * np.sin(x * 2.4 * math.pi / size)], axis=1)
            ink(ribbon(crest, size * 0.17), two if n == 1 else one)
    elif kind == "arch":
        for n, colour in enumerate((one, two, three)):
            ink(ribbon(_arc(y + size * 0.5, size * (0.9 - 0.27 * n)), size * 0.17), colour)
    elif kind == "mountain":
        ink(circle(size * 0.48, y - size * 0.5, size * 0.22), two)
        ink(points(*at((-1, 0.6), (-0.38, -0.42), (0.12, 0.6))), one)
        ink(points(*at((-0.34, 0.6), (0.3, -0.12), (1, 0.6))), two)
    else:
        ink(ribbon(through(*at((-0.1, 1), (0.05, 0), (0, -1))), size * 0.06), one)
        for n in range(5):
            for side in (-1, 1):
                fx, fy = 0.02 * size, y + size * (0.72 - 0.36 * n)
                tip = (side * size * (0.72 - 0.09 * n), fy - size * 0.34)
                ink(_leaf(fx, fy, tip, size * 0.22, 0.1), one if n % 2 else two)


def _arc(y: float, radius: float) -> Points:
    turn = np.linspace(math.pi, 2 * math.pi, 40)
    return np.stack([radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
