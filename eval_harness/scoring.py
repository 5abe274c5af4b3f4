"""Scores of pairs of images, computed once, kept beside the run, never tied to the run that asked for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest
from fashionedit.metrics.bilinear import resize_bilinear
from fashionedit.metrics.similarity import PSNR_SIZE, cosine_similarity, peak_signal_noise_ratio

from .pair_scores import Pair, PairScores
from .records import RoundOutcome
from .result_models import Metric
from .samples import SampleSource

__all__ = [
    "PSNR_FINGERPRINT",
    "STAR_THRESHOLD",
    "ImageEmbedder",
    "ImageEncoder",
    "PairScores",
    "Scores",
    "metrics_of",
    "score",
]

STAR_THRESHOLD = 0.9
"""CLIP* counts samples whose cosine is strictly above this (`CILP.py` of the reference scripts)."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

PSNR_FINGERPRINT = {
    "metric": "psnr",
    "version": "1",
    "resize": f"{PSNR_SIZE[0]}x{PSNR_SIZE[1]} bilinear without antialiasing, aspect ratio ignored (cv2.INTER_LINEAR)",
    "peak": "255",
    "epsilon": "2.220446049250313e-16",
    "mean": "of the images' values",
}
"""All that a PSNR depends on."""


class ImageEncoder(Protocol):
    """What scoring must know of an encoder."""

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """All that its embeddings depend on."""
        ...

    @property
    def label(self) -> str:
        """How people call it."""
        ...

    @property
    def is_clip(self) -> bool:
        """Whether its scores may bear the name CLIP."""
        ...


class ImageEmbedder(Protocol):
    """What turns images into unit vectors."""

    @property
    def encoder(self) -> ImageEncoder:
        """The model behind it."""
        ...

    def embed(
        self,
        items: Iterable[tuple[str | None, Callable[[], Image.Image]]],
        progress: Callable[[int], None] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Returns (N, D) unit vectors; opens an image only when no vector of its digest is known.

        `progress` is called with the number of images that were just finished.
        """
        ...


@dataclass(frozen=True)
class Scores:
    """The raw scores of pairs: cosines in -1..1, PSNR in dB."""

    metrics: tuple[Metric, ...]
    cosines: PairScores
    psnrs: PairScores

    def raw(self, metric: Metric, pair: Pair) -> float:
        """Returns the pair's raw value: a cosine for the first two metrics, dB for PSNR."""
        return self.psnrs[pair] if metric.id == "psnr" else self.cosines[pair]


def metrics_of(encoder: ImageEncoder, threshold: float = STAR_THRESHOLD) -> tuple[Metric, Metric, Metric]:
    """Returns the three metrics as this encoder gives them; they are called CLIP only where it is one."""
    name, label = ("clip", "CLIP") if encoder.is_clip else ("cosine", f"Cosine ({encoder.label})")
    star = "CLIP*" if encoder.is_clip else f"Cosine* ({encoder.label})"
    similarity = dict(encoder.fingerprint)
    return (
        Metric(id=name, label=label, unit="cosine × 100", scale=100, encoder=encoder.label, fingerprint=similarity),
        Metric(
            id=f"{name}_star",
            label=star,
            unit=f"% of samples with cosine > {threshold:g}",
            scale=100,
            encoder=encoder.label,
            threshold=threshold,
            fingerprint=similarity,
        ),
        Metric(id="psnr", label="PSNR", unit="dB", scale=1, fingerprint=PSNR_FINGERPRINT),
    )


def score(
    outcomes: Iterable[RoundOutcome],
    source: SampleSource,
    embedder: ImageEmbedder,
    run_path: Path,
    *,
    progress: Progress | None = None,
) -> Scores:
    """Returns the scores of every outcome's image, and of every draft, with its sample's original.

    Pairs that `run_path/scores` holds are not scored again. All missing embeddings come from one pass; an image that is
    opened for its embedding gives its PSNR at the same time, so it is decoded once. Few pictures are in memory at once.

    Args:
        progress: Called with the pictures done and the pictures in all, while there are any to embed.

    Raises:
        InvalidDataError: An image of the run has other pixels than its record says, or a score is not finite.
    """
    metrics = metrics_of(embedder.encoder)
    scores = Scores(
        metrics,
        PairScores(run_path / "scores", metrics[0].id, metrics[0].fingerprint),
        PairScores(run_path / "scores", "psnr", metrics[2].fingerprint),
    )
    work = _Work(source, scores)
    for outcome in outcomes:
        work.want(outcome)
    work.run(embedder, progress)
    return scores


class _Work:
    """Which pictures must be opened, in an order that keeps each original beside its results."""

    _KEPT = 64  # originals at the size of PSNR, 0.2 MB each: enough for threads that run ahead

    def __init__(self, source: SampleSource, scores: Scores) -> None:
        self._source, self._scores = source, scores
        self._openers: dict[str, Callable[[], Image.Image]] = {}
        self._images: dict[str, dict[str, None]] = {}  # original → its images
        self._originals: dict[str, dict[str, None]] = {}  # image → its originals
        self._kept: OrderedDict[str, npt.NDArray[np.uint8]] = OrderedDict()
        self._lock = threading.Lock()

    def want(self, outcome: RoundOutcome) -> None:
        id = outcome.sample
        digests = self._source.digests(id)
        self._openers.setdefault(digests.original, lambda: self._source.sample(id).original)
        self._openers.setdefault(digests.draft, lambda: self._source.sample(id).draft)
        self._openers.setdefault(outcome.current.digest, lambda: _verified(outcome))
        for image in (digests.draft, outcome.current.digest):
            self._images.setdefault(digests.original, {}).setdefault(image)
            self._originals.setdefault(image, {}).setdefault(digests.original)

    def run(self, embedder: ImageEmbedder, progress: Progress | None) -> None:
        pairs = [(image, original) for original, images in self._images.items() for image in images]
        missing = [pair for pair in pairs if pair not in self._scores.cosines]
        if missing:
            wanted = list(dict.fromkeys(digest for image, original in missing for digest in (original, image)))
            items = [(digest, partial(self._open, digest)) for digest in wanted]
            vectors = embedder.embed(items, _counted(progress, len(wanted)))
            rows = {digest: row for row, digest in enumerate(wanted)}
            for image, original in missing:
                value = cosine_similarity(vectors[rows[image]], vectors[rows[original]])
                self._scores.cosines.add((image, original), float(value))
        for image, original in pairs:  # where the vectors were known already nothing was opened
            if (image, original) not in self._scores.psnrs:
                self._open(image)

    def _open(self, digest: str) -> Image.Image:
        """Returns the picture and, while it is there, stores the PSNRs that need it."""
        picture = self._openers[digest]()
        missing = [one for one in self._originals.get(digest, ()) if (digest, one) not in self._scores.psnrs]
        if missing or digest in self._images:
            small = resize_bilinear(np.asarray(picture), PSNR_SIZE)
            if digest in self._images:
                self._keep(digest, small)
            for original in missing:
                value = peak_signal_noise_ratio(small, self._small(original))
                with self._lock:
                    self._scores.psnrs.add((digest, original), value)
        return picture

    def _small(self, original: str) -> npt.NDArray[np.uint8]:
        with self._lock:
            found = self._kept.get(original)
        if found is None:
            found = resize_bilinear(np.asarray(self._openers[original]()), PSNR_SIZE)
            self._keep(original, found)
        return found

    def _keep(self, original: str, small: npt.NDArray[np.uint8]) -> None:
        with self._lock:
            self._kept[original] = small
            while len(self._kept) > self._KEPT:
                self._kept.popitem(last=False)


def _counted(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


def _verified(outcome: RoundOutcome) -> Image.Image:
    image = outcome.current.open()
    if pixel_digest(image) != outcome.current.digest:
        raise InvalidDataError(
            f"the image of sample {outcome.sample}, {outcome.protocol} round {outcome.round}, has other pixels than "
            f"its record names (digest {outcome.current.digest[:12]}…): the file was altered; delete it and run again"
        )
    return image
