"""The verbs that fill run folders: edits made now, and images made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fashionedit.errors import ServiceError

from .options import (
    PATH,
    data_location,
    data_option,
    editor_options,
    editor_settings,
    open_data,
    param_option,
    parameters,
    progress_bar,
    protocol_names,
    protocols_option,
    quiet_option,
    reference_option,
    rounds_option,
    size_option,
    split_option,
)
from .printing import echo


@click.command(short_help="Run an editor over the dataset.")
@click.argument("editor")
@data_option
@click.option("--out", type=PATH, required=True, help="The run folder, new or of the same run.")
@click.option("--name", help="What tables call the editor; its own name by default.")
@split_option
@protocols_option
@rounds_option
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="How often everything is edited, each time with other seeds.",
)
@size_option
@reference_option
@editor_options
@param_option
@click.option(
    "--concurrency", type=click.IntRange(1), metavar="N", help="Edits at the same time; the editor's own by default."
)
@click.option(
    "--batch", type=click.IntRange(1), metavar="N", help="Requests in one call, of editors that take several."
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    metavar="N",
    help="How often a call is made again whose failure may pass; 4 by default.",
)
@click.option("--budget", type=click.FloatRange(0), metavar="USD", help="For all sessions of the run together.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Edit the first N samples only; the same command without it goes on to the rest.",
)
@click.option(
    "--retry",
    multiple=True,
    metavar="STATUS",
    help="Ask again for rounds that ended with this status: refused, no_image or invalid_image; repeatable.",
)
@click.option("--keep-going", is_flag=True, help="Go on although the first rounds all ended with the same failure.")
@quiet_option
def run(
    editor: str,
    data: str,
    out: Path,
    name: str | None,
    split: str,
    protocols: str | None,
    rounds: int,
    seed: int,
    repeats: int,
    size: Any,
    reference: str,
    params: tuple[str, ...],
    concurrency: int | None,
    batch: int | None,
    retries: int | None,
    budget: float | None,
    limit: int | None,
    retry: tuple[str, ...],
    keep_going: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Run EDITOR over the dataset, three rounds in each protocol; the same command again continues.

    EDITOR is identity, return-reference, paste-reference, oracle, synthetic-stepper, package.module:attribute,
    path/to/file.py:attribute, diffusers:REPO_OR_FOLDER[@revision], openai:MODEL, openai-responses:MODEL,
    hf:PROVIDER/MODEL, http://HOST/PATH, space:ID or "command:PROGRAM ..." (docs/editors.md). Rounds that timed out or
    failed with an error are tried again.

    Ctrl-C lets the edits under way come to their end and keeps them; a second one stops at once.

    Vanilla shows no reference: where another run of the same editor has its rounds, leave them out with --protocol bug.
    """
    from fashionedit.eval_harness.editors import resolve_editor
    from fashionedit.eval_harness.running.limits import DEFAULT_RETRIES
    from fashionedit.eval_harness.running.run_stats import next_step, summary_lines
    from fashionedit.eval_harness.running.runner import RunInterrupted
    from fashionedit.eval_harness.running.runner import run as run_editor

    found = resolve_editor(editor, editor_settings(given))
    source = open_data(data, split, quiet)
    interrupted = None
    with progress_bar(quiet)(editor, "edit") as bar:
        try:
            summary = run_editor(
                found,
                source,
                out,
                name=name,
                protocols=protocol_names(protocols),
                rounds=rounds,
                seed=seed,
                repeats=repeats,
                params=parameters(params),
                size_policy=size,
                reference=reference,
                progress=bar,
                tell=lambda sentence: echo(f"fashionedit: {sentence}", err=True),
                data=data_location(data),
                concurrency=concurrency,
                batch=batch,
                retries=DEFAULT_RETRIES if retries is None else retries,
                timeout=given["timeout"],
                budget=budget,
                limit=limit,
                retry=retry,
                keep_going=keep_going,
            )
        except RunInterrupted as stopped:
            summary, interrupted = stopped.summary, stopped
        except ServiceError:
            if (records := out / "records").is_dir():
                echo(f"{out}: {sum(1 for _ in records.glob('*/*.json')):,} rounds are kept", err=True)
            raise
    echo("\n".join(summary_lines(summary)))
    if summary.stopped:
        echo(f"fashionedit: {summary.stopped}", err=True)
    echo(f"next: {next_step(summary)}", err=True)
    if interrupted is not None:
        raise interrupted


@click.command(name="import", short_help="Make finished images into a run.")
@click.argument("folder", type=PATH)
@data_option
@click.option("--out", type=PATH, required=True, help="The run folder, new or of the same import.")
@click.option("--name", required=True, help="What tables call whoever made the images.")
@split_option
@protocols_option
@rounds_option
@size_option
@reference_option
@quiet_option
def import_(
    folder: Path,
    data: str,
    out: Path,
    name: str,
    split: str,
    protocols: str | None,
    rounds: int,
    size: Any,
    reference: str,
    quiet: bool,
) -> None:
    """Make finished images in FOLDER into a run: vanilla/1/ID.png, bug/round_3/ID.jpg, draft/ID.png.

    The names of the authors' release (text_one, m_three) are understood too. Tables mark such a run as supplied; images
    that are missing are listed and count as not run.
    """
    from fashionedit.eval_harness.running.imported import import_images

    source = open_data(data, split, quiet)
    with progress_bar(quiet)("importing", "image") as bar:
        summary = import_images(
            folder,
            source,
            out,
            name=name,
            protocols=protocol_names(protocols),
            rounds=rounds,
            size_policy=size,
            reference=reference,
            progress=bar,
            data=data_location(data),
        )
    missing = sum(len(ids) for ids in summary.missing.values())
    echo(f"{summary.path}: {summary.found} of {summary.planned} images, {missing} missing (missing.json)")
    for title, names in (("unreadable", summary.unreadable), ("belongs to no sample", summary.extra)):
        for path in names[:10]:
            echo(f"{title}: {path}", err=True)
        if len(names) > 10:
            echo(f"{title}: and {len(names) - 10} more", err=True)
