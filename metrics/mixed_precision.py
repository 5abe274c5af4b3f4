"""Mixed precision: embeddings in bf16, and in fp32 again wherever bf16 could decide a share above a threshold wrongly.

Rounding moves a cosine by up to 3e-4 or so; by how much depends on model, pictures and machine, so it is measured. Some
of the pictures that are scored are encoded in both precisions; all cosines between them show how far bf16 strays. Every
pair whose cosine is no farther from a threshold than four times the largest deviation is computed again in fp32.
Rounding makes vectors less alike. The mean deviation is taken off, or it would move the mean CLIP by 0.02.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .encoder import ImageEncoder

SAFETY = 4
"""The margin in largest deviations seen. Deviations spread about like noise: the largest of 276 is three standard
deviations, so the margin is twelve."""

PICTURES = 24
"""Pictures that are encoded in both precisions; they have 276 cosines among them."""

MOST_MEAN, MOST = 3e-4, 1e-3
"""The mean and the largest deviation of a cosine above which bf16 is of no use: a mean CLIP may move by 0.02, which is
2e-4, in a row of a few samples too."""


Provenance = Mapping[str, str | int | float]
"""How values were computed: texts, counts, and measured numbers."""


def add_provenance(first: Provenance, second: Provenance) -> Provenance:
    """Returns what is said of both: whole numbers added, the larger one of floats, texts beside each other."""
    both = dict(first)
    for name, value in second.items():
        have = both.get(name, value)
        if name not in both or (have == value and not isinstance(value, int)):
            both[name] = value
        elif isinstance(have, str) or isinstance(value, str):
            texts = str(have).split("; ")
            both[name] = have if str(value) in texts else "; ".join([*texts, str(value)])
        else:
            both[name] = have + value if isinstance(have, int) and isinstance(value, int) else max(have, value)
    return both


class MixedEncoder:
    """An `ImageEncoder` that encodes in bf16, with the same model in fp32 beside it; `Embedder` uses both."""

    def __init__(self, quick: ImageEncoder, exact: ImageEncoder) -> None:
        self.quick, self.exact = quick, exact
        self.label, self.is_clip, self.dimension = exact.label, exact.is_clip, exact.dimension
        # Values are bound to fp32's, whatever computes bf16: no backend of it is named.
        self.fingerprint: Mapping[str, str] = {**exact.fingerprint, "precision": "mixed"}
        both = (quick.environment.get("kernels"), exact.environment.get("kernels"))
        self.environment: Mapping[str, str] = {**exact.environment, "kernels": "bf16: {}; fp32: {}".format(*both)}

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as both read it, (3, H, W)."""
        return self.exact.preprocess(image)

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the bf16 embeddings (N, D) of preprocessed pictures (N, 3, H, W), each of length 1."""
        return self.quick.encode(batch)


class Similarities(NamedTuple):
    """Cosines of pairs, (N,), and how they were computed, as `Metric.provenance` has it."""

    cosines: NDArray[np.float64]
    provenance: Provenance


class Margin:
    """How near to a threshold bf16 may decide otherwise than fp32, measured on pictures in both."""

    def __init__(self) -> None:
        self._quick: list[NDArray[np.floating]] = []
        self._exact: list[NDArray[np.floating]] = []
        self.largest = 0.0
        self.mean = 0.0

    @property
    def wanted(self) -> int:
        """How many pictures are still to be seen in both precisions."""
        return PICTURES - len(self._quick)

    @property
    def value(self) -> float:
        """The margin of a cosine; infinite until enough was seen, and where bf16 strays too far to be of use."""
        if self.wanted > 0 or abs(self.mean) > MOST_MEAN or self.largest > MOST:
            return math.inf
        return SAFETY * self.largest

    def add(self, quick: Sequence[NDArray[np.floating]], exact: Sequence[NDArray[np.floating]]) -> None:
        """Takes in pictures' embeddings in both precisions."""
        self._quick += quick
        self._exact += exact
        if len(self._quick) < 2:
            return
        first, second = np.triu_indices(len(self._quick), 1)
        rows = [np.stack(side).astype(np.float64) for side in (self._quick, self._exact)]
        deviations = np.subtract(*((side @ side.T)[first, second] for side in rows))
        self.mean = float(deviations.mean())
        self.saw(deviations)

    def corrected(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the cosines (N,) in bf16 without the mean deviation; those of equal embeddings stay 1."""
        return np.where(cosines < 1, np.clip(cosines - self.mean, -1, 1), cosines)

    def saw(self, deviations: NDArray[np.float64]) -> None:
        """Takes in how far cosines in bf16 are from those in fp32; the margin never shrinks."""
        self.largest = max(self.largest, float(np.abs(deviations).max(initial=0.0)))

    def is_near(self, cosines: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.bool_]:
        """Returns which of the cosines (N,) have to be computed in fp32, (N,)."""
        if math.isinf(self.value):
            return np.ones(len(cosines), dtype=np.bool_)
        distances = np.abs(cosines[:, None] - np.asarray(thresholds, dtype=np.float64))
        return np.asarray((distances <= self.value).any(axis=1))

    def facts(self, pairs: int, redone: int) -> Provenance:
        """Returns what is said of so many pairs, of which so many were computed again."""
        said: dict[str, str | int | float] = {"pairs": pairs, "pairs computed again in fp32": redone}
        if self.wanted <= 0:
            said["mean deviation of bf16, taken off"] = float(f"{abs(self.mean):.3g}")
            said["largest deviation of bf16"] = float(f"{self.largest:.3g}")
            said["margin"] = "all pairs: bf16 strays too far" if math.isinf(self.value) else float(f"{self.value:.3g}")
        return said
