"""Colours in Lab, where equal distances look about equally far: names for them, and inks that stand out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashionedit.synthetic.materials import COLOURS as RENDERER_COLOURS
from fashionedit.synthetic.materials import Colour, brightness, mixed

from .words import COLOURS

_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)


def lab(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Returns sRGB levels 0..255, shape (..., 3), as CIE L*a*b* (D65): L 0..100."""
    share = np.asarray(levels, np.float64) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    ratio = linear @ _TO_XYZ.T / _WHITE
    cube = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(cube, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def distance(one: Colour, two: Colour) -> float:
    """Returns how far apart two colours look (CIE76 ΔE; 2 is just visible)."""
    return float(np.linalg.norm(lab(np.array(one)) - lab(np.array(two))))


@lru_cache(maxsize=1)
def _named() -> tuple[list[str], NDArray[np.float64]]:
    return [*COLOURS], lab(np.array(list(COLOURS.values())))


def colour_name(colour: Colour) -> str:
    """Returns the name of the nearest colour of the vocabulary."""
    names, places = _named()
    return names[int(np.linalg.norm(places - lab(np.array(colour)), axis=1).argmin())]


def renderer_name(colour: Colour) -> str:
    """Returns the nearest of the renderer's colours, which knows the colours that go with it."""
    names = [*RENDERER_COLOURS]
    places = lab(np.array([RENDERER_COLOURS[name] for name in names]))
    return names[int(np.linalg.norm(places - lab(np.array(colour)), axis=1).argmin())]


def shaded(colour: Colour, share: float) -> Colour:
    """Returns the colour with this share of white (above 0) or black (below 0)."""
    return mixed(colour, (255, 255, 255) if share > 0 else (0, 0, 0), abs(share))


def ink_for(cloth: Colour) -> Colour:
    """Returns a colour that stands out from the cloth: navy from pale cloth, white from dark."""
    return RENDERER_COLOURS["navy"] if brightness(cloth) > 140 else RENDERER_COLOURS["white"]
