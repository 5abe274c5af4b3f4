"""Trims: belts, bows' sashes, cords, ruffles, lace, fringe, bands."""

from __future__ import annotations

import math

import numpy as np

from .chance import uniform
from .cloth import Cloth, Fold, Material, Shadow
from .geometry import Points, joined, moved, points, ribbon, through
from .look import Look
from .patterns import Colour
from .scene import Scene, darker

_LYING = Shadow(1, 3, 3, 0.45)
BRASS: Colour = (196, 160, 92)


def belt(
    scene: Scene,
    line: Points,
    width: float,
    material: Material,
    *,
    buckle: Colour | None = BRASS,
    square: bool = True,
    holes: bool = True,
    ground: bool = True,
) -> Cloth:
    """Lays a belt along the line, with a buckle in its middle where given."""
    piece = scene.cloth(
        ribbon(line, width),
        material,
        "belt",
        puff=4,
        shadow=_LYING,
        crease=0.5,
        ground=ground,
        origin=(0, float(line[:, 1].mean())),
    )
    for edge in (-1, 1):
        scene.stitch(moved(line, 0, edge * (width / 2 - 3)), darker(material.colour, -0.35), width=1.0)
    if buckle is None:
        return piece
    middle = line[len(line) // 2]
    x, y = float(middle[0]), float(middle[1])
    high, wide = width / 2 + 4.5, (width / 2 + 5.0 if square else width / 2 + 4.5)
    if holes:
        for n in range(3):
            scene.ink(points(*_ring(x + wide + 11 + 9 * n, y, 1.6)), (24, 20, 20))
    if square:
        corners = points((x - wide, y - high), (x + wide, y - high), (x + wide, y + high), (x - wide, y + high))
        bars = [ribbon(corners[[one, two]], 4.6) for one, two in ((0, 1), (3, 2), (0, 3), (1, 2))]
        frame = [*bars, *(points(*_ring(float(cx), float(cy), 2.9)) for cx, cy in corners)]
    else:
        round_ = points(*_ring(x, y, high))
        frame = [ribbon(round_[np.r_[0 : len(round_), 0, 1]], 4.6)]
    scene.ink(frame, buckle, bevel=0.5, shadow=Shadow(1, 2, 2, 0.5))
    scene.ink(ribbon(points((x - wide + 2, y), (x + wide - 1, y)), 3.2), buckle, bevel=0.5, shadow=Shadow(1, 2, 1, 0.5))
    return piece


def _ring(x: float, y: float, radius: float) -> list[tuple[float, float]]:
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


def lace(scene: Scene, line: Points, depth: float, colour: Colour, *, ground: bool = True) -> None:
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
        ground=ground,
    )
    eyes = []
    for n in range(count):
        x, y = (float(v) for v in upper[n * 8 + 4])
        eyes.append(points(*_ring(x, y + depth * 0.70, depth * 0.13)))
        for side in (-4.0, 4.0):
            eyes.append(points(*_ring(x + side, y + depth * 0.42, depth * 0.08)))
    scene.ink(eyes, darker(colour, 0.62), opacity=0.8)
    scene.stitch(moved(line, 0, depth * 0.16), darker(colour, 0.3), width=1.4)


def fringe(scene: Scene, look: Look, line: Points, depth: float, colour: Colour, *, ground: bool = True) -> None:
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
    if ground:
        scene.silhouette.append(scene.frame.place(ribbon(moved(line, 0, depth / 2), depth)))
    scene.ink(strands[::2], darker(colour, 0.16), bevel=0.30, shadow=Shadow(1, 2, 1, 0.4))
    scene.ink(strands[1::2], colour, bevel=0.30, shadow=Shadow(1, 2, 1, 0.4))
    scene.stitch(moved(line, 0, 1.0), darker(colour, 0.3), width=2.2)
