"""The tables of the page: the words and numbers of their cells, their rows, and where every number comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.primary_scores import FEWEST_GARMENTS, Breakdown, breakdowns, last_rounds
from fashionedit.eval_harness.scores.result_models import MeasureValue, Metric, Results, Row, Score
from fashionedit.eval_harness.scores.table import (
    DECIMALS,
    ranked_text,
    reference_kinds,
    samples_left_out,
    short_label,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number and how sure it is, in words; `best` where it is the highest of the editors beside it."""

    label: str
    mean: str
    interval: str
    best: bool = False


def score_cells(row: Row, results: Results) -> list[Cell]:
    """Returns the scores of a row, metric by metric."""
    others = [one for one in results.rows if one.kind == "editor" and one.round == row.round and one is not row]
    return [
        Cell(
            short_label(metric),
            ranked_text(metric.text(row.scores[metric.id].mean), row, metric),
            interval_text(row.scores[metric.id], metric.digits),
            row.kind == "editor" and is_best(metric, row, others),
        )
        for metric in results.metrics
    ]


def gain_cells(row: Row, results: Results) -> list[Cell]:
    """Returns the gains over the draft, paired by sample, metric by metric."""
    return [_gain(row.scores[metric.id], metric) for metric in results.metrics]


def _gain(score: Score, metric: Metric) -> Cell:
    gain, label = score.gain, short_label(metric)
    if gain is None:
        return Cell(label, "–", "")
    between = "" if not gain.standard_error else f"± {metric.text(gain.standard_error)}"
    if gain.low is not None and gain.high is not None:
        between = f"{signed(gain.low, metric)} to {signed(gain.high, metric)}"
    return Cell(label, signed(gain.mean, metric), between)


def measure_cells(row: Row, results: Results) -> list[Cell]:
    """Returns the answers to "did it change only what was asked?", measure by measure."""
    found = [(measure.label, row.measures.get(measure.id)) for measure in results.measures]
    return [
        Cell(label, f"{value.mean:z.{DECIMALS}f}", interval_text(value)) if value else Cell(label, "–", "")
        for label, value in found
    ]


def is_best(metric: Metric, row: Row, others: Iterable[Row]) -> bool:
    """Returns whether no other row that is ranked by the metric has a higher mean, and one has a lower."""
    means = [other.scores[metric.id].mean for other in others if other.is_ranked(metric)]
    return row.is_ranked(metric) and _is_highest(row.scores[metric.id].mean, means)


def _is_highest(value: float, others: Sequence[float]) -> bool:
    return bool(others) and value >= max(others) and value > min(others)


def interval_text(score: Score | MeasureValue, digits: int = DECIMALS) -> str:
    """Returns the 95 % interval in words, or else the standard error; nothing where there is neither."""
    if score.low is not None and score.high is not None:
        return f"{score.low:z.{digits}f} to {score.high:z.{digits}f}".replace("-", "−")
    return "" if score.standard_error is None else f"± {score.standard_error:z.{digits}f}"


def signed(value: float, metric: Metric) -> str:
    """Returns a difference with its sign, a minus as long as the plus."""
    return metric.text(value, "+").replace("-", "−")


def seeds(row: Row, results: Results) -> list[str]:
    """Returns the primary scores with each seed, metric by metric; nothing where there is one seed."""
    return [
        f"{short_label(metric)} " + ", ".join(map(metric.text, row.repeats[metric.id]))
        for metric in results.metrics
        if len(row.repeats.get(metric.id, ())) > 1
    ]


def statuses(row: Row) -> str:
    """Returns how the failed rounds ended, as `2 refused, 1 timeout`."""
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in row.failures.items())


def has_gains(row: Row) -> bool:
    """Returns whether the row has a place in the table of gains."""
    return row.kind in ("trivial", "editor", "baseline") and any(score.gain for score in row.scores.values())


def breakdown_tables(results: Results) -> dict[str, dict[str, list[Breakdown]]]:
    """Returns the draft and every run's last rounds, without ceilings, by gender, category and view, value by value."""

    def is_shown(row: Row) -> bool:
        return row.kind == "floor" or (row.run is not None and row.kind != "ceiling")

    tables: dict[str, dict[str, list[Breakdown]]] = {}
    for by, parts in breakdowns(results, [one for one in last_rounds(results) if is_shown(results.rows[one])]).items():
        for part in parts:  # the floor stands first in every table of results
            tables.setdefault(by, {}).setdefault(part.value, []).append(part)
    return tables


def breakdown_cells(part: Breakdown, beside: Sequence[Breakdown], results: Results) -> list[Cell]:
    """Returns the scores of a row over one group. Groups of few garments have no interval: it would say nothing."""
    row = results.rows[part.row]
    editors = [other for other in beside if other is not part and results.rows[other.row].kind == "editor"]
    cells = []
    for metric in results.metrics:
        score = part.scores[metric.id]
        others = [other.scores[metric.id].mean for other in editors if results.rows[other.row].is_ranked(metric)]
        best = row.kind == "editor" and row.is_ranked(metric) and _is_highest(score.mean, others)
        between = interval_text(score, metric.digits) if part.garments >= FEWEST_GARMENTS else ""
        cells.append(Cell(short_label(metric), ranked_text(metric.text(score.mean), row, metric), between, best))
    return cells


def counted(number: int, noun: str) -> str:
    """Returns `1 sample` or `2,000 samples`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


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
            computed = ((name, _shown(value)) for name, value in metric.provenance.items())
            fields = [*metric.fingerprint.items(), *computed]
        groups.append((f"Metric: {metric.label}", fields))
    for measure in results.measures:
        groups.append((f"Measure: {measure.label}", [("unit", measure.unit), *measure.fingerprint.items()]))
    return groups


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
