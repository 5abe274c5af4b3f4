"""The charts of the page: scores over rounds and over thresholds, and the forest of intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fashionedit.eval_harness.scores.labels import failed_text, ranked_text, short_label
from fashionedit.eval_harness.scores.result_models import Metric, Results, Row

from .plots import BOTTOM, LEFT, RIGHT, TOP, Chart, Level, Line, Mark, Series, Tick, labels, number, series, ticks
from .sections import is_best, signed


def charts(results: Results) -> list[Chart]:
    """Returns one chart per metric over the rounds; all have the same lines in the same colours."""
    return [_chart(metric, results) for metric in results.metrics]


def threshold_chart(results: Results) -> Chart | None:
    """Returns the first share after the last round over its threshold; None where the results have no curves."""
    share = results.share
    counted = short_label(results.metric(share.of or share.id)) if share else ""
    drawn = [one for one in series(results) if len(one.last.curve) == len(results.thresholds) > 1]
    if share is None or not drawn:
        return None
    first, last = results.thresholds[0], results.thresholds[-1]
    scale = _Scale(first, last, 0.0, 100.0, inner=0.0)
    lines = [_threshold_line(one, results.thresholds, scale) for one in drawn]
    floor = next((row for row in results.rows if row.kind == "floor" and row.curve), None)
    if floor is not None:
        marks = _threshold_marks(floor, results.thresholds, scale)
        lines.insert(0, Line("Draft", "floor", -1, True, True, marks, plain=True))
    at = share.threshold if share.threshold is not None and first <= share.threshold <= last else None
    return Chart(
        title=f"{short_label(share)} at other thresholds",
        unit="% of samples above the threshold, after the last round",
        about=f"Share of samples over the threshold of {counted}, after the last round.",
        x_ticks=tuple(Tick(scale.x(value), f"{value:.2f}") for value in _few(results.thresholds)),
        y_ticks=tuple(Tick(scale.y(value), number(value)) for value in (0, 25, 50, 75, 100)),
        lines=tuple(lines),
        labels=labels(lines),
        rule=None if at is None else Tick(scale.x(at), f"{short_label(share)}: {number(at)}"),
    )


def _few(thresholds: Sequence[float]) -> list[float]:
    step = max(round((len(thresholds) - 1) / 7), 1)
    return list(thresholds[::step])


def _threshold_line(one: Series, thresholds: Sequence[float], scale: _Scale) -> Line:
    marks = _threshold_marks(one.last, thresholds, scale)
    return Line(one.name, one.prompt, one.colour, one.dashed, one.baseline, marks, plain=True)


def _threshold_marks(row: Row, thresholds: Sequence[float], scale: _Scale) -> tuple[Mark, ...]:
    found = []
    for at, value in zip(thresholds, row.curve, strict=True):
        x, y = scale.x(at), scale.y(value)
        found.append(Mark(x, y, y, y, f"{row.method}, {at:.2f}: {value:.1f} %"))
    return tuple(found)


def _chart(metric: Metric, results: Results) -> Chart:
    drawn = series(results)
    floor = next((row for row in results.rows if row.kind == "floor"), None)
    ceiling = next((row for row in results.rows if row.kind == "ceiling"), None)
    low, high = score_range(metric, drawn, floor)
    notes = []
    top = ceiling.scores[metric.id].mean if ceiling else None
    if top is not None and high < top <= high + (high - low):
        high = top
    if top is not None and top > high:
        notes.append(f"The ceiling ({metric.text(top)}) lies above the axis.")
    steps = ticks(low, high)
    low, high = min(low, steps[0]), max(high, steps[-1])
    low, high = max(low, metric.range[0]), min(high, metric.range[1])
    rows = [row for one in drawn for row in one.rows]
    if metric.identical is not None and any(row.scores[metric.id].mean > high for row in rows):
        identical = f"{metric.identical:.1f} {metric.unit}"
        notes.append(f"Marks at the upper edge lie above it too: identical images have {identical} and lift the mean.")
    rounds = sorted({0, *(row.round for row in rows)})
    scale = _Scale(0, max(rounds[-1], 1), low, high)
    lines = tuple(_line(metric, one, floor, scale) for one in drawn)
    levels = [Level(scale.y(floor.scores[metric.id].mean), "floor: the draft")] if floor else []
    roof = Level(scale.y(top), "ceiling: the original") if top is not None and top <= high else None
    return Chart(
        title=short_label(metric),
        unit=metric.unit,
        about=f"{short_label(metric)} over the rounds; the values are in the table of scores.",
        x_ticks=tuple(Tick(scale.x(value), "draft" if value == 0 else f"round {value}") for value in rounds),
        y_ticks=tuple(Tick(scale.y(value), number(value)) for value in steps if low <= value <= high),
        lines=lines,
        labels=labels(lines, [*levels, *([roof] if roof else [])]),
        floor=levels[0] if levels else None,
        ceiling=roof,
        note=" ".join(notes),
    )


def score_range(metric: Metric, drawn: Sequence[Series], floor: Row | None) -> tuple[float, float]:
    """Returns the span of the values, with a margin.

    Means that identical images lift do not stretch the axis, nor does the baseline that only returns the reference, as
    long as anything else is there.
    """
    rows = [row for one in drawn if not one.leaks for row in one.rows] + ([floor] if floor else [])
    rows = rows or [row for one in drawn for row in one.rows]
    kept = [row for row in rows if metric.identical is None or not row.identical] or rows
    edges = [edge for row in kept for edge in interval(row, metric)]
    if not edges:
        return 0.0, 1.0
    low, high = min(edges), max(edges)
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    pad = (high - low) * 0.06
    if metric.is_share:
        return max(low - pad, metric.range[0]), min(high + pad, metric.range[1])
    return low - pad, high + pad


def interval(row: Row, metric: Metric) -> tuple[float, float]:
    """Returns the ends of the 95 % interval; one standard error to both sides where the results have no interval."""
    score = row.scores[metric.id]
    if score.low is not None and score.high is not None:
        return score.low, score.high
    error = score.standard_error or 0.0
    return score.mean - error, score.mean + error


@dataclass(frozen=True, slots=True)
class _Scale:
    first: float
    last: float
    low: float
    high: float
    inner: float = 0.06

    def x(self, value: float) -> float:
        margin = (RIGHT - LEFT) * self.inner
        share = (value - self.first) / (self.last - self.first)
        return round(LEFT + margin + (RIGHT - LEFT - 2 * margin) * share, 2)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(BOTTOM - (BOTTOM - TOP) * share, 2)


def _line(metric: Metric, one: Series, floor: Row | None, scale: _Scale) -> Line:
    start = [floor] if floor and one.rows[0].round > 0 else []
    marks = tuple(_mark(metric, row, scale) for row in (*start, *one.rows))
    return Line(one.name, one.prompt, one.colour, one.dashed, one.baseline, marks)


def _mark(metric: Metric, row: Row, scale: _Scale) -> Mark:
    mean = row.scores[metric.id].mean
    low, high = interval(row, metric)
    place = "draft" if row.round == 0 else f"{row.prompt}, round {row.round}"
    beyond = "above" if mean > scale.high else "below" if mean < scale.low else ""
    return Mark(
        x=scale.x(row.round),
        y=scale.y(mean),
        low=scale.y(low),
        high=scale.y(high),
        text=f"{row.method}, {place}: {metric.text(mean)} ({metric.text(low)} to {metric.text(high)})",
        value=f"{mean:z.1f}",
        beyond=beyond,
    )


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
class _ForestScale:
    low: float
    high: float

    def x(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_EDGE + (WIDTH - 2 * _EDGE) * share, 1)

    def inside(self, value: float) -> float | None:
        return self.x(value) if self.low <= value <= self.high else None


def _scale(metric: Metric, drawn: list[Series], floor: Row | None, ceiling: Row | None) -> _ForestScale:
    low, high = score_range(metric, drawn, floor)
    top = ceiling.scores[metric.id].mean if ceiling else None
    if top is not None and high < top <= high + (high - low):
        high = top
    return _ForestScale(low, high)


def _cell(metric: Metric, one: Series, drawn: list[Series], scale: _ForestScale) -> ForestCell:
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
