"""A run, scored: the numbers in `results.json`, the page beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fashionedit.metrics import Embedder, EmbeddingCache, Metric, load_encoder, load_metrics
from fashionedit.metrics.encoder import Precision
from fashionedit.metrics.loading import check_encoder, find_files
from fashionedit.metrics.registry import PAPER_METRICS, needs_encoder
from fashionedit.runtime.progress import Bar
from fashionedit.runtime.ray_engine import RayEngine, run_in_worker
from fashionedit.types import as_names

from .report import write_report
from .running.run_folder import RunFolder
from .samples import SampleSource
from .scores.ray_scoring import RayScoring
from .scores.result_models import Results
from .scores.results import build_results, write_results
from .scores.scoring import DamagedImageError
from .scores.timing import TimedRun, write_timing


@dataclass(frozen=True)
class Scoring:
    """How runs are scored: metrics (a text is one) and encoder as `load_metrics` and `load_encoder` read them.

    `measures` says whether to measure, too, if only what was asked was changed.
    """

    metrics: tuple[str, ...] = PAPER_METRICS
    encoder: str = "clip"
    device: str = "auto"
    precision: Precision = "fp32"
    measures: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", as_names(self.metrics))

    def load(self) -> tuple[Embedder | None, list[Metric]]:
        """Returns the embedder, where one is needed, and the metrics.

        Raises:
            UnknownNameError: There is no such metric.
            EncoderNotFoundError: There is no such encoder.
            MissingExtraError: A package is missing.
        """

        def load_embedder(spec: str) -> Embedder:
            return Embedder(load_encoder(spec, device=self.device, precision=self.precision), EmbeddingCache())

        wanted = needs_encoder(self.metrics)  # an unknown name is said before anything is loaded
        embedder = load_embedder(self.encoder) if wanted else None
        return embedder, list(load_metrics(self.metrics, embedder, load_embedder))

    def check(self, engine: RayEngine) -> None:
        """Raises what can be known to be wrong before anything is edited, by a look at the files on some machine."""
        if needs_encoder(self.metrics):
            check_encoder(self.encoder)
            if not Path(self.encoder.removeprefix("clip:")).is_dir():
                run_in_worker(engine, partial(find_files, self.encoder, "cpu", "fp32"))

    @contextmanager
    def loaded(
        self, engine: RayEngine | None = None, tell: Callable[[str], None] | None = None
    ) -> Iterator[tuple[Embedder | None, list[Metric]]]:
        """Yields what `load` returns; encoder and metrics are in Ray workers where there is an engine, till the end.

        Args:
            engine: The cluster; None computes in this process.
            tell: Given a sentence about workers that are missing or lost, or not needed.
        """
        if engine is None or not needs_encoder(self.metrics):
            if engine is not None and tell is not None:
                tell("no metric needs the encoder, so this process scores, and no Ray worker does")
            yield self.load()
            return
        embedder, metrics = RayScoring.loaded(
            self.metrics, self.encoder, engine, device=self.device, precision=self.precision, tell=tell
        )
        try:
            yield embedder, metrics
        finally:
            embedder.close()


def score_run(
    run: RunFolder,
    source: SampleSource,
    embedder: Embedder | None,
    bar: Callable[[str, str], Bar],
    *,
    scored: Callable[[Results], None] | None = None,
    **options: Any,
) -> tuple[Results, Path]:
    """Returns the results of the run and its page.

    The page is `report.html`, or `report/index.html` where there are more samples than one file shows.

    Args:
        bar: Makes a progress bar from a title and a unit.
        scored: Given the results once they are written, before the page is made.
        options: As in `build_results`.
    """
    results = write_scores(run, source, embedder, bar, **options)
    if scored is not None:
        scored(results)
    with bar("page", "sample") as shown:
        page = write_report(results, [run], source, run.path / "report", progress=shown.at)
    return results, page


def write_scores(
    run: RunFolder, source: SampleSource, embedder: Embedder | None, bar: Callable[[str, str], Bar], **options: Any
) -> Results:
    """Returns the results of the run, written to its `results.json` and `timing.json`; otherwise as `results_of`."""
    results, timed = results_of(run, source, embedder, bar, **options)
    write_results(results, run.path / "results.json")
    write_timing(timed, source, run.path / "timing.json", results)
    return results


def results_of(
    run: RunFolder, source: SampleSource, embedder: Embedder | None, bar: Callable[[str, str], Bar], **options: Any
) -> tuple[Results, TimedRun]:
    """Returns the results of the run, and the run as it was timed meanwhile.

    Pair scores are kept in the run folder, so that nothing is scored twice. An image that can't be read or is not the
    recorded one is named in a warning; its rounds count as not run.
    """
    with bar(f"scoring {run.identity.editor.name}", "pair") as shown:
        while True:  # one damaged image costs its own rounds; what was scored before is not scored again
            timed = TimedRun(run)
            try:
                return build_results(timed, source, embedder, progress=shown.at, **options), timed
            except DamagedImageError as error:
                warnings.warn(f"{error}; its rounds count as not run", stacklevel=2)
                run.leave_out(error.digest)
