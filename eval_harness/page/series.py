"""What has a line and a colour of its own in the charts, and in the strips below them."""

from __future__ import annotations

from dataclasses import dataclass

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.labels import method_name
from fashionedit.eval_harness.scores.result_models import Results, Row

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
