"""Scores of pairs of images, computed once, kept beside the run, never tied to the run that asked for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleImage, SampleSource
from fashionedit.images import pixel_digest
from fashionedit.metrics import registry as metrics
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.mixed_precision import Provenance
from fashionedit.metrics.ray_embedder import SentPicture

from .blocks import Block, compute
from .measures import Asked, Change, Column, Measured, Pictures, measures_of
from .ray_scoring import RayScoring
from .result_models import Metric
from .stored_scores import Pair, Pairs, PairValues, StoredScores, Values

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
    stores: Mapping[str, PairValues]
    controls: Mapping[str, PairValues]
    measured: Measured | None = None

    def values(self, metric: Metric, pairs: Sequence[Pair]) -> list[float]:
        """Returns the pairs' values in the metric's unit, of the metric that is counted where this one is a share."""
        return _all_of(self.stores[metric.of or metric.id].find(pairs), pairs, metric)

    def controlled(self, metric: Metric, pairs: Sequence[Pair]) -> list[float] | None:
        """Returns the pairs' values computed in the other way; None where the metric has no control."""
        return _all_of(self.controls[metric.id].find(pairs), pairs, metric) if metric.id in self.controls else None


def _all_of(values: Values, pairs: Sequence[Pair], metric: Metric) -> list[float]:
    if np.isnan(values).any():
        raise KeyError(pairs[int(np.isnan(values).argmax())])
    found: list[float] = (values * metric.scale).tolist()
    return found


def described(metric: metrics.Metric, provenance: Provenance | None = None) -> Metric:
    """Returns what `results.json` says of a metric, and of how its values were computed."""
    names = Metric.model_fields.keys() - {"control_limit", "provenance"}
    limit = None if metric.control is None else metric.control_limit
    facts = {name: getattr(metric, name) for name in names}
    return Metric(**facts, control_limit=limit, provenance=dict(provenance or {}))


def score(
    images: Iterable[Column],
    outcomes: Callable[[], Iterable[RoundOutcome]],
    source: SampleSource,
    columns: Sequence[metrics.Metric],
    run_path: Path,
    *,
    embedder: Embedder | None = None,
    changes: Iterable[Sequence[Asked | None]] = (),
    progress: Progress | None = None,
) -> Scores:
    """Returns the scores of the images, and of the drafts of all samples, each with its sample's original.

    Pairs that `run_path/scores` holds are not scored again, and their pictures not opened. Scores are stored after
    each part of at most 48 pairs, so what a killed process had done stays done. Metrics that need no encoder come
    first, so that one that fails costs no encoding.

    Args:
        outcomes: Walks once more over what the columns were made of; asked where a picture must be opened.
        embedder: For the measures of `changes`; None leaves them out.
        changes: Sample by sample, as the columns are.

    Raises:
        DamagedImageError: An image of the run can't be read or has other pixels than its record says.
        InvalidDataError: A metric fails, or a score is not finite.
    """
    stores: dict[str, StoredScores] = {}
    controls: dict[str, StoredScores] = {}
    scorers: list[tuple[metrics.Metric, StoredScores]] = []  # in the order of `scorers_of`
    for metric in sorted(columns, key=lambda one: one.needs_encoder):
        for place, scorer in ((stores, metric if metric.of is None else None), (controls, metric.control)):
            if scorer is not None:
                place[metric.id] = StoredScores(run_path / "scores", scorer.id, scorer.fingerprint)
                scorers.append((scorer, place[metric.id]))
    measured = Measured(run_path / "scores", measures_of(embedder.encoder)) if embedder else None
    todo: dict[str, _Todo] = {}  # by original, so that its results come one after the other
    digests = [source.digests(id) for id in source.ids]
    drafts: list[str | None] = [one.draft for one in digests]
    for column in chain([drafts], (column.digests for column in images)):
        pairs = Pairs((image, one.original) for image, one in zip(column, digests, strict=True) if image is not None)
        lacking = np.zeros(len(pairs), dtype=bool)
        for _, store in scorers:
            lacking |= np.isnan(store.find(pairs))
        for pair in compress(pairs, lacking.tolist()):
            todo.setdefault(pair[1], _Todo()).pairs.setdefault(pair)
    any_change = False
    for asked in changes:
        found = [one for one in asked if one is not None]
        any_change |= bool(found)
        for one in measured.lacking(found) if measured is not None else ():
            todo.setdefault(one.change.original, _Todo()).changes.setdefault(one)
    if not any_change:
        measured = None
    pictures = _pictures(todo, outcomes, source) if todo else Pictures()
    done, total = 0, sum(len(one.pairs) + len(one.changes) for one in todo.values())
    keep = _Stores([store for _, store in scorers], measured)
    for block in _scored(_blocks(todo.values()), [scorer for scorer, _ in scorers], pictures, embedder, keep):
        done += len(block.pairs) + len(block.changes)
        if progress is not None:
            progress(done, total)
    thresholds = next((metric.thresholds for metric in columns if metric.of is not None), ())
    shown_metrics = tuple(
        described(metric, stores[metric.id].provenance if metric.of is None else None) for metric in columns
    )
    return Scores(shown_metrics, thresholds, stores, controls, measured)


@dataclass(frozen=True, slots=True)
class _Todo:
    """What is missing, in order, each once."""

    pairs: dict[Pair, None] = field(default_factory=dict)
    changes: dict[Asked, None] = field(default_factory=dict)


def _pictures(
    todo: Mapping[str, _Todo], outcomes: Callable[[], Iterable[RoundOutcome]], source: SampleSource
) -> Pictures:
    """Returns the pictures that are needed: those of the dataset, then those of the run and of the baselines."""
    pictures = Pictures()
    needed = {image for one in todo.values() for image, _ in one.pairs}
    for change in (asked.change for one in todo.values() for asked in one.changes):
        needed |= {change.image, change.before}
        pictures.name(change.reference, _DatasetPicture(source, change.sample, "reference", change.round))
    for id in source.ids:
        digests = source.digests(id)
        if digests.original in todo:
            pictures.name(digests.original, _DatasetPicture(source, id, "original"))
            pictures.name(digests.draft, _DatasetPicture(source, id, "draft"))
    for outcome in outcomes():
        if outcome.current.digest in needed:
            pictures.name(outcome.current.digest, _RoundPicture(outcome))
    return pictures


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


class _Stores:
    """Keeps values in the run's `scores/`."""

    def __init__(self, stores: Sequence[StoredScores], measured: Measured | None) -> None:
        self.stores = stores
        self.measured = measured

    def add_pairs(self, scorer: int, values: Iterable[tuple[Pair, float]]) -> None:
        """Stores the raw values of pairs."""
        self.stores[scorer].add(values)

    def add_provenance(self, scorer: int, provenance: Provenance) -> None:
        """Stores how pairs were scored."""
        self.stores[scorer].add_provenance(provenance)

    def add(self, measure: str, values: Iterable[tuple[Change, float]]) -> None:
        """Stores the values of a measure."""
        assert self.measured is not None
        self.measured.add(measure, values)


def _scored(
    todo: Iterable[_Todo],
    scorers: Sequence[metrics.Metric],
    pictures: Pictures,
    embedder: Embedder | None,
    keep: _Stores,
) -> Iterator[_Todo]:
    """Yields each part once its values are stored: computed here, or by Ray workers where the embedder has them."""
    if not isinstance(embedder, RayScoring):
        for part in todo:
            compute(_block(part, keep), pictures, scorers, embedder, keep)
            pictures.forget()  # the next part has other pictures: parts are grouped by original
            yield part
        return
    parts: deque[_Todo] = deque()

    def blocks() -> Iterator[Block]:
        for part in todo:
            parts.append(part)
            yield _block(part, keep)

    for _, found in embedder.scored(blocks(), pictures):
        for scorer, values in found.pairs:
            keep.add_pairs(scorer, values)
        for scorer, provenance in found.provenance:
            keep.add_provenance(scorer, provenance)
        for measure, measured in found.measures:
            keep.add(measure, measured)
        yield parts.popleft()


def _block(part: _Todo, keep: _Stores) -> Block:
    pairs = Pairs(part.pairs)
    missing = tuple(tuple(compress(pairs, np.isnan(store.find(pairs)).tolist())) for store in keep.stores)
    return Block(missing, tuple(part.changes) if keep.measured is not None else ())


@dataclass(frozen=True, slots=True)
class _DatasetPicture(SampleImage):
    """Opens a picture of a sample."""

    name: Literal["original", "draft", "reference"]
    round: int = 0

    def __call__(self) -> Image.Image:
        """Returns the picture."""
        sample = self.source.sample(self.sample)
        image: Image.Image = getattr(sample.differences[self.round - 1] if self.round else sample, self.name)
        return image


@dataclass(frozen=True, slots=True)
class _RoundPicture:
    """Opens what a round came to, or reads it as it is stored."""

    outcome: RoundOutcome

    def __call__(self) -> Image.Image:
        """Returns the picture, compared with its digest."""
        return _verified(self.outcome)

    def sent(self) -> SentPicture:
        """Returns the file, to be opened elsewhere; what draws the picture, or its pixels, where there is none."""
        current, outcome = self.outcome.current, self.outcome
        data: bytes | SampleImage | Image.Image
        if current.encoded is not None:
            data = current.encoded()
        else:
            data = current.open if isinstance(current.open, SampleImage) else _verified(outcome)
        name = f"the image of sample {outcome.sample}, {outcome.protocol} round {outcome.round},"
        return SentPicture(current.digest, data, name)


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
