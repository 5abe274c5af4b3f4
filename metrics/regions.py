"""A picture inside and outside a box: what an edit changed, left alone, and took from its reference verbatim."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import crop, to_rgb
from fashionedit.types import Box

from .bilinear import area_weights, resize_bilinear
from .similarity import PSNR_SIZE, decibels, mean_squared_error

REGION_SIDE = 256
"""Pixels a side of the square that the inside of a box is squeezed to, so that an encoder sees all of it."""

OUTSIDE_MOST = 60.0
"""dB; what pictures count as that are equal outside the box, or as good as equal."""


def inside(image: Image.Image, box: Box) -> Image.Image:
    """Returns what the box holds, squeezed to a square of 256 pixels a side (bicubic).

    An encoder that cuts out the middle of a picture then loses nothing of a long box.
    """
    return to_rgb(crop(image, box)).resize((REGION_SIDE, REGION_SIDE), Image.Resampling.BICUBIC)


def outside_replaced(image: Image.Image, before: Image.Image, box: Box) -> Image.Image:
    """Returns the picture as it would be if all outside the box had stayed as it was before.

    Args:
        before: Brought to the size of `image` where it has another (bicubic).
        box: Its pixels are those of `image`.
    """
    whole = to_rgb(before)
    whole = whole.copy() if whole.size == image.size else whole.resize(image.size, Image.Resampling.BICUBIC)
    whole.paste(to_rgb(crop(image, box)), box.pixels(*image.size)[:2])
    return whole


def has_outside(box: Box) -> bool:
    """Returns whether anything lies outside the box at the 256 × 256 pixels in which PSNR compares."""
    return box.pixels(*PSNR_SIZE) != (0, 0, *PSNR_SIZE)


class Outside(NamedTuple):
    """What a picture changed outside the box: as PSNR in dB, at most 60, and whether any pixel at all."""

    decibels: float
    changed: bool


def compare_outside(image: Image.Image, before: Image.Image, box: Box) -> Outside:
    """Returns how a picture compares with itself with the outside as it was.

    The PSNR is that of `peak_signal_noise_ratio` at 256 × 256, with the mean of the error taken over the pixels outside
    the box alone: inside both pictures are the same, and so are mixtures of pixels across the edge. Above 60 dB (a root
    mean squared error of a quarter of a level) nobody sees a difference, and the 361.2 dB of equal pixels would drown
    every other number in a mean.

    Raises:
        InvalidDataError: The box leaves no pixel out.
    """
    if not has_outside(box):
        raise InvalidDataError(f"the box {list(box.box_2d)} covers the whole picture; outside it there is nothing")
    pair = [np.asarray(one) for one in (to_rgb(image), outside_replaced(image, before, box))]
    if np.array_equal(pair[0], pair[1]):
        return Outside(OUTSIDE_MOST, changed=False)
    left, top, right, bottom = box.pixels(*PSNR_SIZE)
    covered = (right - left) * (bottom - top) / (PSNR_SIZE[0] * PSNR_SIZE[1])
    error = mean_squared_error(*(resize_bilinear(one, PSNR_SIZE) for one in pair))
    return Outside(min(decibels(error / (1 - covered)), OUTSIDE_MOST), changed=True)


VERBATIM_LEVELS = 6
"""Levels of 255 by which a cell may differ in any channel and still count as found."""

_CELLS = 32  # most cells a side
_CELL = 4  # pixels that a cell has at least, a side: fewer would show how the copy was resized
_GRID = 64  # cells a side of the picture in which a place is looked for
_FEWEST = 4  # cells a side below which a place can't be looked for
_PROMISING = 30.0  # levels, root of the mean square: a place that is worse holds no copy

Floats = NDArray[np.float64]
Place = tuple[int, int, int, int]


def leaked_share(image: Image.Image, before: Image.Image, reference: Image.Image, box: Box) -> float:
    """Returns how much more of the reference is found in the picture than in the one before, 0..1: `verbatim_share`."""
    found = verbatim_share(image, reference, box)
    return max(found - verbatim_share(before, reference, box, enough=found), 0.0) if found else 0.0


def verbatim_share(image: Image.Image, reference: Image.Image, box: Box, enough: float = 1.0) -> float:
    """Returns how much of the reference is found in the picture at the place where most is found, 0..1.

    The box says where the picture would show it, and in which size. Where so much is found that it is `enough`, no
    further place is looked at.

    Both are averaged over cells (up to 32 × 32 on the reference, of at least 4 × 4 pixels each), so that resizing and
    compression do not matter; a cell is found where no channel differs by more than 6 levels. The places are the box,
    the whole picture, and the one where the reference, in the size of the box, correlates best (smallest mean squared
    error, over all places at once by Fourier transforms, then pixel by pixel downhill).
    """
    picture, wanted = to_rgb(image), to_rgb(reference)
    own = box.pixels(*picture.size)
    found = _share(picture, wanted, own)
    if found < enough and (whole := (0, 0, *picture.size)) != own:
        found = max(found, _share(picture, wanted, whole))
    if found < enough and (place := _best_place(picture, wanted, own)) is not None:
        found = max(found, _share(picture, wanted, place))
    return found


COPY_SCALES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Sides of a crop, as shares of the picture's, that `copy_decibels` looks for."""


_CUT = 6  # cells that are cut off each side of the original, so that a copy shifted by 10 % still shows the rest


def copy_decibels(image: Image.Image, original: Image.Image) -> float:
    """Returns how near the picture is to the original, mirrored or not, or to a crop of it, PSNR in dB.

    Both are averaged over 64 × 64 cells. Compared are the picture, itself and mirrored, with every part of the original
    that has one of `COPY_SCALES` of its sides, and the other way round (the original, framed by something else), and
    with the middle of the original wherever it stands (a copy shifted by up to a tenth). The best place counts.
    """
    whole = _averaged(to_rgb(original), (_GRID, _GRID))
    shown = _averaged(to_rgb(image), (_GRID, _GRID))
    middle = whole[_CUT:-_CUT, _CUT:-_CUT]
    least = math.inf
    for mine in (shown, shown[:, ::-1]):
        least = min(least, float(_errors_everywhere(mine, middle).min()))
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
