"""The verbs that fill run folders: edits made now, and images made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fashionedit.errors import ServiceError

from .options import (
    PATH,
    data_location,
    data_option,
    details_option,
    editor_options,
    editor_settings,
    engine_of,
    engine_options,
    number_option,
    open_data,
    option_group,
    param_option,
    parameters,
    print_table,
    progress_bar,
    protocol_names,
    protocols_option,
    quiet_option,
    reference_option,
    repeated_option,
    rounds_option,
    scoring_of,
    scoring_options,
    size_option,
    split_option,
    tell,
)
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.eval_harness.editing import Editor, PrivilegedEditor
    from fashionedit.eval_harness.running.run_stats import RunSummary
    from fashionedit.runtime.ray_engine import RayEngine


_run_options = option_group(
    data_option,
    click.option("--out", type=PATH, required=True, help="Run folder: a new one, or the one to continue."),
    click.option("--name", help="Name of the editor in tables; its own name by default."),
    split_option,
    protocols_option,
    rounds_option,
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        help="Base seed; each edit's seed is derived from it and from sample, protocol, round and repeat.",
    ),
    click.option(
        "--repeats",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Number of times to make every edit, each time with other seeds.",
    ),
    size_option,
    reference_option,
    editor_options,
    param_option,
    number_option("--concurrency", 1, "Number of concurrent edits; the editor's own default if not given."),
    number_option("--batch", 1, "Number of edits in one call, for editors that take several."),
    number_option("--retries", 0, "Number of retries after a temporary failure; 4 by default."),
    click.option(
        "--budget",
        type=click.FloatRange(0),
        metavar="USD",
        help="Stop before the total cost of the run, all sessions together, exceeds this.",
    ),
    number_option(
        "--limit", 1, "Edit the first N samples only; the same command without --limit continues with the rest."
    ),
    repeated_option(
        "--retry",
        "retry",
        "STATUS",
        "Repeat the rounds that ended with this status: refused, no_image or invalid_image. Repeatable.",
    ),
    click.option("--keep-going", is_flag=True, help="Continue even if the first rounds all fail for the same reason."),
    engine_options,
)
"""What a run is made with; `_arguments` reads it."""


@click.command(short_help="Run an editor over the dataset.")
@click.argument("editor")
@_run_options
@quiet_option
def run(editor: str, data: str, out: Path, split: str, quiet: bool, **given: Any) -> None:
    """Run EDITOR over the dataset, three rounds in each protocol. Give the same command again to continue.

    EDITOR is identity, return-reference, paste-reference, oracle, synthetic-stepper, package.module:attribute,
    path/to/file.py:attribute, diffusers:REPO_OR_FOLDER[@revision], openai:MODEL, openai-responses:MODEL,
    hf:PROVIDER/MODEL, http://HOST/PATH, space:ID or "command:PROGRAM ..." (docs/editors.md). Rounds that timed out or
    failed with an error are repeated.

    Ctrl-C waits for the edits in progress and keeps them; a second Ctrl-C stops at once.

    The vanilla protocol sends no reference image. If another run of the same editor has its rounds already, give
    --protocol bug.
    """
    from fashionedit.eval_harness.running.run_stats import next_step
    from fashionedit.eval_harness.running.runner import run as run_editor

    with _opened(editor, given, engine_of(given)) as found:
        source = open_data(data, split, quiet)
        with _as_summary(out), progress_bar(quiet)(editor, "edit") as bar:
            summary = run_editor(found, source, out, progress=bar, data=data_location(data), **_arguments(given))
    _print_summary(summary)
    echo(f"next: {next_step(summary)}", err=True)


@click.command(name="eval", short_help="Run an editor and score it, in one go.")
@click.argument("editor")
@_run_options
@scoring_options
@details_option
@quiet_option
def eval_(editor: str, data: str, out: Path, split: str, details: bool, quiet: bool, **given: Any) -> None:
    """Run EDITOR over the dataset, score it, print the table and write the page. Give it again to continue.

    Finished rounds are scored while others are still being edited, so the table follows soon after the last edit.
    EDITOR and its options are those of run; the scoring options are those of score.
    """
    from fashionedit.eval_harness.evaluation import evaluate
    from fashionedit.eval_harness.running.run_stats import next_step

    scoring = scoring_of(given)
    engine = engine_of(given)
    with _opened(editor, given, engine) as found, _as_summary(out):
        evaluation = evaluate(
            found,
            data=data,
            out=out,
            split=split,
            scoring=scoring,
            bar=progress_bar(quiet),
            scored=None if details else print_table,  # the details have measures, which may come after the table
            engine=engine or "local",
            **_arguments(given),
        )
    if details:
        print_table(evaluation.results, [out])
    _print_summary(evaluation.summary, err=True)
    if evaluation.summary.incomplete:
        echo(f"next: {next_step(evaluation.summary)}", err=True)
    echo(f"page: {evaluation.page}", err=True)


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `run` that the options of `_run_options` say."""
    same = ("name", "rounds", "seed", "repeats", "reference", "concurrency", "batch", "timeout", "budget", "limit")
    named = (*same, "retries", "retry", "keep_going")
    return {name: given[name] for name in named if given[name] is not None} | {
        "protocols": protocol_names(given["protocols"]),
        "params": parameters(given["params"]),
        "size_policy": given["size"],
        "tell": tell,
    }


@contextmanager
def _opened(editor: str, given: dict[str, Any], engine: RayEngine | None) -> Iterator[Editor | PrivilegedEditor]:
    """Opens the editor of a run, in Ray workers where an engine is given, and ends those after it."""
    from fashionedit.eval_harness.running.remote_calls import RemoteEditor, on_engine

    found = on_engine(editor, engine, editor_settings(given), tell)
    try:
        yield found
    except BaseException as error:
        if isinstance(found, RemoteEditor) and not getattr(error, "at_once", False):
            found.close()
        raise
    if isinstance(found, RemoteEditor):
        found.close()


@contextmanager
def _as_summary(out: Path) -> Iterator[None]:
    """Says how a run stands that was interrupted, or whose service failed, before the error passes on."""
    from fashionedit.eval_harness.running.run_stats import next_step
    from fashionedit.eval_harness.running.runner import RunInterrupted

    try:
        yield
    except RunInterrupted as stopped:
        _print_summary(stopped.summary)
        echo(f"next: {next_step(stopped.summary)}", err=True)
        raise
    except ServiceError:
        if (records := out / "records").is_dir():
            echo(f"{out}: {sum(1 for _ in records.glob('*/*.json')):,} rounds are kept", err=True)
        raise


def _print_summary(summary: RunSummary, *, err: bool = False) -> None:
    from fashionedit.eval_harness.running.run_stats import summary_lines

    echo("\n".join(summary_lines(summary)), err=err)
    if summary.stopped:
        echo(f"fashionedit: {summary.stopped}", err=True)


@click.command(name="import", short_help="Import finished images as a run.")
@click.argument("folder", type=PATH)
@data_option
@click.option("--out", type=PATH, required=True, help="Run folder: a new one, or the one of the same import.")
@click.option("--name", required=True, help="Name in tables of the model that made the images.")
@split_option
@protocols_option
@rounds_option
@size_option
@reference_option
@quiet_option
def import_(
    folder: Path, data: str, out: Path, split: str, protocols: str | None, size: Any, quiet: bool, **given: Any
) -> None:
    """Import finished images from FOLDER as a run: vanilla/1/ID.png, bug/round_3/ID.jpg, draft/ID.png.

    The file names of the authors' release (text_one, m_three) are read too. Tables mark such a run as supplied.
    Missing images are listed and count as not run.
    """
    from fashionedit.eval_harness.running.imported import import_images

    source = open_data(data, split, quiet)
    with progress_bar(quiet)("importing", "image") as bar:
        summary = import_images(
            folder,
            source,
            out,
            protocols=protocol_names(protocols),
            size_policy=size,
            progress=bar,
            data=data_location(data),
            **given,
        )
    missing = sum(len(ids) for ids in summary.missing.values())
    echo(f"{summary.path}: {summary.found} of {summary.planned} images, {missing} missing (missing.json)")
    for title, names in (("unreadable", summary.unreadable), ("belongs to no sample", summary.extra)):
        for path in names[:10]:
            echo(f"{title}: {path}", err=True)
        if len(names) > 10:
            echo(f"{title}: and {len(names) - 10} more", err=True)
