"""The scores by what the photographs show, as texts: a table each for gender, category and view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fashionedit.eval_harness.scores.labels import failed_text, method_name, ranked_text, short_label
from fashionedit.eval_harness.scores.primary_scores import BREAKDOWNS, FEWEST_GARMENTS, Breakdown, breakdown
from fashionedit.eval_harness.scores.result_models import Results

from .sections import ScoreCell, interval_text


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """One method over the samples of one value.

    Args:
        value: What they show, in words.
        about: How many samples of how many garments.
        span: How many rows the value has.
        first: Whether this is the first of them.
    """

    value: str
    about: str
    method: str
    prompt: str
    failed: str
    kind: str
    scores: tuple[ScoreCell, ...]
    span: int
    first: bool


@dataclass(frozen=True, slots=True)
class BreakdownTable:
    """One way to group the samples, value by value."""

    by: str
    rows: tuple[BreakdownRow, ...]


def breakdown_tables(results: Results) -> list[BreakdownTable]:
    """Returns the last round of the draft and of every run, by gender, category and view.

    Only ways to group that tell at least two groups apart. Groups of few garments have no interval: it would say
    nothing.
    """
    shown = _shown_rows(results)
    found = []
    for by in BREAKDOWNS:
        if len({value for sample in results.samples if (value := getattr(sample, by))}) > 1:
            parts = [part for part in breakdown(results, by) if part.row in shown]
            found.append(BreakdownTable(by, tuple(_rows(results, parts))))
    return found


def _shown_rows(results: Results) -> set[int]:
    """Returns the indices of the draft's row and of each run's last rounds, without ceilings."""
    last: dict[tuple[int, str], int] = {}
    for place, row in enumerate(results.rows):
        if row.run is None or row.kind == "ceiling":
            continue
        before = last.setdefault((row.run, row.protocol), place)
        if row.round > results.rows[before].round:
            last[row.run, row.protocol] = place
    return {*last.values(), *(place for place, row in enumerate(results.rows) if row.kind == "floor")}


def _rows(results: Results, parts: Sequence[Breakdown]) -> Iterator[BreakdownRow]:
    groups: dict[str, list[Breakdown]] = {}
    for part in parts:
        groups.setdefault(part.value, []).append(part)
    for value, group in groups.items():
        ordered = sorted(group, key=lambda part: results.rows[part.row].kind != "floor")
        for part in ordered:
            row = results.rows[part.row]
            yield BreakdownRow(
                value=value,
                about=f"{_count(part.n, 'sample')} of {_count(part.garments, 'garment')}",
                method=method_name(row),
                prompt=row.prompt,
                failed=failed_text(part.failed, part.n),
                kind=row.kind,
                scores=tuple(_cells(results, part, group)),
                span=len(group),
                first=part is ordered[0],
            )


def _cells(results: Results, part: Breakdown, group: Sequence[Breakdown]) -> Iterator[ScoreCell]:
    row = results.rows[part.row]
    others = [other for other in group if other is not part and results.rows[other.row].kind == "editor"]
    for metric in results.metrics:
        score = part.scores[metric.id]
        gaps = [
            score.mean - other.scores[metric.id].mean for other in others if results.rows[other.row].is_ranked(metric)
        ]
        ranked = row.kind == "editor" and row.is_ranked(metric)
        best = ranked and bool(gaps) and min(gaps) >= 0 and max(gaps) > 0
        between = interval_text(score, metric.digits) if part.garments >= FEWEST_GARMENTS else ""
        yield ScoreCell(short_label(metric), ranked_text(metric.text(score.mean), row, metric), between, best)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"
