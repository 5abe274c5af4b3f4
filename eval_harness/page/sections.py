"""The tables of the page, as texts: scores, gains, side effects, failures, breakdowns, provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.labels import (
    DECIMALS,
    failed_text,
    method_name,
    ranked_text,
    reference_kinds,
    samples_left_out,
    short_label,
    table_rows,
)
from fashionedit.eval_harness.scores.primary_scores import BREAKDOWNS, FEWEST_GARMENTS, Breakdown, breakdown
from fashionedit.eval_harness.scores.result_models import MeasureValue, Metric, Results, Row, Score


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """A number and how sure it is, in words; `best` where it is the highest of the editors in that round."""

    label: str
    mean: str
    interval: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One row of the table of scores."""

    method: str
    kind: str
    prompt: str
    round: str
    scores: tuple[ScoreCell, ...]
    n: int
    failed: str
    failures: str
    first: bool


def score_rows(results: Results) -> list[ScoreRow]:
    """Returns the table, shaped like Table 1 of the paper: floor, editors, baselines, ceiling."""
    found: list[ScoreRow] = []
    previous: tuple[str, ...] = ()
    for row in table_rows(results):
        group = (row.kind, row.method, row.prompt)
        found.append(
            ScoreRow(
                method=method_name(row),
                kind=row.kind,
                prompt=row.prompt,
                round=_round(row),
                scores=tuple(_score(row, metric, results) for metric in results.metrics),
                n=row.requested,
                failed=failed_text(row.failed, row.requested),
                failures=statuses(row),
                first=group != previous,
            )
        )
        previous = group
    return found


def statuses(row: Row) -> str:
    """Returns how the failed rounds ended, as `2 refused, 1 timeout`."""
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in row.failures.items())


def _round(row: Row) -> str:
    return "–" if row.kind == "ceiling" or row.round == 0 else str(row.round)


def _score(row: Row, metric: Metric, results: Results) -> ScoreCell:
    score = row.scores[metric.id]
    others = [one for one in results.rows if one.kind == "editor" and one.round == row.round and one is not row]
    return ScoreCell(
        short_label(metric),
        ranked_text(metric.text(score.mean), row, metric),
        interval_text(score, metric.digits),
        row.kind == "editor" and is_best(metric, row, others),
    )


def is_best(metric: Metric, row: Row, others: Iterable[Row]) -> bool:
    """Returns whether no other row that is ranked by the metric has a higher mean, and one has a lower."""
    gaps = [row.scores[metric.id].mean - one.scores[metric.id].mean for one in others if one.is_ranked(metric)]
    return row.is_ranked(metric) and bool(gaps) and min(gaps) >= 0 and max(gaps) > 0


def interval_text(score: Score | MeasureValue, digits: int = DECIMALS) -> str:
    """Returns the 95 % interval in words, or else the standard error; nothing where there is neither."""
    if score.low is not None and score.high is not None:
        return f"{score.low:z.{digits}f} to {score.high:z.{digits}f}".replace("-", "−")
    return "" if score.standard_error is None else f"± {score.standard_error:z.{digits}f}"


@dataclass(frozen=True, slots=True)
class GainRow:
    """What a method adds to the draft, the smallest gain that so many samples show, and other seeds, by metric."""

    method: str
    prompt: str
    round: str
    failed: str
    gains: tuple[ScoreCell, ...]
    detectable: tuple[str, ...]
    repeats: tuple[str, ...]


def gain_rows(results: Results) -> list[GainRow]:
    """Returns the gains over the draft, paired by sample; empty where the results have none."""
    found = []
    for row in table_rows(results):
        if row.kind not in ("trivial", "editor", "baseline") or not any(score.gain for score in row.scores.values()):
            continue
        found.append(
            GainRow(
                method=method_name(row),
                prompt=row.prompt,
                round=_round(row),
                failed=failed_text(row.failed, row.requested),
                gains=tuple(_gain(row.scores[metric.id], metric) for metric in results.metrics),
                detectable=tuple(metric.text(row.scores[metric.id].detectable) for metric in results.metrics),
                repeats=tuple(
                    f"{short_label(metric)} " + ", ".join(map(metric.text, row.repeats[metric.id]))
                    for metric in results.metrics
                    if len(row.repeats.get(metric.id, ())) > 1
                ),
            )
        )
    return found


def _gain(score: Score, metric: Metric) -> ScoreCell:
    gain, label = score.gain, short_label(metric)
    if gain is None:
        return ScoreCell(label, "–", "")
    between = "" if not gain.standard_error else f"± {metric.text(gain.standard_error)}"
    if gain.low is not None and gain.high is not None:
        between = f"{signed(gain.low, metric)} to {signed(gain.high, metric)}"
    return ScoreCell(label, signed(gain.mean, metric), between)


def signed(value: float, metric: Metric) -> str:
    """Returns a difference with its sign, a minus as long as the plus."""
    return metric.text(value, "+").replace("-", "−")


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """What a method changed beside what was asked, by measure."""

    method: str
    prompt: str
    round: str
    failed: str
    values: tuple[ScoreCell, ...]
    first: bool


def measure_rows(results: Results) -> list[MeasureRow]:
    """Returns the answers to "did it change only what was asked?"; empty where they were not measured."""
    found: list[MeasureRow] = []
    previous: tuple[str, ...] = ()
    for row in table_rows(results):
        if not row.measures:
            continue
        cells = []
        for measure in results.measures:
            value = row.measures.get(measure.id)
            mean, between = ("–", "") if value is None else (f"{value.mean:z.{DECIMALS}f}", interval_text(value))
            cells.append(ScoreCell(measure.label, mean, between))
        group = (row.kind, row.method, row.prompt)
        place = (method_name(row), row.prompt, _round(row), failed_text(row.failed, row.requested))
        found.append(MeasureRow(*place, tuple(cells), group != previous))
        previous = group
    return found


@dataclass(frozen=True, slots=True)
class FailureRow:
    """How the rounds of one row ended that did not end `ok`: a count by status, and the other readings by metric."""

    method: str
    prompt: str
    round: str
    counts: tuple[int, ...]
    of: int
    share: str
    carried: tuple[str, ...]
    whole: tuple[str, ...]
    completers: int
    bounds: str
    first: bool


def failure_rows(results: Results) -> tuple[tuple[str, ...], list[FailureRow]]:
    """Returns the statuses that occur, in words, and for each row with failures how many ended so."""
    rows = [row for row in table_rows(results) if row.failed]
    names = sorted({status for row in rows for status in row.failures})
    found: list[FailureRow] = []
    previous: tuple[str, ...] = ()
    for row in rows:
        group = (row.kind, row.method, row.prompt)
        found.append(
            FailureRow(
                method=method_name(row),
                prompt=row.prompt,
                round=_round(row),
                counts=tuple(row.failures.get(name, 0) for name in names),
                of=row.requested,
                share=f"{100 * row.failed_share:.1f} %",
                carried=tuple(metric.text(row.scores[metric.id].carry_forward) for metric in results.metrics),
                whole=tuple(metric.text(row.scores[metric.id].completers) for metric in results.metrics),
                completers=row.completers,
                bounds=_bounds(row, results),
                first=group != previous,
            )
        )
        previous = group
    return tuple(name.replace("_", " ") for name in names), found


def _bounds(row: Row, results: Results) -> str:
    share = results.share
    return (
        "–"
        if share is None
        else " to ".join(share.text(end) for end in (row.scores[share.id].worst, row.scores[share.id].best))
    )


def leads(results: Results) -> Iterator[tuple[str, str]]:
    """Yields how the prompts of a table begin."""
    for protocol in PROTOCOLS.values():
        if protocol.edits:
            shown = dict.fromkeys(protocol.prompt(kind.label) for kind in reference_kinds(results))
            yield ", ".join(shown), protocol.words.partition("{description}")[0]


def provenance(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns where every number comes from: dataset, runs, metrics and measures, field by field."""
    data = results.dataset
    groups = [
        (
            "Dataset",
            [
                ("name", data.name),
                ("split", data.split),
                ("samples", f"{data.samples}, showing {data.garments} garments"),
                *([("left out", samples_left_out(results))] if data.left_out else []),
                ("manifest", data.manifest),
                ("originals", data.originals),
                ("mean box area", f"{data.mean_box_area:.2f} %"),
                *([("intervals", results.interval)] if results.interval else []),
            ],
        )
    ]
    for run in results.runs:
        facts = run.model_dump(
            mode="json", exclude={"dataset", "split", "samples", "manifest", "control_set", "editor"}
        )
        fields = [("fingerprint", run.editor.fingerprint), *((name, _shown(value)) for name, value in facts.items())]
        groups.append((f"Run: {run.editor.name}", fields))
    for metric in results.metrics:
        if metric.is_share:
            fields = [
                ("definition", metric.unit),
                ("computed from", short_label(results.metric(metric.of or metric.id))),
            ]
        else:
            fields = list(metric.fingerprint.items())
        groups.append((f"Metric: {metric.label}", fields))
    for measure in results.measures:
        groups.append((f"Measure: {measure.label}", [("unit", measure.unit), *measure.fingerprint.items()]))
    return groups


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
