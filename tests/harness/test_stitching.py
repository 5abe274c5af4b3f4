"""Two images in one, and back."""

from __future__ import annotations

import pytest
from PIL import Image

from fashionedit.eval_harness.editors.stitching import GAP, stitch, unstitch

BASE = Image.new("RGB", (30, 40), (200, 20, 20))


@pytest.mark.parametrize("size", [(10, 10), (300, 20), (50, 900)])
def test_the_base_comes_back_and_the_reference_stays_in_its_half(size: tuple[int, int]) -> None:
    both = stitch(BASE, Image.new("RGB", size, (20, 20, 200)))
    assert both.size == (2 * 30 + GAP, 40)
    assert unstitch(both, BASE).tobytes() == BASE.tobytes()
    assert both.crop((30, 0, 30 + GAP, 40)).getcolors() == [(GAP * 40, (255, 255, 255))]
    assert both.getpixel((30 + GAP + 15, 20)) == (20, 20, 200)


def test_an_output_of_another_size_is_cropped_in_proportion() -> None:
    both = stitch(BASE, BASE)
    assert unstitch(both.resize((both.width * 3, 90)), BASE).size == (90, 90)
    assert unstitch(Image.new("RGB", (1, 1)), BASE).size == (1, 1)


def test_a_sliver_of_a_reference_keeps_at_least_a_pixel() -> None:
    both = stitch(BASE, Image.new("RGB", (1, 9000)))
    colours = dict((colour, count) for count, colour in both.crop((30 + GAP, 0, *both.size)).getcolors() or [])
    assert colours[0, 0, 0] == 40
