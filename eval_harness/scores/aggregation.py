"""From the outcomes of one method to its rows: what counts, over which denominator, with which failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource

from .intervals import clustered_standard_error, mean_interval, metric_difference
from .measures import Asked, ByRound, Extent, changes_of, measure_limits
from .primary_scores import NOT_RUN, hits, metric_interval, primary_scores, rounded
from .result_models import Gain, Kind, MeasureValue, Metric, Row, RowSamples, Score
from .scoring import Scores
from .stored_scores import Pair


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
) -> list[tuple[Row, RowSamples]]:
    """Returns one row per round, with what it is made of sample by sample.

    A sample that has no outcome was not run and has its draft. A round in which nobody was asked yet has no row.
    """
    rows = []
    changes: dict[int, dict[str, Asked]] = {}
    for change in changes_of(outcomes, source) if method.extent != "none" else ():
        changes.setdefault(change.round, {})[change.sample] = Asked(change, method.extent)
    completed = dict.fromkeys(source.ids, True)
    for number, found in sorted(outcomes.items()):
        statuses = tuple(_status(found.get(id)) for id in source.ids)
        asked = [method.supplied or status != NOT_RUN for status in statuses]
        if not any(asked):
            continue
        completed = {id: completed[id] and status == Status.OK for id, status in zip(source.ids, statuses, strict=True)}
        drafts = tuple((source.digests(id).draft, source.digests(id).original) for id in source.ids)
        cells = _Cells(
            statuses=statuses,
            completed=tuple(completed.values()),
            pairs=tuple(
                (found[id].current.digest if id in found else draft, original)
                for id, (draft, original) in zip(source.ids, drafts, strict=True)
            ),
            drafts=drafts,
            garments=tuple(source.facts(id).garment for id in source.ids),
            changes=tuple(changes.get(number, {}).get(id) for id in source.ids),
        )
        row = _row(method, protocol, prompt, number, cells if all(asked) else cells.only(asked), scores)
        rows.append((row, _samples(cells, scores)))
    return rows


@dataclass(frozen=True, slots=True)
class _Cells:
    statuses: tuple[str, ...]
    completed: tuple[bool, ...]
    pairs: tuple[tuple[str, str], ...]
    drafts: tuple[tuple[str, str], ...]
    garments: tuple[str, ...]
    changes: tuple[Asked | None, ...]

    @property
    def ok(self) -> tuple[bool, ...]:
        return tuple(status == Status.OK for status in self.statuses)

    def only(self, chosen: Sequence[bool]) -> _Cells:
        """Returns the cells of the samples that are chosen."""
        columns = {field.name: tuple(compress(getattr(self, field.name), chosen)) for field in fields(self)}
        return _Cells(**columns)


def _status(outcome: RoundOutcome | None) -> str:
    return NOT_RUN if outcome is None or outcome.status is None else outcome.status.value


def _row(method: Method, protocol: str, prompt: str, number: int, cells: _Cells, scores: Scores) -> Row:
    failures = Counter(status for status in cells.statuses if status != Status.OK)
    gaps = _control_gaps(cells, scores)
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
        ok=sum(cells.ok),
        completers=sum(cells.completed),
        failures=dict(sorted(failures.items())),
        identical=sum(image == original for image, original in cells.pairs),
        scores={metric.id: _score(method, metric, cells, scores) for metric in scores.metrics},
        control_gaps=gaps,
        doubtful=tuple(id for id, gap in gaps.items() if gap > limits[id]),
        curve=_curve(cells, scores),
        measures={
            id: measure_value(values, cells.garments, measure_limits(id))
            for id, values in _measured(cells, scores).items()
        },
    )


def _control_gaps(cells: _Cells, scores: Scores) -> dict[str, float]:
    """Returns for each metric that has a control how far it lies above it, over the rounds that ended `ok`."""
    pairs = list(compress(cells.pairs, cells.ok))
    gaps = {}
    for metric in scores.metrics:
        both = [(scores.raw(metric, pair), scores.control(metric, pair)) for pair in pairs if metric.control_limit]
        most = math.inf if metric.control_most is None else metric.control_most
        values = [
            min(value * metric.scale, most) - min(control * metric.scale, most)
            for value, control in both
            if control is not None
        ]
        if values:
            gaps[metric.id] = _mean(values)
    return gaps


def _measured(cells: _Cells, scores: Scores) -> dict[str, tuple[float | None, ...]]:
    """Returns the measures that some sample has, as `RowSamples` has them."""
    measured = scores.measured
    if measured is None:
        return {}
    columns = {
        one.id: tuple(None if asked is None else _or_none(measured.value(one.id, asked)) for asked in cells.changes)
        for one in measured.measures
    }
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


def _curve(cells: _Cells, scores: Scores) -> tuple[float, ...]:
    share = next((metric for metric in scores.metrics if metric.is_share), None)
    if share is None:
        return ()
    values = _values(share, list(compress(cells.pairs, cells.ok)), scores)
    return tuple(
        rounded(100 * sum(hits(values, threshold, share.scale)) / len(cells.pairs)) for threshold in scores.thresholds
    )


def _score(method: Method, metric: Metric, cells: _Cells, scores: Scores) -> Score:
    own, drafts = (_values(metric, pairs, scores) for pairs in (cells.pairs, cells.drafts))
    own_scores = primary_scores(metric, own, drafts, cells.ok)
    bounds: dict[str, float] = {}
    if metric.threshold is not None:
        own, drafts = (
            [100.0 if hit else 0.0 for hit in hits(side, metric.threshold, metric.scale)] for side in (own, drafts)
        )
        best = [hit if ok else 100.0 for hit, ok in zip(own, cells.ok, strict=True)]
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


def _values(metric: Metric, pairs: Sequence[Pair], scores: Scores) -> list[float]:
    """Returns one value per pair in the metric's unit; the cosine for the starred one."""
    return [scores.raw(metric, pair) * metric.scale for pair in pairs]


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


def _samples(cells: _Cells, scores: Scores) -> RowSamples:
    values = {
        metric.id: tuple(_values(metric, cells.pairs, scores)) for metric in scores.metrics if not metric.is_share
    }
    return RowSamples(
        status=cells.statuses,
        values=values,
        measures=_measured(cells, scores),
        digests=tuple(image for image, _ in cells.pairs),
    )


def _mean(values: Sequence[float]) -> float:
    return rounded(math.fsum(values) / len(values))


def _or_none(value: float | None) -> float | None:
    return None if value is None else rounded(value)


def grouped(outcomes: Iterable[RoundOutcome]) -> dict[str, dict[int, dict[str, RoundOutcome]]]:
    """Returns the outcomes by protocol, round and sample."""
    groups: dict[str, dict[int, dict[str, RoundOutcome]]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.protocol, {}).setdefault(outcome.round, {})[outcome.sample] = outcome
    return groups


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
