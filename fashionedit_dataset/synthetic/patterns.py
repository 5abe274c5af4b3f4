"""Colours that go together, and patterns as functions of the cloth's own coordinates, so that they bend with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .geometry import Field
from .rng import choose, shuffled, uniform

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


COLOURS: dict[str, Colour] = {
    "white": (244, 242, 237), "ivory": (238, 230, 212), "oatmeal": (219, 205, 180), "sand": (206, 184, 148),
    "camel": (186, 140, 88), "tobacco": (138, 94, 56), "chocolate": (84, 58, 46), "rust": (172, 82, 46),
    "terracotta": (196, 112, 84), "mustard": (208, 160, 58), "butter": (240, 218, 146), "sage": (158, 172, 142),
    "olive": (106, 108, 66), "forest": (44, 76, 62), "emerald": (30, 112, 86), "teal": (38, 104, 112),
    "sky": (164, 196, 222), "cornflower": (96, 132, 196), "cobalt": (42, 76, 164), "navy": (38, 50, 84),
    "ink": (34, 38, 54), "black": (42, 41, 44), "charcoal": (76, 78, 84), "grey": (146, 148, 152),
    "dove": (196, 196, 196), "blush": (234, 200, 190), "rose": (206, 134, 138), "coral": (232, 118, 96),
    "raspberry": (176, 48, 88), "red": (184, 44, 48), "burgundy": (108, 34, 50), "lilac": (190, 172, 212),
    "plum": (96, 56, 92), "denim": (74, 98, 138), "indigo": (46, 60, 100), "ice": (206, 222, 230),
}  # fmt: skip
"""Every colour by the name that descriptions use; red, green, blue, 0..255."""

_COMPANIONS: dict[str, tuple[str, ...]] = {
    "white": ("navy", "red", "emerald", "cornflower", "black", "coral"),
    "ivory": ("burgundy", "navy", "olive", "rust", "teal"),
    "oatmeal": ("chocolate", "forest", "navy", "rust"),
    "sand": ("navy", "burgundy", "forest", "white"),
    "camel": ("ivory", "navy", "black", "forest"),
    "tobacco": ("ivory", "butter", "teal", "navy"),
    "chocolate": ("blush", "sky", "ivory", "mustard"),
    "rust": ("ivory", "navy", "butter", "teal"),
    "terracotta": ("ivory", "forest", "indigo", "butter"),
    "mustard": ("navy", "ivory", "plum", "forest"),
    "butter": ("cobalt", "forest", "rust", "burgundy"),
    "sage": ("ivory", "plum", "forest", "burgundy"),
    "olive": ("ivory", "coral", "sand", "mustard"),
    "forest": ("ivory", "mustard", "blush", "sand"),
    "emerald": ("ivory", "navy", "butter", "lilac"),
    "teal": ("ivory", "coral", "mustard", "blush"),
    "sky": ("navy", "white", "red", "tobacco"),
    "cornflower": ("white", "navy", "butter", "red"),
    "cobalt": ("white", "mustard", "coral", "ice"),
    "navy": ("white", "red", "mustard", "sky", "camel"),
    "ink": ("ivory", "camel", "lilac", "sky"),
    "black": ("white", "camel", "red", "blush"),
    "charcoal": ("white", "burgundy", "sky", "mustard"),
    "grey": ("navy", "white", "burgundy", "forest"),
    "dove": ("navy", "charcoal", "raspberry", "forest"),
    "blush": ("burgundy", "forest", "chocolate", "navy"),
    "rose": ("ivory", "burgundy", "forest", "navy"),
    "coral": ("ivory", "navy", "teal", "burgundy"),
    "raspberry": ("blush", "ivory", "navy", "butter"),
    "red": ("white", "navy", "blush", "black"),
    "burgundy": ("blush", "ivory", "sky", "mustard"),
    "lilac": ("plum", "ivory", "forest", "navy"),
    "plum": ("lilac", "ivory", "mustard", "blush"),
    "denim": ("white", "rust", "ivory", "red"),
    "indigo": ("ivory", "mustard", "coral", "sky"),
    "ice": ("navy", "cobalt", "raspberry", "forest"),
}

_BACKDROPS_FOR_LIGHT: tuple[Colour, ...] = (
    (206, 200, 190),
    (188, 198, 204),
    (214, 196, 184),
    (196, 202, 188),
    (200, 192, 204),
)
_BACKDROPS_FOR_DARK: tuple[Colour, ...] = (
    (241, 239, 234),
    (232, 236, 238),
    (240, 232, 222),
    (234, 237, 228),
    (238, 230, 230),
)


@dataclass(frozen=True)
class Palette:
    """The colours of one garment, by name.

    Args:
        base: The cloth.
        second, third, fourth: What its pattern is made of.
        trim: Details that stand out from the cloth.
        backdrop: What it lies on.
    """

    base: str
    second: str
    third: str
    fourth: str
    trim: str
    backdrop: Colour

    def rgb(self, part: str) -> Colour:
        """Returns the colour of `base`, `second`, `third`, `fourth` or `trim`."""
        return COLOURS[getattr(self, part)]


def brightness(colour: Colour) -> float:
    """Returns how bright a colour looks, 0..255 (ITU-R BT.601 luma)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def contrast(one: Colour, two: Colour) -> float:
    """Returns how far apart two colours are: the mean distance of their channels, 0..255."""
    return sum(abs(a - b) for a, b in zip(one, two, strict=True)) / 3


def palette(bases: tuple[str, ...], *name: object) -> Palette:
    """Returns a palette around one of the base colours."""
    base = choose(bases, *name, "base")
    friends = shuffled(_COMPANIONS[base], *name, "friends")
    clear = [friend for friend in friends if contrast(COLOURS[base], COLOURS[friend]) > 62] or friends
    second = clear[0]
    third = clear[1 % len(clear)]
    fourth = clear[2 % len(clear)]
    trim = max(clear, key=lambda friend: (friend == clear[0], contrast(COLOURS[base], COLOURS[friend])))
    light = brightness(COLOURS[base]) > 178
    backdrop = choose(_BACKDROPS_FOR_LIGHT if light else _BACKDROPS_FOR_DARK, *name, "backdrop")
    return Palette(base, second, third, fourth, trim, backdrop)
