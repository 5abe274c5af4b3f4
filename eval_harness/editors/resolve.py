"""From a name on the command line to an editor, importing only what that name needs."""

from __future__ import annotations

from importlib import import_module

from fashionedit.errors import UnknownNameError
from fashionedit.eval_harness.editing import Editor, PrivilegedEditor

__all__ = ["EDITORS", "resolve_editor"]

EDITORS: dict[str, str] = {
    "identity": "plain:Identity",
    "return-reference": "plain:ReturnReference",
    "paste-reference": "privileged:PasteReference",
    "oracle": "privileged:Oracle",
    "synthetic-stepper": "privileged:SyntheticStepper",
}
"""Name → module of this package and class; imported when asked for."""


def resolve_editor(spec: str) -> Editor | PrivilegedEditor:
    """Returns the editor that a command line names.

    Args:
        spec: A key of `EDITORS`, `package.module:attribute`, or `path/to/file.py:attribute` (see `editors/callables.py`
            for what the attribute may be).

    Raises:
        UnknownNameError: Nothing has this name.
        EditorError: What has it is no editor.
    """
    if spec in EDITORS:
        module, _, name = EDITORS[spec].partition(":")
        editor: Editor | PrivilegedEditor = getattr(import_module(f"{__package__}.{module}"), name)()
        return editor
    if ":" in spec:
        from .callables import load_editor

        return load_editor(spec)
    raise UnknownNameError(
        f"no editor is called {spec!r}; choose {', '.join(EDITORS)}, or give package.module:attribute or "
        "path/to/file.py:attribute"
    )
