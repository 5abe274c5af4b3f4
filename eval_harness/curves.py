"""Scores over the rounds as lines: where to draw them, so that the page's template only writes them down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .notes import DECIMALS, method_name, short_label
from .result_models import Kind, Metric, Results, Row

__all__ = ["Chart", "Curve", "Level", "Mark", "Tick", "charts"]

WIDTH, HEIGHT = 360, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 344, 22, 214


@dataclass(frozen=True, slots=True)
class Mark:
    """One point of a curve; `above` says that the value lies beyond the axis, at whose top the mark then stands."""

    x: float
    y: float
    low: float
    high: float
    above: bool
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One method in one protocol; `colour` numbers the methods from 0, a baseline apart for each kind of reference."""

    name: str
    prompt: str
    colour: int
    dashed: bool
    kind: Kind
    marks: tuple[Mark, ...]

    @property
    def path(self) -> str:
        """The line through the marks, as the `d` of an SVG path."""
        return "M" + "L".join(f"{mark.x:.1f} {mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line, and the words that stand above or below it."""

    at: float
    label: str
    below: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric over the rounds, on a canvas of 360 × 250.

    Args:
        floor: Where the draft's own score lies.
        ceiling: Where the original's lies; None where that would squash the curves, as `note` then says.
    """

    title: str
    unit: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    floor: Level | None
    ceiling: Level | None
    note: str
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    bottom: float = _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def charts(results: Results) -> list[Chart]:
    """Returns one chart per metric; all have the same curves in the same colours."""
    return [_chart(metric, results) for metric in results.metrics]


def _chart(metric: Metric, results: Results) -> Chart:
    lines = _lines(results.rows)
    floor = next((row for row in results.rows if row.kind == "floor"), None)
    ceiling = next((row for row in results.rows if row.kind == "ceiling"), None)
    drawn = [row for rows in lines.values() for row in rows]
    low, high = _range(metric, [*drawn, *([floor] if floor else [])])
    notes = []
    top = ceiling.scores[metric.id].mean if ceiling else None
    if top is not None and high < top <= high + (high - low):
        high = top
    if top is not None and top > high:
        notes.append(f"The ceiling ({top:.{DECIMALS}f}) lies above the axis.")
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    if metric.scale == 100:  # neither a cosine nor a share goes beyond
        low, high = max(low, -100.0 if not metric.is_share else 0.0), min(high, 100.0)
    beyond = [row for row in drawn if row.scores[metric.id].mean > high]
    if beyond and metric.id == "psnr":
        notes.append("Marks at the upper edge lie above it too: identical images have 361.2 dB and lift the mean.")
    rounds = sorted({0, *(row.round for row in drawn)})
    scale = _Scale(rounds[-1], low, high)
    colours = {name: number for number, name in enumerate(dict.fromkeys(_hue(rows[0]) for rows in lines.values()))}
    return Chart(
        title=short_label(metric),
        unit=metric.unit,
        x_ticks=tuple(Tick(scale.x(number), "draft" if number == 0 else f"round {number}") for number in rounds),
        y_ticks=tuple(Tick(scale.y(value), _number(value)) for value in ticks if low <= value <= high),
        curves=tuple(_curve(metric, rows, floor, colours, scale) for rows in lines.values()),
        floor=_floor(scale.y(floor.scores[metric.id].mean)) if floor else None,
        ceiling=Level(scale.y(top), "ceiling: original", below=False) if top is not None and top <= high else None,
        note=" ".join(notes),
    )


def _floor(y: float) -> Level:
    return Level(y, "floor: draft", below=y < _BOTTOM - 14)  # its name stands above it where the axis is too near


def _lines(rows: Sequence[Row]) -> dict[tuple[int | None, str, str, str], list[Row]]:
    lines: dict[tuple[int | None, str, str, str], list[Row]] = {}
    for row in rows:
        if row.kind in ("editor", "baseline"):
            lines.setdefault((row.run, row.fingerprint, row.protocol, row.prompt), []).append(row)
    return lines


def _hue(row: Row) -> tuple[str, str]:
    """Returns what has a colour of its own: a method, and a shared baseline for each kind of reference."""
    return row.method, row.prompt if row.run is None else ""


def _range(metric: Metric, rows: Sequence[Row]) -> tuple[float, float]:
    """Returns the span of the values; means that identical images lift do not stretch the axis of PSNR."""
    kept = [row for row in rows if metric.id != "psnr" or not row.identical] or list(rows)
    edges = []
    for row in kept:
        score = row.scores[metric.id]
        error = score.standard_error or 0.0
        edges += [score.mean - error, score.mean + error]
    if not edges:
        return 0.0, 1.0
    low, high = min(edges), max(edges)
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    pad = (high - low) * 0.06
    if metric.is_share:
        return max(low - pad, 0.0), min(high + pad, 100.0)
    return low - pad, high + pad


def _ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    rough = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"


@dataclass(frozen=True, slots=True)
class _Scale:
    rounds: int
    low: float
    high: float

    def x(self, number: int) -> float:
        inner = (_RIGHT - _LEFT) * 0.06
        return round(_LEFT + inner + (_RIGHT - _LEFT - 2 * inner) * number / max(self.rounds, 1), 2)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_BOTTOM - (_BOTTOM - _TOP) * share, 2)


def _curve(
    metric: Metric, rows: Sequence[Row], floor: Row | None, colours: dict[tuple[str, str], int], scale: _Scale
) -> Curve:
    first = rows[0]
    start = [floor] if floor and first.round > 0 else []
    return Curve(
        name=method_name(first),
        prompt=first.prompt,
        colour=colours[_hue(first)],
        dashed=first.protocol == "vanilla",
        kind=first.kind,
        marks=tuple(_mark(metric, row, scale) for row in (*start, *rows)),
    )


def _mark(metric: Metric, row: Row, scale: _Scale) -> Mark:
    score = row.scores[metric.id]
    error = score.standard_error or 0.0
    place = "draft" if row.round == 0 else f"{row.prompt}, round {row.round}"
    return Mark(
        x=scale.x(row.round),
        y=scale.y(score.mean),
        low=scale.y(score.mean - error),
        high=scale.y(score.mean + error),
        above=score.mean > scale.high,
        text=f"{row.method}, {place}: {score.mean:.{DECIMALS}f} ± {error:.{DECIMALS}f}",
        value=f"{score.mean:.1f}",
    )
