"""The parts of a line chart: places, ticks, labels, and the lines that a chart has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.labels import method_name
from fashionedit.eval_harness.scores.result_models import Results, Row

WIDTH, HEIGHT = 620, 296
LEFT, RIGHT, TOP, BOTTOM = 44.0, 424.0, 22.0, 256.0
_APART = 15.0  # between two labels
_LONGEST = 26  # characters of a label


@dataclass(frozen=True, slots=True)
class Mark:
    """One point of a line.

    Args:
        low, high: Where its interval ends; equal where it has none.
        beyond: `above` or `below` where the value lies beyond the axis, at whose edge the mark then stands.
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
    """One series; `plain` lines have no marks."""

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
    """A place on an axis and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line and its name."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside the end of a line, moved so that it covers no other; `colour` is None for floor and ceiling."""

    y: float
    end: float
    text: str
    colour: int | None
    dashed: bool = False
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
    floor: Level | None = None
    ceiling: Level | None = None
    rule: Tick | None = None
    note: str = ""
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


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


def labels(lines: Iterable[Line], levels: Sequence[Level] = ()) -> tuple[Label, ...]:
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
        dashed, y = all(line.dashed for line in group), first.marks[-1].y
        found.append(Label(y, y, text, first.colour, dashed, first.baseline))
    found.sort(key=lambda label: label.end)
    return tuple(_moved(label, y) for label, y in zip(found, _spread([label.end for label in found]), strict=True))


def _shortened(name: str, prompt: str) -> str:
    """Returns the name, cut where it is too long, and the whole prompt, without which two lines look the same."""
    room = max(_LONGEST - len(prompt), 8)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + prompt


def _moved(label: Label, y: float) -> Label:
    return Label(round(y, 1), label.end, label.text, label.colour, label.dashed, label.baseline)


def _spread(wanted: Sequence[float]) -> list[float]:
    """Returns places in the same order, at least `_APART` from each other, as near to the wanted ones as that lets."""
    blocks: list[tuple[float, int]] = []  # mean of the places that the first of a block would like, and its length
    for place, y in enumerate(wanted):
        start = sum(length for _, length in blocks)
        assert start == place
        blocks.append((y, 1))
        while len(blocks) > 1 and blocks[-2][0] + _APART * blocks[-2][1] > blocks[-1][0]:
            (above, many), (below, few) = blocks[-2:]
            blocks[-2:] = [((above * many + (below - _APART * many) * few) / (many + few), many + few)]
    shift = [min(max(top, TOP - 10), max(HEIGHT - 6 - _APART * (length - 1), TOP - 10)) for top, length in blocks]
    return [top + _APART * step for top, (_, length) in zip(shift, blocks, strict=True) for step in range(length)]


COLOURS = 8
"""How many colours there are; a ninth method takes the first one again, and its marks tell it apart."""

Hue = tuple[str, str]
"""A method, and for a baseline that every table has, its kind of reference."""


@dataclass(frozen=True, slots=True)
class Series:
    """One method in one protocol over the rounds.

    Args:
        rows: In the order of the rounds.
        colour: Numbers the methods from 0.
        dashed: Whether the protocol shows the editor words alone.
    """

    rows: tuple[Row, ...]
    colour: int
    dashed: bool

    @property
    def name(self) -> str:
        """The method with its marks."""
        return method_name(self.rows[0])

    @property
    def prompt(self) -> str:
        """What the editor is shown."""
        return self.rows[0].prompt

    @property
    def last(self) -> Row:
        """The row after the last round."""
        return self.rows[-1]

    @property
    def baseline(self) -> bool:
        """Whether it knows the answer, or only leaks it."""
        return self.last.kind == "baseline"

    @property
    def leaks(self) -> bool:
        """Whether it only returns the reference: such a line does not stretch an axis."""
        return self.baseline and not self.last.privileged


def series(results: Results) -> list[Series]:
    """Returns the editors and baselines of a table, in its order."""
    hues = colours(results)
    found: dict[tuple[int | None, str, str, str], list[Row]] = {}
    for row in results.rows:
        if row.kind not in ("editor", "baseline"):
            continue
        found.setdefault((row.run, row.fingerprint, row.protocol, row.prompt), []).append(row)
    return [
        Series(
            tuple(sorted(rows, key=_round)), hues[series_key(rows[0])], not PROTOCOLS[rows[0].protocol].shows_reference
        )
        for rows in found.values()
    ]


def colours(results: Results) -> dict[Hue, int]:
    """Returns the number of each colour, for what has strips or lines; editors come first."""
    rows = [row for row in results.rows if row.run is not None or row.kind == "baseline"]
    ordered = sorted(rows, key=lambda row: row.kind != "editor")
    return {hue: number % COLOURS for number, hue in enumerate(dict.fromkeys(map(series_key, ordered)))}


def series_key(row: Row) -> Hue:
    """Returns what has a colour of its own: a method, and a shared baseline for each kind of reference."""
    return row.method, row.prompt if row.run is None else ""


def _round(row: Row) -> int:
    return row.round
