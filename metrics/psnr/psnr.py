"""PSNR as an `evaluate` module: the mean over pictures of the peak signal-to-noise ratio at 256 × 256, in dB."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fashionedit.errors import InvalidDataError
from fashionedit.metrics.encoder import decoder_count, fingerprint_hash
from fashionedit.metrics.evaluate_module import Pair, PairMetric
from fashionedit.metrics.inputs import Opener, defer_input
from fashionedit.metrics.similarity import PSNR_FINGERPRINT, peak_signal_noise_ratio


class Psnr(PairMetric):
    """Mean of the pictures' PSNR in dB (paper, section 3.1; the arithmetic of the reference script)."""

    about = (
        "The mean over pictures of the peak signal-to-noise ratio, dB: both pictures are brought to 256 × 256 "
        "(bilinear, no antialiasing, aspect ratio ignored) and compared on 8 bits, exactly as cv2.PSNR and cv2.resize "
        "do it."
    )
    per_image = "PSNR"
    returns = (
        "`psnr` (dB; 0 for black against white, 361.2 for equal pictures), `n`, `fingerprint`, and `per_image` if asked"
        "\n    for."
    )

    def _score(self, pairs: list[Pair]) -> list[float]:
        first = [_opener(prediction, f"prediction {number}") for number, prediction, _ in pairs]
        second = [_opener(reference, f"reference {number}") for number, _, reference in pairs]
        with ThreadPoolExecutor(decoder_count()) as pool:
            return list(pool.map(_compare, first, second))

    def _compute(self, predictions: Any, references: Any, per_image: bool = False) -> dict[str, Any]:
        decibels = np.asarray(predictions, dtype=np.float64)
        result = {"psnr": float(decibels.mean()), "n": len(decibels), "fingerprint": fingerprint_hash(PSNR_FINGERPRINT)}
        return {**result, "per_image": decibels.tolist()} if per_image else result


def _opener(value: Any, name: str) -> Opener:
    found = defer_input(value, name)
    if not callable(found):
        raise InvalidDataError(f"{name} is a vector of {found.size} numbers; PSNR compares pictures")
    return found


def _compare(prediction: Opener, reference: Opener) -> float:
    return peak_signal_noise_ratio(np.asarray(prediction()), np.asarray(reference()))
