"""The verb that opens the studio."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fashionedit.errors import EncoderNotFoundError, FashionEditError, InvalidDataError, MissingExtraError

from .options import (
    PATH,
    editor_options,
    editor_settings,
    number_option,
    open_data,
    open_run,
    option_group,
    quiet_option,
    repeated_option,
)
from .printing import echo
from .votes import open_pairs, pairs_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fashionedit.eval_harness.editing import Editor
    from fashionedit.eval_harness.running.run_folder import RunFolder
    from fashionedit.metrics import Metric
    from fashionedit.studio.blind_test import BlindTest
    from fashionedit.studio.runs_page import RunsPage
    from fashionedit.studio.turns import Studio

_DRAWN = "drawn"
_SYNTHETIC = "synthetic:24"

_models = option_group(
    repeated_option(
        "--editor",
        "editors",
        "EDITOR",
        "Editor to offer beside the drawn designer, as for run. Repeatable; the first is chosen at the start.",
    ),
    repeated_option(
        "--generator",
        "generators",
        "MAKER",
        "What draws a design from words, beside the drawn designer: a maker of drafts, as for build --maker. "
        "Repeatable.",
    ),
    click.option(
        "--assistant",
        metavar="SPEC",
        help="Vision model that makes words precise and proposes edits: openai:MODEL, also at --base-url.",
    ),
    editor_options,
    click.option("--budget", type=click.FloatRange(0), metavar="USD", help="Most that all sessions together may cost."),
    number_option("--retries", 0, "Retries after a temporary failure; 1 by default."),
)
_scores = option_group(
    repeated_option(
        "--metric",
        "metric_names",
        "METRIC",
        "Metric for designs that began from a sample, as for score. Repeatable; by default clip, clip_star and psnr, "
        "or psnr alone where no encoder is installed.",
    ),
    click.option(
        "--encoder",
        metavar="ENCODER",
        help="Image encoder, as for score; by default offline, so that nothing is downloaded.",
    ),
)
_voting = option_group(
    click.option("--votes", type=PATH, metavar="DIR", help="Folder for votes; adds a blind comparison of the runs."),
    pairs_options,
    number_option("--limit", 1, "Ask about the first N pairs only."),
    click.option("--show-original", is_flag=True, help="Show the original in the blind comparison; recorded."),
)
_serving = option_group(
    click.option(
        "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need --password."
    ),
    number_option("--port", 1, "Port to listen on; the first free one from 7860 on by default."),
    click.option("--password", metavar="TEXT", help="Password that the browser asks for."),
    click.option(
        "--space",
        type=PATH,
        metavar="DIR",
        help="Write the folder of a Hugging Face Space that serves the studio, and end.",
    ),
)


@click.command(short_help="Design by words and pictures in the browser.")
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=PATH)
@click.option(
    "--data",
    metavar="DATA",
    help=f"Dataset whose samples a design may begin from, as for run; {_SYNTHETIC} by default. Of RUN, if given: where "
    "it is now.",
)
@_models
@click.option(
    "--sessions",
    type=click.Path(path_type=Path, file_okay=False),
    default="sessions",
    show_default=True,
    help="Folder in which every turn is saved.",
)
@_scores
@_voting
@_serving
@quiet_option
def studio(
    runs: tuple[Path, ...],
    data: str | None,
    votes: Path | None,
    host: str,
    port: int | None,
    password: str | None,
    space: Path | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Open a page on which a design is made by words and by showing pictures.

    The drawn designer needs no key and no download: it draws garments from a written-down vocabulary. --editor and
    --generator add real models. Every turn is saved in the folder of the sessions; the page finds the sessions that
    were begun in the same browser.

    Scored RUNs can be looked through beside it. With --votes DIR people say, without knowing whose is whose, which of
    two runs is better (or of two rounds or protocols of one, with --round and --round-b or --protocol and
    --protocol-b).
    """
    from fashionedit.runtime.secrets import remember_secret
    from fashionedit.studio.server import check_access, serve, studio_app

    if password is not None:
        remember_secret(password)
    if space is not None:
        _write_space(space, runs, data, given)
        return
    if votes is not None and not 1 <= len(runs) <= 2:
        raise InvalidDataError(f"{len(runs)} runs were given with --votes; give one, or the two to compare")
    check_access(host, password)  # before anything is opened
    with ExitStack() as closing:
        opened = [open_run(path, data, quiet) for path in runs]
        found = _studio(data if not runs else None, quiet, given)
        closing.callback(found.close)
        app = studio_app(
            found,
            _blind_test((runs[0], runs[-1]), data, votes, quiet, given) if votes is not None else None,
            runs=_runs_page(opened, closing) if runs else None,
            assistant=_assistant(given),
        )
        url = serve(app, host=host, port=port, password=password, wait=False)
        echo(f"Studio: {url}")
        echo("fashionedit: Ctrl-C ends it; every turn is saved", err=True)
        threading.Thread(target=_warm, args=(found,), daemon=True).start()
        app.block_thread()


def _studio(data: str | None, quiet: bool, given: dict[str, Any]) -> Studio:
    from fashionedit.eval_harness.editing import Editor
    from fashionedit.eval_harness.editors import resolve_editor
    from fashionedit.eval_harness.running.limits import Limits
    from fashionedit.studio.drawn import DrawnEditor
    from fashionedit.studio.generators import load_generator
    from fashionedit.studio.sessions import SessionStore
    from fashionedit.studio.turns import LaterSource, Studio

    settings = editor_settings(given)
    editors: dict[str, Editor] = {}
    for spec in dict.fromkeys((*given["editors"], _DRAWN)):
        editor = DrawnEditor() if spec == _DRAWN else resolve_editor(spec, settings)
        if not isinstance(editor, Editor):
            raise FashionEditError(f"{spec} sees the answer, which no design has; choose another editor")
        editors[spec] = editor
    retries, metrics = given["retries"], _metrics(given["metric_names"], given["encoder"])
    return Studio(
        SessionStore(given["sessions"]),
        editors,
        {spec: load_generator(spec) for spec in dict.fromkeys((*given["generators"], _DRAWN))},
        samples=open_data(data, "validation", quiet)
        if data is not None
        else LaterSource(lambda: open_data(_SYNTHETIC, "validation", quiet=True)),
        limits=Limits(retries=1 if retries is None else retries, budget=given["budget"], timeout=settings.timeout),
        metrics=metrics,
    )


def _metrics(names: tuple[str, ...], encoder: str | None) -> Sequence[Metric]:
    """Returns the metrics that are asked for, else the paper's, else, without an encoder, the one that needs none."""
    from fashionedit.metrics import Embedder, EmbeddingCache, load_encoder
    from fashionedit.metrics.registry import PAPER_METRICS, load_metrics, needs_encoder

    wanted = names or PAPER_METRICS
    if not needs_encoder(wanted):
        return load_metrics(wanted, None)
    try:
        return load_metrics(wanted, Embedder(load_encoder(encoder or "offline"), EmbeddingCache()))
    except (MissingExtraError, EncoderNotFoundError):
        if names or encoder:
            raise
        return load_metrics(("psnr",), None)


def _assistant(given: dict[str, Any]) -> Any:
    from fashionedit.runtime.costs import parse_price
    from fashionedit.studio.assistant import Assistant

    if given["assistant"] is None:
        return None
    price = None if given["price"] is None else parse_price(given["price"])
    found = Assistant(
        given["assistant"], given["sessions"], base_url=given["base_url"], budget=given["budget"], price=price
    )
    found.check(reach=False)
    return found


def _runs_page(opened: Sequence[tuple[RunFolder, Any]], closing: ExitStack) -> RunsPage:
    from fashionedit.studio.runs_page import RunsPage

    page = RunsPage([folder for folder, _ in opened], opened[0][1])
    closing.callback(page.close)
    return page


def _blind_test(
    runs: tuple[Path, Path], data: str | None, votes: Path, quiet: bool, given: dict[str, Any]
) -> BlindTest:
    from fashionedit.eval_harness.votes.votes import VoteFolder
    from fashionedit.studio.blind_test import BlindTest

    pairs = open_pairs(runs, data, quiet, given)
    return BlindTest(pairs, VoteFolder(votes), show_original=given["show_original"], limit=given["limit"])


def _write_space(space: Path, runs: tuple[Path, ...], data: str | None, given: dict[str, Any]) -> None:
    from fashionedit.studio.space import write_space

    if runs:
        raise InvalidDataError(
            f"{runs[0]} lies on this machine, where a Space can't see it; leave RUN out with --space"
        )
    options = {"--data": (data,), "--editor": given["editors"], "--generator": given["generators"]}
    options |= {"--option": given["options"], "--metric": given["metric_names"]}
    names = ("assistant", "base_url", "budget", "price", "timeout", "encoder", "version", "retries")
    options |= {f"--{name.replace('_', '-')}": (given[name],) for name in names}
    arguments = [
        text
        for option, values in options.items()
        for value in values
        if value is not None
        for text in (option, str(value))
    ]
    echo(str(write_space(space, arguments)))
    echo(f"next: push the folder {space} to a Space of the SDK gradio", err=True)


def _warm(studio: Studio) -> None:
    """Opens the samples and loads the renderer while the person still reads the page."""
    from fashionedit.studio.drawn import generate

    generate("a shirt")
    if studio.samples is not None:
        _ = studio.samples.ids
