from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cosine

from fashionedit.errors import InvalidDataError
from fashionedit.metrics import cosine_similarity, peak_signal_noise_ratio, share_above
from fashionedit.metrics.bilinear import resize_area


def test_psnr_is_within_1e_9_db_of_opencv_on_200_size_pairs() -> None:
    random = np.random.default_rng(0)
    sizes = [(1101, 750, 1024, 1024), (256, 256, 512, 512), (1, 1, 1, 700), (512, 512, 256, 1)]
    sizes += [tuple(int(side) for side in random.integers(1, 600, 4)) for _ in range(200)]
    for height, width, high, wide in sizes:
        first = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        second = random.integers(0, 256, (high, wide, 3), dtype=np.uint8)
        expected = cv2.PSNR(cv2.resize(first, (256, 256)), cv2.resize(second, (256, 256)))
        assert abs(peak_signal_noise_ratio(first, second) - expected) <= 1e-9
        assert peak_signal_noise_ratio(first[..., ::-1], second[..., ::-1]) == peak_signal_noise_ratio(first, second)
    assert peak_signal_noise_ratio(first, first) == cv2.PSNR(first, first)  # 361.2, not infinity


def test_psnr_of_black_against_white_is_zero() -> None:
    black, white = np.zeros((8, 8, 3), dtype=np.uint8), np.full((9, 5, 3), 255, dtype=np.uint8)
    assert peak_signal_noise_ratio(black, white) == pytest.approx(0.0, abs=1e-12)


def test_psnr_takes_resized_pixels_of_a_reference_again() -> None:
    from fashionedit.metrics import resize_bilinear

    random = np.random.default_rng(3)
    first, second = (random.integers(0, 256, (300, 400, 3), dtype=np.uint8) for _ in range(2))
    assert peak_signal_noise_ratio(first, resize_bilinear(second, (256, 256))) == peak_signal_noise_ratio(first, second)


def test_psnr_refuses_different_channels() -> None:
    with pytest.raises(InvalidDataError, match="256, 256, 3"):
        peak_signal_noise_ratio(np.zeros((9, 9, 3), dtype=np.uint8), np.zeros((9, 9), dtype=np.uint8))


def test_cosine_equals_scipys() -> None:
    random = np.random.default_rng(4)
    first, second = random.normal(size=(20, 33)), random.normal(size=(20, 33))
    expected = [1 - cosine(one, other) for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(cosine_similarity(first, second), expected, atol=1e-12)


def test_cosine_of_equal_vectors_is_exactly_one() -> None:
    vectors = np.random.default_rng(5).normal(size=(500, 768)).astype(np.float32)
    assert (cosine_similarity(vectors, vectors) == 1.0).all()
    assert float(cosine_similarity([1.0, 2.0], [-2.0, -4.0])) == -1.0
    assert float(cosine_similarity([1.0, 0.0], [0.0, 3.0])) == 0.0


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], "shape"),
        ([math.nan, 2.0], [1.0, 2.0], "NaN"),
        ([1.0, 2.0], [math.inf, 2.0], "reference embedding has NaN or infinity"),
        ([0.0, 0.0], [1.0, 2.0], "length zero"),
        ([[[1.0]]], [[[1.0]]], "shape"),
    ],
)
def test_cosine_refuses_what_has_no_angle(first: list[float], second: list[float], words: str) -> None:
    with pytest.raises(InvalidDataError, match=words):
        cosine_similarity(first, second)


def test_share_above_is_strict() -> None:
    assert share_above([0.9, 0.9, 0.9], 0.9) == 0.0
    assert share_above([math.nextafter(0.9, 1), 0.9, 0.1, -1.0], 0.9) == 0.25


@pytest.mark.parametrize(("values", "threshold"), [([], 0.9), ([0.5, math.nan], 0.9), ([0.5], math.nan)])
def test_share_above_refuses_nothing_and_nan(values: list[float], threshold: float) -> None:
    with pytest.raises(InvalidDataError):
        share_above(values, threshold)


def antialiased_psnr(first: np.ndarray, second: np.ndarray) -> float:
    return peak_signal_noise_ratio(*(resize_area(pixels, (256, 256)) for pixels in (first, second)))


def hidden(original: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The other picture, with the original in the pixels that PSNR's resize samples."""
    shown = other.copy()
    for row in range(0, len(shown), 4):
        for column in range(0, shown.shape[1], 4):
            shown[row + 1 : row + 3, column + 1 : column + 3] = original[row + 1 : row + 3, column + 1 : column + 3]
    return shown


def test_a_picture_between_the_samples_is_seen_with_antialiasing() -> None:
    random = np.random.default_rng(3)
    original, other = (cv2.resize(random.integers(0, 256, (24, 24, 3), dtype=np.uint8), (1024, 1024)) for _ in range(2))
    attack = hidden(original, other)
    assert peak_signal_noise_ratio(attack, original) > 300
    assert antialiased_psnr(attack, original) < 15
    for honest in (
        other,
        cv2.GaussianBlur(original, (0, 0), 4),
        np.clip(original + random.normal(0, 9, original.shape), 0, 255).astype(np.uint8),
    ):
        assert peak_signal_noise_ratio(honest, original) - antialiased_psnr(honest, original) < 0.5


def test_antialiased_psnr_is_that_of_opencvs_areas() -> None:
    random = np.random.default_rng(4)
    first, second = (cv2.resize(random.integers(0, 256, (20, 20, 3), dtype=np.uint8), (700, 900)) for _ in range(2))
    areas = [cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) for image in (first, second)]
    assert antialiased_psnr(first, second) == pytest.approx(cv2.PSNR(*areas), abs=0.01)
    assert antialiased_psnr(first, first) == pytest.approx(361.2, abs=0.1)
