"""The verbs of the leaderboard: evidence for a run, whether evidence holds, and the board of it all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fashionedit.errors import InvalidDataError

from .options import PATH, data_again_option, device_option, open_run, progress_bar, quiet_option
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.eval_harness.leaderboard.bundle import Bundle
    from fashionedit.metrics import ImageEncoder
    from fashionedit.metrics.encoder import Precision

_MOST_LINES = 20


@click.command(short_help="Send a scored run to the leaderboard.")
@click.argument("run", type=PATH)
@click.option("--model", metavar="ORG/NAME", help="Hub repository of the model; receives the numbers.")
@click.option("--name", metavar="TEXT", help="Name in tables of a model that has no repository, such as a service.")
@click.option(
    "--dataset-repo",
    metavar="ORG/NAME[@REVISION]",
    help="Hub repository of the benchmark, at the revision of the run; $FASHIONEDIT_REPO by default.",
)
@click.option(
    "--results-repo",
    metavar="ORG/NAME",
    help="Hub dataset repository that receives the evidence; the benchmark's name with -results by default.",
)
@data_again_option
@click.option(
    "--allow-encoder",
    is_flag=True,
    help="Also send scores of another encoder than the leaderboard's; the board marks them and does not rank them.",
)
@click.option("--dry-run", is_flag=True, help="Check the run and write the files that would be sent; send nothing.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder that --dry-run writes to; RUN/submission by default.")
@quiet_option
def submit(
    run: Path,
    model: str | None,
    name: str | None,
    dataset_repo: str | None,
    results_repo: str | None,
    data: str | None,
    allow_encoder: bool,
    dry_run: bool,
    out: Path | None,
    quiet: bool,
) -> None:
    """Send the scored RUN to the leaderboard: numbers to the model's repository, evidence to the results repository.

    Opens a pull request in each, for the repositories' owners to merge. The evidence holds scores, image hashes,
    parameters and package versions; no photograph, crop or caption. The same command again updates the open pull
    requests, or says that nothing is new. If the run can't be submitted, all reasons are listed at once.
    """
    from fashionedit.eval_harness.leaderboard.benchmark import (
        benchmark_name,
        find_benchmark,
        local_benchmark,
        results_repository,
    )
    from fashionedit.eval_harness.leaderboard.bundle import make_bundle
    from fashionedit.eval_harness.leaderboard.checks import check_benchmark, check_run
    from fashionedit.eval_harness.leaderboard.submission import Submission, submitter_name
    from fashionedit.eval_harness.scores.results import read_results, with_columns
    from fashionedit.metrics.paper_metrics import PAPER_IDS
    from fashionedit.runtime.hub import repository_name

    if out is not None and not dry_run:
        raise InvalidDataError("--out is where --dry-run writes; give both, or neither")
    name = submitter_name(model, name)
    folder, source = open_run(run, data, quiet)
    results = with_columns(read_results(run / "results.json"), PAPER_IDS)
    check_run(folder, source, results, any_encoder=allow_encoder)
    if dry_run and dataset_repo is None and not os.environ.get("FASHIONEDIT_REPO"):
        benchmark = local_benchmark(source)
        echo(
            f"no --dataset-repo is given: these files name {benchmark.repository}, as it is here; sending needs the "
            "benchmark's repository on the Hub",
            err=True,
        )
    else:
        benchmark = find_benchmark(*benchmark_name(dataset_repo))
    check_benchmark(folder, results, benchmark)
    evidence = repository_name(results_repo or results_repository(benchmark.repository))
    submission = Submission(make_bundle(folder, source, results, benchmark, name=name, model=model), evidence)
    echo("\n".join(submission.lines()))
    if dry_run:
        for path in submission.write(out or run / "submission"):
            echo(str(path))
    else:
        for proposal in submission.send():
            echo(f"{proposal.url}: {proposal.sentence}")


@click.command(short_help="Verify a submission.")
@click.argument("bundle", type=PATH)
@click.option("--images", type=PATH, metavar="DIR", help="The run's images, in any layout, such as RUN/images.")
@click.option(
    "--data",
    metavar="DATA",
    help=(
        "The dataset: a folder or org/name[@revision]. By default the one registered on this machine, if it is "
        "the submission's."
    ),
)
@click.option(
    "--encoder",
    metavar="ENCODER",
    help="Encoder, as for `fashionedit score`, if the scores were not computed with the leaderboard's.",
)
@device_option
@click.option(
    "--mark",
    type=PATH,
    metavar="FILE",
    help="The verified.json of a results repository, to record a verified bundle in; boards show it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@quiet_option
def verify(
    bundle: Path,
    images: Path | None,
    data: str | None,
    encoder: str | None,
    device: str,
    mark: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Verify the submission BUNDLE by recomputing everything that its own files, the dataset and the images determine.

    Without images the best verdict is "consistent". With --images and the full dataset, every image is found by its
    pixels and every score is computed again. Every deviation is listed by sample, and the exit code is then 1.
    """
    import json

    from fashionedit.eval_harness.leaderboard.bundle import read_bundle
    from fashionedit.eval_harness.leaderboard.hub import mark_verified
    from fashionedit.eval_harness.leaderboard.verification import find_ground_truth, verify_bundle

    head = read_bundle(bundle)
    truth = find_ground_truth(data, head.benchmark)
    load = _encoder(head, encoder, device)
    verdict = verify_bundle(bundle, images=images, truth=truth, encoder=load, bar=progress_bar(quiet))
    if as_json:
        found = {"name": head.name, "holds": verdict.holds, "level": verdict.level, "problems": verdict.problems}
        echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        shown = verdict.problems[:_MOST_LINES]
        rest = len(verdict.problems) - len(shown)
        lines = [f"{bundle}: {verdict.sentence}", *(f"  - {problem}" for problem in shown)]
        echo("\n".join([*lines, *([f"  and {rest:,} more"] if rest else [])]))
    if not verdict.holds:
        sys.exit(1)
    if mark is not None:
        if verdict.level != "scores":
            raise InvalidDataError("only what was computed again is marked as verified; give --images and --data")
        mark_verified(mark, head)


@click.command(short_help="Print the table of all submissions.")
@click.option(
    "--repo",
    metavar="REPO",
    help="Results repository: ORG/NAME[@REVISION] or a folder; by default the benchmark's name with -results.",
)
@click.option(
    "--dataset-repo",
    metavar="ORG/NAME[@REVISION]",
    help="Hub repository of the benchmark; the board shows the submissions of its revision. $FASHIONEDIT_REPO by "
    "default; without either, the benchmark of most submissions.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["console", "markdown", "json", "csv"]),
    default="console",
    show_default=True,
)
@click.option("--space", type=PATH, metavar="DIR", help="Write the board as a Gradio Space, ready to be pushed.")
def leaderboard(repo: str | None, dataset_repo: str | None, form: str, space: Path | None) -> None:
    """Print all submissions of a results repository, ranked by CLIP*, with floor, leaks and ceiling.

    Every bundle is verified as by `fashionedit verify` without images; one that fails is left out and the reason is
    printed. The numbers of the Hub's own leaderboard are printed too.
    """
    from fashionedit.eval_harness.leaderboard import board_formats
    from fashionedit.eval_harness.leaderboard.board import gather_board

    board = gather_board(repo, dataset_repo)
    if space is not None:
        for path in board_formats.write_space(board, space):
            echo(str(path), err=True)
    if form == "console":
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        echo(board_formats.board_to_console(board, width), nl=False)
    else:
        formats = {
            "markdown": board_formats.board_to_markdown,
            "json": board_formats.board_to_json,
            "csv": board_formats.board_to_csv,
        }
        echo(formats[form](board), nl=False)


def _encoder(bundle: Bundle, named: str | None, device: str) -> Callable[[Precision], ImageEncoder]:
    """Returns what gives the encoder of the bundle's scores."""

    def load(precision: Precision) -> ImageEncoder:
        from fashionedit.metrics import load_encoder

        if named is None and not bundle.official:
            raise InvalidDataError("the scores are not the leaderboard's own encoder's; name theirs with --encoder")
        return load_encoder(named or "clip", device=device, precision=precision)

    return load
