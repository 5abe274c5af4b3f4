"""SSIM: how alike the structure of two pictures is (Wang et al., IEEE Transactions on Image Processing 13, 2004)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fashionedit.errors import MissingExtraError

from .bilinear import resize_area
from .registry import Metric, Pairs


class Ssim(Metric):
    """Mean SSIM of the colour pictures, -1..1, both averaged to 256 × 256; Gaussian window, σ = 1.5 pixels."""

    id, label, unit, digits, limits = "ssim", "SSIM", "mean SSIM", 4, (-1.0, 1.0)
    fingerprint: Mapping[str, str] = {"metric": "ssim", "size": "256x256 area", "window": "gaussian 1.5"}

    def score(self, pairs: Pairs, /) -> Sequence[float]:
        """Returns the mean SSIM of each pair."""
        try:
            from skimage.metrics import structural_similarity as ssim
        except ImportError as error:
            raise MissingExtraError("ssim", "scikit-image") from error
        options = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        sized = [[resize_area(side.pixels, (256, 256)) for side in pair] for pair in pairs]
        return [float(ssim(result, original, **options)) for result, original in sized]
