from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from PIL import Image

import fashionedit.types
from fashionedit.errors import InvalidBoxError, InvalidDataError, UnknownNameError
from fashionedit.types import Box, Difference, Sample, check_id, safe_id

PICTURE = Image.new("RGB", (10, 10))


def sample(**changes: object) -> Sample:
    differences = tuple(Difference(f"part {k}", Box(0, 0, 100, 100), PICTURE) for k in range(3))
    fields = {"id": "a-1", "annotation": "", "draft": PICTURE, "original": PICTURE, "differences": differences}
    return Sample(**(fields | changes))  # type: ignore[arg-type]  # wrong values are what is tested


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(fashionedit.types)
    assert result.failed == 0
    assert result.attempted >= 3


@pytest.mark.parametrize(
    "edges",
    [
        (-1, 0, 10, 10),
        (0, 0, 1001, 10),
        (10, 0, 10, 10),
        (0, 20, 10, 10),
        (0, 0, math.nan, 10),
        (0, 0, math.inf, 10),
        (0, 0, True, 10),
        (0, 0, "9", 10),
    ],
)
def test_a_box_that_is_none_is_refused(edges: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidBoxError):
        Box(*edges)


def test_a_box_has_four_edges() -> None:
    with pytest.raises(InvalidBoxError, match="found 3"):
        Box.from_box_2d([1, 2, 3])


def test_pixels_survive_thousandths_stored_as_float32() -> None:
    chance = np.random.default_rng(0)
    for _ in range(2000):
        width, height = (int(side) for side in chance.integers(1, 8000, 2))
        left, top = int(chance.integers(0, width)), int(chance.integers(0, height))
        right, bottom = int(chance.integers(left + 1, width + 1)), int(chance.integers(top + 1, height + 1))
        box = Box.from_pixels(left, top, right, bottom, width=width, height=height)
        stored = Box.from_box_2d(float(np.float32(edge)) for edge in box.box_2d)
        assert stored.pixels(width, height) == (left, top, right, bottom)


def test_the_thinnest_box_still_covers_a_pixel_inside_the_image() -> None:
    for low, high in ((0, 1e-9), (999.9999, 1000), (500, 500.001)):
        left, top, right, bottom = Box(low, low, high, high).pixels(64, 48)
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 48


@pytest.mark.parametrize("id", ["", "../up", "a/b", ".hidden", "a b", "ends.", "é", "a" * 201])
def test_an_id_that_is_no_file_name_is_refused(id: str) -> None:
    with pytest.raises(InvalidDataError, match="safe file name"):
        sample(id=id)


def test_a_sample_has_three_differences() -> None:
    with pytest.raises(InvalidDataError, match="exactly 3"):
        sample(differences=sample().differences[:2])


def test_a_difference_says_something() -> None:
    with pytest.raises(InvalidDataError, match="no description"):
        Difference("  ", Box(0, 0, 1, 1), PICTURE)


def test_the_garment_is_the_cluster() -> None:
    assert sample().garment == "a-1"
    named = sample(gender="WOMEN", category="Dresses", garment_id="00000001")
    assert named.garment == "WOMEN-Dresses-00000001"


def test_an_unknown_split_names_the_known() -> None:
    with pytest.raises(UnknownNameError, match="train or validation"):
        fashionedit.types.split_name("test")


def test_a_name_becomes_a_safe_id_and_a_safe_one_stays() -> None:
    assert safe_id("coat_1-a.b") == "coat_1-a.b"
    made = {
        safe_id(name) for name in ("red dress (2)", "red/dress (2)", "Größe M", "../x", ".", "", "a" * 300, "\udc80")
    }
    assert len(made) == 8
    for identity in made:
        check_id(identity)
