"""Colours that a fashion person would put together."""

from __future__ import annotations

from dataclasses import dataclass

from .chance import choose, shuffled
from .patterns import Colour

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
