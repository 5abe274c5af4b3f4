"""From a name on the command line to an editor, importing only what that name needs."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fashionedit.errors import EditorError, InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import Editor, PrivilegedEditor
from fashionedit.runtime.user_code import described, users_code

from .settings import EditorSettings

EDITORS: dict[str, str] = {
    "identity": "baselines:Identity",
    "return-reference": "baselines:ReturnReference",
    "paste-reference": "baselines:PasteReference",
    "oracle": "baselines:Oracle",
    "synthetic-stepper": "baselines:SyntheticStepper",
}
"""Name → module of this package and class; imported when asked for."""


PREFIXES: dict[str, str] = {
    "openai": "openai_editors:OpenAIImages",
    "openai-responses": "openai_editors:OpenAIResponses",
    "http": "http_editor:open_http",
    "https": "http_editor:open_https",
    "command": "command_editor:CommandEditor",
    "diffusers": "diffusers_editor:DiffusersEditor",
    "hf": "hf_inference:HfInferenceEditor",
    "space": "spaces:SpaceEditor",
}
"""Prefix before the colon → module of this package, and its class or function `(rest, settings) -> Editor`."""

ENTRY_POINTS = "fashionedit.editors"
"""The group of entry points in which other packages offer such functions under names of their own."""


def as_editor(editor: Any) -> Editor | PrivilegedEditor:
    """Returns the editor that is given as one, as a function `edit(image, instruction)`, or by its name.

    Raises:
        EditorError: It is none of these.
    """
    if isinstance(editor, str):
        return resolve_editor(editor)
    if not isinstance(editor, type):
        if isinstance(editor, Editor | PrivilegedEditor):
            return editor
        if callable(editor):
            from .callables import function_editor

            return function_editor(editor, getattr(editor, "__name__", type(editor).__name__))
    raise EditorError(
        f"{editor!r} is no editor; give an instance with describe() and edit(), a function edit(image, instruction) or "
        "a name such as 'openai:MODEL'"
    )


def resolve_editor(spec: str, settings: EditorSettings | None = None) -> Editor | PrivilegedEditor:
    """Returns the editor that a command line names.

    Args:
        spec: A key of `EDITORS`, `PREFIX:…` with a key of `PREFIXES`, the name of an entry point of the group
            `fashionedit.editors` (alone or with `:…`), `package.module:attribute`, or `path/to/file.py:attribute` (see
            `editors/callables.py` for what the attribute may be).
        settings: What is said about it beside its name.

    Raises:
        UnknownNameError: Nothing has this name.
        EditorError: What has it is no editor.
        InvalidDataError: A setting is not one of this editor's.
        MissingExtraError: It needs a package that is not installed.
        ServiceError: It can't work as set up: no key, no such repository.
    """
    settings = settings or EditorSettings()
    prefix, colon, rest = spec.partition(":")
    if settings.pass_env and prefix != "command":
        raise InvalidDataError(f"--pass-env is for command: editors, and {spec} runs no program; leave it out")
    if colon and prefix in PREFIXES:
        module, _, name = PREFIXES[prefix].partition(":")
        opened: Editor = getattr(import_module(f"{__package__}.{module}"), name)(rest, settings)
        return opened
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if prefix in installed and spec not in EDITORS:
        return _opened(installed[prefix], rest, settings)
    if colon:
        from .callables import load_editor

        return load_editor(spec, settings)
    settings.known_options(spec, {})
    if spec in EDITORS:
        settings.refuse(version=f"{spec} has a version of its own; leave --version out")
        module, _, name = EDITORS[spec].partition(":")
        editor: Editor | PrivilegedEditor = getattr(import_module(f"{__package__}.{module}"), name)()
        return editor
    names = ", ".join([*EDITORS, *installed])
    raise UnknownNameError(
        f"no editor is called {spec!r}; choose {names}, or give package.module:attribute or path/to/file.py:attribute"
    )


def _opened(point: EntryPoint, rest: str, settings: EditorSettings) -> Editor | PrivilegedEditor:
    """Returns the editor of an installed package.

    Raises:
        EditorError: What is installed can't be imported, or is no editor.
    """
    what = f"the entry point {point.name} ({point.value})"
    try:
        with users_code(what):
            open_editor = point.load()
    except (ImportError, AttributeError) as error:
        raise EditorError(f"{what} can't be loaded ({described(error)}); install its package again") from error
    if not callable(open_editor):
        raise EditorError(f"{what} is a {type(open_editor).__name__}; it must be a function (rest, settings) -> Editor")
    with users_code(what):
        editor = open_editor(rest, settings)
    if not isinstance(editor, Editor | PrivilegedEditor):
        raise EditorError(f"{what} returned {type(editor).__name__}; return an object with describe() and edit()")
    return editor
