"""The verb that writes a scored run for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH
from .printing import echo


@click.command(short_help="Write a scored run for Inspect or lighteval.")
@click.argument("run", type=PATH)
@click.option(
    "--format", "form", type=click.Choice(["eval", "lighteval"]), required=True, help="Logs of Inspect, or lighteval's."
)
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Where to; files of the same name are replaced.")
def export(run: Path, form: str, out: Path) -> None:
    """Write the scored RUN as other tools do, after the last round, sample by sample, without any picture or caption.

    `eval` writes a log of Inspect for each protocol, which load_dataset("eval", data_files=...) reads too; `lighteval`
    writes its results file and the details as Parquet.
    """
    from fashionedit.eval_harness.exports.inspect_log import inspect_log
    from fashionedit.eval_harness.exports.lighteval_files import lighteval_files
    from fashionedit.eval_harness.exports.scored import exported
    from fashionedit.eval_harness.scores.results import read_results
    from fashionedit.eval_harness.scores.timing import begun
    from fashionedit.files import write_all

    protocols = list(exported(read_results(run / "results.json"), begun(run)))
    if form == "eval":
        files = {f"{one.task}.eval": inspect_log(one) for one in protocols}
    else:
        files = lighteval_files(protocols)
    write_all({out / name: content for name, content in files.items()})
    for name in files:
        echo(str(out / name))
