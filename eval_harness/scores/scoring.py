"""Scores of pairs of images, computed once, kept beside the run, never tied to the run that asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.images import pixel_digest
from fashionedit.metrics import registry as metrics
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.registry import checked_scores

from .measures import Asked, Measured, Pictures, measure, measures_of
from .result_models import Metric
from .stored_scores import Pair, StoredScores

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

_AT_ONCE = 48  # pairs, or changes: their pictures are still remembered for the next metric, and for the measures


class DamagedImageError(InvalidImageError):
    """An image of the run can't be read, or is another one than its record names by this digest."""

    def __init__(self, message: str, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


@dataclass(frozen=True)
class Scores:
    """The raw scores of pairs by metric, those of their controls, and the measures of changes where they are wanted.

    Args:
        metrics: In the order of the columns.
        thresholds: At which the curve of the first share is drawn.
        stores: The raw values by metric id; a share has none of its own.
        controls: Those of the controls, by the id of the metric that they control.
    """

    metrics: tuple[Metric, ...]
    thresholds: tuple[float, ...]
    stores: Mapping[str, StoredScores]
    controls: Mapping[str, StoredScores]
    measured: Measured | None = None

    def raw(self, metric: Metric, pair: Pair) -> float:
        """Returns the pair's raw value, of the metric that is counted where this one is a share."""
        return self.stores[metric.of or metric.id][pair]

    def control(self, metric: Metric, pair: Pair) -> float | None:
        """Returns the pair's raw value computed in the other way; None where the metric has no control."""
        return self.controls[metric.id][pair] if metric.id in self.controls else None


def described(metric: metrics.Metric) -> Metric:
    """Returns what `results.json` says of a metric."""
    names = Metric.model_fields.keys() - {"control_limit"}
    limit = None if metric.control is None else metric.control_limit
    return Metric(**{name: getattr(metric, name) for name in names}, control_limit=limit)


def score(
    outcomes: Iterable[RoundOutcome],
    source: SampleSource,
    columns: Sequence[metrics.Metric],
    run_path: Path,
    *,
    embedder: Embedder | None = None,
    changes: Sequence[Asked] = (),
    progress: Progress | None = None,
) -> Scores:
    """Returns the scores of every outcome's image, and of the drafts of their samples, each with its sample's original.

    Pairs that `run_path/scores` holds are not scored again, and their pictures not opened. Scores are stored after
    each part of at most 48 pairs, so what a killed process had done stays done. Metrics that need no encoder come
    first, so that one that fails costs no encoding.

    Args:
        embedder: For the measures of `changes`; None leaves them out.

    Raises:
        DamagedImageError: An image of the run can't be read or has other pixels than its record says.
        InvalidDataError: A metric fails, or a score is not finite.
    """
    stores: dict[str, StoredScores] = {}
    controls: dict[str, StoredScores] = {}
    scorers: list[tuple[metrics.Metric, StoredScores]] = []
    for metric in sorted(columns, key=lambda one: one.needs_encoder):
        for place, scorer in ((stores, metric if metric.of is None else None), (controls, metric.control)):
            if scorer is not None:
                place[metric.id] = StoredScores(run_path / "scores", scorer.id, scorer.fingerprint)
                scorers.append((scorer, place[metric.id]))
    measured = Measured(run_path / "scores", measures_of(embedder.encoder)) if changes and embedder else None
    todo: dict[str, _Todo] = {}  # by original, so that its results come one after the other
    pictures = Pictures()
    for outcome in outcomes:
        id, digests = outcome.sample, source.digests(outcome.sample)
        pictures.name(digests.original, partial(_picture, source, id, "original"))
        pictures.name(digests.draft, partial(_picture, source, id, "draft"))
        pictures.name(outcome.current.digest, partial(_verified, outcome))
        for image in (digests.draft, outcome.current.digest):
            pair = (image, digests.original)
            if any(pair not in store for _, store in scorers):
                todo.setdefault(digests.original, _Todo()).pairs.setdefault(pair)
    for asked in changes:
        change = asked.change
        pictures.name(change.reference, partial(_picture, source, change.sample, "reference", change.round))
        if measured is not None and not measured.has(asked):
            todo.setdefault(change.original, _Todo()).changes.setdefault(asked)
    done, total = 0, sum(len(one.pairs) + len(one.changes) for one in todo.values())
    for block in _blocks(todo.values()):
        for scorer, store in scorers:
            missing = [pair for pair in block.pairs if pair not in store]
            shown = [(pictures.picture(image), pictures.picture(original)) for image, original in missing]
            for pair, value in zip(missing, checked_scores(scorer, shown), strict=True):
                store.add(pair, value)
        if block.changes and measured is not None and embedder is not None:
            measure(list(block.changes), pictures, embedder, measured)
        done += len(block.pairs) + len(block.changes)
        if progress is not None:
            progress(done, total)
    thresholds = next((metric.thresholds for metric in columns if metric.of is not None), ())
    return Scores(tuple(map(described, columns)), thresholds, stores, controls, measured)


@dataclass(frozen=True, slots=True)
class _Todo:
    """What is missing, in order, each once."""

    pairs: dict[Pair, None] = field(default_factory=dict)
    changes: dict[Asked, None] = field(default_factory=dict)


def _blocks(todo: Iterable[_Todo]) -> Iterator[_Todo]:
    """Yields it in parts whose pictures are remembered until all metrics and measures have seen them."""
    block = _Todo()
    for one in todo:
        block.pairs.update(one.pairs)
        block.changes.update(one.changes)
        if max(len(block.pairs), len(block.changes)) >= _AT_ONCE:
            yield block
            block = _Todo()
    if block.pairs or block.changes:
        yield block


def _picture(source: SampleSource, id: str, name: str, round: int = 0) -> Image.Image:
    sample = source.sample(id)
    image: Image.Image = getattr(sample.differences[round - 1] if round else sample, name)
    return image


def _verified(outcome: RoundOutcome) -> Image.Image:
    digest = outcome.current.digest
    place = f"the image of sample {outcome.sample}, {outcome.protocol} round {outcome.round},"
    try:
        image = outcome.current.open()
    except InvalidImageError as error:
        raise DamagedImageError(f"{place} can't be read: {error}", digest) from error
    if pixel_digest(image) != digest:
        raise DamagedImageError(
            f"{place} has other pixels than its record names (digest {digest[:12]}…): the file was altered; delete it "
            "and run again",
            digest,
        )
    return image
