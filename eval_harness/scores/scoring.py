"""Scores of pairs of images, computed once, kept beside the run, never tied to the run that asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.images import pixel_digest
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder
from fashionedit.metrics.pair_scores import psnr_of_pairs, score_pairs
from fashionedit.metrics.similarity import ANTIALIASED_FINGERPRINT, PSNR_FINGERPRINT

from .measures import Asked, Change, Measured, Pictures, measure, measures_of
from .result_models import Metric
from .stored_scores import Pair, StoredScores

STAR_THRESHOLD = 0.9
"""CLIP* counts samples whose cosine is strictly above this (`CILP.py` of the reference scripts)."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

_AT_ONCE = 48  # pairs, or changes: their pictures are still remembered when the changes are measured


class DamagedImageError(InvalidImageError):
    """An image of the run can't be read, or is another one than its record names.

    Args:
        message: Which, and what to do.
        digest: Of the image that the record names.
    """

    def __init__(self, message: str, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


@dataclass(frozen=True)
class Scores:
    """The raw scores of pairs: PSNR in dB, cosines in -1..1 and the measures of changes, where they were asked for.

    Args:
        antialiased: PSNR a second time, by `antialiased_psnr`.
    """

    metrics: tuple[Metric, ...]
    psnrs: StoredScores
    antialiased: StoredScores
    cosines: StoredScores | None = None
    measured: Measured | None = None

    def raw(self, metric: Metric, pair: Pair) -> float:
        """Returns the pair's raw value: dB for PSNR, a cosine for the others."""
        return self.psnrs[pair] if metric.id == "psnr" or self.cosines is None else self.cosines[pair]

    def __contains__(self, pair: Pair) -> bool:
        known = pair in self.psnrs and pair in self.antialiased
        return known and (self.cosines is None or pair in self.cosines)


_PSNR = Metric(id="psnr", label="PSNR", unit="dB", scale=1, fingerprint=dict(PSNR_FINGERPRINT))


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
        _PSNR,
    )


def score(
    outcomes: Iterable[RoundOutcome],
    source: SampleSource,
    embedder: Embedder | None,
    run_path: Path,
    *,
    changes: Sequence[Asked] = (),
    progress: Progress | None = None,
) -> Scores:
    """Returns the scores of every outcome's image, and of the drafts of their samples, each with its sample's original.

    Pairs that `run_path/scores` holds are not scored again, and their pictures not opened. Each pair is stored as soon
    as it is scored, so what a killed process had done stays done.

    Args:
        embedder: Gives the cosines; None scores by PSNR alone, without measures.
        changes: What is to be measured besides, of the same outcomes.
        progress: Called with the pairs and changes done, and with those that there are in all, while there are any.

    Raises:
        DamagedImageError: An image of the run can't be read or has other pixels than its record says.
        InvalidDataError: A score is not finite.
    """
    psnrs = StoredScores(run_path / "scores", "psnr", _PSNR.fingerprint)
    antialiased = StoredScores(run_path / "scores", "psnr_antialiased", ANTIALIASED_FINGERPRINT)
    measured: Measured | None = None
    if embedder is None:
        scores = Scores((_PSNR,), psnrs, antialiased)
    else:
        metrics = metrics_of(embedder.encoder)
        measured = Measured(run_path / "scores", measures_of(embedder.encoder)) if changes else None
        cosines = StoredScores(run_path / "scores", metrics[0].id, metrics[0].fingerprint)
        scores = Scores(metrics, psnrs, antialiased, cosines, measured)
    todo: dict[str, _Todo] = {}  # by original, so that its results come one after the other
    pictures = Pictures(keep=bool(changes))
    for outcome in outcomes:
        digests = source.digests(outcome.sample)
        pictures.name(digests.original, partial(_original, source, outcome.sample))
        pictures.name(digests.draft, partial(_draft, source, outcome.sample))
        pictures.name(outcome.current.digest, partial(_verified, outcome))
        for image in (digests.draft, outcome.current.digest):
            pair = (image, digests.original)
            if pair not in scores:
                todo.setdefault(digests.original, _Todo()).pairs.setdefault(pair)
    for asked in changes:
        pictures.name(asked.change.reference, partial(_reference, source, asked.change))
        if measured is not None and not measured.has(asked):
            todo.setdefault(asked.change.original, _Todo()).changes.setdefault(asked)
    done, total = 0, sum(len(one.pairs) + len(one.changes) for one in todo.values())
    for block in _blocks(todo.values()):
        items = (
            ((image, pictures.opener(image)), (original, pictures.opener(original))) for image, original in block.pairs
        )
        if embedder is None:
            found: Iterable[tuple[float | None, float, float]] = ((None, *both) for both in psnr_of_pairs(items))
        else:
            found = ((one.cosine_similarity, one.psnr, one.antialiased) for one in score_pairs(items, embedder))
        for pair, (cosine, psnr, averaged) in zip(block.pairs, found, strict=True):
            if cosine is not None and scores.cosines is not None:
                scores.cosines.add(pair, cosine)
            scores.psnrs.add(pair, psnr)
            scores.antialiased.add(pair, averaged)
            done += 1
            if progress is not None:
                progress(done, total)
        if block.changes and measured is not None and embedder is not None:
            measure(list(block.changes), pictures, embedder, measured)
            done += len(block.changes)
            if progress is not None:
                progress(done, total)
    return scores


@dataclass(frozen=True, slots=True)
class _Todo:
    """What is missing, in order, each once."""

    pairs: dict[Pair, None] = field(default_factory=dict)
    changes: dict[Asked, None] = field(default_factory=dict)


def _blocks(todo: Iterable[_Todo]) -> Iterator[_Todo]:
    """Yields it in parts whose pictures are remembered until their changes are measured; at once if there are none."""
    block = _Todo()
    for one in todo:
        block.pairs.update(one.pairs)
        block.changes.update(one.changes)
        if block.changes and max(len(block.pairs), len(block.changes)) >= _AT_ONCE:
            yield block
            block = _Todo()
    if block.pairs or block.changes:
        yield block


def _original(source: SampleSource, id: str) -> Image.Image:
    return source.sample(id).original


def _reference(source: SampleSource, change: Change) -> Image.Image:
    return source.sample(change.sample).differences[change.round - 1].reference


def _draft(source: SampleSource, id: str) -> Image.Image:
    return source.sample(id).draft


def _verified(outcome: RoundOutcome) -> Image.Image:
    try:
        image = outcome.current.open()
    except InvalidImageError as error:
        raise DamagedImageError(f"{_place(outcome)} can't be read: {error}", outcome.current.digest) from error
    if pixel_digest(image) != outcome.current.digest:
        raise DamagedImageError(
            f"{_place(outcome)} has other pixels than its record names (digest {outcome.current.digest[:12]}…): the "
            "file was altered; delete it and run again",
            outcome.current.digest,
        )
    return image


def _place(outcome: RoundOutcome) -> str:
    return f"the image of sample {outcome.sample}, {outcome.protocol} round {outcome.round},"
