"""The verb that opens the studio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fashionedit.errors import FashionEditError

from .options import editor_options, editor_settings, number_option, open_data, quiet_option, repeated_option
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.metrics.registry import Metric

_DRAWN = "drawn"


@click.command(short_help="Design by words and pictures in the browser.")
@click.option("--data", metavar="DATA", help="Dataset whose samples a design may begin from, as for run.")
@repeated_option(
    "--editor", "editors", "EDITOR", "Editor that can be chosen, as for run. Repeatable; by default the drawn designer."
)
@repeated_option(
    "--generator",
    "generators",
    "MAKER",
    "What draws a design from words: a maker of drafts, as for build --maker. Repeatable; by default the drawn "
    "designer.",
)
@editor_options
@click.option(
    "--sessions",
    type=click.Path(path_type=Path, file_okay=False),
    default="sessions",
    show_default=True,
    help="Folder in which every turn is saved.",
)
@click.option(
    "--metric",
    "metric_names",
    multiple=True,
    default=("psnr",),
    show_default=True,
    metavar="METRIC",
    help="Metric for designs that began from a sample, as for score. Repeatable.",
)
@click.option("--encoder", default="clip", show_default=True, metavar="ENCODER", help="Encoder, as for score.")
@click.option("--budget", type=click.FloatRange(0), metavar="USD", help="Most that all sessions together may cost.")
@number_option("--retries", 0, "Retries after a temporary failure; 1 by default.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need --password.")
@number_option("--port", 1, "Port to listen on; the first free one from 7860 on by default.")
@click.option("--password", metavar="TEXT", help="Password that the browser asks for.")
@quiet_option
def studio(
    data: str | None,
    editors: tuple[str, ...],
    generators: tuple[str, ...],
    sessions: Path,
    metric_names: tuple[str, ...],
    encoder: str,
    budget: float | None,
    retries: int | None,
    host: str,
    port: int | None,
    password: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Open a page on which a design is made by words and by showing pictures.

    The drawn designer needs no key and no download: it draws garments from a written-down vocabulary. --editor and
    --generator add real models. Every turn is saved in the folder of the sessions; the page finds the sessions that
    were begun in the same browser.
    """
    from fashionedit.eval_harness.editing import Editor
    from fashionedit.eval_harness.editors import resolve_editor
    from fashionedit.eval_harness.running.limits import Limits
    from fashionedit.metrics import EmbeddingCache, load_encoder
    from fashionedit.metrics.embedder import Embedder
    from fashionedit.metrics.registry import load_metrics, needs_encoder
    from fashionedit.runtime.secrets import remember_secret
    from fashionedit.studio.drawn import DrawnEditor
    from fashionedit.studio.generators import load_generator
    from fashionedit.studio.server import serve, studio_app
    from fashionedit.studio.sessions import SessionStore
    from fashionedit.studio.turns import Studio

    if password is not None:
        remember_secret(password)
    settings = editor_settings(given)
    known: dict[str, Editor] = {}
    for spec in editors or (_DRAWN,):
        editor = DrawnEditor() if spec == _DRAWN else resolve_editor(spec, settings)
        if not isinstance(editor, Editor):
            raise FashionEditError(f"{spec} sees the answer, which no design has; choose another editor")
        known[spec] = editor
    source = open_data(data, "validation", quiet) if data is not None else None
    metrics: Sequence[Metric] = ()
    if source is not None:
        embedder = Embedder(load_encoder(encoder), EmbeddingCache()) if needs_encoder(metric_names) else None
        metrics = load_metrics(metric_names, embedder)
    limits = Limits(retries=1 if retries is None else retries, budget=budget, timeout=settings.timeout)
    found = Studio(
        SessionStore(sessions),
        known,
        {spec: load_generator(spec) for spec in generators or (_DRAWN,)},
        samples=source,
        limits=limits,
        metrics=metrics,
    )
    try:
        app = studio_app(found)
        url = serve(app, host=host, port=port, password=password, wait=False)
        echo(f"Studio: {url}")
        echo("fashionedit: Ctrl-C ends it; every turn is saved", err=True)
        app.block_thread()
    finally:
        found.close()
