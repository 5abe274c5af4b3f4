"""What stands behind a table: intervals, gains, measures, curves, kinds of samples, seeds, time and money."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fashionedit.runtime.costs import usd

from .intervals import LEVEL, POWER, SIGNIFICANCE
from .primary_scores import FEWEST_GARMENTS, breakdowns, last_rounds
from .result_models import Estimate, Metric, Results, Row
from .table import Section, failed_text, method_name, round_text, short_label, table_rows

_SHOWN_THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)
_NONE = "–"
_HEAD = ("Method", "Prompt", "Round", "failed")
_INTERVAL = f"{LEVEL} interval"


def sections(results: Results, timings: Mapping[int, Mapping[str, Any]] | None = None) -> list[Section]:
    """Returns everything that `results.json` says of the rows beside the table, and `timing.json` of each run."""
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


def _section(
    title: str, columns: Iterable[str], rows: Iterable[Row], cells: Callable[[Row], Iterable[str]], note: str
) -> Section:
    """Returns a section with a line for each row of the table: which row it is, then its cells."""
    lines = tuple((*_place(row), failed_text(row.failed, row.requested), *cells(row)) for row in rows)
    return Section(title, (*_HEAD, *columns), lines, (note,) if note else ())


def _place(row: Row) -> tuple[str, str, str]:
    return method_name(row), row.prompt, round_text(row)


def gain_section(results: Results) -> Section:
    """Returns how much higher each row is than the draft, paired, with what could have been detected."""

    def cells(row: Row) -> Iterator[str]:
        for metric in results.metrics:
            score = row.scores[metric.id]
            gain = None if score.gain is None else score.gain.mean
            yield from (metric.text(gain, "+"), _interval(metric, score.gain, "+"), metric.text(score.detectable))

    return _section(
        "Gain over the draft, sample by sample",
        [name for metric in results.metrics for name in (short_label(metric), _INTERVAL, "detectable")],
        [row for row in table_rows(results) if any(score.gain for score in row.scores.values())],
        cells,
        f"Detectable: the smallest true gain that shows as significant (α = {SIGNIFICANCE:g}) in {100 * POWER:g} % of "
        "repetitions.",
    )


def _intervals(results: Results) -> Section:
    return _section(
        f"{LEVEL} intervals",
        map(short_label, results.metrics),
        table_rows(results),
        lambda row: (_interval(one, row.scores[one.id]) for one in results.metrics),
        f"Intervals: {results.interval}." if results.interval else "",
    )


def _readings(results: Results) -> Section:
    """Returns the scores if failures were read otherwise, of the rows that have any."""
    metrics, shares = results.metrics, [metric for metric in results.metrics if metric.is_share]

    def cells(row: Row) -> tuple[str, ...]:
        return (
            *(one.text(row.scores[one.id].carry_forward) for one in metrics),
            *(one.text(row.scores[one.id].completers) for one in metrics),
            str(row.completers),
            *(_range(one, row.scores[one.id].worst, row.scores[one.id].best) for one in shares),
        )

    return _section(
        "Failures read otherwise",
        (
            *(f"{short_label(one)} {which}" for which in ("carried", "completers") for one in metrics),
            "completers",
            *(f"{short_label(one)} bounds" for one in shares),
        ),
        [row for row in table_rows(results) if row.failed],
        cells,
        "Carried: each sample with its last good image. Completers: only samples whose rounds all ended ok. Bounds: if "
        "every failure were a miss, and if every one were a hit.",
    )


def _curves(results: Results) -> Section:
    shown = [place for place, one in enumerate(results.thresholds) if round(one, 2) in _SHOWN_THRESHOLDS]
    return _section(
        f"{short_label(results.share)} at other thresholds, %" if results.share else "",
        [f"{results.thresholds[place]:.2f}" for place in shown],
        [row for row in table_rows(results) if row.curve],
        lambda row: (f"{row.curve[place]:.1f}" for place in shown),
        "results.json has every hundredth from 0.70 to 0.98.",
    )


def _measures(results: Results) -> Section:
    def cells(row: Row) -> Iterator[str]:
        for measure in results.measures:
            found = row.measures.get(measure.id)
            ended = found is not None and found.low is not None and found.high is not None
            yield _NONE if found is None else f"{found.mean:z.2f}"
            yield f"[{found.low:z.2f}, {found.high:z.2f}]" if found is not None and ended else _NONE
        yield str(max(value.n for value in row.measures.values()))

    units = "; ".join(f"{one.label}: {one.unit} ({one.better} is better)" for one in results.measures)
    return _section(
        "Did it change only what was asked?",
        (*(text for one in results.measures for text in (one.label, _INTERVAL)), "n"),
        [row for row in table_rows(results) if row.measures],
        cells,
        f"Over the rounds that ended ok. {units}. Read Leak beside that of Paste the reference.",
    )


def _repeats(results: Results) -> Section:
    rows = []
    for row in table_rows(results):
        for metric in results.metrics:
            if values := row.repeats.get(metric.id):
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                each, mean = ", ".join(map(metric.text, values)), metric.text(statistics.fmean(values))
                failed = failed_text(row.failed, row.requested)
                rows.append((*_place(row), failed, short_label(metric), each, mean, f"{spread:.4f}"))
    return Section(
        "Seeds",
        (*_HEAD, "Metric", "Each", "Mean", "SD"),
        tuple(rows),
        (
            "The table has the first seed. SD: standard deviation between seeds (n - 1), which no interval above "
            "contains.",
        ),
    )


def _kinds(results: Results) -> Iterator[Section]:
    """Yields the last rounds by gender, category and view."""
    shown = set(map(id, table_rows(results)))
    for by, parts in breakdowns(
        results, [one for one in last_rounds(results) if id(results.rows[one]) in shown]
    ).items():
        lines = []
        for part in parts:
            few = part.garments < FEWEST_GARMENTS
            scores = (
                f"{one.text(part.scores[one.id].mean)} {_NONE if few else _interval(one, part.scores[one.id])}"
                for one in results.metrics
            )
            place, failed = _place(results.rows[part.row]), failed_text(part.failed, part.n)
            lines.append((part.value, *place, failed, *scores, str(part.n), str(part.garments)))
        yield Section(
            f"By {by} (exploratory)",
            (by.capitalize(), *_HEAD, *map(short_label, results.metrics), "n", "garments"),
            tuple(lines),
            (f"Kinds with fewer than {FEWEST_GARMENTS} garments have no interval here: it would say nothing.",),
            words=3,
        )


def _costs(results: Results, timings: Mapping[int, Mapping[str, Any]]) -> Section:
    labels = {row.run: row.method for row in results.rows if row.run is not None}

    def money(value: float | None) -> str:
        return _NONE if value is None else usd(value)

    rows = []
    for run, timing in sorted(timings.items()):
        for one in timing.get("rounds", ()):
            numbers = (
                str(one["edits"]),
                _seconds(one.get("mean_seconds")),
                _seconds(one.get("median_seconds")),
                money(one.get("usd_per_edit")),
                _NONE if one.get("accepted") is None else str(one["accepted"]),
                _seconds(one.get("seconds_per_accepted")),
                money(one.get("usd_per_accepted")),
            )
            rows.append((labels.get(run, str(run)), one["protocol"], str(one["round"]), *numbers))
    numbers_head = ("edits", "s an edit", "median", "USD an edit", "accepted", "s each", "USD each")
    return Section(
        "Time and cost",
        ("Method", "Protocol", "Round", *numbers_head),
        tuple(rows),
        (
            "Accepted: samples that count for the share; each with the time and cost of all rounds so far, those "
            "of the others included.",
        ),
    )


def _interval(metric: Metric, value: Estimate | None, sign: str = "") -> str:
    return _NONE if value is None else _range(metric, value.low, value.high, sign)


def _range(metric: Metric, low: float | None, high: float | None, sign: str = "") -> str:
    return _NONE if low is None or high is None else f"[{metric.text(low, sign)}, {metric.text(high, sign)}]"


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3g}"
