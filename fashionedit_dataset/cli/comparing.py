"""The verb that says which of several runs is better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import PATH
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.eval_harness.scores.result_models import Results


@click.command(short_help="Say which run is better.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PATH)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["gender", "category", "view"]),
    metavar="KIND",
    help="Also show the last round by gender, category or view. Repeatable.",
)
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown tables.")
@click.option("--json", "form", flag_value="json", help="Print everything as JSON.")
def compare(runs: tuple[Path, ...], by: tuple[Any, ...], form: str | None) -> None:
    """Compare scored RUNs in pairs, sample by sample: differences, 95 % intervals, p-values, deciding samples.

    A RUN can also be the name of a baseline row: draft, flat-grey, faded-draft, return-reference, paste-reference or
    oracle. The p-values of the last rounds are corrected together (Holm); those of earlier rounds and breakdowns are
    not corrected. Runs of another dataset, protocol version or metric fingerprint are refused.
    """
    from fashionedit.eval_harness.scores.comparison import BASELINES
    from fashionedit.eval_harness.scores.comparison import compare as compare_results
    from fashionedit.eval_harness.scores.comparison_text import comparison_json, comparison_markdown, comparison_text
    from fashionedit.eval_harness.scores.results import merge, read_results

    scored: list[Results] = []
    systems: list[int | str] = []
    for path in runs:
        if str(path) in BASELINES and not path.exists():
            systems.append(str(path))
        else:
            systems.append(len(scored))
            scored.append(read_results(path / "results.json"))
    results = merge(scored)
    comparison = compare_results(results, systems)
    if form == "json":
        echo(comparison_json(comparison), nl=False)
    elif form == "markdown":
        echo(comparison_markdown(comparison, results, by), nl=False)
    else:
        echo(comparison_text(comparison, results, by), nl=False)
