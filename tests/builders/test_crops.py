from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from whole_build import images

import fashionedit.builders.crops as crops_module
from fashionedit.builders.crops import cut_crops, sketch
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidImageError, MissingExtraError
from fashionedit.images import crop, pixel_digest, read_image
from fashionedit.types import Box

BOXES = (Box(0, 0, 200, 300), Box(300, 100, 500, 900), Box(600, 0, 1000, 1000))


@pytest.fixture
def pair(tmp_path: Path) -> Photo:
    image = Image.new("RGB", (120, 180), "white")
    ImageDraw.Draw(image).ellipse((20, 20, 100, 160), fill="teal")
    image.save(tmp_path / "coat.png")
    digest = pixel_digest(image)
    return Photo("coat", tmp_path / "coat.png", "a coat", digest=digest)


def analysed(pair: Photo, boxes: tuple[Box, ...] = BOXES) -> Photo:
    return replace(pair, differences=tuple((f"difference {number}", box) for number, box in enumerate(boxes)))


def test_crops_are_those_of_the_original_and_nothing_is_cut_twice(
    tmp_path: Path, pair: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StageStore(tmp_path / "crop")
    drawn: list[Image.Image] = []

    def inverted(image: Image.Image) -> Image.Image:
        drawn.append(image)
        return ImageOps.invert(image)

    monkeypatch.setattr(crops_module, "sketch", inverted)
    for _ in range(2):
        (found,) = cut_crops([analysed(pair)], store, sketches=True)
    original = read_image(pair.path)
    (record,) = store.records()
    assert record.data["crops"] == [pixel_digest(crop(original, box)) for box in BOXES]
    assert len(drawn) == 3
    assert [read_image(path).size for path in found.sketches] == [crop(original, box).size for box in BOXES]
    (without,) = cut_crops([analysed(pair)], store)
    assert without.sketches == ()


def test_a_crop_that_shows_nothing_drops_the_sample_with_its_reason(tmp_path: Path, pair: Photo) -> None:
    store = StageStore(tmp_path / "crop")
    thin = analysed(pair, (*BOXES[:2], Box(600, 500, 1000, 510)))
    assert list(cut_crops([thin], store)) == []
    (record,) = store.records()
    assert (record.status, record.reason) == ("dropped", "crop too small")
    assert record.detail == "the crop of difference 3 is 2×72 pixels; both sides need at least 8"


def test_another_picture_in_the_originals_place_is_named(tmp_path: Path, pair: Photo) -> None:
    Image.new("RGB", (120, 180), "red").save(pair.path)
    with pytest.raises(InvalidImageError, match=r"coat\.png is another picture than when it was first read"):
        list(cut_crops([analysed(pair)], StageStore(tmp_path / "crop")))


def _halves(size: tuple[int, int], left: tuple[int, int, int], right: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def is_blank(drawing: Image.Image) -> bool:
    return drawing.convert("L").getextrema() == (255, 255)


def _ink(drawing: Image.Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 1 - np.asarray(drawing.convert("L")) / 255


@pytest.fixture(scope="module")
def crops() -> list[Image.Image]:
    return [
        image.crop((image.width // 4, image.height // 5, image.width * 3 // 4, image.height * 3 // 5))
        for image in images(5)
    ]


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 300), (700, 12), (33, 21), (200, 260), (2000, 1300)])
def test_any_size_gives_a_drawing_of_that_size(size: tuple[int, int]) -> None:
    drawing = sketch(_halves(size, (90, 30, 40), (200, 190, 180)))
    assert (drawing.size, drawing.mode) == (size, "RGB")
    pixels = np.asarray(drawing)
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    if min(size) >= 8:
        assert not is_blank(drawing)


@pytest.mark.parametrize("size", [16, 60, 200, 400])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((20, 20, 20), (230, 230, 230)),
        ((128, 128, 128), (134, 134, 134)),
        ((240, 238, 230), (232, 230, 222)),
        ((12, 12, 16), (22, 22, 26)),
        ((200, 40, 60), (0, 118, 60)),  # nearly the same lightness
    ],
)
def test_an_edge_is_one_black_line_at_its_place(size: int, left: Any, right: Any) -> None:
    ink = _ink(sketch(_halves((size, size), left, right)))
    columns = ink[size // 4 : -size // 4].mean(axis=0)
    where = np.flatnonzero(columns > 0.3)
    assert where.size
    assert abs(where.mean() + 0.5 - size / 2) <= max(2, 0.02 * size)
    assert where.size == np.ptp(where) + 1 <= max(4, 0.03 * size)
    assert columns.max() > (0.7 if size >= 60 else 0.4)  # in a small crop the line lies between two pixels


def test_strokes_are_dark_on_white_paper(crops: list[Image.Image]) -> None:
    for piece in crops:
        ink = _ink(sketch(piece))
        assert np.mean(ink < 0.02) > 0.5  # paper
        assert ink.max() > 0.9
        assert 0.002 < ink.mean() < 0.45  # many stripes are many lines


def test_a_crop_of_one_colour_or_an_even_shade_is_blank() -> None:
    shade = np.tile(np.linspace(60, 200, 300).astype(np.uint8)[None, :, None], (200, 1, 3))
    grain = np.random.default_rng(0).normal(150, 2, (200, 200, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    for piece in (Image.new("RGB", (50, 70), (30, 90, 200)), Image.fromarray(shade), Image.fromarray(grain)):
        drawing = sketch(piece)
        assert is_blank(drawing)
        assert drawing.getextrema() == ((255, 255),) * 3


def test_weave_is_not_drawn_but_the_seam_in_it_is() -> None:
    chance = np.random.default_rng(1)
    weave = chance.normal(120, 14, (240, 240, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    image = Image.fromarray(weave)
    ImageDraw.Draw(image).line([(60, 0), (150, 240)], fill=(30, 30, 30), width=3)
    ink = _ink(sketch(image))
    down, across = np.mgrid[0:240, 0:240]
    seam = np.abs(across - (60 + down * 90 / 240)) < 6
    assert ink[seam].sum() > 0.5 * ink.sum()
    rows = (ink * seam).max(axis=1)
    assert np.mean(rows > 0.5) > 0.9


def test_the_same_crop_gives_the_same_pixels(crops: list[Image.Image]) -> None:
    import cv2

    once = [pixel_digest(sketch(crop)) for crop in crops]
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        assert [pixel_digest(sketch(crop)) for crop in crops] == once
    finally:
        cv2.setNumThreads(threads)


def test_grey_and_transparent_crops_are_drawn_as_a_person_sees_them(crops: list[Image.Image]) -> None:
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    clear.paste((10, 10, 10, 255), (40, 0, 80, 80))
    laid = _halves((80, 80), (255, 255, 255), (10, 10, 10))
    assert pixel_digest(sketch(clear)) == pixel_digest(sketch(laid))
    grey = crops[0].convert("L")
    assert pixel_digest(sketch(grey)) == pixel_digest(sketch(grey.convert("RGB")))


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'opencv-python-headless>=[\d.]+'$"):
        sketch(Image.new("RGB", (9, 9)))
