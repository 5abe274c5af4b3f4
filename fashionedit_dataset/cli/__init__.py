"""The `fashionedit` command: imports every other part of the package, and no part imports it.

Each verb imports what is heavy when it runs, so that `fashionedit --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from fashionedit import __version__
from fashionedit.runtime.secrets import masked_arguments

from . import building, data, editors, leaderboard, publishing, results, runs, studio, votes
from .printing import errors_as_sentences

__all__ = ["cli", "main"]


class _InOrder(click.Group):
    """Lists the verbs in the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fashionedit")
def cli() -> None:
    """Measure how well a model edits fashion images from words and from reference images.

    Results go to stdout, progress to stderr. To continue an interrupted command, give it again.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; a mistake of the user ends with one sentence and exit code 2, a bug with its traceback."""
    given = list(arguments) if arguments is not None else sys.argv[1:]
    masked_arguments(given)  # the secrets among them are masked from here on
    with errors_as_sentences():
        cli.main(args=given, prog_name="fashionedit", standalone_mode=False)


for verb in (
    results.demo,
    data.pack,
    data.use,
    data.synthesize,
    building.build,
    publishing.publish,
    publishing.hydrate,
    editors.doctor,
    runs.eval_,
    runs.run,
    runs.import_,
    results.score,
    results.show,
    results.compare,
    votes.judge,
    results.report,
    leaderboard.submit,
    leaderboard.verify,
    results.export,
    leaderboard.leaderboard,
    studio.studio,
):
    cli.add_command(verb)
