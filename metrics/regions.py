"""A picture inside and outside a box: what an edit was asked to change, and what it should have left alone."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import crop, to_rgb
from fashionedit.types import Box

from .bilinear import resize_bilinear
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


def outside_decibels(image: Image.Image, before: Image.Image, box: Box) -> float:
    """Returns the PSNR of a picture and of itself with the outside as it was, dB, at most 60.

    As `peak_signal_noise_ratio` at 256 × 256, with the mean of the error taken over the pixels outside the box alone:
    inside both pictures are the same, and so are mixtures of pixels across the edge. Above 60 dB (a root mean squared
    error of a quarter of a level) nobody sees a difference, and the 361.2 dB of equal pixels would drown every other
    number in a mean.

    Args:
        before: As in `outside_replaced`.

    Raises:
        InvalidDataError: The box leaves no pixel out.
    """
    if not has_outside(box):
        raise InvalidDataError(f"the box {list(box.box_2d)} covers the whole picture; outside it there is nothing")
    left, top, right, bottom = box.pixels(*PSNR_SIZE)
    covered = (right - left) * (bottom - top) / (PSNR_SIZE[0] * PSNR_SIZE[1])
    pair = (to_rgb(image), outside_replaced(image, before, box))
    error = mean_squared_error(*(resize_bilinear(np.asarray(one), PSNR_SIZE) for one in pair))
    return min(decibels(error / (1 - covered)), OUTSIDE_MOST)
