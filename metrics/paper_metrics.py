"""The paper's three metrics as entries of the registry, and the same similarity by any other encoder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashionedit.images import ImageCache

from .bilinear import resize_area, resize_bilinear
from .embedder import Embedder
from .encoder import decoder_count
from .registry import Metric, Pairs, Picture
from .similarity import (
    PSNR_FINGERPRINT,
    PSNR_SIZE,
    decibels,
    peak_signal_noise_ratio,
)

STAR_THRESHOLD = 0.9
"""CLIP* counts samples whose cosine is strictly above this (`CILP.py` of the reference scripts)."""

THRESHOLDS = tuple(number / 100 for number in range(70, 99))
"""The cosines of the threshold curve, 0.70 to 0.98; that of CLIP* is among them."""

_NOT_CLIP = "not CLIP: compare with this encoder only"
_RESIZED_BYTES = 25 * 2**20  # 128 resized pictures


class Similarity(Metric):
    """Cosine × 100 of two embeddings (paper, section 3.1); called CLIP only where the encoder is one."""

    unit = "cosine × 100"
    scale = 100.0
    limits = (-100.0, 100.0)
    tolerance = (0.01, 0.2)  # in fp32 devices agree to 1e-6 of a cosine; half precision moves one by 2.6e-4 and more
    needs_encoder = True

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        encoder = embedder.encoder
        self.encoder = encoder.label
        self.fingerprint: Mapping[str, str] = dict(encoder.fingerprint)
        self.id, self.label = ("clip", "CLIP") if encoder.is_clip else ("cosine", f"Cosine ({encoder.label})")
        self.note = "" if encoder.is_clip else _NOT_CLIP

    def score(self, pairs: Pairs, /) -> Sequence[float]:
        """Returns the cosine similarity of each pair, -1..1."""
        shown = [((one.digest, one.open), (other.digest, other.open)) for one, other in pairs]
        cosines, self.provenance = self.embedder.similarities(shown, self.counted_at)
        return list(map(float, cosines))

    def count_above(self, threshold: float) -> None:
        """Has mixed precision decide as fp32 does at this threshold, which its values then depend on."""
        super().count_above(threshold)
        if self.fingerprint.get("precision") == "mixed":
            self.fingerprint = {**self.fingerprint, "as fp32 at": ", ".join(f"{one:g}" for one in self.counted_at)}


class SimilarityShare(Metric):
    """The share, %, of samples whose similarity is strictly above 0.9: CLIP* (paper, section 3.1)."""

    scale = 100.0
    limits = (0.0, 100.0)
    threshold: float = STAR_THRESHOLD
    thresholds = THRESHOLDS
    needs_encoder = True

    def __init__(self, embedder: Embedder) -> None:
        counted = Similarity(embedder)
        counted.count_above(self.threshold)
        self.id, self.of = f"{counted.id}_star", counted.id
        self.label = "CLIP*" if embedder.encoder.is_clip else f"Cosine* ({embedder.encoder.label})"
        self.unit = f"% of samples with cosine > {self.threshold:g}"
        self.encoder, self.fingerprint = counted.encoder, counted.fingerprint


class NamedSimilarity(Similarity):
    """Cosine × 100 by the encoder that the metric's name names, beside the table's own encoder."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__(embedder)
        label = embedder.encoder.label
        short = re.sub("[^a-z0-9]+", "_", label.lower()).strip("_")[:40]
        self.id = f"similarity_{short or hashlib.sha256(label.encode()).hexdigest()[:8]}"
        self.label = f"Cosine {label if ' ' in label else label.rpartition('/')[2]}"
        self.note = ""


class _Psnr(Metric):
    """PSNR in dB of both pictures at 256 × 256, as `resize` brings them there."""

    unit = "dB"
    limits = (0.0, decibels(0.0))
    resize: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]

    def __init__(self) -> None:
        self._resized: ImageCache[NDArray[np.uint8]] = ImageCache(_RESIZED_BYTES)

    def score(self, pairs: Pairs, /) -> Sequence[float]:
        """Returns the PSNR of each pair, dB. Originals that come again are not resized again."""
        pictures = {picture.digest: picture for pair in pairs for picture in pair}
        with ThreadPoolExecutor(decoder_count(), thread_name_prefix="resize") as pool:
            pixels = dict(zip(pictures, pool.map(self._pixels, pictures.values()), strict=True))
        return [peak_signal_noise_ratio(pixels[result.digest], pixels[original.digest]) for result, original in pairs]

    def _pixels(self, picture: Picture) -> NDArray[np.uint8]:
        pixels = self._resized.get(picture.digest)
        if pixels is None:
            pixels = type(self).resize(picture.pixels, PSNR_SIZE)
            self._resized.put(picture.digest, pixels, pixels.nbytes)
        return pixels


class AntialiasedPsnr(_Psnr):
    """PSNR of pixels that are means over areas, so that every pixel of a picture counts.

    The paper's PSNR looks at a quarter of the pixels of a picture of 1024 × 1024. One that shows the original there and
    something else between them has a high PSNR and a low value here.
    """

    id = "psnr_antialiased"
    label = "PSNR (antialiased)"
    fingerprint: Mapping[str, str] = {
        **PSNR_FINGERPRINT,
        "metric": "psnr antialiased",
        "resize": "mean over areas, 8 bits",
    }
    resize = staticmethod(resize_area)


class Psnr(_Psnr):
    """The paper's PSNR: sampled without antialiasing (the arithmetic of the reference script).

    Of 190 pairs of photographs none had a PSNR above that with antialiasing: -0.01 to -0.26 dB; JPEG of quality 10,
    noise and blur lie further below.
    """

    id = "psnr"
    label = "PSNR"
    fingerprint = PSNR_FINGERPRINT
    resize = staticmethod(resize_bilinear)
    identical = decibels(0.0)
    control_limit = 1.0
    control_most = 60.0
    control_note = (
        "PSNR is more than 1 dB lower with antialiasing: the pixels that it samples show something else than those in "
        "between."
    )

    def __init__(self) -> None:
        super().__init__()
        self.control = AntialiasedPsnr()


OLDER_FACTS: dict[str, dict[str, Any]] = {
    "clip": {"limits": Similarity.limits},
    "cosine": {"limits": Similarity.limits, "note": _NOT_CLIP},
    "clip_star": {"limits": SimilarityShare.limits, "of": "clip"},
    "cosine_star": {"limits": SimilarityShare.limits, "of": "cosine"},
    "psnr": {
        "limits": Psnr.limits,
        "identical": Psnr.identical,
        "control_limit": Psnr.control_limit,
        "control_most": Psnr.control_most,
        "control_note": Psnr.control_note,
    },
}
"""Of each metric what results of versions without a registry do not say."""

PAPER_IDS = tuple(OLDER_FACTS)
"""The ids that the paper's three metrics have, with CLIP and with another encoder: the columns of the leaderboard."""
