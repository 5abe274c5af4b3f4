"""Scores of pairs of images, computed once, kept beside the run, never tied to the run that asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder
from fashionedit.metrics.pair_scores import score_pairs
from fashionedit.metrics.similarity import PSNR_FINGERPRINT

from .records import RoundOutcome
from .result_models import Metric
from .samples import SampleSource
from .stored_scores import Pair, StoredScores

__all__ = ["STAR_THRESHOLD", "Progress", "Scores", "metrics_of", "score"]

STAR_THRESHOLD = 0.9
"""CLIP* counts samples whose cosine is strictly above this (`CILP.py` of the reference scripts)."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

Opener = Callable[[], Image.Image]


@dataclass(frozen=True)
class Scores:
    """The raw scores of pairs: cosines in -1..1, PSNR in dB."""

    metrics: tuple[Metric, ...]
    cosines: StoredScores
    psnrs: StoredScores

    def raw(self, metric: Metric, pair: Pair) -> float:
        """Returns the pair's raw value: a cosine for the first two metrics, dB for PSNR."""
        return self.psnrs[pair] if metric.id == "psnr" else self.cosines[pair]

    def __contains__(self, pair: Pair) -> bool:
        return pair in self.cosines and pair in self.psnrs


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
        Metric(id="psnr", label="PSNR", unit="dB", scale=1, fingerprint=dict(PSNR_FINGERPRINT)),
    )


def score(
    outcomes: Iterable[RoundOutcome],
    source: SampleSource,
    embedder: Embedder,
    run_path: Path,
    *,
    progress: Progress | None = None,
) -> Scores:
    """Returns the scores of every outcome's image, and of the drafts of their samples, each with its sample's original.

    Pairs that `run_path/scores` holds are not scored again, and their pictures not opened. Each pair is stored as soon
    as it is scored, so what a killed process had done stays done.

    Args:
        progress: Called with the pairs done and the pairs in all, while there are any to score.

    Raises:
        InvalidDataError: An image of the run has other pixels than its record says, or a score is not finite.
    """
    metrics = metrics_of(embedder.encoder)
    scores = Scores(
        metrics,
        StoredScores(run_path / "scores", metrics[0].id, metrics[0].fingerprint),
        StoredScores(run_path / "scores", "psnr", metrics[2].fingerprint),
    )
    openers: dict[str, Opener] = {}
    wanted: dict[str, dict[Pair, None]] = {}  # by original, so that its results come one after the other
    for outcome in outcomes:
        digests = source.digests(outcome.sample)
        openers.setdefault(digests.original, partial(_original, source, outcome.sample))
        openers.setdefault(digests.draft, partial(_draft, source, outcome.sample))
        openers.setdefault(outcome.current.digest, partial(_verified, outcome))
        for image in (digests.draft, outcome.current.digest):
            wanted.setdefault(digests.original, {}).setdefault((image, digests.original))
    missing = [pair for pairs in wanted.values() for pair in pairs if pair not in scores]
    items = (((image, openers[image]), (original, openers[original])) for image, original in missing)
    for done, (pair, found) in enumerate(zip(missing, score_pairs(items, embedder), strict=True), start=1):
        scores.cosines.add(pair, found.cosine_similarity)
        scores.psnrs.add(pair, found.psnr)
        if progress is not None:
            progress(done, len(missing))
    return scores


def _original(source: SampleSource, id: str) -> Image.Image:
    return source.sample(id).original


def _draft(source: SampleSource, id: str) -> Image.Image:
    return source.sample(id).draft


def _verified(outcome: RoundOutcome) -> Image.Image:
    image = outcome.current.open()
    if pixel_digest(image) != outcome.current.digest:
        raise InvalidDataError(
            f"the image of sample {outcome.sample}, {outcome.protocol} round {outcome.round}, has other pixels than "
            f"its record names (digest {outcome.current.digest[:12]}…): the file was altered; delete it and run again"
        )
    return image
