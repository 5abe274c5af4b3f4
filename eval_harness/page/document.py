"""The page as text: styles, script and data in one document, whatever anybody wrote shown as text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"
_STYLES = ("base.css", "tables.css", "charts.css", "board.css", "viewer.css", "print.css")
_SCRIPTS = ("store.js", "board.js", "list.js", "viewer.js", "pdf.js", "fig4.js", "figure.js", "keys.js")
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


def document(template: str, values: dict[str, Any], *, folder: bool) -> str:
    """Returns the filled template.

    Its content policy allows this very style and script, pictures that the script makes, and in a folder the script
    files beside it; nothing from a network.
    """
    style = "\n".join(_text(name) for name in _STYLES)
    script = '(() => {\n"use strict";\n' + "\n".join(_text(name) for name in _SCRIPTS) + "\n})();"
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            folder=folder,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script, folder=folder),
        )
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


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


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
