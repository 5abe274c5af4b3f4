"""Writes a leaderboard as console text, Markdown, CSV, or JSON, and as a Gradio Space."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.scores.result_models import MOST_FAILED
from fashionedit.eval_harness.scores.table import failed_text
from fashionedit.files import write_all
from fashionedit.metrics.paper_metrics import Psnr
from fashionedit.runtime.hub import GRADIO
from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import column_widths, cut, escaped, markdown_rows, text_line, text_width, wrapped

from . import space_app
from .board import Board, BoardRow, Column


def board_to_json(board: Board) -> str:
    """Returns `leaderboard.json`."""
    return board.model_dump_json(indent=1) + "\n"


def board_to_console(board: Board, width: int | None = None) -> str:
    """Returns the board as aligned plain text.

    Args:
        width: Columns of the terminal: where the table would be wider, the intervals are left out, then long names are
            cut; None means any width.
    """
    lines = [*wrapped(printable(_caption(board)), width)]
    for title, head, rows in _parts(board):
        cells = [_cells(row, board) for row in rows]
        if width is not None and text_width(head, cells) > width:
            cells = [_cells(row, board, intervals=False) for row in rows]
            keep = max(column_widths(head, cells)[1] - max(text_width(head, cells) - width, 0), 12)
            cells = [[line[0], cut(line[1], keep), *line[2:]] for line in cells]
        widths, words = column_widths(head, cells), _words(head)
        lines += ["", title, "", text_line(head, widths, words=words)]
        lines.append(text_line(["─" * one for one in widths], widths, words=words))
        lines += [text_line(line, widths, words=words) for line in cells]
    lines += ["", *(part for note in _notes(board) for part in wrapped(printable(note), width))]
    return "\n".join(lines).rstrip() + "\n"


def board_to_markdown(board: Board) -> str:
    """Returns the board in GitHub's Markdown."""
    lines = [escaped(printable(_caption(board)))]
    for title, head, rows in _parts(board):
        cells = [_cells(row, board) for row in rows]
        lines += ["", f"### {title}", "", *markdown_rows(head, cells, words=_words(head))]
    return "\n".join([*lines, "", *(f"{escaped(printable(note))}  " for note in _notes(board))]).rstrip() + "\n"


def board_to_csv(board: Board) -> str:
    """Returns one line per row, with a column for each end of each interval; names that a sheet would compute are not.

    A cell that begins as a formula does gets an apostrophe in front.
    """
    metrics = list(dict.fromkeys(metric for row in board.rows for metric in row.scores))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    ends = [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]
    about = ("rank", "kind", "name", "model", "protocol", "reference", "state", "privileged", "stitched", "supplied")
    writer.writerow([*about, "official", "evidence", "hub", "n", "failed", "encoder", *ends, "place"])
    for row in board.rows:
        scores = [row.scores.get(metric) for metric in metrics]
        numbers = [getattr(one, end, None) for one in scores for end in ("mean", "low", "high")]
        told = [getattr(row, name) for name in about]
        line = [*told, row.official, row.evidence, row.hub, row.n, row.failed, row.encoder, *numbers, row.place]
        writer.writerow([_harmless(cell) for cell in line])
    return buffer.getvalue()


def _harmless(cell: object) -> object:
    if isinstance(cell, str):
        cell = printable(cell)
        return f"'{cell}" if cell[:1] in "=+-@" and cell else cell
    return "" if cell is None else cell


def _parts(board: Board) -> Iterator[tuple[str, tuple[str, ...], list[BoardRow]]]:
    """Yields title, head and rows of each table: the protocols, with floor, leaks and ceiling; then the rest."""
    own = [row for row in board.rows if row.official]
    shared = [row for row in own if row.kind != "editor"]
    for protocol, prompt in board.prompts.items():
        ranked = [row for row in own if row.kind == "editor" and row.protocol == protocol]
        beside = [row for row in shared if row.protocol in ("–", protocol)]
        if ranked:
            floor, rest = ([row for row in beside if (row.kind == "floor") is first] for first in (True, False))
            yield f"Prompt: {prompt} ({protocol})", _head(board, official=True), [*floor, *ranked, *rest]
    if others := [row for row in board.rows if not row.official]:
        yield "Other encoders, not ranked", _head(board, official=False), others


def _head(board: Board, *, official: bool) -> tuple[str, ...]:
    labels = [column.label for column in board.columns if column.official is official]
    return ("#", "Model", "Prompt", *([] if official else ["Encoder"]), *labels, "n", "failed", "Evidence", "Hub")


def _words(head: Sequence[str]) -> int:
    """Returns how many columns hold words, before those of the scores."""
    return 4 if "Encoder" in head else 3


def _cells(row: BoardRow, board: Board, *, intervals: bool = True) -> list[str]:
    return [
        "–" if row.rank is None else str(row.rank),
        printable(row.name) + _marks(row),
        board.prompts.get(row.protocol, "–") + (f" ({row.reference})" if row.reference not in ("–", "detail") else ""),
        *([] if row.official else [row.encoder]),
        *(_score(row, column, intervals=intervals) for column in board.columns if column.official is row.official),
        str(row.n),
        failed_text(row.failed, row.n),
        row.evidence or "–",
        row.hub or "–",
    ]


def _marks(row: BoardRow) -> str:
    marks = "‡" * row.supplied + "§" * row.stitched + "¶" * (row.state == "conversation") + "≠" * row.two_pictures
    return marks + "†" * row.privileged


def _score(row: BoardRow, column: Column, *, intervals: bool) -> str:
    value = row.scores.get(column.id)
    if value is None:
        return "–"
    text = f"{value.mean:z.{column.digits}f}"
    if intervals and value.low is not None and value.high is not None:
        text += f" [{value.low:z.{column.digits}f}, {value.high:z.{column.digits}f}]"
    return text if column.is_ranked(row) else f"({text})"


def _caption(board: Board) -> str:
    about = board.benchmark
    return (
        f"{about.repository} {about.split} at revision {about.revision[:12]}, n = {about.samples:,} "
        f"({board.garments:,} garments), after round 3; evidence in {board.results_repository}."
    )


def _notes(board: Board) -> list[str]:
    """Returns the sentences that the marks and the numbers need, and what is left out of the tables."""
    rows, columns = board.rows, board.columns
    best = next((column.label for column in columns if column.is_share), "")
    means = dict.fromkeys(column.label for column in columns if column.official and not column.is_share)
    notes = [
        f"Ranked by {best}, each track apart. In brackets the interval: {board.interval}.",
        f"{' and '.join(means)} stand in parentheses where more than {MOST_FAILED:.0%} of the samples failed, and rank "
        "nothing there: a refusal may count more than a poor edit.".replace("%", " %"),
        "verified: the results repository's owners computed every score again. community: the evidence contradicts "
        "itself nowhere.",
    ]
    for mark, meaning, shown in (
        ("†", "sees the answer: a baseline, not a competing system.", any(row.privileged for row in rows)),
        ("‡", "images made elsewhere and imported.", any(row.supplied for row in rows)),
        ("§", "base and reference side by side in one image.", any(row.stitched for row in rows)),
        ("≠", Psnr.control_note, any(row.two_pictures for row in rows)),
        ("¶", "rounds chained by the service's conversation.", any(row.state == "conversation" for row in rows)),
    ):
        if shown:
            notes.append(f"{mark} {meaning}")
    if any(row.hub == "differs" for row in rows):
        notes.append("differs: the Hub has another number for this model than its evidence.")
    notes += [f"refused {one.place}: {' '.join(_first(one.reasons))}" for one in board.refused]
    notes += [
        f"without evidence: {one.model}, {one.task} {one.value:g} ({one.state} on the Hub)."
        for one in board.unsupported or ()
    ]
    return notes


def _first(reasons: Sequence[str], most: int = 2) -> list[str]:
    rest = len(reasons) - most
    return [*reasons[:most], *([f"And {rest:,} more."] if rest > 0 else [])]


_OWN = frozenset({"README.md", "app.py", "leaderboard.json"})

_TEXT = """\
# FashionEdit leaderboard

Made by `fashionedit leaderboard --space DIR`, from the evidence in `{results}`. Made again, and pushed again, it is up
to date. `leaderboard.json` holds everything that the page shows; nothing is fetched, and nobody has to log in.

```console
$ hf upload ORG/NAME DIR --repo-type space
```
"""


def write_space(board: Board, folder: Path) -> list[Path]:
    """Writes the Space into a folder, new or an earlier one's, and returns its files.

    Raises:
        InvalidDataError: The folder holds other files.
    """
    import yaml

    there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if others := sorted(name for name in there if name not in _OWN and not name.startswith(".")):
        raise InvalidDataError(f"{folder} holds {others[0]}, which is no file of a Space of ours; choose a new folder")
    front = {
        "title": "FashionEdit leaderboard",
        "emoji": "🧵",
        "colorFrom": "indigo",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "app_file": "app.py",
        "pinned": False,
        "license": "apache-2.0",
        "datasets": [board.benchmark.repository, board.results_repository],
        "tags": ["leaderboard", "image-editing"],
    }
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    files = {
        "README.md": f"---\n{head}---\n\n{_TEXT.format(results=board.results_repository)}".encode(),
        "app.py": Path(space_app.__file__).read_bytes(),
        "leaderboard.json": board_to_json(board).encode(),
    }
    written = {folder / name: content for name, content in files.items()}
    write_all(written)
    return list(written)
