"""Results as a table, shaped like Table 1 of the paper, for a terminal and for Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from fashionedit.runtime.secrets import printable

from .labels import (
    DECIMALS,
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

_GAP = 2


def markdown_rows(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> list[str]:
    """Returns the lines of a table in GitHub's Markdown, every cell escaped.

    Args:
        words: How many of the first columns hold words; the others are set to the right.
    """
    rule = ["---" if column < words else "---:" for column in range(len(head))]
    return ["| " + " | ".join(escaped(printable(text)) for text in line) + " |" for line in (head, rule, *rows)]


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> list[str]:
    """Returns the lines of a table in a terminal: the head, a rule, the rows; `words` as in `markdown_rows`."""
    rows = [[printable(text) for text in line] for line in rows]
    widths = column_widths(head, rows)
    return [text_line(line, widths, words=words) for line in (head, ["─" * one for one in widths], *rows)]


def text_line(cells: Sequence[str], widths: Sequence[int], *, words: int) -> str:
    """Returns one line of a table in a terminal; `words` as in `markdown_rows`."""
    padded = []
    for column, (text, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _columns(text))
        padded.append(text + space if column < words else space + text)
    return (" " * _GAP).join(padded).rstrip()


def column_widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Returns how wide each column must be, in columns of a terminal."""
    return [max(_columns(line[column]) for line in (head, *rows)) for column in range(len(head))]


def text_width(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Returns how wide the table is, in columns of a terminal."""
    return sum(column_widths(head, rows)) + _GAP * (len(head) - 1)


def cut(text: str, width: int) -> str:
    """Returns the text, with an ellipsis in place of what does not fit."""
    if _columns(text) <= width:
        return text
    while _columns(text) > width - 1:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, width: int | None) -> Iterator[str]:
    """Yields the lines of a text, broken at spaces; one line where there is no width."""
    line = ""
    for word in text.split(" "):
        if line and width is not None and _columns(f"{line} {word}") > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def escaped(text: str) -> str:
    """Returns the text with the marks of Markdown and HTML taken literally."""
    for mark in ("\\", "|", "*", "<", "[", "`"):
        text = text.replace(mark, "\\" + mark)
    return text


def _columns(text: str) -> int:
    """Returns how many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


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
    text = f"{score.mean:z.{DECIMALS}f}"
    if error and score.standard_error is not None:
        text += f" ± {score.standard_error:z.{DECIMALS}f}"
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
