"""What stands behind a table: intervals, gains, measures, curves, kinds of samples, seeds, time and money."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fashionedit.runtime.costs import usd
from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import aligned, escaped, markdown_rows

from .labels import failed_text, method_name, short_label, table_rows
from .primary_scores import BREAKDOWNS, FEWEST_GARMENTS, Breakdown, breakdown
from .result_models import Gain, Measure, MeasureValue, Metric, Results, Row, Score

_SHOWN_THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)
_NONE = "–"


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title above it and a sentence below.

    Args:
        words: How many columns hold words; the others hold numbers.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: int = 2


def details_text(found: Sequence[Section], *, markdown: bool = False) -> str:
    """Returns the sections as aligned plain text or as Markdown; those without rows are left out."""
    parts = []
    for one in found:
        if one.rows and markdown:
            note = [escaped(printable(one.note)), ""] if one.note else []
            parts += [f"### {escaped(one.title)}", "", *markdown_rows(one.head, one.rows, words=one.words), "", *note]
        elif one.rows:
            parts += [one.title, *aligned(one.head, one.rows, words=one.words), *filter(None, [one.note]), ""]
    return "\n".join(parts).rstrip() + "\n" if parts else ""


def sections(results: Results, timings: Mapping[int, Mapping[str, Any]] | None = None) -> list[Section]:
    """Returns everything that `results.json` says of the rows beside the table itself.

    Args:
        timings: What `timing.json` holds, by the index in `Results.runs`.
    """
    return [
        _intervals(results),
        gain_section(results),
        _readings(results),
        _curves(results),
        _measures(results),
        _repeats(results),
        *_kinds(results),
        _costs(results, timings or {}),
    ]


def gain_section(results: Results) -> Section:
    """Returns how much higher each row is than the draft, paired, with what could have been detected."""
    rows = [row for row in table_rows(results) if any(score.gain for score in row.scores.values())]
    return Section(
        "Gain over the draft, sample by sample",
        (
            *_HEAD,
            *(name for metric in results.metrics for name in (short_label(metric), "95 % interval", "detectable")),
        ),
        tuple((*_place(row), *(text for metric in results.metrics for text in _gain(row, metric))) for row in rows),
        "Detectable: the smallest true gain that shows as significant (α = 0.05) in 80 % of repetitions.",
    )


_HEAD = ("Method", "Prompt", "Round", "failed")


def _place(row: Row) -> tuple[str, str, str, str]:
    round = _NONE if row.kind == "ceiling" or row.round == 0 else str(row.round)
    return method_name(row), row.prompt, round, failed_text(row.failed, row.requested)


def _gain(row: Row, metric: Metric) -> tuple[str, str, str]:
    score = row.scores[metric.id]
    if score.gain is None:
        return (_NONE,) * 3
    gain = metric.text(score.gain.mean, "+")
    return gain, _interval(metric, score.gain, "+"), metric.text(score.detectable)


def _intervals(results: Results) -> Section:
    return Section(
        "95 % intervals",
        (*_HEAD, *map(short_label, results.metrics)),
        tuple(
            (*_place(row), *(_interval(one, row.scores[one.id]) for one in results.metrics))
            for row in table_rows(results)
        ),
        f"Intervals: {results.interval}." if results.interval else "",
    )


def _readings(results: Results) -> Section:
    """Returns the scores if failures were read otherwise, of the rows that have any."""
    metrics, shares = results.metrics, [metric for metric in results.metrics if metric.is_share]
    rows = [
        (
            *_place(row),
            *(one.text(row.scores[one.id].carry_forward) for one in metrics),
            *(one.text(row.scores[one.id].completers) for one in metrics),
            str(row.completers),
            *(_range(one, row.scores[one.id].worst, row.scores[one.id].best) for one in shares),
        )
        for row in table_rows(results)
        if row.failed
    ]
    return Section(
        "Failures read otherwise",
        (
            *_HEAD,
            *(f"{short_label(one)} {which}" for which in ("carried", "completers") for one in metrics),
            "completers",
            *(f"{short_label(one)} bounds" for one in shares),
        ),
        tuple(rows),
        "Carried: each sample with its last good image. Completers: only samples whose rounds all ended ok. Bounds: if "
        "every failure were a miss, and if every one were a hit.",
    )


def _curves(results: Results) -> Section:
    shown = [place for place, one in enumerate(results.thresholds) if round(one, 2) in _SHOWN_THRESHOLDS]
    share = results.share
    return Section(
        f"{short_label(share)} at other thresholds, %" if share else "",
        (*_HEAD, *(f"{results.thresholds[place]:.2f}" for place in shown)),
        tuple(
            (*_place(row), *(f"{row.curve[place]:.1f}" for place in shown)) for row in table_rows(results) if row.curve
        ),
        "results.json has every hundredth from 0.70 to 0.98.",
    )


def _measures(results: Results) -> Section:
    rows = [row for row in table_rows(results) if row.measures]
    units = "; ".join(f"{one.label}: {one.unit} ({one.better} is better)" for one in results.measures)
    return Section(
        "Did it change only what was asked?",
        (*_HEAD, *(text for one in results.measures for text in (one.label, "95 % interval")), "n"),
        tuple(
            (
                *_place(row),
                *(text for one in results.measures for text in _measure(row, one)),
                str(max(value.n for value in row.measures.values())),
            )
            for row in rows
        ),
        f"Over the rounds that ended ok. {units}. Read Leak beside that of Paste the reference.",
    )


def _measure(row: Row, measure: Measure) -> tuple[str, str]:
    found = row.measures.get(measure.id)
    if found is None:
        return _NONE, _NONE
    ends = _NONE if found.low is None or found.high is None else f"[{found.low:z.2f}, {found.high:z.2f}]"
    return f"{found.mean:z.2f}", ends


def _repeats(results: Results) -> Section:
    rows = []
    for row in table_rows(results):
        for metric in results.metrics:
            if values := row.repeats.get(metric.id):
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                each, mean = ", ".join(map(metric.text, values)), metric.text(statistics.fmean(values))
                rows.append((*_place(row), short_label(metric), each, mean, f"{spread:.4f}"))
    return Section(
        "Seeds",
        (*_HEAD, "Metric", "Each", "Mean", "SD"),
        tuple(rows),
        "The table has the first seed. SD: standard deviation between seeds (n - 1), which no interval above contains.",
    )


def _kinds(results: Results) -> Iterator[Section]:
    """Yields the last rounds by gender, category and view, where the samples have more than one of them."""
    rows = table_rows(results)
    last = {(row.run, row.method, row.protocol): row.round for row in rows}
    shown = {
        index
        for index, row in enumerate(results.rows)
        if row in rows and last[row.run, row.method, row.protocol] == row.round
    }
    for by in BREAKDOWNS:
        parts = [part for part in breakdown(results, by) if part.row in shown]
        if len({part.value for part in parts}) > 1:
            yield Section(
                f"By {by} (exploratory)",
                (by.capitalize(), *_HEAD, *(short_label(one) for one in results.metrics), "n", "garments"),
                tuple(
                    (
                        part.value,
                        *_place(results.rows[part.row])[:3],
                        failed_text(part.failed, part.n),
                        *(_kind(part, one) for one in results.metrics),
                        str(part.n),
                        str(part.garments),
                    )
                    for part in parts
                ),
                f"Kinds with fewer than {FEWEST_GARMENTS} garments have no interval here: it would say nothing.",
                words=3,
            )


def _kind(part: Breakdown, metric: Metric) -> str:
    found = part.scores[metric.id]
    ends = _interval(metric, found) if part.garments >= FEWEST_GARMENTS else _NONE
    return f"{metric.text(found.mean)} {ends}"


def _costs(results: Results, timings: Mapping[int, Mapping[str, Any]]) -> Section:
    labels = {row.run: row.method for row in results.rows if row.run is not None}
    rows = []
    for run, timing in sorted(timings.items()):
        for one in timing.get("rounds", ()):
            numbers = (
                str(one["edits"]),
                _seconds(one.get("mean_seconds")),
                _seconds(one.get("median_seconds")),
                _money(one.get("usd_per_edit")),
                _NONE if one.get("accepted") is None else str(one["accepted"]),
                _seconds(one.get("seconds_per_accepted")),
                _money(one.get("usd_per_accepted")),
            )
            rows.append((labels.get(run, str(run)), one["protocol"], str(one["round"]), *numbers))
    return Section(
        "Time and cost",
        (
            "Method",
            "Protocol",
            "Round",
            "edits",
            "s an edit",
            "median",
            "USD an edit",
            "accepted",
            "s each",
            "USD each",
        ),
        tuple(rows),
        "Accepted: samples that count for the share; each with the time and cost of all rounds so far, those "
        "of the others included.",
    )


def _interval(metric: Metric, value: Score | MeasureValue | Gain, sign: str = "") -> str:
    return _range(metric, value.low, value.high, sign)


def _range(metric: Metric, low: float | None, high: float | None, sign: str = "") -> str:
    return _NONE if low is None or high is None else f"[{metric.text(low, sign)}, {metric.text(high, sign)}]"


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3g}"


def _money(value: float | None) -> str:
    return _NONE if value is None else usd(value)
