"""Scores of pairs of images, computed once, kept beside the run, never tied to the run that asked for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource, encoded_images
from fashionedit.images import pixel_digest
from fashionedit.metrics import registry as metrics
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.mixed_precision import Provenance
from fashionedit.metrics.ray_embedder import SentPicture

from .blocks import Block, compute
from .measures import Asked, Change, Measured, Pictures, measures_of
from .ray_scoring import RayScoring
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


def described(metric: metrics.Metric, provenance: Provenance | None = None) -> Metric:
    """Returns what `results.json` says of a metric, and of how its values were computed."""
    names = Metric.model_fields.keys() - {"control_limit", "provenance"}
    limit = None if metric.control is None else metric.control_limit
    facts = {name: getattr(metric, name) for name in names}
    return Metric(**facts, control_limit=limit, provenance=dict(provenance or {}))


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
    scorers: list[tuple[metrics.Metric, StoredScores]] = []  # in the order of `scorers_of`
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
        pictures.name(digests.original, _DatasetPicture(digests.original, source, id, "original"))
        pictures.name(digests.draft, _DatasetPicture(digests.draft, source, id, "draft"))
        pictures.name(outcome.current.digest, _RoundPicture(outcome))
        for image in (digests.draft, outcome.current.digest):
            pair = (image, digests.original)
            if any(pair not in store for _, store in scorers):
                todo.setdefault(digests.original, _Todo()).pairs.setdefault(pair)
    for asked in changes:
        change = asked.change
        pictures.name(
            change.reference, _DatasetPicture(change.reference, source, change.sample, "reference", change.round)
        )
        if measured is not None and not measured.has(asked):
            todo.setdefault(change.original, _Todo()).changes.setdefault(asked)
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

    def add_pair(self, scorer: int, pair: Pair, value: float) -> None:
        """Stores the raw value of a pair."""
        self.stores[scorer].add(pair, value)

    def add_provenance(self, scorer: int, provenance: Provenance) -> None:
        """Stores how pairs were scored."""
        self.stores[scorer].add_provenance(provenance)

    def add(self, measure: str, change: Change, value: float) -> None:
        """Stores the value of a measure."""
        assert self.measured is not None
        self.measured.add(measure, change, value)


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
            yield part
        return
    parts: deque[_Todo] = deque()

    def blocks() -> Iterator[Block]:
        for part in todo:
            parts.append(part)
            yield _block(part, keep)

    for _, found in embedder.scored(blocks(), pictures):
        for scorer, pair, value in found.pairs:
            keep.add_pair(scorer, pair, value)
        for scorer, provenance in found.provenance:
            keep.add_provenance(scorer, provenance)
        for measure, change, value in found.measures:
            keep.add(measure, change, value)
        yield parts.popleft()


def _block(part: _Todo, keep: _Stores) -> Block:
    pairs = tuple(tuple(pair for pair in part.pairs if pair not in store) for store in keep.stores)
    return Block(pairs, tuple(part.changes) if keep.measured is not None else ())


@dataclass(frozen=True, slots=True)
class _DatasetPicture:
    """Opens a picture of a sample, or reads it as it is stored."""

    digest: str
    source: SampleSource
    id: str
    name: Literal["original", "draft", "reference"]
    round: int = 0

    def __call__(self) -> Image.Image:
        """Returns the picture."""
        sample = self.source.sample(self.id)
        image: Image.Image = getattr(sample.differences[self.round - 1] if self.round else sample, self.name)
        return image

    def sent(self) -> SentPicture:
        """Returns the file, to be opened elsewhere."""
        found = encoded_images(self.source, self.id)
        data = found.crops[self.round - 1] if self.round else getattr(found, self.name)
        return SentPicture(self.digest, data, f"the {self.name} of sample {self.id}")


@dataclass(frozen=True, slots=True)
class _RoundPicture:
    """Opens what a round came to, or reads it as it is stored."""

    outcome: RoundOutcome

    def __call__(self) -> Image.Image:
        """Returns the picture, compared with its digest."""
        return _verified(self.outcome)

    def sent(self) -> SentPicture:
        """Returns the file, or the pixels where there is none, to be opened elsewhere."""
        current, outcome = self.outcome.current, self.outcome
        name = f"the image of sample {outcome.sample}, {outcome.protocol} round {outcome.round},"
        return SentPicture(current.digest, _verified(outcome) if current.encoded is None else current.encoded(), name)


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
