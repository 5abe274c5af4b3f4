from __future__ import annotations

import cv2
import numpy as np
import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.metrics import resize_bilinear
from fashionedit.metrics.bilinear import resize_area

SPECIAL = [
    (256, 256),
    (512, 512),
    (512, 256),
    (256, 512),
    (128, 128),
    (1, 1),
    (1, 300),
    (300, 1),
    (2, 1000),
    (2000, 3),
    (255, 257),
    (511, 513),
    (1101, 750),
    (1024, 1024),
]


@pytest.mark.parametrize(("height", "width"), SPECIAL)
def test_special_sizes_equal_opencv_in_every_pixel(height: int, width: int) -> None:
    pixels = np.random.default_rng(height * 10_000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_bilinear(pixels, (256, 256)), cv2.resize(pixels, (256, 256)))


def test_random_sizes_channels_and_targets_equal_opencv() -> None:
    random = np.random.default_rng(7)
    for _ in range(120):
        height, width, wide, high = (int(side) for side in random.integers(1, 700, 4))
        shape = (height, width, 3) if random.random() < 0.7 else (height, width)
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        np.testing.assert_array_equal(resize_bilinear(pixels, (wide, high)), cv2.resize(pixels, (wide, high)))


def test_halving_equals_opencv_at_any_size() -> None:
    for wide, high in ((1, 1), (3, 5), (100, 31)):
        pixels = np.random.default_rng(wide).integers(0, 256, (2 * high, 2 * wide, 3), dtype=np.uint8)
        np.testing.assert_array_equal(resize_bilinear(pixels, (wide, high)), cv2.resize(pixels, (wide, high)))


def test_input_is_neither_changed_nor_returned_itself() -> None:
    pixels = np.full((256, 256, 3), 9, dtype=np.uint8)
    result = resize_bilinear(pixels, (256, 256))
    result[:] = 0
    assert (pixels == 9).all()


def test_views_that_are_not_contiguous_are_read_right() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    flipped = pixels[::-1, :, ::-1]
    np.testing.assert_array_equal(resize_bilinear(flipped, (33, 44)), cv2.resize(flipped.copy(), (33, 44)))


@pytest.mark.parametrize(
    ("array", "size"),
    [
        (np.zeros((4, 4, 3), dtype=np.float32), (2, 2)),
        (np.zeros((0, 4, 3), dtype=np.uint8), (2, 2)),
        (np.zeros(4, dtype=np.uint8), (2, 2)),
        (np.zeros((4, 4), dtype=np.uint8), (0, 2)),
    ],
)
def test_what_is_no_image_or_size_is_refused(array: np.ndarray, size: tuple[int, int]) -> None:
    with pytest.raises(InvalidDataError):
        resize_bilinear(array, size)


@pytest.mark.parametrize(("height", "width"), [(1024, 1024), (1101, 750), (533, 400), (256, 300), (700, 257)])
def test_area_means_are_those_of_opencv_within_a_level(height: int, width: int) -> None:
    pixels = np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(resize_area(pixels, (256, 256)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(7, 5), (3, 20), (16, 16)])
def test_area_means_are_exact_where_counted_pixel_by_pixel(height: int, width: int) -> None:
    """The image magnified so that every output pixel covers whole cells, whose plain mean is the answer."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    large = pixels.repeat(16, axis=0).repeat(16, axis=1).astype(float)
    expected = large.reshape(16, height, 16, width, 3).mean(axis=(1, 3))
    assert np.abs(resize_area(pixels, (16, 16)) - expected).max() <= 0.501
    flat = np.full((height, width, 3), 77, dtype=np.uint8)
    assert (resize_area(flat, (9, 4)) == 77).all()
