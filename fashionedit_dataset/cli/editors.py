"""The verb that looks at an editor before a run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from fashionedit.errors import FashionEditError

from .options import (
    editor_options,
    editor_settings,
    open_data,
    param_option,
    parameters,
    quiet_option,
    reference_option,
    split_option,
)
from .printing import echo

_DATA = "synthetic:1"


@click.command(short_help="Try an editor before a run.")
@click.argument("editor")
@click.option(
    "--data",
    default=_DATA,
    show_default=True,
    metavar="DATA",
    help="Dataset, as for run; the first sample is used.",
)
@split_option
@reference_option
@editor_options
@param_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@quiet_option
def doctor(
    editor: str,
    data: str,
    split: str,
    reference: str,
    params: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Check EDITOR on one sample per protocol before you pay for a run.

    Reports whether the reference image, the instruction and the seed change the result; sizes, transparency, black or
    unchanged pictures; refusals; time and cost of the whole split; and the command for the run. EDITOR and its options
    are those of run. Makes at most twelve edits and writes nothing. The exit code is 1 if a problem was found.
    """
    from fashionedit.eval_harness.diagnostics.doctor import examine
    from fashionedit.eval_harness.editors import resolve_editor

    asked = parameters(params)
    found = resolve_editor(editor, editor_settings(given))
    source = open_data(data, split, quiet)
    diagnosis = examine(
        found,
        source,
        params=asked,
        reference=reference,
        begin=lambda calls: echo(f"this makes up to {calls} calls of {editor}", err=True),
    )
    line = ["fashionedit", "run", editor, "--data", _next_data(data), "--out", f"runs/{_folder_name(diagnosis.editor)}"]
    line += _as_given(click.get_current_context())
    diagnosis = replace(diagnosis, command=shlex.join(line))
    echo(diagnosis.to_json() if as_json else diagnosis.to_text())
    if not diagnosis.ready:
        sys.exit(1)


def _next_data(data: str) -> str:
    """Returns the data to run on: what was given, else the full set, else the control set where no other is known."""
    from fashionedit.data import find_source

    if data != _DATA:
        return data
    try:
        find_source("fashionedit")
    except FashionEditError:
        return "synthetic"
    return "fashionedit"


def _as_given(context: click.Context) -> Iterator[str]:
    """Yields the options of a run that the command line has, as they are written."""
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in ("editor", "data", "as_json", "quiet"):
            values = context.params[name]
            for value in values if option.multiple else [values]:
                yield from (option.opts[0], f"{value:g}" if isinstance(value, float) else value)


def _folder_name(editor: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", editor).strip("-.")[:60] or "mine"
