"""Who wins where, at a glance: the last round of every method between floor and ceiling."""

from __future__ import annotations

from dataclasses import dataclass

from fashionedit.eval_harness.scores.labels import failed_text, ranked_text, short_label
from fashionedit.eval_harness.scores.result_models import Metric, Results, Row

from .curves import interval, score_range
from .sections import is_best, signed
from .series import Series, series

WIDTH = 200.0
_EDGE = 10.0


@dataclass(frozen=True, slots=True)
class ForestCell:
    """One metric of one method: a mark with its interval on a scale of 200.

    Args:
        beyond: `above` or `below` where the value lies outside the scale.
        best: Whether no other ranked editor's mean is higher, and one is lower.
    """

    x: float
    low: float
    high: float
    value: str
    gain: str
    text: str
    beyond: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One method in one protocol, after its last round."""

    method: str
    prompt: str
    colour: int
    dashed: bool
    baseline: bool
    round: int
    failed: str
    cells: tuple[ForestCell, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """The rows, and for each metric its name, its unit, and where floor and ceiling lie (None: outside)."""

    columns: tuple[tuple[str, str, float | None, float | None], ...]
    rows: tuple[ForestRow, ...]
    width: float = WIDTH

    @property
    def shows_floor(self) -> bool:
        """Whether the line of the draft is drawn in any column."""
        return any(floor is not None for _, _, floor, _ in self.columns)

    @property
    def shows_ceiling(self) -> bool:
        """Whether the line of the original is drawn in any column."""
        return any(ceiling is not None for *_, ceiling in self.columns)

    @property
    def shows_beyond(self) -> bool:
        """Whether an arrow stands in the place of any mark."""
        return any(cell.beyond for row in self.rows for cell in row.cells)

    @property
    def shows_gains(self) -> bool:
        """Whether a gain stands beside any mean."""
        return any(cell.gain for row in self.rows for cell in row.cells)

    @property
    def shows_best(self) -> bool:
        """Whether any mean is bold."""
        return any(cell.best for row in self.rows for cell in row.cells)

    @property
    def shows_words_alone(self) -> bool:
        """Whether any mark is hollow, here and in the curves: the editor was told words alone."""
        return any(row.dashed for row in self.rows)


def forest(results: Results) -> Forest:
    """Returns the last round of all editors and baselines, editors first."""
    drawn = sorted(series(results), key=_baseline)
    floor = next((row for row in results.rows if row.kind == "floor"), None)
    ceiling = next((row for row in results.rows if row.kind == "ceiling"), None)
    scales = {metric.id: _scale(metric, drawn, floor, ceiling) for metric in results.metrics}
    columns = tuple(
        (
            short_label(metric),
            metric.unit,
            scales[metric.id].inside(floor.scores[metric.id].mean) if floor else None,
            scales[metric.id].inside(ceiling.scores[metric.id].mean) if ceiling else None,
        )
        for metric in results.metrics
    )
    rows = [
        ForestRow(
            one.name,
            one.prompt,
            one.colour,
            one.dashed,
            one.baseline,
            one.last.round,
            failed_text(one.last.failed, one.last.requested) if one.last.failed else "",
            tuple(_cell(metric, one, drawn, scales[metric.id]) for metric in results.metrics),
        )
        for one in drawn
    ]
    return Forest(columns, tuple(rows))


def _baseline(one: Series) -> bool:
    return one.baseline


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    def x(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_EDGE + (WIDTH - 2 * _EDGE) * share, 1)

    def inside(self, value: float) -> float | None:
        return self.x(value) if self.low <= value <= self.high else None


def _scale(metric: Metric, drawn: list[Series], floor: Row | None, ceiling: Row | None) -> _Scale:
    low, high = score_range(metric, drawn, floor)
    top = ceiling.scores[metric.id].mean if ceiling else None
    if top is not None and high < top <= high + (high - low):
        high = top
    return _Scale(low, high)


def _cell(metric: Metric, one: Series, drawn: list[Series], scale: _Scale) -> ForestCell:
    score = one.last.scores[metric.id]
    low, high = interval(one.last, metric)
    others = [other.last for other in drawn if other is not one and not other.baseline]
    gain = score.gain
    told = f"{one.name}, {one.prompt}: {metric.text(score.mean)} ({metric.text(low)} to {metric.text(high)})"
    return ForestCell(
        x=scale.x(score.mean),
        low=scale.x(low),
        high=scale.x(high),
        value=ranked_text(metric.text(score.mean), one.last, metric),
        gain="" if gain is None else signed(gain.mean, metric),
        text=told,
        beyond="above" if score.mean > scale.high else "below" if score.mean < scale.low else "",
        best=not one.baseline and is_best(metric, one.last, others),
    )
