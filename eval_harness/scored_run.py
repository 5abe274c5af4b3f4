"""A run, scored: the numbers in `results.json`, the page beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from fashionedit.metrics import Embedder, Metric
from fashionedit.runtime.progress import Bar

from .report import write_report
from .running.run_folder import RunFolder
from .scores.result_models import Results
from .scores.results import DescribedSource, build_results, write_results
from .scores.scoring import DamagedImageError
from .scores.timing import write_timing


def score_run(
    run: RunFolder,
    source: DescribedSource,
    embedder: Embedder | None,
    bar: Callable[[str, str], Bar],
    *,
    metrics: Sequence[Metric] | None = None,
    measures: bool = True,
    limit: int | None = None,
) -> tuple[Results, Path]:
    """Returns the results of the run, written to its `results.json` and `timing.json`, and its page.

    The page is `report.html`, or `report/index.html` where there are more samples than one file shows. Pair scores
    are kept in the run folder, so that nothing is scored twice. An image that can't be
    read or is not the recorded one is named in a warning; its rounds count as not run.

    Args:
        bar: Makes a progress bar from a title and a unit.
        embedder, metrics, measures, limit: As in `build_results`.
    """
    with bar(f"scoring {run.identity.editor.name}", "pair") as shown:
        while True:  # one damaged image costs its own rounds; what was scored before is not scored again
            try:
                results = build_results(
                    run, source, embedder, metrics=metrics, measures=measures, limit=limit, progress=shown.at
                )
                break
            except DamagedImageError as error:
                warnings.warn(f"{error}; its rounds count as not run", stacklevel=2)
                run.leave_out(error.digest)
    write_results(results, run.path / "results.json")
    write_timing(run, source, run.path / "timing.json", results)
    with bar("page", "sample") as shown:
        page = write_report(results, [run], source, run.path / "report", progress=shown.at)
    return results, page
