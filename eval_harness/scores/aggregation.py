"""From the outcomes of one method to its rows: what counts, over which denominator, with which failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress
from typing import Any

import numpy as np

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.samples import SampleSource

from .intervals import clustered_standard_error, mean_interval, metric_difference
from .measures import Asked, ByRound, Extent, changes_of, measure_limits
from .primary_scores import NOT_RUN, hits, metric_interval, primary_scores, rounded
from .result_models import Gain, Kind, MeasureValue, Metric, Row, RowSamples, Score
from .scoring import Scores
from .stored_scores import Pair, Pairs


@dataclass(frozen=True, slots=True)
class Method:
    """Whose rows they are, and how far they are measured; the other fields mean what they mean in `Row`."""

    run: int | None
    label: str
    editor: str
    fingerprint: str
    kind: Kind
    privileged: bool
    supplied: bool
    extent: Extent = "none"


def rows_of(
    method: Method,
    protocol: str,
    prompt: str,
    outcomes: ByRound,
    source: SampleSource,
    scores: Scores,
    changes: AskedByRound | None = None,
) -> list[tuple[Row, RowSamples]]:
    """Returns one row per round, with what it is made of sample by sample.

    A sample that has no outcome was not run and has its draft. A round in which nobody was asked yet has no row.

    Args:
        changes: What `asked_of` returns, where it is known already.
    """
    rows = []
    changes = asked_of(method, outcomes, source) if changes is None else changes
    digests = [source.digests(id) for id in source.ids]
    drafts = _values(Pairs((one.draft, one.original) for one in digests), scores)
    garments = tuple(source.facts(id).garment for id in source.ids)
    completed: tuple[bool, ...] = (True,) * len(garments)
    for number, column in sorted(outcomes.items()):
        statuses = tuple(NOT_RUN if status is None else status.value for status in column.statuses)
        asked = [method.supplied or status != NOT_RUN for status in statuses]
        if not any(asked):
            continue
        completed = tuple(before and status == Status.OK for before, status in zip(completed, statuses, strict=True))
        pairs = Pairs((image or one.draft, one.original) for image, one in zip(column.digests, digests, strict=True))
        cells = _Cells(
            statuses=statuses,
            completed=completed,
            pairs=tuple(pairs),
            values=_values(pairs, scores),
            controls={
                metric.id: tuple(found)
                for metric in scores.metrics
                if metric.control_limit and (found := scores.controlled(metric, pairs)) is not None
            },
            measures=_measured(changes.get(number), scores),
            drafts=drafts,
            garments=garments,
        )
        row = _row(method, protocol, prompt, number, cells if all(asked) else cells.only(asked), scores)
        samples = RowSamples(
            status=statuses,
            values={metric.id: cells.values[metric.id] for metric in scores.metrics if not metric.is_share},
            measures=cells.measures,
            digests=tuple(image for image, _ in pairs),
        )
        rows.append((row, samples))
    return rows


AskedByRound = Mapping[int, Sequence[Asked | None]]


def asked_of(method: Method, outcomes: ByRound, source: SampleSource) -> AskedByRound:
    """Returns by round what is measured of each sample, None where nothing is."""
    if method.extent == "none":
        return {}
    return {
        number: [None if change is None else Asked.of(change, method.extent) for change in changes]
        for number, changes in changes_of(outcomes, source)
    }


Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Cells:
    """What a row is made of, sample by sample; values by metric id in the metric's unit, of a share those it counts."""

    statuses: tuple[str, ...]
    completed: tuple[bool, ...]
    pairs: tuple[Pair, ...]
    values: dict[str, Floats]
    controls: dict[str, Floats]
    measures: dict[str, tuple[float | None, ...]]
    drafts: dict[str, Floats]
    garments: tuple[str, ...]

    @property
    def ok(self) -> tuple[bool, ...]:
        return tuple(status == Status.OK for status in self.statuses)

    def only(self, chosen: Sequence[bool]) -> _Cells:
        """Returns the cells of the samples that are chosen."""

        def part(column: Any) -> Any:
            if isinstance(column, dict):
                return {id: part(values) for id, values in column.items()}
            return tuple(compress(column, chosen))

        return _Cells(**{field.name: part(getattr(self, field.name)) for field in fields(self)})


def _values(pairs: Sequence[Pair], scores: Scores) -> dict[str, Floats]:
    """Returns by metric id one value per pair in the metric's unit; the cosines for the starred one."""
    known: dict[tuple[str, float], Floats] = {}
    for metric in scores.metrics:
        if (stored := (metric.of or metric.id, metric.scale)) not in known:
            known[stored] = tuple(scores.values(metric, pairs))
    return {metric.id: known[metric.of or metric.id, metric.scale] for metric in scores.metrics}


def _row(method: Method, protocol: str, prompt: str, number: int, cells: _Cells, scores: Scores) -> Row:
    failures = Counter(status for status in cells.statuses if status != Status.OK)
    ok = cells.ok
    gaps = _control_gaps(cells, ok, scores)
    limits = {metric.id: metric.control_limit or 0.0 for metric in scores.metrics}
    return Row(
        run=method.run,
        method=method.label,
        editor=method.editor,
        fingerprint=method.fingerprint,
        kind=method.kind,
        privileged=method.privileged,
        supplied=method.supplied,
        protocol=protocol,
        prompt=prompt,
        round=number,
        requested=len(cells.statuses),
        ok=sum(ok),
        completers=sum(cells.completed),
        failures=dict(sorted(failures.items())),
        identical=sum(image == original for image, original in cells.pairs),
        scores={metric.id: _score(method, metric, cells, ok) for metric in scores.metrics},
        control_gaps=gaps,
        doubtful=tuple(id for id, gap in gaps.items() if gap > limits[id]),
        curve=_curve(cells, ok, scores),
        measures={
            id: measure_value(values, cells.garments, measure_limits(id)) for id, values in cells.measures.items()
        },
    )


def _control_gaps(cells: _Cells, ok: Sequence[bool], scores: Scores) -> dict[str, float]:
    """Returns for each metric that has a control how far it lies above it, over the rounds that ended `ok`."""
    gaps = {}
    for metric in scores.metrics:
        both = zip(cells.values[metric.id], cells.controls.get(metric.id, ()), strict=False)
        most = math.inf if metric.control_most is None else metric.control_most
        values = [min(value, most) - min(control, most) for value, control in compress(both, ok)]
        if values:
            gaps[metric.id] = _mean(values)
    return gaps


def _measured(asked: Sequence[Asked | None] | None, scores: Scores) -> dict[str, tuple[float | None, ...]]:
    """Returns the measures that some sample has, as `RowSamples` has them."""
    measured = scores.measured
    if measured is None or asked is None:
        return {}
    columns = {one.id: tuple(_or_none(value) for value in measured.values(one.id, asked)) for one in measured.measures}
    return {id: column for id, column in columns.items() if any(value is not None for value in column)}


def measure_value(values: Sequence[float | None], garments: Sequence[str], limits: tuple[float, float]) -> MeasureValue:
    """Returns the mean of a measure over the samples that have it, with its interval, clustered by garment."""
    known = [(value, garment) for value, garment in zip(values, garments, strict=True) if value is not None]
    numbers, clusters = [value for value, _ in known], [garment for _, garment in known]
    error = clustered_standard_error(numbers, clusters)
    low, high = mean_interval(_mean(numbers), error, len(set(clusters)), limits) or (None, None)
    return MeasureValue(
        mean=_mean(numbers), standard_error=_or_none(error), low=_or_none(low), high=_or_none(high), n=len(numbers)
    )


def _curve(cells: _Cells, ok: Sequence[bool], scores: Scores) -> tuple[float, ...]:
    share = next((metric for metric in scores.metrics if metric.is_share), None)
    if share is None:
        return ()
    values = np.array(list(compress(cells.values[share.id], ok)))
    return tuple(
        rounded(100 * sum(hits(values, threshold, share.scale)) / len(cells.pairs)) for threshold in scores.thresholds
    )


def _score(method: Method, metric: Metric, cells: _Cells, ok: Sequence[bool]) -> Score:
    own: Sequence[float] = cells.values[metric.id]
    drafts: Sequence[float] = cells.drafts[metric.id]
    own_scores = primary_scores(metric, own, drafts, ok)
    bounds: dict[str, float] = {}
    if metric.threshold is not None:
        own, drafts = (
            [100.0 if hit else 0.0 for hit in hits(side, metric.threshold, metric.scale)] for side in (own, drafts)
        )
        best = [hit if good else 100.0 for hit, good in zip(own, ok, strict=True)]
        bounds = {"best": _mean(best), "worst": _mean(own_scores)}
    completers = [value for value, whole in zip(own, cells.completed, strict=True) if whole]
    error = clustered_standard_error(own_scores, cells.garments)
    low, high = metric_interval(metric, _mean(own_scores), error, own_scores, cells.garments) or (None, None)
    gain, detectable = (None, None) if method.kind == "floor" else _gain(metric, own_scores, drafts, cells)
    return Score(
        mean=_mean(own_scores),
        standard_error=_or_none(error),
        carry_forward=_mean(own),
        completers=_mean(completers) if completers else None,
        low=_or_none(low),
        high=_or_none(high),
        gain=gain,
        detectable=detectable,
        **bounds,
    )


def _gain(
    metric: Metric, own_scores: Sequence[float], drafts: Sequence[float], cells: _Cells
) -> tuple[Gain, float | None]:
    found = metric_difference(metric, own_scores, drafts, cells.garments)
    gain = Gain(
        mean=rounded(found.mean),
        standard_error=_or_none(found.standard_error),
        low=_or_none(found.low),
        high=_or_none(found.high),
    )
    return gain, _or_none(found.detectable)


def _mean(values: Sequence[float]) -> float:
    return rounded(math.fsum(values) / len(values))


def _or_none(value: float | None) -> float | None:
    return None if value is None else rounded(value)


def with_repeats(
    rows: Iterable[tuple[Row, RowSamples]],
    others: Sequence[ByRound],
    method: Method,
    source: SampleSource,
    scores: Scores,
) -> Iterator[tuple[Row, RowSamples]]:
    """Yields the rows of the first repetition with the primary scores of all, its own first."""
    plain = replace(method, extent="none")
    again = [
        {row.round: row.scores for row, _ in rows_of(plain, "", "", outcomes, source, scores)} for outcomes in others
    ]
    for row, samples in rows:
        repeats = {
            id: (score.mean, *(repeat[row.round][id].mean for repeat in again if row.round in repeat))
            for id, score in row.scores.items()
            if again
        }
        yield row.model_copy(update={"repeats": repeats}), samples
