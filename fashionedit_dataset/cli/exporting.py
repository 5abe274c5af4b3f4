"""The verb that writes a scored run for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH
from .printing import echo


@click.command(short_help="Write a scored run as Inspect logs.")
@click.argument("run", type=PATH)
@click.option(
    "--out",
    type=PATH,
    required=True,
    metavar="DIR",
    help="Folder for the logs; replaces earlier logs of the same name.",
)
def export(run: Path, out: Path) -> None:
    """Write the scored RUN as an Inspect log per protocol: every sample after its last round.

    Inspect's viewer and load_dataset("eval", data_files=...) read the logs. They hold no picture and no caption.
    """
    from fashionedit.errors import InvalidDataError
    from fashionedit.eval_harness.scores.inspect_log import exported, inspect_log, is_log
    from fashionedit.eval_harness.scores.results import read_results
    from fashionedit.eval_harness.scores.timing import begun
    from fashionedit.files import write_all

    protocols = exported(read_results(run / "results.json"), begun(run))
    files = {out / f"{one.task}.eval": inspect_log(one) for one in protocols}
    for path in files:
        if path.exists() and not is_log(path):
            raise InvalidDataError(f"{path} exists and is no log of fashionedit; choose another folder, or remove it")
    write_all(files)
    for path in files:
        echo(str(path))
