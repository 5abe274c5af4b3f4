"""Results as a table, shaped like Table 1 of the paper, for a terminal and for Markdown."""

from __future__ import annotations

from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import column_widths, cut, escaped, markdown_rows, text_line, text_width, wrapped

from .labels import (
    caption,
    failed_text,
    failure_lines,
    footnotes,
    method_name,
    ranked_text,
    short_label,
    table_rows,
)
from .result_models import Metric, Results, Row


def to_markdown(results: Results) -> str:
    """Returns the table in GitHub's Markdown, with its caption above and its footnotes below."""
    head, rows = _cells(results)
    lines = [escaped(printable(caption(results))), "", *markdown_rows(head, rows, words=2)]
    notes = [printable(note) for note in (*footnotes(results), *failure_lines(results))]
    return "\n".join([*lines, "", *(f"{escaped(note)}  " for note in notes)]).rstrip() + "\n"


def to_console(results: Results, width: int | None = None) -> str:
    """Returns the table as aligned plain text, with its caption above and its footnotes below.

    Args:
        width: Columns of the terminal. Where the table would be wider, the standard errors are left out, then long
            method names are cut (to 12 columns at least); None means any width.
    """
    head, rows = _cells(results, short=True)
    if width is not None and text_width(head, rows) > width:
        head, rows = _cells(results, short=True, errors=False)
        excess = text_width(head, rows) - width
        if excess > 0:
            keep = max(column_widths(head, rows)[0] - excess, 12)
            rows = [[cut(line[0], keep), *line[1:]] for line in rows]
    widths = column_widths(head, rows)
    lines = [text_line(head, widths, words=2), text_line(["─" * one for one in widths], widths, words=2)]
    previous = ""
    for row, cells in zip(table_rows(results), rows, strict=True):
        group = "baseline" if row.kind == "trivial" else row.kind
        if previous and group != previous:
            lines.append("")
        previous = group
        lines.append(text_line(cells, widths, words=2))
    notes = [printable(note) for note in (*footnotes(results), *failure_lines(results))]
    text = [
        *wrapped(printable(caption(results)), width),
        "",
        *lines,
        "",
        *(part for note in notes for part in wrapped(note, width)),
    ]
    return "\n".join(text).rstrip() + "\n"


def cell(row: Row, metric: Metric, *, error: bool = True) -> str:
    """Returns the primary score with its standard error, as `85.77 ± 0.31`; in parentheses where it is not ranked."""
    score = row.scores[metric.id]
    text = metric.text(score.mean)
    if error and score.standard_error is not None:
        text += f" ± {metric.text(score.standard_error)}"
    return ranked_text(text, row, metric)


def _cells(results: Results, *, short: bool = False, errors: bool = True) -> tuple[list[str], list[list[str]]]:
    labels = [short_label(metric) if short else metric.label for metric in results.metrics]
    head = ["Method", "Prompt", "Round", *labels, "n", "failed"]
    rows = [
        [
            printable(method_name(row)),
            row.prompt,
            "–" if row.kind == "ceiling" or row.round == 0 else str(row.round),
            *(cell(row, metric, error=errors) for metric in results.metrics),
            str(row.requested),
            failed_text(row.failed, row.requested),
        ]
        for row in table_rows(results)
    ]
    return head, rows
