"""Cloth of any colour with a pattern of any size; the renderer's own materials have fixed ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fashionedit.errors import InvalidDataError
from fashionedit.synthetic.geometry import Field
from fashionedit.synthetic.materials import FABRICS, Colour, Material, Pattern, dyed

PRINTS: dict[str, tuple[float, float]] = {
    "stripes": (22.0, 0.40),
    "check": (26.0, 0.50),
    "windowpane": (46.0, 0.06),
    "tartan": (58.0, 0.42),
    "dots": (30.0, 0.45),
    "floral": (64.0, 0.30),
    "chevron": (26.0, 0.45),
    "houndstooth": (24.0, 0.50),
}
"""Every kind of print: its usual repeat in pixels (of a picture 512 pixels wide), and the share that its ink takes."""

_LARGEST, _SMALLEST = 200.0, 5.0


@dataclass(frozen=True)
class Print:
    """A pattern of cloth.

    Args:
        kind: A key of `PRINTS`.
        inks: One to three colours beside the cloth's own.
        scale: Pixels from one repeat to the next, 5..200.
        share: How much of a repeat the ink takes, 0..1.
        angle: Degrees by which it is turned; stripes lie across at 0 and run down at 90.

    Raises:
        InvalidDataError: A value is unknown or out of range.
    """

    kind: str
    inks: tuple[Colour, ...]
    scale: float
    share: float
    angle: int = 0

    def __post_init__(self) -> None:
        if self.kind not in PRINTS:
            raise InvalidDataError(f"no print is called {self.kind!r}; choose {', '.join(PRINTS)}")
        if not 1 <= len(self.inks) <= 3:
            raise InvalidDataError(f"a print has 1 to 3 inks; found {len(self.inks)}")
        if not _SMALLEST <= self.scale <= _LARGEST or not 0 < self.share < 1 or not -180 <= self.angle <= 180:
            raise InvalidDataError(
                f"a print has a scale of {_SMALLEST:g}..{_LARGEST:g}, a share between 0 and 1 and an angle of "
                f"-180..180; found {self.scale:g}, {self.share:g} and {self.angle}"
            )


@dataclass(frozen=True)
class Swatch:
    """Cloth: its colour, its weave (a key of the renderer's `FABRICS`; None keeps what a part usually has), a print."""

    colour: Colour
    weave: str | None = None
    print: Print | None = None

    def __post_init__(self) -> None:
        if self.weave is not None and self.weave not in FABRICS:
            raise InvalidDataError(f"no weave is called {self.weave!r}; choose {', '.join(FABRICS)}")

    def material(self, weave: str) -> Material:
        """Returns the renderer's material; `weave` where the swatch has none."""
        return PrintedMaterial(self.colour, self.weave or weave, None, self.print)


@dataclass(frozen=True)
class PrintedMaterial(Material):
    """The renderer's material with a print of this module."""

    print: Print | None = None

    def dyed(self, u: Field, v: Field) -> Field:
        """Returns its colour at (u across, v down) in pixels of cloth: shape (H, W, 3), 0..255."""
        mark = self.print
        if mark is None:
            return dyed(self.colour, None, u, v)
        turn = math.radians(mark.angle)
        cosine, sine = np.float32(math.cos(turn)), np.float32(math.sin(turn))
        along, across = u * cosine - v * sine, u * sine + v * cosine
        if mark.kind in ("tartan", "floral"):
            inks = (mark.inks[0], mark.inks[1 % len(mark.inks)], mark.inks[2 % len(mark.inks)])
            kind, usual = ("tartan", PRINTS["tartan"][0]) if mark.kind == "tartan" else _flowers(mark.scale)
            return dyed(self.colour, Pattern(kind, inks, mark.scale / usual, "flowers"), along, across)
        return _printed(self.colour, mark, along, across)


def _flowers(scale: float) -> tuple[str, float]:
    """Returns the renderer's small or large flowers and the scale at which they have their own size."""
    return ("ditsy", 40.0) if scale < 52 else ("bloom", 64.0)


def _printed(colour: Colour, mark: Print, u: Field, v: Field) -> Field:
    cloth = np.broadcast_to(np.array(colour, np.float32), (*u.shape, 3))
    period, inks = mark.scale, mark.inks
    if mark.kind == "stripes":
        for n, ink in enumerate(inks):
            band = _band(v, period, period * mark.share / len(inks), period * n / len(inks))
            cloth = _mixed(cloth, ink, band)
        return cloth
    if mark.kind == "check":
        cloth = _mixed(cloth, inks[0], 0.55 * _band(u, period, period * mark.share))
        return _mixed(cloth, inks[-1], 0.55 * _band(v, period, period * mark.share))
    if mark.kind == "windowpane":
        wide = max(period * mark.share, 2.0)
        cloth = _mixed(cloth, inks[0], 0.92 * _band(u, period, wide))
        return _mixed(cloth, inks[-1], 0.92 * _band(v, period, wide))
    if mark.kind == "dots":
        radius = period * mark.share / 2
        for n, shift in enumerate((0.5, 1.0)):
            x, y = (u / period + shift) % 1 - 0.5, (v / period + shift) % 1 - 0.5
            dot = np.clip(radius - np.sqrt(x * x + y * y) * period + 0.5, 0, 1)
            cloth = _mixed(cloth, inks[n % len(inks)], dot)
        return cloth
    if mark.kind == "chevron":
        zigzag = np.abs((u / period) % 2 - 1) * np.float32(period * 0.9)
        for n, ink in enumerate(inks):
            band = _band(v + zigzag, period, period * mark.share / len(inks), period * n / len(inks))
            cloth = _mixed(cloth, ink, band)
        return cloth
    return _mixed(cloth, inks[0], _houndstooth(u / period * 4, v / period * 4))


def _houndstooth(u: Field, v: Field) -> Field:
    """Returns the share of dark thread; four threads of each colour weave a 2/2 twill."""
    total = np.zeros_like(u)
    for du, dv in ((-0.2, -0.2), (0.2, -0.2), (-0.2, 0.2), (0.2, 0.2)):
        x, y = u * 2 + np.float32(du), v * 2 + np.float32(dv)
        warp_over = (np.floor(x) + np.floor(y)) % 4 < 2
        total += np.where(warp_over, x % 8 < 4, y % 8 < 4).astype(np.float32)
    return total / np.float32(4)


def _band(place: Field, period: float, width: float, shift: float = 0.0) -> Field:
    away = np.abs((place - shift + period / 2) % period - period / 2)
    share: Field = np.clip(width / 2 - away + np.float32(0.5), 0, 1)
    return share


def _mixed(cloth: Field, ink: Colour, share: Field) -> Field:
    mixed: Field = cloth + (np.array(ink, np.float32) - cloth) * share[..., None]
    return mixed
