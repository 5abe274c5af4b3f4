from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageOps

from fashionedit.builders.crops import cut_crops
from fashionedit.builders.photo import Analysed, Pair, Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import crop, pixel_digest, read_image
from fashionedit.types import Box

BOXES = (Box(0, 0, 200, 300), Box(300, 100, 500, 900), Box(600, 0, 1000, 1000))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    image = Image.new("RGB", (120, 180), "white")
    ImageDraw.Draw(image).ellipse((20, 20, 100, 160), fill="teal")
    image.save(tmp_path / "coat.png")
    digest = pixel_digest(image)
    return Pair(Photo("coat", tmp_path / "coat.png", "a coat"), tmp_path / "coat.png", digest, digest)


def analysed(pair: Pair, boxes: tuple[Box, ...] = BOXES) -> Analysed:
    return Analysed(pair, tuple((f"difference {number}", box) for number, box in enumerate(boxes)))


def test_crops_are_those_of_the_original_and_nothing_is_cut_twice(tmp_path: Path, pair: Pair) -> None:
    store = StageStore(tmp_path / "crop")
    drawn: list[Image.Image] = []

    def sketch(image: Image.Image) -> Image.Image:
        drawn.append(image)
        return ImageOps.invert(image)

    for _ in range(2):
        (found,) = cut_crops([analysed(pair)], store, sketcher=sketch, sketch_version="1")
    original = read_image(pair.photo.path)
    assert found.crop_digests == tuple(pixel_digest(crop(original, box)) for box in BOXES)
    assert len(drawn) == 3
    assert [read_image(path).size for path in found.sketches] == [crop(original, box).size for box in BOXES]
    (without,) = cut_crops([analysed(pair)], store)
    assert without.sketches == ()


def test_a_crop_that_shows_nothing_drops_the_sample_with_its_reason(tmp_path: Path, pair: Pair) -> None:
    store = StageStore(tmp_path / "crop")
    thin = analysed(pair, (*BOXES[:2], Box(600, 500, 1000, 510)))
    assert list(cut_crops([thin], store)) == []
    (record,) = store.records()
    assert (record.status, record.reason) == ("dropped", "crop too small")
    assert record.detail == "the crop of difference 3 is 2×72 pixels; both sides need at least 8"


def test_another_picture_in_the_originals_place_is_named(tmp_path: Path, pair: Pair) -> None:
    Image.new("RGB", (120, 180), "red").save(pair.photo.path)
    with pytest.raises(InvalidImageError, match=r"coat\.png is another picture than when it was first read"):
        list(cut_crops([analysed(pair)], StageStore(tmp_path / "crop")))


def test_a_pair_has_three_differences(pair: Pair) -> None:
    with pytest.raises(InvalidDataError, match="coat has 2 differences"):
        analysed(pair, BOXES[:2])
