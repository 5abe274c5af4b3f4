"""The verbs that turn run folders into numbers, tables and pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    PATH,
    data_again_option,
    details_option,
    engine_of,
    engine_options,
    open_run,
    print_table,
    progress_bar,
    quiet_option,
    runs_argument,
    scoring_of,
    scoring_options,
    tell,
)
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.eval_harness.scores.result_models import Results


@click.command(short_help="Run a small example from start to end, offline.")
@click.option("--out", type=PATH, default=Path("runs/demo"), show_default=True, help="Folder for the runs.")
@click.option("--samples", type=click.IntRange(1), default=24, show_default=True, help="Number of samples.")
@quiet_option
def demo(out: Path, samples: int, quiet: bool) -> None:
    """Run and score two editors and the baselines on the synthetic control set; needs no key and no download."""
    from fashionedit.eval_harness.evaluation import run_demo

    results, page = run_demo(out, samples, bar=progress_bar(quiet))
    print_table(results)
    echo(f"\nPage: {page}")


@click.command(short_help="Score runs; print a table, write a page.")
@runs_argument
@data_again_option
@scoring_options
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Score the first N samples only; such results are marked and can't be submitted.",
)
@engine_options
@details_option
@quiet_option
def score(
    runs: tuple[Path, ...],
    data: str | None,
    limit: int | None,
    details: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Score each RUN, write its results.json, timing.json and page, and print one table of all runs.

    An unfinished run is scored on the edits made so far, and its table says so. Scores that exist already are kept.
    The baselines are scored with every run: the draft (floor), returning or pasting the reference (leaks) and the
    oracle (ceiling). If no --metric needs an encoder, none is loaded and side effects are not measured.
    """
    from fashionedit.eval_harness.scored_run import score_run
    from fashionedit.eval_harness.scores.results import merge

    engine = engine_of(given)
    scoring = scoring_of(given)
    opened = [open_run(path, data, quiet) for path in runs]
    with scoring.loaded(engine, tell) as (embedder, metrics):
        bar = progress_bar(quiet)
        scored = [
            score_run(run, source, embedder, bar, metrics=metrics, measures=scoring.measures, limit=limit)
            for run, source in opened
        ]
    print_table(merge([results for results, _ in scored]), runs if details else None)
    for _, page in scored:
        echo(f"page: {page}", err=True)


@click.command(short_help="Print the table of scored runs.")
@runs_argument
@click.option("--markdown", "form", flag_value="markdown", help="Print a Markdown table.")
@click.option("--json", "form", flag_value="json", help="Print the merged results as JSON.")
@details_option
def show(runs: tuple[Path, ...], form: str | None, details: bool) -> None:
    """Print the table of scored runs; several runs stand side by side."""
    from fashionedit.eval_harness.scores.details import gain_section, sections
    from fashionedit.eval_harness.scores.results import merge, read_results, to_json
    from fashionedit.eval_harness.scores.table import sections_text, to_markdown
    from fashionedit.eval_harness.scores.timing import read_timing

    results = merge([read_results(path / "results.json") for path in runs])
    if form == "json":
        echo(to_json(results), nl=False)
    elif form == "markdown":
        timings = {run: read_timing(path / "timing.json") for run, path in enumerate(runs)}
        found = sections(results, timings) if details else [gain_section(results)]
        echo(to_markdown(results))
        echo(sections_text(found, markdown=True).rstrip("\n"))
    else:
        print_table(results, runs if details else None)


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
@click.option("--votes", type=PATH, metavar="DIR", help="Also show what people and models voted (judge, studio).")
def compare(runs: tuple[Path, ...], by: tuple[Any, ...], form: str | None, votes: Path | None) -> None:
    """Compare scored RUNs in pairs, sample by sample: differences, 95 % intervals, p-values, deciding samples.

    A RUN can also be the name of a baseline row: draft, flat-grey, faded-draft, return-reference, paste-reference or
    oracle. The p-values of the last rounds are corrected together (Holm); those of earlier rounds and breakdowns are
    not corrected. Runs of another dataset, protocol version or metric fingerprint are refused.

    With --votes, who wins by the votes, how far voters agree (Cohen's kappa), and how well each metric predicts the
    votes. One RUN is enough then, for votes on two of its rounds or protocols.
    """
    from fashionedit.eval_harness.scores.comparison import BASELINES
    from fashionedit.eval_harness.scores.comparison import compare as compare_results
    from fashionedit.eval_harness.scores.comparison_text import comparison_json, comparison_text
    from fashionedit.eval_harness.scores.results import merge, read_results
    from fashionedit.eval_harness.votes.agreement import vote_report
    from fashionedit.eval_harness.votes.votes import VoteFolder
    from fashionedit.eval_harness.votes.votes_text import votes_json, votes_text

    scored: list[Results] = []
    systems: list[int | str] = []
    for path in runs:
        if str(path) in BASELINES and not path.exists():
            systems.append(str(path))
        else:
            systems.append(len(scored))
            scored.append(read_results(path / "results.json"))
    results = merge(scored)
    voted = None if votes is None else vote_report(VoteFolder.open(votes).votes(), results)
    comparison = compare_results(results, systems) if voted is None or len(systems) > 1 else None
    if form == "json":
        found = {} if comparison is None else comparison_json(comparison)
        found |= {} if voted is None else {"votes": votes_json(voted, results)}
        echo(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
        return
    markdown = form == "markdown"
    parts = [] if comparison is None else [comparison_text(comparison, results, by, markdown=markdown)]
    parts += [] if voted is None else [votes_text(voted, results, markdown=markdown)]
    echo("\n".join(parts), nl=False)


@click.command(short_help="Write one page for several runs.")
@runs_argument
@click.option(
    "--out",
    type=PATH,
    default=Path("report"),
    show_default=True,
    help=(
        "Page to write: OUT.html for a single file, OUT/index.html for a folder. A name that ends in .html means a "
        "single file."
    ),
)
@click.option(
    "--single-file/--folder",
    default=None,
    help="Put the pictures into the page itself, or into files beside it that load as they scroll into view. "
    "A single file by default for up to 48 samples.",
)
@click.option(
    "--publishable",
    is_flag=True,
    help="Leave out originals, captions, reference images and outputs that show them, and say so in their place.",
)
@data_again_option
@quiet_option
def report(
    runs: tuple[Path, ...], out: Path, single_file: bool | None, publishable: bool, data: str | None, quiet: bool
) -> None:
    """Write one page for several scored runs: tables, curves, and every sample as a strip of pictures.

    The page needs no network and no server. A single file shows at most 48 samples (the worst, the best and some
    between); a folder shows all of them.
    """
    from fashionedit.eval_harness.report import write_report
    from fashionedit.eval_harness.scores.results import merge, read_results

    opened = [open_run(path, data, quiet) for path in runs]
    results = merge([read_results(path / "results.json") for path in runs])
    with progress_bar(quiet)("page", "sample") as bar:
        page = write_report(
            results,
            [folder for folder, _ in opened],
            opened[0][1],
            out,
            form=None if single_file is None else "file" if single_file else "folder",
            publishable=publishable,
            progress=bar.at,
        )
    echo(str(page))


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
    from fashionedit.eval_harness.scores.inspect_log import inspect_logs, is_log
    from fashionedit.eval_harness.scores.results import read_results
    from fashionedit.eval_harness.scores.timing import begun
    from fashionedit.files import write_all

    logs = inspect_logs(read_results(run / "results.json"), begun(run))
    files = {out / name: log for name, log in logs.items()}
    for path in files:
        if path.exists() and not is_log(path):
            raise InvalidDataError(f"{path} exists and is no log of fashionedit; choose another folder, or remove it")
    write_all(files)
    for path in files:
        echo(str(path))
