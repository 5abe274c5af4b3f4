"""Tables of text, aligned or in GitHub's Markdown; control codes in cells are not printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from .secrets import printable

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
        space = " " * (width - cell_len(text))
        padded.append(text + space if column < words else space + text)
    return (" " * _GAP).join(padded).rstrip()


def column_widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Returns how wide each column must be, in columns of a terminal."""
    return [max(cell_len(line[column]) for line in (head, *rows)) for column in range(len(head))]


def text_width(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Returns how wide the table is, in columns of a terminal."""
    return sum(column_widths(head, rows)) + _GAP * (len(head) - 1)


def cut(text: str, width: int) -> str:
    """Returns the text, with an ellipsis in place of what does not fit."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def wrapped(text: str, width: int | None) -> Iterator[str]:
    """Yields the lines of a text, broken at spaces; one line where there is no width."""
    line = ""
    for word in text.split(" "):
        if line and width is not None and cell_len(f"{line} {word}") > width:
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
