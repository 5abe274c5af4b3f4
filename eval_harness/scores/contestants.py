"""Who takes part in a comparison: a run, or a row that every table has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fashionedit.errors import InvalidDataError, UnknownNameError

from .result_models import Results

BASELINES = ("draft", "flat-grey", "faded-draft", "return-reference", "paste-reference", "oracle")
"""The rows of every table that a run can be compared with, by name."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A run, or a row that every table has, with its places in the table.

    Args:
        label: How the comparison calls it.
        rows: The index in `Results.rows` by protocol and round.
        always: The index of the one row that stands for it in every protocol and round, as that of the draft does.
    """

    label: str
    rows: dict[tuple[str, int], int]
    always: int | None = None

    def row(self, protocol: str, round: int) -> int | None:
        """Returns the index of its row there, None where it has none."""
        return self.rows.get((protocol, round), self.always)


def contestants(results: Results, named: Sequence[int | str]) -> list[Contestant]:
    """Returns the contestants in the order named; where two have one label, both say which they are.

    Args:
        named: Indices of `Results.runs`, or names from `BASELINES`.

    Raises:
        UnknownNameError: A name is no baseline.
        InvalidDataError: One has no rows here.
    """
    found = [_run(results, one) if isinstance(one, int) else _baseline(results, one) for one in named]
    labels = [one.label for one in found]
    return [
        replace(one, label=f"{one.label} ({place})") if labels.count(one.label) > 1 else one
        for place, one in enumerate(found, start=1)
    ]


def _run(results: Results, index: int) -> Contestant:
    rows = {(row.protocol, row.round): place for place, row in enumerate(results.rows) if row.run == index}
    if not rows:
        raise InvalidDataError(f"run {index} has no rows in these results; score the run again")
    return Contestant(results.rows[next(iter(rows.values()))].method, rows)


def _baseline(results: Results, name: str) -> Contestant:
    if name not in BASELINES:
        raise UnknownNameError(f"no baseline is called {name!r}; choose {', '.join(BASELINES)}")
    for place, row in enumerate(results.rows):
        if row.kind == "floor" if name == "draft" else row.kind == "trivial" and row.editor == name:
            return Contestant(row.method, {}, place)
    rows = {
        (row.protocol, row.round): place
        for place, row in enumerate(results.rows)
        if row.editor == name and row.kind in ("baseline", "ceiling")
    }
    if not rows:
        raise InvalidDataError(f"{name} has no rows in these results; compare with another of {', '.join(BASELINES)}")
    return Contestant(results.rows[next(iter(rows.values()))].method, rows)
