"""The page as a document: the filled template, written as one file or as a folder."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fashionedit.errors import InvalidDataError
from fashionedit.files import open_regular, write_atomically
from fashionedit.owned_folders import new_folder

from .storyboard import Storyboard

_TEMPLATES = Path(__file__).parent / "templates"
_STYLES = ("base.css", "tables.css", "charts.css", "sample.css", "viewer.css", "print.css")
_SCRIPTS = ("store.js", "sample.js", "list.js", "viewer.js", "figure.js", "keys.js")
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


def document(values: dict[str, Any], *, folder: bool) -> str:
    """Returns the filled template.

    Its content policy allows this very style and script, pictures that the script makes, and in a folder the script
    files beside it; nothing from a network.
    """
    style = "\n".join(map(_text, _STYLES))
    script = '(() => {\n"use strict";\n' + "\n".join(map(_text, _SCRIPTS)) + "\n})();"
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    policy = _policy(style, script, folder=folder)
    return environment.get_template("page.html").render(
        **values, folder=folder, style=Markup(style), script=Markup(script), policy=policy
    )


def script_json(value: Any) -> str:
    """Returns ASCII JSON that can stand in a script: nothing in it ends the element, or hides or turns text."""
    # Inside a script element only "</script" and "<!--" could end the data; neither survives without "<".
    return json.dumps(_visible(value), separators=(",", ":")).replace("<", "\\u003c")


def visible(text: str) -> str:
    """Returns the text with control characters, and what turns the direction of the text after it, as `\ufffd`."""
    return _HIDDEN.sub("\ufffd", text)


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _visible(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(one) for one in value]
    return value


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _policy(style: str, script: str, *, folder: bool) -> str:
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    files = "'self' " if folder else ""
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src {files}'sha256-{script_hash}'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'"
    )


MOST_IN_A_FILE = 48
"""A page of more samples becomes a folder by default; `pictures.FILE_BUDGET` bounds the bytes of their pictures."""

Form = Literal["file", "folder"]


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


def write_file(board: Storyboard, details: Iterable[Any], out: Path, values: dict[str, Any]) -> None:
    """Writes everything into one file, whole or not at all.

    Raises:
        InvalidDataError: A file of somebody else has that name.
    """
    if out.exists() and not _is_page(out):
        raise InvalidDataError(f"{out} exists and is no page of fashionedit; choose another name, or remove it")
    data = {
        "index": script_json(board.index),
        "texts": script_json(board.texts),
        "details": [script_json(detail) for detail in details],
    }
    write_atomically(out, document({**values, **data}, folder=False).encode())


def _is_page(path: Path) -> bool:
    with open_regular(path) as file:
        return b"<title>FashionEdit: " in file.read(2**16)


def write_folder(board: Storyboard, details: Iterable[Any], out: Path, values: dict[str, Any]) -> None:
    """Writes `index.html`, and `data/` with a script for what is needed at once, one for searches, one per sample.

    The folder is written beside the place it is meant for and put there whole; a page that was there before goes, and
    files that are not the page's stay.

    Raises:
        InvalidDataError: Something else than a page is there.
    """
    with new_folder(out, "page", replace=True) as fresh:
        data = fresh / "data"
        (data / "samples").mkdir(parents=True)
        (data / "index.js").write_text(_call("index", board.index), encoding="ascii")
        (data / "texts.js").write_text(_call("texts", board.texts), encoding="ascii")
        for place, detail in enumerate(details):
            (data / "samples" / f"{place:05d}.js").write_text(_call("sample", place, detail), encoding="ascii")
        (fresh / "index.html").write_text(document(values, folder=True), encoding="utf-8")


def _call(name: str, *values: Any) -> str:
    return f"fashionedit.{name}({','.join(map(script_json, values))});\n"
