"""Patterns printed on or woven into cloth, as functions of the cloth's own coordinates, so that they bend with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .chance import choose, uniform
from .raster import Field

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""

PATTERNS = {
    "breton": "stripe",
    "awning": "stripe",
    "bengal": "stripe",
    "pinstripe": "stripe",
    "gingham": "check",
    "windowpane": "check",
    "tartan": "check",
    "polka": "dot",
    "pindot": "dot",
    "ditsy": "floral",
    "bloom": "floral",
}
"""Every pattern and the family that a caption names."""

_TILE = 256


@dataclass(frozen=True)
class Pattern:
    """A pattern in its colours.

    Args:
        kind: A key of `PATTERNS`.
        colours: Second, third and fourth colour; the first is the cloth's own.
        scale: 1 for the usual size.
        name: Where its flowers grow.
    """

    kind: str
    colours: tuple[Colour, Colour, Colour]
    scale: float = 1.0
    name: str = ""


def _band(place: Field, period: float, width: float, shift: float = 0.0) -> Field:
    away = np.abs((place - shift + period / 2) % period - period / 2)
    share: Field = np.clip((width / 2 - away) * 1.25 + 0.5, 0, 1)
    return share


def _lay(colours: Field, colour: Colour, share: Field) -> Field:
    laid: Field = colours + (np.array(colour, np.float32) - colours) * share[..., None]
    return laid


def dyed(base: Colour, pattern: Pattern | None, u: Field, v: Field) -> Field:
    """Returns the colour of cloth at (u across, v down) in pixels of cloth: shape (H, W, 3), 0..255."""
    plain = np.broadcast_to(np.array(base, np.float32), (*u.shape, 3))
    if pattern is None:
        return plain
    second, third, _ = pattern.colours
    k = pattern.scale
    if pattern.kind == "breton":
        return _lay(plain, second, _band(v, 25 * k, 10 * k, 6))
    if pattern.kind == "awning":
        return _lay(plain, second, _band(v, 52 * k, 26 * k, 13))
    if pattern.kind == "bengal":
        return _lay(_lay(plain, second, _band(u, 18 * k, 6 * k)), third, _band(u, 18 * k, 1.6, 9 * k))
    if pattern.kind == "pinstripe":
        return _lay(plain, second, 0.8 * _band(u, 17 * k, 1.5))
    if pattern.kind == "gingham":
        weft, warp = _band(u, 24 * k, 12 * k), _band(v, 24 * k, 12 * k)
        return _lay(plain, second, 0.5 * weft + 0.5 * warp)
    if pattern.kind == "windowpane":
        lines = np.maximum(_band(u, 46 * k, 2.4), _band(v, 46 * k, 2.4))
        return _lay(plain, second, 0.9 * lines)
    if pattern.kind == "tartan":
        return _tartan(plain, pattern, u, v)
    tile = _tile(pattern)
    scale = 2 / k
    column, row = (u * scale).astype(np.int32) % (2 * _TILE), (v * scale).astype(np.int32) % (2 * _TILE)
    ink = tile[row, column].astype(np.float32)
    return plain + (ink[..., :3] - plain) * (ink[..., 3:] * np.float32(1 / 255))


def _tartan(cloth: Field, pattern: Pattern, u: Field, v: Field) -> Field:
    second, third, fourth = pattern.colours
    period = 58 * pattern.scale
    twill = 0.5 + 0.5 * np.sin((u + v) * np.float32(math.pi / 2))
    for place, over in ((u, twill), (v, 1 - twill)):
        share = 0.40 + 0.36 * over
        cloth = _lay(cloth, second, _band(place, period, period * 0.42) * share)
        cloth = _lay(cloth, third, _band(place, period, period * 0.10, period * 0.5) * share)
        cloth = _lay(cloth, fourth, _band(place, period, 2.0, period * 0.32) * 0.75)
        cloth = _lay(cloth, fourth, _band(place, period, 2.0, -period * 0.32) * 0.75)
    return cloth


@lru_cache(maxsize=12)
def _tile(pattern: Pattern) -> NDArray[np.uint8]:
    """Returns one repeat of a printed pattern as straight RGBA, two samples per pixel of cloth, shape (512, 512, 4)."""
    s = 4
    image = Image.new("RGBA", (_TILE * s, _TILE * s), (*pattern.colours[0], 0))
    draw = ImageDraw.Draw(image)
    if pattern.kind in ("polka", "pindot"):
        step, radius = (32, 7.2) if pattern.kind == "polka" else (16, 2.6)
        for row in range(-1, _TILE * 2 // step + 1):
            for column in range(-1, _TILE // step + 1):
                x, y = column * step + (row % 2) * step / 2, row * step / 2
                draw.ellipse(
                    [(x - radius) * s, (y - radius) * s, (x + radius) * s, (y + radius) * s],
                    fill=(*pattern.colours[0], 255),
                )
    else:
        _plant(draw, pattern, s)
    half = image.reduce(s // 2)
    return np.asarray(half)


def _plant(draw: ImageDraw.ImageDraw, pattern: Pattern, s: int) -> None:
    leaf = _between(pattern.colours[2], (70, 110, 70), 0.5)
    sizes = ((21.0, 9), (12.0, 16), (5.5, 34)) if pattern.kind == "bloom" else ((8.5, 26), (5.0, 40))
    grown: list[tuple[float, float, float]] = []
    for radius, count in sizes:
        for attempt in range(count * 7):
            name = (pattern.name, radius, attempt)
            x, y = uniform(0, _TILE, *name, "x"), uniform(0, _TILE, *name, "y")
            if any(
                math.hypot((x - a + _TILE / 2) % _TILE - _TILE / 2, (y - b + _TILE / 2) % _TILE - _TILE / 2)
                < (radius + r) * 1.06
                for a, b, r in grown
            ):
                continue
            grown.append((x, y, radius))
            colour = choose(pattern.colours[:2], *name, "colour")
            turn = uniform(0, 6.28, *name, "turn")
            reach = radius * 1.6
            for ox in (-_TILE, 0, _TILE):
                for oy in (-_TILE, 0, _TILE):
                    if -reach < x + ox < _TILE + reach and -reach < y + oy < _TILE + reach:
                        _flower(draw, (x + ox) * s, (y + oy) * s, radius * s, turn, colour, leaf, radius > 5.2)
            if sum(1 for _, _, r in grown if r == radius) >= count:
                break


def _flower(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float, colour: Colour, leaf: Colour, open_: bool
) -> None:
    for side in (0.6, 2.9):
        _petal(draw, x, y, turn + side, radius * 1.45, radius * 0.5, leaf)
    if not open_:
        for petal in range(3):
            _petal(draw, x, y, turn + petal * 0.7, radius * 1.1, radius * 0.6, colour)
        return
    for petal in range(5):
        shade = _between(colour, (255, 255, 255), 0.05 * petal)
        _petal(draw, x, y, turn + petal * 1.2566, radius * 1.02, radius * 0.86, shade)
    for petal in range(5):
        _petal(draw, x, y, turn + petal * 1.2566, radius * 0.6, radius * 0.16, _between(colour, (40, 20, 30), 0.3))
    draw.ellipse([x - radius * 0.22, y - radius * 0.22, x + radius * 0.22, y + radius * 0.22], fill=(236, 196, 92, 255))


def _petal(
    draw: ImageDraw.ImageDraw, x: float, y: float, turn: float, length: float, width: float, colour: Colour
) -> None:
    outline: list[float] = []
    for step in range(16):
        angle = step * math.pi / 8
        along = length / 2 * (1 + math.cos(angle))
        beside = width / 2 * math.sin(angle) * (1 + 0.25 * math.cos(angle))
        outline += [
            x + along * math.cos(turn) - beside * math.sin(turn),
            y + along * math.sin(turn) + beside * math.cos(turn),
        ]
    draw.polygon(outline, fill=(*colour, 255))


def _between(one: Colour, two: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue
