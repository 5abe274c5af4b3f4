"""The benchmark's numbers as pure functions: cosine similarity, the share above a threshold, PSNR."""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fashionedit.errors import InvalidDataError
from fashionedit.images import PIXELS

from .bilinear import resize_bilinear

PSNR_SIZE = (256, 256)
"""Width and height, in pixels, at which PSNR compares; the aspect ratio is ignored, as in the reference scripts."""

PSNR_FINGERPRINT = {
    "metric": "psnr",
    "size": "256x256",
    "resize": "OpenCV INTER_LINEAR on 8 bits",
    "pixels": PIXELS,
    "peak": "255",
    "mean": "of the pictures' values",
}
"""What moves a PSNR, as `ImageEncoder.fingerprint` says what moves a cosine."""

_PEAK = 255.0
_AT_ONCE = 16384  # differences: they stay in the processor's cache, and the sum of their squares is below 2**31


def cosine_similarity(predictions: ArrayLike, references: ArrayLike) -> NDArray[np.float64]:
    """Returns the cosine similarity a·b / (|a| |b|) of each pair of embeddings, -1..1.

    Args:
        predictions: (N, D) or (D,), finite, no vector of length zero. They need not be normalised.
        references: The same shape; row i is compared with row i of the predictions.

    Returns:
        (N,), or a single number for two vectors.

    Raises:
        InvalidDataError: The shapes differ, or a vector has NaN, infinity or length zero.

    >>> float(cosine_similarity([3.0, 4.0], [4.0, 3.0]))
    0.96
    """
    first, second = (np.asarray(side, dtype=np.float64) for side in (predictions, references))
    if first.shape != second.shape or first.ndim not in (1, 2):
        raise InvalidDataError(
            f"embeddings of shape {first.shape} and {second.shape} can't be compared; give two arrays of one shape, "
            "(N, D) or (D,)"
        )
    squares = []
    for name, side in (("prediction", first), ("reference", second)):
        if not np.isfinite(side).all():
            raise InvalidDataError(f"a {name} embedding has NaN or infinity; embeddings must be finite numbers")
        squares.append(np.einsum("...d,...d->...", side, side))
        if not squares[-1].all():
            raise InvalidDataError(f"a {name} embedding has length zero, so it has no direction to compare")
    product = np.einsum("...d,...d->...", first, second)
    # One root of the product, not a product of roots: equal vectors then give exactly 1.
    return np.asarray(np.clip(product / np.sqrt(squares[0] * squares[1]), -1.0, 1.0))


def above(values: ArrayLike, limit: float) -> NDArray[np.bool_]:
    """Returns which values count for a share such as CLIP*: those strictly above the limit, as the reference script."""
    return np.asarray(values, dtype=np.float64) > limit


def share_above(values: ArrayLike, threshold: float) -> float:
    """Returns the share of the values that are strictly above the threshold, 0..1.

    CLIP* is this share of the cosine similarities with the threshold 0.9 (paper, section 3.1; the reference script
    compares with `>`).

    Raises:
        InvalidDataError: There are no values, one of them is NaN, or the threshold is.

    >>> share_above([0.95, 0.9, 0.2, 0.91], 0.9)
    0.5
    """
    found = np.asarray(values, dtype=np.float64)
    if found.size == 0:
        raise InvalidDataError("there are no values to take a share of; score at least one pair")
    if np.isnan(found).any() or math.isnan(threshold):
        raise InvalidDataError("a share can't be taken of NaN; score every pair, and give a number as threshold")
    return float(np.count_nonzero(above(found, threshold)) / found.size)


def mean_squared_error(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Returns the mean over all pixels and channels of the squared difference, 0..65025."""
    if prediction.shape != reference.shape or prediction.dtype != np.uint8 or reference.dtype != np.uint8:
        raise InvalidDataError(
            f"images of shape {prediction.shape} ({prediction.dtype}) and {reference.shape} ({reference.dtype}) can't "
            "be subtracted; give two uint8 arrays of one shape"
        )
    first, second, total = prediction.ravel(), reference.ravel(), 0
    for start in range(0, first.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        difference = np.subtract(first[part], second[part], dtype=np.int16).astype(np.int32)
        total += int(np.einsum("i,i->", difference, difference))
    return total / prediction.size


def peak_signal_noise_ratio(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Returns the peak signal-to-noise ratio of two images, in dB: 20 log10(255 / (RMSE + ε)).

    Both are first brought to 256 × 256 (bilinear, no antialiasing, aspect ratio ignored), and ε is the double's
    2.2e-16, so that equal images give 361.2 dB: `cv2.PSNR(cv2.resize(a, (256, 256)), cv2.resize(b, (256, 256)))`,
    as the reference script has it. A mean over images is the mean of these values, not the PSNR of a pooled error.

    Args:
        prediction: (H, W, 3) or (H, W), uint8, 0..255; the order of the channels does not matter.
        reference: As many channels; any size. One that is 256 × 256 already is compared as it is, so the resized
            pixels of a reference can be kept and given again.

    Raises:
        InvalidDataError: An array is no 8-bit image, or the numbers of channels differ.

    >>> grey = np.full((300, 200, 3), 128, dtype=np.uint8)
    >>> round(peak_signal_noise_ratio(grey, grey + np.uint8(16)), 2)
    24.05
    >>> round(peak_signal_noise_ratio(grey, grey), 1)
    361.2
    """
    return decibels(mean_squared_error(_at_psnr_size(prediction), _at_psnr_size(reference)))


def _at_psnr_size(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return array if array.shape[1::-1] == PSNR_SIZE and array.ndim < 4 else resize_bilinear(array, PSNR_SIZE)


def decibels(error: float) -> float:
    """Returns 20 log10(255 / (√error + ε)), dB, of a mean squared error; 361.2 of none, because ε is 2.2e-16.

    >>> round(decibels(16.0**2), 2)
    24.05
    """
    return 20.0 * math.log10(_PEAK / (math.sqrt(error) + sys.float_info.epsilon))
