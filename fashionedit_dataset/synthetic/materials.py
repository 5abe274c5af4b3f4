"""What garments are made of: colours that go together, and patterns and weaves in the coordinates of the cloth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .geometry import Field, frozen
from .rng import choose, generator, shuffled, uniform

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
    """A pattern of cloth: `kind` is a key of `PATTERNS`, `name` seeds where flowers are placed.

    `colours` are the second, third and fourth colour of the cloth; the first is the cloth's own.
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
    column, row = ((axis * (2 / k)).astype(np.int32) % (2 * _TILE) for axis in (u, v))
    ink = _tile(pattern)[row, column].astype(np.float32)
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
                corners = [(x - radius) * s, (y - radius) * s, (x + radius) * s, (y + radius) * s]
                draw.ellipse(corners, fill=(*pattern.colours[0], 255))
    elif PATTERNS[pattern.kind] == "floral":
        _plant(draw, pattern, s)
    else:
        raise ValueError(f"nothing draws the pattern {pattern.kind!r}; add a branch to dyed() or _tile()")
    return np.asarray(image.reduce(s // 2))


def _plant(draw: ImageDraw.ImageDraw, pattern: Pattern, s: int) -> None:
    """Strews flowers that don't touch, the largest first, so that the tile repeats without a seam."""
    leaf = mixed(pattern.colours[2], (70, 110, 70), 0.5)
    sizes = ((21.0, 9), (12.0, 16), (5.5, 34)) if pattern.kind == "bloom" else ((8.5, 26), (5.0, 40))
    grown: list[tuple[float, float, float]] = []

    def touches(x: float, y: float, radius: float) -> bool:
        half = _TILE / 2
        return any(
            math.hypot((x - a + half) % _TILE - half, (y - b + half) % _TILE - half) < (radius + r) * 1.06
            for a, b, r in grown
        )

    for radius, count in sizes:
        reach, left = radius * 1.6, count
        for attempt in range(count * 7):
            name = (pattern.name, radius, attempt)
            x, y = uniform(0, _TILE, *name, "x"), uniform(0, _TILE, *name, "y")
            if touches(x, y, radius):
                continue
            grown.append((x, y, radius))
            colour, turn = choose(pattern.colours[:2], *name, "colour"), uniform(0, 6.28, *name, "turn")
            for ox, oy in product((x - _TILE, x, x + _TILE), (y - _TILE, y, y + _TILE)):
                if -reach < ox < _TILE + reach and -reach < oy < _TILE + reach:
                    _flower(draw, ox * s, oy * s, radius * s, turn, colour, leaf, radius > 5.2)
            left -= 1
            if not left:
                break


def _flower(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float, colour: Colour, leaf: Colour, open_: bool
) -> None:
    def petal(toward: float, length: float, width: float, tint: Colour) -> None:
        outline: list[float] = []
        for step in range(16):
            angle = step * math.pi / 8
            along = radius * length / 2 * (1 + math.cos(angle))
            beside = radius * width / 2 * math.sin(angle) * (1 + 0.25 * math.cos(angle))
            outline += [
                x + along * math.cos(toward) - beside * math.sin(toward),
                y + along * math.sin(toward) + beside * math.cos(toward),
            ]
        draw.polygon(outline, fill=(*tint, 255))

    for side in (0.6, 2.9):
        petal(turn + side, 1.45, 0.5, leaf)
    if not open_:
        for n in range(3):
            petal(turn + n * 0.7, 1.1, 0.6, colour)
        return
    for n in range(5):
        petal(turn + n * 1.2566, 1.02, 0.86, mixed(colour, (255, 255, 255), 0.05 * n))
    for n in range(5):
        petal(turn + n * 1.2566, 0.6, 0.16, mixed(colour, (40, 20, 30), 0.3))
    draw.ellipse([x - radius * 0.22, y - radius * 0.22, x + radius * 0.22, y + radius * 0.22], fill=(236, 196, 92, 255))


def mixed(one: Colour, two: Colour, share: float) -> Colour:
    """Returns the first colour with this share of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float) -> Colour:
    """Returns the colour mixed with black (share above 0) or white (below 0)."""
    return mixed(colour, (0, 0, 0) if share > 0 else (255, 255, 255), abs(share))


_COLOURS: dict[str, tuple[Colour, str]] = {
    "white": ((244, 242, 237), "navy red emerald cornflower black coral"),
    "ivory": ((238, 230, 212), "burgundy navy olive rust teal"),
    "oatmeal": ((219, 205, 180), "chocolate forest navy rust"),
    "sand": ((206, 184, 148), "navy burgundy forest white"),
    "camel": ((186, 140, 88), "ivory navy black forest"),
    "tobacco": ((138, 94, 56), "ivory butter teal navy"),
    "chocolate": ((84, 58, 46), "blush sky ivory mustard"),
    "rust": ((172, 82, 46), "ivory navy butter teal"),
    "terracotta": ((196, 112, 84), "ivory forest indigo butter"),
    "mustard": ((208, 160, 58), "navy ivory plum forest"),
    "butter": ((240, 218, 146), "cobalt forest rust burgundy"),
    "sage": ((158, 172, 142), "ivory plum forest burgundy"),
    "olive": ((106, 108, 66), "ivory coral sand mustard"),
    "forest": ((44, 76, 62), "ivory mustard blush sand"),
    "emerald": ((30, 112, 86), "ivory navy butter lilac"),
    "teal": ((38, 104, 112), "ivory coral mustard blush"),
    "sky": ((164, 196, 222), "navy white red tobacco"),
    "cornflower": ((96, 132, 196), "white navy butter red"),
    "cobalt": ((42, 76, 164), "white mustard coral ice"),
    "navy": ((38, 50, 84), "white red mustard sky camel"),
    "ink": ((34, 38, 54), "ivory camel lilac sky"),
    "black": ((42, 41, 44), "white camel red blush"),
    "charcoal": ((76, 78, 84), "white burgundy sky mustard"),
    "grey": ((146, 148, 152), "navy white burgundy forest"),
    "dove": ((196, 196, 196), "navy charcoal raspberry forest"),
    "blush": ((234, 200, 190), "burgundy forest chocolate navy"),
    "rose": ((206, 134, 138), "ivory burgundy forest navy"),
    "coral": ((232, 118, 96), "ivory navy teal burgundy"),
    "raspberry": ((176, 48, 88), "blush ivory navy butter"),
    "red": ((184, 44, 48), "white navy blush black"),
    "burgundy": ((108, 34, 50), "blush ivory sky mustard"),
    "lilac": ((190, 172, 212), "plum ivory forest navy"),
    "plum": ((96, 56, 92), "lilac ivory mustard blush"),
    "denim": ((74, 98, 138), "white rust ivory red"),
    "indigo": ((46, 60, 100), "ivory mustard coral sky"),
    "ice": ((206, 222, 230), "navy cobalt raspberry forest"),
}
"""Every colour by the name that descriptions use: red, green, blue, 0..255, and the colours that go with it."""

COLOURS = {name: colour for name, (colour, _) in _COLOURS.items()}

_LIGHT_BACKDROPS = ((241, 239, 234), (232, 236, 238), (240, 232, 222), (234, 237, 228), (238, 230, 230))
_DARK_BACKDROPS = ((206, 200, 190), (188, 198, 204), (214, 196, 184), (196, 202, 188), (200, 192, 204))


@dataclass(frozen=True)
class Palette:
    """The colours of one garment by name: cloth, pattern, details that stand out, and what it lies on."""

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
    friends = shuffled(_COLOURS[base][1].split(), *name, "friends")
    clear = [friend for friend in friends if contrast(COLOURS[base], COLOURS[friend]) > 62] or friends
    second, third, fourth = (clear[n % len(clear)] for n in range(3))
    backdrop = choose(_DARK_BACKDROPS if brightness(COLOURS[base]) > 178 else _LIGHT_BACKDROPS, *name, "backdrop")
    return Palette(base, second, third, fourth, trim=second, backdrop=backdrop)


_PERIOD = 192
"""Side of the repeating square of every weave, in pixels of cloth."""

_FINE = 2
"""Samples of the weave per pixel of cloth and axis."""


@dataclass(frozen=True)
class Fabric:
    """What a fabric does to light, and how a caption calls it."""

    word: str
    crease: float  # how sharply it wrinkles, in pixels of relief
    loft: float  # how thick and round its edges are, as a factor
    gloss: float  # how much it shines, 0..1


FABRICS = {
    "jersey": Fabric("cotton", 1.5, 1.0, 0.0),
    "rib": Fabric("knitted", 0.6, 1.2, 0.0),
    "knit": Fabric("knitted", 1.0, 1.5, 0.0),
    "pique": Fabric("cotton", 1.2, 1.0, 0.0),
    "poplin": Fabric("cotton", 1.9, 0.8, 0.04),
    "oxford": Fabric("cotton", 1.7, 0.9, 0.0),
    "linen": Fabric("linen", 2.6, 0.8, 0.0),
    "twill": Fabric("cotton", 1.4, 1.0, 0.02),
    "denim": Fabric("denim", 1.5, 1.2, 0.0),
    "wool": Fabric("wool", 0.9, 1.2, 0.0),
    "herringbone": Fabric("wool", 0.9, 1.2, 0.0),
    "boucle": Fabric("wool", 0.7, 1.6, 0.0),
    "shearling": Fabric("furry", 0.4, 2.0, 0.0),
    "corduroy": Fabric("corduroy", 1.0, 1.2, 0.05),
    "satin": Fabric("satin", 2.2, 0.8, 1.0),
    "chiffon": Fabric("chiffon", 2.2, 0.6, 0.2),
}


def _streaks(grain: Field, across: int, down: int, length: int) -> Field:
    total = np.zeros_like(grain)
    for step in range(length):
        total += np.roll(grain, (step * down, step * across), (0, 1))
    total /= np.float32(math.sqrt(length))
    return total


@cache
def weave(name: str) -> Field:
    """Returns one repeat of the fabric's brightness, about 0 ± 0.05, two samples per pixel: shape (384, 384)."""
    side = _PERIOD * _FINE
    grain = generator("weave", name).standard_normal((side, side)).astype(np.float32)
    y, x = (axis.astype(np.float32) / _FINE for axis in np.mgrid[0:side, 0:side])
    wave = 2 * math.pi
    soft = (grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1) + np.roll(grain, (1, 1), (0, 1))) / 2
    if name == "jersey":
        made = 0.016 * np.sin(x * wave / 3) + 0.012 * _streaks(grain, 0, 1, 8) + 0.010 * soft
    elif name == "rib":
        made = 0.085 * np.sin(x * wave / 4.8) + 0.010 * _streaks(grain, 0, 1, 6)
    elif name == "knit":
        column = np.abs(((x / 8) % 1) - 0.5)
        made = 0.10 * np.sin((y + column * 9) * wave / 6) * np.sin(column * wave) + 0.05 * (column - 0.25)
        made = made + 0.02 * soft
    elif name == "pique":
        made = 0.040 * np.sin(x * wave / 4) * np.sin(y * wave / 4) + 0.012 * soft
    elif name == "poplin":
        made = 0.010 * _streaks(grain, 1, 0, 6) + 0.010 * _streaks(grain, 0, 1, 6)
    elif name == "oxford":
        made = 0.030 * np.sign(np.sin(x * wave / 3) * np.sin(y * wave / 3)) + 0.016 * soft
    elif name == "linen":
        made = 0.034 * _streaks(grain, 1, 0, 34) + 0.034 * _streaks(np.roll(grain, 77, 1), 0, 1, 34) + 0.010 * soft
    elif name == "twill":
        made = 0.026 * np.sin((x + y) * wave / 4) + 0.018 * _streaks(grain, 1, -1, 8)
    elif name == "denim":
        made = 0.045 * np.sin((x * 2 + y) * wave / 5) + 0.024 * _streaks(grain, 0, 1, 14) + 0.030 * soft
    elif name == "wool":
        made = 0.034 * soft + 0.020 * _streaks(np.roll(grain, 31, 0), 1, 1, 5)
    elif name == "herringbone":
        turn = np.where((x / 12) % 2 < 1, x, -x)
        made = 0.075 * np.sin((turn + y) * wave / 4) + 0.022 * soft
    elif name == "boucle":
        knots = _streaks(_streaks(grain, 1, 0, 6), 0, 1, 6)
        made = 0.060 * np.sin(knots * 2.2) + 0.030 * soft
    elif name == "shearling":
        curls = _streaks(_streaks(grain, 1, 0, 10), 0, 1, 10)
        made = 0.120 * np.sin(curls * 2.0) + 0.030 * soft
    elif name == "corduroy":
        made = 0.095 * np.sin(x * wave / 6) + 0.020 * _streaks(grain, 0, 1, 8)
    elif name == "satin":
        made = 0.008 * _streaks(grain, 1, 0, 12)
    else:
        made = 0.014 * _streaks(grain, 1, 0, 3) + 0.014 * _streaks(grain, 0, 1, 3)
    return frozen(made.astype(np.float32))


@dataclass(frozen=True)
class Material:
    """Cloth before it is cut."""

    colour: Colour
    fabric: str
    pattern: Pattern | None = None

    def dyed(self, u: Field, v: Field) -> Field:
        """Returns its colour at (u across, v down) in pixels of cloth: shape (H, W, 3), 0..255."""
        return dyed(self.colour, self.pattern, u, v)

    def texture(self, u: Field, v: Field) -> Field:
        """Returns how much brighter its weave makes it at (u across, v down) in pixels of cloth, about 0 ± 0.05."""
        side = _PERIOD * _FINE
        made: Field = weave(self.fabric)[(v * _FINE).astype(np.int32) % side, (u * _FINE).astype(np.int32) % side]
        return made
