"""The words around the numbers: what was scored, what the marks mean, how failures were counted."""

from __future__ import annotations

from collections.abc import Sequence

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import DETAIL, REFERENCES, ReferenceKind

from .primary_scores import unfinished
from .result_models import MOST_FAILED, Metric, Results, Row

DECIMALS = 2


def table_rows(results: Results) -> list[Row]:
    """Returns the rows as a table shows them: floor, editors, baselines, ceiling; equal ceilings once."""
    rows: list[Row] = []
    for row in results.rows:
        if row.kind == "ceiling" and any(other.kind == "ceiling" and other.scores == row.scores for other in rows):
            continue
        rows.append(row)
    return rows


def method_name(row: Row) -> str:
    """Returns the method with its marks: † sees the answer, ‡ was made elsewhere, ≠ has a doubtful score."""
    return row.method + "†" * row.privileged + "‡" * row.supplied + "≠" * bool(row.doubtful)


def round_text(row: Row) -> str:
    """Returns the round; `–` where the row is the same after each."""
    return "–" if row.kind == "ceiling" or row.round == 0 else str(row.round)


def failed_text(failed: int, n: int) -> str:
    """Returns how many failed, with their share.

    >>> failed_text(47, 60), failed_text(0, 60)
    ('47 (78.3 %)', '0')
    """
    return f"{failed} ({100 * failed / n:.1f} %)" if failed else "0"


def ranked_text(text: str, row: Row, metric: Metric) -> str:
    """Returns a score in words, in parentheses where the row has no rank by this metric."""
    return text if row.is_ranked(metric) else f"({text})"


def ranking_note(metrics: Sequence[Metric]) -> str:
    """Returns which rows are ranked by which metric, in a sentence."""
    stars = "".join(f" {short_label(metric)} ranks all." for metric in metrics if metric.is_share)
    others = [short_label(metric) for metric in metrics if not metric.is_share]
    verb = "ranks" if len(others) == 1 else "rank"
    *firsts, last = others
    listed = f"{', '.join(firsts)} and {last}" if firsts else last
    return (
        f"{listed} {verb} only methods that failed on at most {MOST_FAILED:.0%} of the samples, because a refusal can "
        f"score higher than a poor edit; the scores of other methods are in parentheses.{stars}".replace("%", " %")
    )


def caption(results: Results) -> str:
    """Returns what was scored against: dataset, split, denominator, encoder, box area, control set or not."""
    data = results.dataset
    garments = f"{data.garments} garment{'s' if data.garments != 1 else ''}"
    n = f"n = {data.samples:,}" + (f" of {data.samples + data.not_reached:,}" if data.not_reached else "")
    parts = [
        f"{data.name} {data.split}, {samples_left_out(results) or n} ({garments})",
        *filter(None, [encoder_text(results)]),
        f"mean box area {data.mean_box_area:.1f} %",
        f"originals {data.originals}",
    ]
    if data.control_set:
        parts.append("control set: rendered garments, not photographs")
    return "; ".join(parts) + "."


def encoder_text(results: Results) -> str:
    """Returns `encoder: NAME`, with what its scores must not be taken for; nothing where no metric has one."""
    notes: dict[str, str] = {}
    for metric in results.metrics:
        if metric.encoder and not metric.is_share:
            notes[metric.encoder] = notes.get(metric.encoder) or metric.note
    texts = [f"{encoder} ({note})" if note else encoder for encoder, note in notes.items()]
    return f"encoder{'s' if len(texts) > 1 else ''}: {', '.join(texts)}" if texts else ""


def samples_left_out(results: Results) -> str:
    """Returns `n = 812 of 1,000 samples, those that have an example`; nothing where n is the whole split."""
    data = results.dataset
    if not data.left_out:
        return ""
    have = "has" if data.samples == 1 else "have"
    those = "the one that" if data.samples == 1 else "those that"
    nouns = " and ".join(kind.noun for kind in reference_kinds(results))
    return f"n = {data.samples:,} of {data.samples + data.left_out:,} samples, {those} {have} {nouns}"


def reference_kinds(results: Results) -> list[ReferenceKind]:
    """Returns the kinds of reference that the runs show, the paper's first."""
    return [kind for name, kind in REFERENCES.items() if any(run.reference == name for run in results.runs)]


def _reference_notes(results: Results) -> list[str]:
    """Returns what the prompts with a reference mean, where any is not the crop that the paper measures."""
    shown = reference_kinds(results)
    if all(kind.name == DETAIL for kind in shown):
        return []
    protocols = [PROTOCOLS[name] for name in PROTOCOLS if any(row.protocol == name for row in results.rows)]
    showing = [protocol for protocol in protocols if protocol.shows_reference] or [PROTOCOLS["bug"]]
    meanings = "; ".join(
        f"{', '.join(protocol.prompt(kind.label) for protocol in showing)} shows {kind.meaning}" for kind in shown
    )
    apart = " Compare a row with the baselines of its own prompt." if len(shown) > 1 else ""
    return [f"{meanings}.{apart}"]


def footnotes(results: Results) -> list[str]:
    """Returns the sentences that the marks and the numbers need."""
    rows = results.rows
    whole = "the samples that have this reference" if results.dataset.left_out else "the whole split"
    stars = [metric for metric in results.metrics if metric.is_share]
    missed = "".join(f"is a miss for {short_label(star)}; in other columns it " for star in stars)
    notes = [
        "".join(f"{star.label}: {star.unit}. " for star in stars) + "± is the standard error, clustered by garment.",
        f"n is {whole}. A failed round {missed}scores as the draft or the last good image, whichever is lower, so a "
        "refusal never beats the draft.",
        ranking_note(results.metrics),
    ]
    if results.dataset.not_reached or unfinished(results):
        notes.append("Unfinished: n counts the samples edited in this round so far; such scores can't be submitted.")
    if any(row.kind == "trivial" for row in rows):
        notes.append(
            "Flat grey is a plain grey image, Faded draft the draft at 40 % contrast: scores that need no edit."
        )
    notes += _reference_notes(results)
    if any(row.privileged for row in rows):
        notes.append("† sees the answer: a baseline, not a competing system.")
    if any(row.supplied for row in rows):
        notes.append("‡ images made elsewhere and imported.")
    doubtful = {id for row in rows for id in row.doubtful}
    notes += [f"≠ {metric.control_note}" for metric in results.metrics if metric.id in doubtful]
    if found := [row for row in table_rows(results) if row.identical]:
        which = ", ".join(f"{place(row)}: {row.identical}" for row in found)
        notes += [
            f"{short_label(metric)} of identical images is {metric.identical:.1f} {metric.unit} by definition and "
            f"lifts the mean; identical pairs: {which}."
            for metric in results.metrics
            if metric.identical is not None
        ]
    return notes


def failure_lines(results: Results) -> list[str]:
    """Returns for each row with failures how they ended, and the other two readings of its scores."""
    lines = []
    for row in table_rows(results):
        if row.failed:
            statuses = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in row.failures.items())
            carried = ", ".join(_reading(row, metric, "carry_forward") for metric in results.metrics)
            whole = ", ".join(_reading(row, metric, "completers") for metric in results.metrics)
            bounds = "".join(f" {_bounds(row, metric)}." for metric in results.metrics if metric.is_share)
            lines.append(
                f"{place(row)}: {statuses} of {row.requested}. Carry-forward: {carried}. Completers only "
                f"(n = {row.completers}): {whole}.{bounds}"
            )
    return lines


def _reading(row: Row, metric: Metric, field: str) -> str:
    value = getattr(row.scores[metric.id], field)
    return f"{short_label(metric)} {metric.text(value)}"


def _bounds(row: Row, metric: Metric) -> str:
    score = row.scores[metric.id]
    return f"{short_label(metric)} lies between {metric.text(score.worst)} and {metric.text(score.best)}"


def place(row: Row) -> str:
    """Returns which row it is, in words."""
    return (
        row.method if row.kind in ("floor", "trivial", "ceiling") else f"{row.method}, {row.prompt}, round {row.round}"
    )


def short_label(metric: Metric) -> str:
    """Returns the metric's label without the encoder."""
    return metric.label.split(" (")[0]
