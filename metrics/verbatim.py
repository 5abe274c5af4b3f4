"""How much of one picture is found, as it is, in another: what a copy leaves behind and a drawing does not."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.images import to_rgb
from fashionedit.types import Box

from .bilinear import area_weights
from .similarity import decibels

VERBATIM_LEVELS = 6
"""Levels of 255 by which a cell may differ in any channel and still count as found."""

_CELLS = 32  # most cells a side
_CELL = 4  # pixels that a cell has at least, a side: fewer would show how the copy was resized
_GRID = 64  # cells a side of the picture in which a place is looked for
_FEWEST = 4  # cells a side below which a place can't be looked for
_PROMISING = 30.0  # levels, root of the mean square: a place that is worse holds no copy

Floats = NDArray[np.float64]
Place = tuple[int, int, int, int]


def verbatim_share(image: Image.Image, reference: Image.Image, box: Box) -> float:
    """Returns how much of the reference is found in the picture at the place where most is found, 0..1.

    Both are averaged over cells (up to 32 × 32 on the reference, of at least 4 × 4 pixels each), so that resizing and
    compression do not matter; a cell is found where no channel differs by more than 6 levels. The places are the box,
    the whole picture, and the one where the reference, in the size of the box, correlates best (smallest mean squared
    error, over all places at once by Fourier transforms, then pixel by pixel downhill).

    Args:
        box: Where the picture would show it; it also says in which size.
    """
    picture, wanted = to_rgb(image), to_rgb(reference)
    own = box.pixels(*picture.size)
    whole = (0, 0, *picture.size)
    found = max(_share(picture, wanted, place) for place in {own, whole})
    if found < 1 and (place := _best_place(picture, wanted, own)) is not None:
        found = max(found, _share(picture, wanted, place))
    return found


COPY_SCALES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Sides of a crop, as shares of the picture's, that `copy_decibels` looks for."""


def copy_decibels(image: Image.Image, original: Image.Image) -> float:
    """Returns how near the picture is to the original, mirrored or not, or to a crop of it, PSNR in dB.

    Both are averaged over 64 × 64 cells. Compared are the picture, itself and mirrored, with every part of the original
    that has one of `COPY_SCALES` of its sides, and the other way round (the original, framed by something else). The
    best place counts.
    """
    whole = _averaged(to_rgb(original), (_GRID, _GRID))
    shown = _averaged(to_rgb(image), (_GRID, _GRID))
    least = math.inf
    for mine in (shown, shown[:, ::-1]):
        for scale in COPY_SCALES:
            cells = round(_GRID * scale)
            for part, grid in ((mine, whole), (whole, mine)):
                least = min(least, float(_errors_everywhere(grid, _shrunk(part, cells)).min()))
    return decibels(max(least, 0.0))


def _shrunk(grid: Floats, cells: int) -> Floats:
    if cells == len(grid):
        return grid
    weights = area_weights(len(grid), cells).astype(np.float64)
    return np.asarray(np.einsum("ij,jkc,lk->ilc", weights, grid, weights, optimize=True))


def _share(picture: Image.Image, wanted: Image.Image, place: Place) -> float:
    cells = _cells_of(wanted, place)
    difference = np.abs(_averaged(picture, cells, place) - _averaged(wanted, cells))
    return float((difference.max(axis=2) <= VERBATIM_LEVELS).mean())


def _cells_of(wanted: Image.Image, place: Place) -> tuple[int, int]:
    sides = zip(wanted.size, (place[2] - place[0], place[3] - place[1]), strict=True)
    width, height = (max(1, min(_CELLS, min(pair) // _CELL)) for pair in sides)
    return width, height


def _averaged(picture: Image.Image, cells: tuple[int, int], place: Place | None = None) -> Floats:
    return np.asarray(picture.resize(cells, Image.Resampling.BOX, box=place), dtype=np.float64)


def _best_place(picture: Image.Image, wanted: Image.Image, own: Place) -> Place | None:
    """Returns the place of the box's size that differs least from the reference; None where none is near it."""
    width, height = own[2] - own[0], own[3] - own[1]
    cells = (round(width * _GRID / picture.width), round(height * _GRID / picture.height))
    if min(cells) < _FEWEST or max(cells) >= _GRID:
        return None
    errors = _errors_everywhere(_averaged(picture, (_GRID, _GRID)), _averaged(wanted, cells))
    row, column = np.unravel_index(np.argmin(errors), errors.shape)
    if errors[row, column] > _PROMISING**2:
        return None
    left = min(int(column) * picture.width // _GRID, picture.width - width)
    top = min(int(row) * picture.height // _GRID, picture.height - height)
    return _downhill(picture, wanted, (left, top, left + width, top + height))


def _errors_everywhere(grid: Floats, template: Floats) -> Floats:
    """Returns the mean squared error at each place at which the template fits, by the correlation theorem."""
    height, width = template.shape[:2]
    rows, columns = grid.shape[0] - height + 1, grid.shape[1] - width + 1
    shape = grid.shape[:2]
    spectrum = np.fft.rfft2(grid, axes=(0, 1)) * np.conj(np.fft.rfft2(template, s=shape, axes=(0, 1)))
    correlation = np.fft.irfft2(spectrum, s=shape, axes=(0, 1)).sum(axis=2)[:rows, :columns]
    sums = np.pad((grid**2).sum(axis=2), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    squares = sums[height:, width:] - sums[:rows, width:] - sums[height:, :columns] + sums[:rows, :columns]
    return np.asarray((squares - 2 * correlation + (template**2).sum()) / template.size)


def _downhill(picture: Image.Image, wanted: Image.Image, place: Place) -> Place:
    """Returns the place moved, pixel by pixel at last, to where the error has its nearest minimum."""
    cells = _cells_of(wanted, place)
    template = _averaged(wanted, cells)

    def error(at: Place) -> float:
        return float(((_averaged(picture, cells, at) - template) ** 2).mean())

    best, least = place, error(place)
    step = max(1, picture.width // _GRID // 2)
    while step:
        for near in _neighbours(best, step, picture.size):
            if (one := error(near)) < least:
                best, least = near, one
                break
        else:
            step //= 2
    return best


def _neighbours(place: Place, step: int, size: tuple[int, int]) -> Iterator[Place]:
    left, top, right, bottom = place
    for x, y in ((step, 0), (-step, 0), (0, step), (0, -step)):
        if left + x >= 0 and top + y >= 0 and right + x <= size[0] and bottom + y <= size[1]:
            yield left + x, top + y, right + x, bottom + y
