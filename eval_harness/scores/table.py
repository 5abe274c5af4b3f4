"""Results as a table, shaped like Table 1 of the paper, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import aligned, column_widths, cut, escaped, markdown_rows, text_width, wrapped

from .labels import (
    caption,
    failed_text,
    failure_lines,
    footnotes,
    method_name,
    ranked_text,
    round_text,
    short_label,
    table_rows,
)
from .result_models import Metric, Results, Row


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
