"""From the outcomes of one method to its rows: what counts, over which denominator, with which failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .editing import Status
from .records import RoundOutcome
from .result_models import Kind, Metric, Row, RowSamples, Score
from .samples import SampleSource
from .scoring import Scores
from .statistics import clustered_standard_error

__all__ = ["NOT_RUN", "THRESHOLDS", "Method", "rows_of"]

NOT_RUN = "not_run"
"""The status of a round that has no record: it counts as a failure, because the denominator is the split."""

THRESHOLDS = tuple(number / 100 for number in range(70, 99))
"""The cosines of the threshold curve, 0.70 to 0.98; the starred metric's own is among them."""


@dataclass(frozen=True, slots=True)
class Method:
    """Whose rows they are; the fields mean what they mean in `Row`."""

    run: int | None
    label: str
    editor: str
    fingerprint: str
    kind: Kind
    privileged: bool
    supplied: bool


def rows_of(
    method: Method,
    protocol: str,
    prompt: str,
    outcomes: Mapping[int, Mapping[str, RoundOutcome]],
    source: SampleSource,
    scores: Scores,
) -> list[tuple[Row, RowSamples]]:
    """Returns one row per round, with what it is made of sample by sample.

    Args:
        outcomes: round → sample id → outcome. A sample that is missing was not run and has its draft.
    """
    rows = []
    completed = dict.fromkeys(source.ids, True)
    for number, found in sorted(outcomes.items()):
        statuses = tuple(_status(found.get(id)) for id in source.ids)
        completed = {id: completed[id] and status == Status.OK for id, status in zip(source.ids, statuses, strict=True)}
        pairs = [(found[id].current.digest if id in found else _draft(source, id), id) for id in source.ids]
        cells = _Cells(
            statuses=statuses,
            completed=tuple(completed.values()),
            pairs=tuple((image, source.digests(id).original) for image, id in pairs),
            drafts=tuple((_draft(source, id), source.digests(id).original) for id in source.ids),
            garments=tuple(source.facts(id).garment for id in source.ids),
        )
        rows.append((_row(method, protocol, prompt, number, cells, scores), _samples(cells, scores)))
    return rows


@dataclass(frozen=True, slots=True)
class _Cells:
    statuses: tuple[str, ...]
    completed: tuple[bool, ...]
    pairs: tuple[tuple[str, str], ...]
    drafts: tuple[tuple[str, str], ...]
    garments: tuple[str, ...]

    @property
    def ok(self) -> tuple[bool, ...]:
        return tuple(status == Status.OK for status in self.statuses)


def _status(outcome: RoundOutcome | None) -> str:
    return NOT_RUN if outcome is None or outcome.status is None else outcome.status.value


def _draft(source: SampleSource, id: str) -> str:
    return source.digests(id).draft


def _row(method: Method, protocol: str, prompt: str, number: int, cells: _Cells, scores: Scores) -> Row:
    failures = Counter(status for status in cells.statuses if status != Status.OK)
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
        scores={metric.id: _score(metric, cells, scores) for metric in scores.metrics},
        curve=_curve(cells, scores),
    )


def _curve(cells: _Cells, scores: Scores) -> tuple[float, ...]:
    cosines = [scores.raw(scores.metrics[0], pair) for pair in cells.pairs]
    found = [cosine for cosine, ok in zip(cosines, cells.ok, strict=True) if ok]
    return tuple(_rounded(100 * sum(value > one for value in found) / len(cosines)) for one in THRESHOLDS)


def _score(metric: Metric, cells: _Cells, scores: Scores) -> Score:
    own = [scores.raw(metric, pair) for pair in cells.pairs]
    if metric.threshold is not None:
        hits = [float(value > metric.threshold) for value in own]
        headline = [hit if ok else 0.0 for hit, ok in zip(hits, cells.ok, strict=True)]
        best = [hit if ok else 1.0 for hit, ok in zip(hits, cells.ok, strict=True)]
        return _summary(metric, headline, hits, cells, best=_mean(metric, best), worst=_mean(metric, headline))
    drafts = [scores.raw(metric, pair) for pair in cells.drafts]
    headline = [value if ok else min(draft, value) for value, draft, ok in zip(own, drafts, cells.ok, strict=True)]
    return _summary(metric, headline, own, cells)


def _summary(
    metric: Metric,
    headline: Sequence[float],
    carried: Sequence[float],
    cells: _Cells,
    best: float | None = None,
    worst: float | None = None,
) -> Score:
    completers = [value for value, whole in zip(carried, cells.completed, strict=True) if whole]
    error = clustered_standard_error([value * metric.scale for value in headline], cells.garments)
    return Score(
        mean=_mean(metric, headline),
        standard_error=None if error is None else _rounded(error),
        carry_forward=_mean(metric, carried),
        completers=_mean(metric, completers) if completers else None,
        best=best,
        worst=worst,
    )


def _samples(cells: _Cells, scores: Scores) -> RowSamples:
    values = {
        metric.id: tuple(_rounded(scores.raw(metric, pair) * metric.scale) for pair in cells.pairs)
        for metric in scores.metrics
        if not metric.is_share
    }
    return RowSamples(status=cells.statuses, values=values, digests=tuple(image for image, _ in cells.pairs))


def _mean(metric: Metric, raw: Sequence[float]) -> float:
    return _rounded(math.fsum(raw) / len(raw) * metric.scale)


def _rounded(value: float) -> float:
    # Six decimals of the unit: finer than any encoder repeats, and short to read in the file.
    return round(value, 6)
