"""Inside and outside a box, on noise, whose every pixel counts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.metrics.regions import OUTSIDE_MOST, has_outside, inside, outside_decibels, outside_replaced
from fashionedit.types import Box

BOX = Box(250, 500, 750, 1000)
WHOLE = Box(0, 0, 1000, 1000)


def noise(seed: int, size: tuple[int, int] = (120, 200)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def test_the_inside_is_the_box_and_nothing_else() -> None:
    picture = Image.new("RGB", (100, 200), "black")
    picture.paste("white", BOX.pixels(100, 200))
    assert inside(picture, BOX).size == (256, 256)
    assert inside(picture, BOX).getextrema() == ((255, 255),) * 3


def test_decibels_outside_are_those_of_opencv_over_the_pixels_left() -> None:
    first, second = noise(1, (256, 256)), noise(2, (256, 256))
    left, top, right, bottom = BOX.pixels(256, 256)
    outside = np.ones((256, 256), bool)
    outside[top:bottom, left:right] = False
    expected = cv2.PSNR(np.asarray(first)[outside], np.asarray(second)[outside])
    assert outside_decibels(first, second, BOX) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", [(120, 160), (256, 256), (1024, 700)])
def test_what_changes_inside_alone_leaves_the_outside_equal(size: tuple[int, int]) -> None:
    before = noise(0, size)
    after = before.copy()
    after.paste("red", BOX.pixels(*size))
    assert outside_decibels(after, before, BOX) == OUTSIDE_MOST
    assert outside_replaced(after, before, BOX).tobytes() == after.tobytes()
    assert outside_decibels(before, after, Box(0, 0, 100, 100)) < 20


def test_the_outside_is_put_back_as_it_was() -> None:
    before, after = noise(1), noise(2)
    mixed = np.asarray(outside_replaced(after, before, BOX))
    left, top, right, bottom = BOX.pixels(120, 200)
    mask = np.zeros((200, 120), bool)
    mask[top:bottom, left:right] = True
    assert (mixed[mask] == np.asarray(after)[mask]).all()
    assert (mixed[~mask] == np.asarray(before)[~mask]).all()
    assert outside_replaced(after, before.resize((60, 90)), BOX).size == after.size


def test_a_box_over_everything_has_no_outside() -> None:
    assert (has_outside(BOX), has_outside(WHOLE)) == (True, False)
    with pytest.raises(InvalidDataError, match="covers the whole picture"):
        outside_decibels(noise(0), noise(1), WHOLE)
