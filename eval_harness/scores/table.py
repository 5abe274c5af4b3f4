"""Results as a table, shaped like Table 1 of the paper, for a terminal and for Markdown: caption, cells, footnotes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import DETAIL, REFERENCES, ReferenceKind
from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import aligned, column_widths, cut, escaped, markdown_rows, text_width, wrapped

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


def to_markdown(results: Results) -> str:
    """Returns the table in GitHub's Markdown, with its caption above and its footnotes below."""
    head, rows = table_cells(results)
    lines = [escaped(printable(caption(results))), "", *markdown_rows(head, rows, words=2)]
    return "\n".join([*lines, "", *(f"{escaped(note)}  " for note in _notes(results))]).rstrip() + "\n"


def to_console(results: Results, width: int | None = None) -> str:
    """Returns the table as aligned plain text, with its caption above and its footnotes below.

    Args:
        width: Columns of the terminal. Where the table would be wider, the standard errors are left out, then long
            method names are cut (to 12 columns at least); None means any width.
    """
    head, rows = table_cells(results, short=True)
    if width is not None and text_width(head, rows) > width:
        head, rows = table_cells(results, short=True, errors=False)
        excess = text_width(head, rows) - width
        if excess > 0:
            keep = max(column_widths(head, rows)[0] - excess, 12)
            rows = [[cut(line[0], keep), *line[1:]] for line in rows]
    top, rule, *body = aligned(head, rows, words=2)
    lines = [top, rule]
    groups = ["baseline" if row.kind == "trivial" else row.kind for row in table_rows(results)]
    for place, line in enumerate(body):
        if place and groups[place] != groups[place - 1]:
            lines.append("")
        lines.append(line)
    notes = [part for note in _notes(results) for part in wrapped(note, width)]
    return "\n".join([*wrapped(printable(caption(results)), width), "", *lines, "", *notes]).rstrip() + "\n"


def _notes(results: Results) -> list[str]:
    return [printable(note) for note in (*footnotes(results), *failure_lines(results))]


def _score(row: Row, metric: Metric, *, error: bool) -> str:
    """Returns the primary score with its standard error, as `85.77 ± 0.31`; in parentheses where it is not ranked."""
    score = row.scores[metric.id]
    text = metric.text(score.mean)
    if error and score.standard_error is not None:
        text += f" ± {metric.text(score.standard_error)}"
    return ranked_text(text, row, metric)


def table_cells(results: Results, *, short: bool = False, errors: bool = True) -> tuple[list[str], list[list[str]]]:
    """Returns the head of the table and its rows; `short` leaves the encoder out of the head."""
    labels = [short_label(metric) if short else metric.label for metric in results.metrics]
    head = ["Method", "Prompt", "Round", *labels, "n", "failed"]
    rows = [
        [
            printable(method_name(row)),
            row.prompt,
            round_text(row),
            *(_score(row, metric, error=errors) for metric in results.metrics),
            str(row.requested),
            failed_text(row.failed, row.requested),
        ]
        for row in table_rows(results)
    ]
    return head, rows


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title above it and sentences below.

    Args:
        words: How many columns hold words; the others hold numbers.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 2

    def lines(self, *, markdown: bool) -> list[str]:
        """Returns it as aligned plain text or as Markdown, with an empty line at the end; nothing without rows."""
        if not self.rows:
            return []
        notes = [printable(note) for note in self.notes]
        if not markdown:
            return [printable(self.title), *aligned(self.head, self.rows, words=self.words), *notes, ""]
        table = markdown_rows(self.head, self.rows, words=self.words)
        notes = [*map(escaped, notes), ""] if notes else []
        return [f"### {escaped(printable(self.title))}", "", *table, "", *notes]


def sections_text(sections: Iterable[Section], *, markdown: bool = False) -> str:
    """Returns the sections as aligned plain text or as Markdown; those without rows are left out."""
    lines = [line for section in sections for line in section.lines(markdown=markdown)]
    return "\n".join(lines).rstrip() + "\n" if lines else ""
