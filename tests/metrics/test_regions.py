"""A picture inside and outside a box, and what of it is found verbatim in another."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from fashionedit.errors import InvalidDataError
from fashionedit.images import crop
from fashionedit.metrics.regions import (
    OUTSIDE_MOST,
    _errors_everywhere,
    compare_outside,
    copy_decibels,
    has_outside,
    inside,
    leaked_share,
    outside_replaced,
    verbatim_share,
)
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
    assert compare_outside(first, second, BOX).decibels == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", [(120, 160), (256, 256), (1024, 700)])
def test_what_changes_inside_alone_leaves_the_outside_equal(size: tuple[int, int]) -> None:
    before = noise(0, size)
    after = before.copy()
    after.paste("red", BOX.pixels(*size))
    assert compare_outside(after, before, BOX) == (OUTSIDE_MOST, False)
    assert outside_replaced(after, before, BOX).tobytes() == after.tobytes()
    assert compare_outside(before, after, Box(0, 0, 100, 100)).decibels < 20


def test_one_pixel_outside_is_a_change() -> None:
    before = noise(0)
    after = before.copy()
    after.putpixel((1, 1), (1, 2, 3))
    assert compare_outside(after, before, BOX).changed


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
        compare_outside(noise(0), noise(1), WHOLE)


PASTED = Box(200, 150, 520, 640)


def cloth(seed: int, size: tuple[int, int] = (512, 512)) -> Image.Image:
    """Blotches of colour: smooth enough to survive a resizing, different everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def pasted(reference: Image.Image, onto: Image.Image, place: tuple[int, int] | None = None) -> Image.Image:
    left, top, right, bottom = PASTED.pixels(*onto.size)
    copy = onto.copy()
    copy.paste(reference.resize((right - left, bottom - top), Image.Resampling.LANCZOS), place or (left, top))
    return copy


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


@pytest.fixture(scope="module")
def reference() -> Image.Image:
    return crop(cloth(1, (750, 1101)), PASTED)


def test_a_copy_is_found_in_its_box_and_elsewhere_and_alone(reference: Image.Image) -> None:
    other = cloth(2)
    for copy in (
        pasted(reference, other),
        as_jpeg(pasted(reference, other)),
        pasted(reference, other, (37, 211)),
        reference,
        reference.resize((512, 512)),
    ):
        assert verbatim_share(copy, reference, PASTED) > 0.9


def test_other_cloth_and_other_colours_are_no_copy(reference: Image.Image) -> None:
    assert verbatim_share(cloth(2), reference, PASTED) < 0.05
    assert verbatim_share(cloth(1).point(lambda level: min(255, level + 12)), reference, PASTED) < 0.2
    assert verbatim_share(cloth(1).filter(ImageFilter.GaussianBlur(12)), reference, PASTED) < 0.5


def test_half_a_copy_is_half_found(reference: Image.Image) -> None:
    half = pasted(reference, cloth(2))
    left, top, right, bottom = PASTED.pixels(*half.size)
    half.paste(cloth(3).crop((left, top, (left + right) // 2, bottom)), (left, top))
    assert verbatim_share(half, reference, PASTED) == pytest.approx(0.5, abs=0.06)


def test_tiny_references_and_boxes_are_measured_too() -> None:
    thin = Box(500, 0, 502, 1000)
    for reference in (Image.new("RGB", (1, 1), "red"), cloth(4, (300, 2))):
        assert 0 <= verbatim_share(cloth(2), reference, thin) <= 1
    assert verbatim_share(Image.new("RGB", (9, 7), "red"), Image.new("RGB", (1, 1), "red"), thin) == 1


def test_the_errors_of_all_places_are_those_of_each() -> None:
    random = np.random.default_rng(0)
    grid, template = random.uniform(0, 255, (20, 24, 3)), random.uniform(0, 255, (6, 5, 3))
    found = _errors_everywhere(grid, template)
    expected = [
        [((grid[row : row + 6, column : column + 5] - template) ** 2).mean() for column in range(20)]
        for row in range(15)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, 30, "white")


@pytest.mark.parametrize(
    "disguise",
    [
        ImageOps.mirror,
        as_jpeg,
        framed,
        lambda image: image.resize((200, 300)),
        lambda image: image.crop((20, 10, 490, 480)),
        lambda image: ImageOps.mirror(image.crop((0, 0, 410, 410))),
        lambda image: ImageOps.expand(image, (26, 26, 0, 0)).crop((0, 0, *image.size)),
    ],
)
def test_the_original_is_known_again_in_disguise(disguise) -> None:
    assert copy_decibels(disguise(cloth(5)), cloth(5)) > 22
    assert copy_decibels(disguise(cloth(6)), cloth(5)) < 18


def test_a_copy_without_disguise_is_at_the_end_of_the_scale() -> None:
    assert copy_decibels(cloth(5), cloth(5)) > 100


def test_what_leaks_is_what_the_picture_before_had_not() -> None:
    reference, clean = cloth(1), cloth(2)
    place = PASTED.pixels(*clean.size)
    copy, half = clean.copy(), clean.copy()
    scaled = reference.resize((place[2] - place[0], place[3] - place[1]))
    copy.paste(scaled, place[:2])
    half.paste(scaled.crop((0, 0, scaled.width // 2, scaled.height)), place[:2])
    for image, before in ((copy, half), (half, copy), (copy, clean), (clean, copy), (copy, copy)):
        shares = [verbatim_share(one, reference, PASTED) for one in (image, before)]
        assert leaked_share(image, before, reference, PASTED) == max(shares[0] - shares[1], 0)
    assert 0.3 < leaked_share(copy, half, reference, PASTED) < 0.7
