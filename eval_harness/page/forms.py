"""The two forms of a page: one file that holds everything, or a folder whose pictures are loaded when they are seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fashionedit.errors import InvalidDataError
from fashionedit.files import write_atomically
from fashionedit.owned_folders import new_folder

from .document import script_json
from .storyboard import Storyboard

MOST_IN_A_FILE = 48
"""How many samples are written into one file unless told otherwise."""

Form = Literal["file", "folder"]

Render = Callable[[dict[str, Any]], str]
"""Makes the document from the data that it carries."""


def page_path(out: Path, form: Form) -> Path:
    """Returns the file to open: `out` with the ending `.html`, or `index.html` in the folder `out`.

    Raises:
        InvalidDataError: A folder was asked for under a name that ends in `.html`.
    """
    is_file = out.suffix.lower() in (".html", ".htm")
    if form == "file":
        return out if is_file else out.with_name(f"{out.name}.html")
    if is_file:
        raise InvalidDataError(f"{out} is the name of one file and a folder was asked for; give a name without .html")
    return out / "index.html"


def write_file(board: Storyboard, out: Path, render: Render, done: Callable[[], None]) -> None:
    """Writes everything into one file, whole or not at all."""
    details = []
    for detail in board.details():
        details.append(script_json(detail))
        done()
    data = {"index": script_json(board.index), "texts": script_json(board.texts), "details": details}
    write_atomically(out, render(data).encode())


def write_folder(board: Storyboard, out: Path, render: Render, done: Callable[[], None]) -> None:
    """Writes `index.html`, and `data/` with a script for what is needed at once, one for searches, one per sample.

    The folder is written beside the place it is meant for and put there whole; a page that was there before goes, and
    files that are not the page's stay.

    Raises:
        InvalidDataError: Something else than a page is there.
    """
    with new_folder(out, "page", replace=True) as fresh:
        _fill(board, fresh, render, done)


def _fill(board: Storyboard, folder: Path, render: Render, done: Callable[[], None]) -> None:
    data = folder / "data"
    (data / "samples").mkdir(parents=True)
    (data / "index.js").write_text(_call("index", board.index), encoding="ascii")
    (data / "texts.js").write_text(_call("texts", board.texts), encoding="ascii")
    for place, detail in enumerate(board.details()):
        (data / "samples" / f"{place:05d}.js").write_text(_call("sample", place, detail), encoding="ascii")
        done()
    (folder / "index.html").write_text(render({}), encoding="utf-8")


def _call(name: str, *values: Any) -> str:
    return f"fashionedit.{name}({','.join(script_json(value) for value in values)});\n"
