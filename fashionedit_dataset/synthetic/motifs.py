"""Things that sit on cloth as signs: badges, prints, flowers, bows."""

from __future__ import annotations

import math

import numpy as np

from .cloth import Cloth, Material, Shadow
from .geometry import Points, circle, joined, points, ribbon, through
from .look import Look
from .patterns import Colour
from .scene import Scene, darker

_SEWN = Shadow(2, 2, 2, 0.42)


def star(x: float, y: float, radius: float, tips: int = 5, depth: float = 0.45, turn: float = -math.pi / 2) -> Points:
    """Returns the outline of a star."""
    angles = turn + np.arange(2 * tips) * math.pi / tips
    reach = np.where(np.arange(2 * tips) % 2 == 0, radius, radius * depth)
    return np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)


def heart(x: float, y: float, radius: float) -> Points:
    """Returns the outline of a heart."""
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x + across * radius / 17, y + down * radius / 17], axis=1)


def badge(scene: Scene, x: float, y: float, radius: float, ground: Colour, sign: Colour, kind: str = "star") -> None:
    """Sews a round embroidered badge on."""
    scene.cloth(
        circle(x, y, radius), Material(ground, "twill"), "badge", puff=3, shadow=_SEWN, crease=0.2, origin=(x, y)
    )
    scene.stitch(_ring(x, y, radius - 3.0), sign, length=3.0, gap=0.9, width=1.8)
    inner = radius * 0.58
    if kind == "heart":
        scene.ink(heart(x, y, inner), sign, bevel=0.18)
    elif kind == "anchor":
        parts = [
            ribbon(points((x, y - inner * 0.7), (x, y + inner * 0.8)), radius * 0.15),
            ribbon(points((x - inner * 0.5, y - inner * 0.3), (x + inner * 0.5, y - inner * 0.3)), radius * 0.14),
            ribbon(
                through((x - inner * 0.9, y + inner * 0.2), (x, y + inner), (x + inner * 0.9, y + inner * 0.2)),
                radius * 0.15,
            ),
            circle(x, y - inner * 0.85, radius * 0.13),
        ]
        scene.ink(parts, sign, bevel=0.18)
    elif kind == "sun":
        scene.ink(star(x, y, inner * 1.1, 12, 0.66), sign, bevel=0.18)
        scene.ink(circle(x, y, inner * 0.42), ground)
    else:
        scene.ink(star(x, y, inner * 1.1), sign, bevel=0.18)


def _ring(x: float, y: float, radius: float) -> Points:
    return circle(x, y, radius, count=41)[np.r_[0:41, 0]]


def embroidery(scene: Scene, x: float, y: float, size: float, bloom: Colour, leaf: Colour = (84, 122, 84)) -> None:
    """Embroiders a spray of three flowers with leaves."""
    stem = through((x - size * 0.7, y + size * 0.8), (x - size * 0.1, y + size * 0.1), (x + size * 0.6, y - size * 0.8))
    scene.ink(ribbon(stem, size * 0.07), leaf, bevel=0.2)
    for k, turn in ((0.2, -0.3), (0.42, 2.2), (0.6, -0.6), (0.8, 2.5)):
        bx, by = stem[int(k * (len(stem) - 1))]
        tip = (float(bx) + size * 0.42 * math.cos(turn), float(by) + size * 0.42 * math.sin(turn))
        line = through((float(bx), float(by)), ((float(bx) + tip[0]) / 2, (float(by) + tip[1]) / 2), tip, steps=6)
        wide = size * 0.17 * np.sin(np.linspace(0, math.pi, len(line)))
        scene.ink(ribbon(line, wide), leaf, bevel=0.2, shadow=Shadow(1, 1, 1, 0.25))
    for fx, fy, radius in ((-0.38, -0.30, 0.34), (0.42, 0.22, 0.36), (0.55, -0.80, 0.30)):
        _blossom(scene, x + fx * size, y + fy * size, radius * size, bloom)


def _blossom(scene: Scene, x: float, y: float, radius: float, colour: Colour) -> None:
    petals = [
        circle(
            x + radius * 0.55 * math.cos(n * 1.2566 - 1.57),
            y + radius * 0.55 * math.sin(n * 1.2566 - 1.57),
            radius * 0.48,
            count=20,
        )
        for n in range(5)
    ]
    for n, petal in enumerate(petals):
        scene.ink(petal, darker(colour, -0.06 * n), bevel=0.22, shadow=Shadow(1, 1, 1, 0.25))
    scene.ink(circle(x, y, radius * 0.24), (232, 190, 84), bevel=0.3)


def corsage(scene: Scene, x: float, y: float, radius: float, colour: Colour) -> None:
    """Pins a fabric rose on: rings of petals, and two leaves behind them."""
    for turn in (0.5, 2.6, 4.3):
        tip = (x + radius * 1.25 * math.cos(turn), y + radius * 1.25 * math.sin(turn))
        line = through((x, y), ((x + tip[0]) / 2, (y + tip[1]) / 2), tip, steps=8)
        leaf = ribbon(line, radius * 0.6 * np.sin(np.linspace(0.4, math.pi, len(line))))
        scene.cloth(leaf, Material((86, 110, 78), "poplin"), "leaf", puff=3, shadow=_SEWN)
    for ring, (reach, size, count) in enumerate(((0.58, 0.46, 7), (0.34, 0.40, 5), (0.10, 0.30, 3))):
        for n in range(count):
            turn = n * 2 * math.pi / count + ring * 0.5
            petal = circle(
                x + radius * reach * math.cos(turn), y + radius * reach * math.sin(turn), radius * size, count=22
            )
            tint = darker(colour, 0.05 * ring - 0.04 * (n % 2))
            scene.cloth(
                petal,
                Material(tint, "satin"),
                f"petal {ring} {n}",
                puff=max(2, round(radius * 0.12)),
                shadow=Shadow(1, 2, 1, 0.42),
                crease=0.3,
            )


def bow(scene: Scene, x: float, y: float, size: float, material: Material, *, tails: float = 1.0) -> None:
    """Ties a bow: two tails, two loops, a knot."""
    for side in (-1.0, 1.0):
        tail = joined(
            through(
                (x + side * size * 0.05, y),
                (x + side * size * 0.28, y + size * 0.6 * tails),
                (x + side * size * 0.34, y + size * 1.5 * tails),
            ),
            through(
                (x + side * size * 0.66, y + size * 1.38 * tails),
                (x + side * size * 0.50, y + size * 0.6 * tails),
                (x + side * size * 0.22, y),
            ),
        )
        scene.cloth(tail, material, f"tail {side}", puff=3, shadow=_SEWN, origin=(x, y), angle=side * -0.3)
    for side in (-1.0, 1.0):
        loop = through(
            (x, y - size * 0.12),
            (x + side * size * 0.55, y - size * 0.46),
            (x + side * size * 0.98, y - size * 0.34),
            (x + side * size * 1.02, y + size * 0.24),
            (x + side * size * 0.55, y + size * 0.30),
            (x, y + size * 0.14),
        )
        scene.cloth(loop, material, f"loop {side}", puff=5, shadow=_SEWN, origin=(x, y), angle=side * 1.2, tone=1.04)
        scene.seam(
            through(
                (x + side * size * 0.12, y),
                (x + side * size * 0.42, y - size * 0.10),
                (x + side * size * 0.62, y - size * 0.08),
            ),
            0.4,
            1.6,
        )
    knot = through(
        (x - size * 0.15, y - size * 0.2),
        (x, y - size * 0.23),
        (x + size * 0.15, y - size * 0.2),
        (x + size * 0.17, y + size * 0.2),
        (x, y + size * 0.24),
        (x - size * 0.17, y + size * 0.2),
        (x - size * 0.15, y - size * 0.2),
    )
    scene.cloth(knot, material, "knot", puff=4, shadow=_SEWN, tone=1.08, origin=(x, y))


def label(scene: Scene, x: float, y: float, width: float, height: float, ground: Colour, ink: Colour) -> None:
    """Sews a woven label on, with two lines of mock lettering."""
    outline = points((x - width / 2, y), (x + width / 2, y), (x + width / 2, y + height), (x - width / 2, y + height))
    scene.cloth(outline, Material(ground, "satin"), "label", puff=2, shadow=Shadow(1, 2, 1, 0.4), crease=0.1, tone=1.0)
    scene.stitch(outline[[0, 1, 2, 3, 0]] * 0.96 + np.array([x, y + height / 2]) * 0.04, ink, length=2.6, width=1.0)
    for place, share in ((0.38, 0.56), (0.66, 0.34)):
        half = width * share / 2
        scene.ink(ribbon(points((x - half, y + height * place), (x + half, y + height * place)), height * 0.11), ink)


def neck_label(scene: Scene, y: float, width: float, height: float, ink: Colour | None = None) -> None:
    """Sews a label on inside the neck or the waist, its upper edge at y, with a line of mock lettering in ink."""
    half = width / 2
    outline = points((-half, y), (half, y), (half, y + height), (-half, y + height))
    silk = Material((238, 234, 226), "satin")
    scene.cloth(outline, silk, "label", puff=2, shadow=Shadow(0, 1, 1, 0.4), crease=0.1)
    if ink is not None:
        middle = y + height / 2
        scene.ink(ribbon(points((-half * 0.6, middle), (half * 0.6, middle)), 2.4), ink)


def graphic(scene: Scene, look: Look, kind: str, y: float, size: float, on: Cloth) -> None:
    """Prints a large graphic about (0, y), `size` pixels to each side, on a plain piece."""
    one, two = look.palette.rgb("second"), look.palette.rgb("third")
    base = None if look.cloth.pattern else look.base

    def ink(outlines: Points | list[Points], colour: Colour) -> None:
        scene.ink(outlines, colour, opacity=0.94, over=base, within=on)

    if kind == "sun":
        ink(_arc(0, y + size * 0.2, size * 0.86), one)
        for n in range(4):
            ink(
                ribbon(
                    points((-size, y + size * (0.32 + 0.17 * n)), (size, y + size * (0.32 + 0.17 * n))),
                    size * (0.13 - 0.022 * n),
                ),
                two,
            )
    elif kind == "waves":
        x = np.linspace(-size, size, 60)
        for n in range(3):
            crest = np.stack([x, y + size * (0.42 * n - 0.42) + size * 0.13 * np.sin(x * 2.4 * math.pi / size)], axis=1)
            ink(ribbon(crest, size * 0.17), two if n == 1 else one)
    elif kind == "arch":
        for n, colour in enumerate((one, two, look.palette.rgb("fourth"))):
            arc = _arc(0, y + size * 0.5, size * (0.9 - 0.27 * n))
            ink(ribbon(arc, size * 0.17), colour)
    elif kind == "mountain":
        ink(circle(size * 0.48, y - size * 0.5, size * 0.22), two)
        ink(points((-size, y + size * 0.6), (-size * 0.38, y - size * 0.42), (size * 0.12, y + size * 0.6)), one)
        ink(points((-size * 0.34, y + size * 0.6), (size * 0.3, y - size * 0.12), (size, y + size * 0.6)), two)
    else:
        stem = through((-size * 0.1, y + size), (size * 0.05, y), (0, y - size))
        ink(ribbon(stem, size * 0.06), one)
        for n in range(5):
            for side in (-1, 1):
                fx, fy = 0.02 * size, y + size * (0.72 - 0.36 * n)
                tip = (side * size * (0.72 - 0.09 * n), fy - size * 0.34)
                line = through((fx, fy), ((fx + tip[0]) / 2, (fy + tip[1]) / 2), tip, steps=8)
                ink(ribbon(line, size * 0.22 * np.sin(np.linspace(0.1, math.pi, len(line)))), one if n % 2 else two)


def _arc(x: float, y: float, radius: float) -> Points:
    turn = np.linspace(math.pi, 2 * math.pi, 40)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
