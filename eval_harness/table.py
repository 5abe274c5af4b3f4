"""Results as a table, shaped like Table 1 of the paper, for a terminal and for Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from .notes import DECIMALS, caption, failure_lines, footnotes, method_name, short_label, table_rows
from .result_models import Metric, Results, Score

__all__ = ["aligned", "cell", "grid", "markdown_text", "printable", "to_console", "to_markdown"]


def to_markdown(results: Results) -> str:
    """Returns the table in GitHub's Markdown, with its caption above and its footnotes below."""
    head, rows = _cells(results)
    lines = [markdown_text(printable(caption(results))), "", *grid(head, rows)]
    notes = [printable(note) for note in (*footnotes(results), *failure_lines(results))]
    return "\n".join([*lines, "", *(f"{markdown_text(note)}  " for note in notes)]).rstrip() + "\n"


def to_console(results: Results, width: int | None = None) -> str:
    """Returns the table as aligned plain text, with its caption above and its footnotes below.

    Args:
        width: Columns of the terminal. Where the table would be wider, the standard errors are left out, then long
            method names are cut (to 12 columns at least); None means any width.
    """
    head, rows = _cells(results, short=True)
    if width is not None and sum(_widths(head, rows)) + 2 * (len(head) - 1) > width:
        head, rows = _cells(results, short=True, errors=False)
        excess = sum(_widths(head, rows)) + 2 * (len(head) - 1) - width
        if excess > 0:
            keep = max(_widths(head, rows)[0] - excess, 12)
            rows = [[_cut(line[0], keep), *line[1:]] for line in rows]
    widths = _widths(head, rows)
    lines = [_line(head, widths), _line(["─" * one for one in widths], widths)]
    previous = ""
    for row, cells in zip(table_rows(results), rows, strict=True):
        if previous and row.kind != previous:
            lines.append("")
        previous = row.kind
        lines.append(_line(cells, widths))
    notes = [printable(note) for note in (*footnotes(results), *failure_lines(results))]
    text = [
        *_wrapped(printable(caption(results)), width),
        "",
        *lines,
        "",
        *(part for note in notes for part in _wrapped(note, width)),
    ]
    return "\n".join(text).rstrip() + "\n"


def cell(score: Score, metric: Metric, *, error: bool = True) -> str:
    """Returns the headline with its standard error, as `85.77 ± 0.31`."""
    text = f"{score.mean:.{DECIMALS}f}"
    if error and score.standard_error is not None:
        text += f" ± {score.standard_error:.{DECIMALS}f}"
    return text


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 2) -> list[str]:
    """Returns the lines of a table of plain text: the head, a rule, the rows.

    Args:
        words: How many columns hold words and stand left; the others hold numbers and stand right.
    """
    rows = [[printable(text) for text in line] for line in rows]
    widths = _widths(head, rows)
    return [_line(line, widths, words) for line in (head, ["─" * one for one in widths], *rows)]


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 2) -> list[str]:
    """Returns the lines of a Markdown table.

    Args:
        words: As in `aligned`.
    """
    rule = ["---" if column < words else "---:" for column in range(len(head))]
    lines = ([markdown_text(printable(text)) for text in line] for line in (head, rule, *rows))
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cells(results: Results, *, short: bool = False, errors: bool = True) -> tuple[list[str], list[list[str]]]:
    labels = [short_label(metric) if short else metric.label for metric in results.metrics]
    head = ["Method", "Prompt", "Round", *labels, "n", "failed"]
    rows = [
        [
            printable(method_name(row)),
            row.prompt,
            "–" if row.kind == "ceiling" or row.round == 0 else str(row.round),
            *(cell(row.scores[metric.id], metric, error=errors) for metric in results.metrics),
            str(row.requested),
            str(row.failed),
        ]
        for row in table_rows(results)
    ]
    return head, rows


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(_columns(line[column]) for line in (head, *rows)) for column in range(len(head))]


def _columns(text: str) -> int:
    """Returns how many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _cut(text: str, width: int) -> str:
    if _columns(text) <= width:
        return text
    while _columns(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _line(cells: Sequence[str], widths: Sequence[int], words: int = 2) -> str:
    padded = []
    for column, (text, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _columns(text))
        padded.append(text + space if column < words else space + text)
    return "  ".join(padded).rstrip()


def _wrapped(text: str, width: int | None) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and width is not None and _columns(f"{line} {word}") > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def printable(text: str) -> str:
    """Returns the text with a space for everything that is no letter or sign."""
    # A name with escape sequences or line breaks must not write on the terminal what it likes.
    return "".join(one if one.isprintable() else " " for one in text)


def markdown_text(text: str) -> str:
    """Returns the text with the marks of Markdown made plain."""
    for mark in ("\\", "|", "*", "<", "[", "`"):
        text = text.replace(mark, "\\" + mark)
    return text
