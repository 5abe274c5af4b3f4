"""The charts of the page: scores over rounds and over thresholds, and the forest of intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.result_models import Kind, Metric, Results, Row
from fashionedit.eval_harness.scores.table import failed_text, method_name, ranked_text, short_label

from .sections import is_best, signed

WIDTH, HEIGHT = 620, 296
LEFT, RIGHT, TOP, BOTTOM = 44.0, 424.0, 22.0, 256.0
FOREST_WIDTH, _FOREST_EDGE = 200.0, 10.0
COLOURS = 8  # a ninth method takes the first one again, and its marks tell it apart
_INNER = 0.06  # share of the axis that is left free at both ends of the rounds
_APART = 15.0  # between two labels
_LONGEST = 26  # characters of a label


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places: `low` lies at `start`, `high` at `end`, and what is beyond them at the edge."""

    low: float
    high: float
    start: float
    end: float
    digits: int = 2

    def at(self, value: float) -> float:
        """Returns the place of a value."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + (self.end - self.start) * share, self.digits)

    def beyond(self, value: float) -> str:
        """Returns `above` or `below` where the value lies beyond the scale."""
        return "above" if value > self.high else "below" if value < self.low else ""


@dataclass(frozen=True, slots=True)
class Series:
    """One method in one protocol over the rounds; `dashed` where the protocol shows the editor words alone."""

    rows: tuple[Row, ...]
    colour: int
    dashed: bool

    @property
    def name(self) -> str:
        """The method with its marks."""
        return method_name(self.last)

    @property
    def prompt(self) -> str:
        """What the editor is shown."""
        return self.last.prompt

    @property
    def last(self) -> Row:
        """The row after the last round."""
        return self.rows[-1]

    @property
    def failed(self) -> str:
        """How many samples failed in the last round; nothing where none did."""
        return failed_text(self.last.failed, self.last.requested) if self.last.failed else ""

    @property
    def baseline(self) -> bool:
        """Whether it knows the answer, or only leaks it."""
        return self.last.kind == "baseline"

    def line(self, marks: Iterable[Mark], *, plain: bool = False) -> Line:
        """Returns the line through these marks."""
        return Line(self.name, self.prompt, self.colour, self.dashed, self.baseline, tuple(marks), plain)


def series(results: Results) -> list[Series]:
    """Returns the editors and baselines of a table, in its order."""
    hues = colours(results)
    found: dict[tuple[int | None, str, str, str], list[Row]] = {}
    for row in results.rows:
        if row.kind in ("editor", "baseline"):
            found.setdefault((row.run, row.fingerprint, row.protocol, row.prompt), []).append(row)
    return [
        Series(
            tuple(sorted(rows, key=lambda row: row.round)),
            hues[series_key(rows[0])],
            not PROTOCOLS[rows[0].protocol].shows_reference,
        )
        for rows in found.values()
    ]


def colours(results: Results) -> dict[tuple[str, str], int]:
    """Returns the number of each colour, for what has strips or lines; editors come first."""
    rows = [row for row in results.rows if row.run is not None or row.kind == "baseline"]
    ordered = sorted(rows, key=lambda row: row.kind != "editor")
    return {key: number % COLOURS for number, key in enumerate(dict.fromkeys(map(series_key, ordered)))}


def series_key(row: Row) -> tuple[str, str]:
    """Returns what has a colour of its own: a method, and a shared baseline for each kind of reference."""
    return row.method, row.prompt if row.run is None else ""


@dataclass(frozen=True, slots=True)
class Mark:
    """One point of a line.

    Args:
        low, high: Where its interval ends; equal where it has none.
        beyond: Whether the value lies beyond the axis, at whose edge the mark then stands: see `Scale.beyond`.
        text: What it says when pointed at.
        value: What is written beside a mark beyond the axis.
    """

    x: float
    y: float
    low: float
    high: float
    text: str
    value: str = ""
    beyond: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """The marks of one series; `plain` lines show none."""

    name: str
    prompt: str
    colour: int
    dashed: bool
    baseline: bool
    marks: tuple[Mark, ...]
    plain: bool = False

    @property
    def path(self) -> str:
        """The line through the marks, as the `d` of an SVG path."""
        return "M" + "L".join(f"{mark.x:.1f} {mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, or a level across the chart, and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside the end of a line, moved so that it covers no other; `colour` is None for floor and ceiling."""

    y: float
    end: float
    text: str
    colour: int | None
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over an axis, on a canvas of 620 × 296.

    Args:
        floor: Where the draft's own score lies.
        ceiling: Where the original's lies; None where that would squash the lines, as `note` then says.
        rule: A vertical line, such as the threshold that the paper takes.
    """

    title: str
    unit: str
    about: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]
    floor: Tick | None = None
    ceiling: Tick | None = None
    rule: Tick | None = None
    note: str = ""
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def charts(results: Results) -> list[Chart]:
    """Returns one chart per metric over the rounds; all have the same lines in the same colours."""
    return [_chart(metric, results) for metric in results.metrics]


def _chart(metric: Metric, results: Results) -> Chart:
    drawn, floor, top = series(results), _row(results, "floor"), _ceiling(metric, results)
    low, high = _span(metric, results)
    notes = []
    if top is not None and top > high:
        notes.append(f"The ceiling ({metric.text(top)}) lies above the axis.")
    steps = ticks(low, high)
    low, high = max(min(low, steps[0]), metric.range[0]), min(max(high, steps[-1]), metric.range[1])
    rows = [row for one in drawn for row in one.rows]
    if metric.identical is not None and any(row.scores[metric.id].mean > high for row in rows):
        identical = f"{metric.identical:.1f} {metric.unit}"
        notes.append(f"Marks at the upper edge lie above it too: identical images have {identical} and lift the mean.")
    rounds = sorted({0, *(row.round for row in rows)})
    free = (RIGHT - LEFT) * _INNER
    x, y = Scale(0, max(rounds[-1], 1), LEFT + free, RIGHT - free), Scale(low, high, BOTTOM, TOP)
    lines = tuple(
        one.line(_mark(metric, row, x, y) for row in ([floor] if floor and one.rows[0].round else []) + [*one.rows])
        for one in drawn
    )
    level = Tick(y.at(floor.scores[metric.id].mean), "floor: the draft") if floor else None
    roof = Tick(y.at(top), "ceiling: the original") if top is not None and top <= high else None
    return Chart(
        title=short_label(metric),
        unit=metric.unit,
        about=f"{short_label(metric)} over the rounds; the values are in the table of scores.",
        x_ticks=tuple(Tick(x.at(round), f"round {round}" if round else "draft") for round in rounds),
        y_ticks=tuple(Tick(y.at(value), number(value)) for value in steps if low <= value <= high),
        lines=lines,
        labels=labels(lines, [one for one in (level, roof) if one is not None]),
        floor=level,
        ceiling=roof,
        note=" ".join(notes),
    )


def _mark(metric: Metric, row: Row, x: Scale, y: Scale) -> Mark:
    mean = row.scores[metric.id].mean
    low, high = _interval(row, metric)
    where = f"{row.prompt}, round {row.round}" if row.round else "draft"
    return Mark(
        x=x.at(row.round),
        y=y.at(mean),
        low=y.at(low),
        high=y.at(high),
        text=f"{row.method}, {where}: {metric.text(mean)} ({metric.text(low)} to {metric.text(high)})",
        value=f"{mean:z.1f}",
        beyond=y.beyond(mean),
    )


def _row(results: Results, kind: Kind) -> Row | None:
    return next((row for row in results.rows if row.kind == kind), None)


def _ceiling(metric: Metric, results: Results) -> float | None:
    row = _row(results, "ceiling")
    return row.scores[metric.id].mean if row else None


def _span(metric: Metric, results: Results) -> tuple[float, float]:
    """Returns what an axis spans: the values with a margin, and the ceiling where it is not far.

    Means that identical images lift do not stretch the axis, nor does the baseline that only returns the reference, as
    long as anything else is there.
    """
    every, floor = series(results), _row(results, "floor")
    rows = [row for one in every if not one.baseline or one.last.privileged for row in one.rows]
    rows = [*rows, *([floor] if floor else [])] or [row for one in every for row in one.rows]
    kept = [row for row in rows if metric.identical is None or not row.identical] or rows
    edges = [edge for row in kept for edge in _interval(row, metric)]
    if not edges:
        return 0.0, 1.0
    low, high = min(edges), max(edges)
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    free = (high - low) * 0.06
    low, high = low - free, high + free
    if metric.is_share:
        low, high = max(low, metric.range[0]), min(high, metric.range[1])
    top = _ceiling(metric, results)
    return low, top if top is not None and high < top <= high + (high - low) else high


def _interval(row: Row, metric: Metric) -> tuple[float, float]:
    """Returns the ends of the 95 % interval; one standard error to both sides where the results have no interval."""
    score = row.scores[metric.id]
    if score.low is not None and score.high is not None:
        return score.low, score.high
    error = score.standard_error or 0.0
    return score.mean - error, score.mean + error


def threshold_chart(results: Results) -> Chart | None:
    """Returns the first share after the last round over its threshold; None where the results have no curves."""
    share, thresholds = results.share, results.thresholds
    drawn = [one for one in series(results) if len(one.last.curve) == len(thresholds) > 1]
    if share is None or not drawn:
        return None
    counted = short_label(results.metric(share.of or share.id))
    x, y = Scale(thresholds[0], thresholds[-1], LEFT, RIGHT), Scale(0.0, 100.0, BOTTOM, TOP)

    def marks(row: Row) -> tuple[Mark, ...]:
        places = [(at, value, y.at(value)) for at, value in zip(thresholds, row.curve, strict=True)]
        return tuple(
            Mark(x.at(at), place, place, place, f"{row.method}, {at:.2f}: {value:.1f} %") for at, value, place in places
        )

    lines = [one.line(marks(one.last), plain=True) for one in drawn]
    floor = _row(results, "floor")
    if floor is not None and floor.curve:
        lines.insert(0, Line("Draft", "floor", -1, True, True, marks(floor), plain=True))
    step = max(round((len(thresholds) - 1) / 7), 1)
    at = share.threshold
    return Chart(
        title=f"{short_label(share)} at other thresholds",
        unit="% of samples above the threshold, after the last round",
        about=f"Share of samples over the threshold of {counted}, after the last round.",
        x_ticks=tuple(Tick(x.at(value), f"{value:.2f}") for value in thresholds[::step]),
        y_ticks=tuple(Tick(y.at(value), number(value)) for value in (0, 25, 50, 75, 100)),
        lines=tuple(lines),
        labels=labels(lines),
        rule=Tick(x.at(at), f"{short_label(share)}: {number(at)}") if at is not None and not x.beyond(at) else None,
    )


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Returns round values whose first is at most `low` and whose last is at least `high`."""
    rough = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def number(value: float) -> str:
    """Returns the number without zeros at its end."""
    return f"{value:z.3f}".rstrip("0").rstrip(".") if value else "0"


def labels(lines: Iterable[Line], levels: Sequence[Tick] = ()) -> tuple[Label, ...]:
    """Returns the names of lines and levels, from top to bottom, apart from each other and inside the canvas.

    Lines of one name that end at one height share a label.
    """
    wanted: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        wanted.setdefault((line.name, round(line.marks[-1].y)), []).append(line)
    found = [Label(level.at, level.at, level.label, None) for level in levels]
    for group in wanted.values():
        first, prompts = group[0], list(dict.fromkeys(line.prompt for line in group))
        # One name at two heights is told apart by its prompt.
        heights = sum(name == first.name for name, _ in wanted)
        text = _shortened(first.name, "" if heights == 1 else f", {' and '.join(prompts)}")
        end = first.marks[-1].y
        found.append(Label(end, end, text, first.colour, first.baseline))
    found.sort(key=lambda label: label.end)
    places = _spread([label.end for label in found])
    return tuple(replace(label, y=round(y, 1)) for label, y in zip(found, places, strict=True))


def _shortened(name: str, prompt: str) -> str:
    """Returns the name, cut where it is too long, and the whole prompt, without which two lines look the same."""
    room = max(_LONGEST - len(prompt), 8)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + prompt


def _spread(wanted: Sequence[float]) -> list[float]:
    """Returns places in the same order, at least `_APART` from each other, as near to the wanted ones as that lets."""
    blocks: list[tuple[float, int]] = []  # mean of the places that the first of a block would like, and its length
    for y in wanted:
        blocks.append((y, 1))
        while len(blocks) > 1 and blocks[-2][0] + _APART * blocks[-2][1] > blocks[-1][0]:
            (above, many), (below, few) = blocks[-2:]
            blocks[-2:] = [((above * many + (below - _APART * many) * few) / (many + few), many + few)]
    shift = [min(max(top, TOP - 10), max(HEIGHT - 6 - _APART * (length - 1), TOP - 10)) for top, length in blocks]
    return [top + _APART * step for top, (_, length) in zip(shift, blocks, strict=True) for step in range(length)]


@dataclass(frozen=True, slots=True)
class ForestColumn:
    """One metric, and where floor and ceiling lie on its scale; None where they are beyond it."""

    name: str
    unit: str
    floor: float | None
    ceiling: float | None


@dataclass(frozen=True, slots=True)
class ForestCell:
    """One metric of one method after the last round: a mark with its interval on a scale of 200.

    Args:
        beyond: See `Scale.beyond`.
        best: Whether no other ranked editor's mean is higher, and one is lower.
    """

    x: float
    low: float
    high: float
    value: str
    gain: str
    text: str
    beyond: str
    best: bool


@dataclass(frozen=True, slots=True)
class Forest:
    """The last round of all editors and baselines, editors first, and what of it the legend has to explain."""

    columns: tuple[ForestColumn, ...]
    rows: tuple[tuple[Series, tuple[ForestCell, ...]], ...]
    shows: dict[str, bool]
    width: float = FOREST_WIDTH


def forest(results: Results) -> Forest:
    """Returns the forest of intervals."""
    drawn = sorted(series(results), key=lambda one: one.baseline)
    scales = {
        metric.id: Scale(*_span(metric, results), _FOREST_EDGE, FOREST_WIDTH - _FOREST_EDGE, digits=1)
        for metric in results.metrics
    }

    def level(metric: Metric, kind: Kind) -> float | None:
        row, scale = _row(results, kind), scales[metric.id]
        mean = row.scores[metric.id].mean if row else math.inf
        return None if scale.beyond(mean) else scale.at(mean)

    columns = tuple(
        ForestColumn(short_label(metric), metric.unit, level(metric, "floor"), level(metric, "ceiling"))
        for metric in results.metrics
    )
    rows = tuple(
        (one, tuple(_cell(metric, one, drawn, scales[metric.id]) for metric in results.metrics)) for one in drawn
    )
    cells = [cell for _, found in rows for cell in found]
    shows = {
        "floor": any(column.floor is not None for column in columns),
        "ceiling": any(column.ceiling is not None for column in columns),
        "beyond": any(cell.beyond for cell in cells),
        "gains": any(cell.gain for cell in cells),
        "best": any(cell.best for cell in cells),
        "words_alone": any(one.dashed for one in drawn),
    }
    return Forest(columns, rows, shows)


def _cell(metric: Metric, one: Series, drawn: list[Series], scale: Scale) -> ForestCell:
    score = one.last.scores[metric.id]
    low, high = _interval(one.last, metric)
    others = [other.last for other in drawn if other is not one and not other.baseline]
    return ForestCell(
        x=scale.at(score.mean),
        low=scale.at(low),
        high=scale.at(high),
        value=ranked_text(metric.text(score.mean), one.last, metric),
        gain="" if score.gain is None else signed(score.gain.mean, metric),
        text=f"{one.name}, {one.prompt}: {metric.text(score.mean)} ({metric.text(low)} to {metric.text(high)})",
        beyond=scale.beyond(score.mean),
        best=not one.baseline and is_best(metric, one.last, others),
    )
