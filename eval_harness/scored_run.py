"""A run, scored: the numbers in `results.json`, the page beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashionedit.metrics import Embedder, EmbeddingCache, Metric, load_encoder, load_metrics
from fashionedit.metrics.registry import PAPER_METRICS, needs_encoder
from fashionedit.runtime.progress import Bar

from .editing import EditorInfo
from .report import write_report
from .running.records import RoundOutcome
from .running.run_folder import RunFolder
from .scores.result_models import Results
from .scores.results import DescribedSource, build_results, write_results
from .scores.scoring import DamagedImageError
from .scores.timing import write_timing


@dataclass(frozen=True)
class Scoring:
    """How runs are scored.

    Args:
        metrics: Names of the columns, as `load_metrics` reads them.
        encoder: What `load_encoder` reads.
        device: Where the encoder computes.
        precision: `fp32`, `bf16` or `fp16`.
        measures: Whether to measure too if only what was asked was changed.
    """

    metrics: tuple[str, ...] = PAPER_METRICS
    encoder: str = "clip"
    device: str = "auto"
    precision: str = "fp32"
    measures: bool = True

    def load(self) -> tuple[Embedder | None, list[Metric]]:
        """Returns the embedder, where one is needed, and the metrics.

        Raises:
            UnknownNameError: There is no such metric.
            EncoderNotFoundError: There is no such encoder.
            MissingExtraError: A package is missing.
        """

        def load_embedder(spec: str) -> Embedder:
            encoder = load_encoder(spec, device=self.device, precision=self.precision)  # type: ignore[arg-type]
            return Embedder(encoder, EmbeddingCache())

        wanted = needs_encoder(self.metrics)  # an unknown name is said before anything is loaded
        embedder = load_embedder(self.encoder) if wanted else None
        return embedder, list(load_metrics(self.metrics, embedder, load_embedder))


def score_run(
    run: RunFolder,
    source: DescribedSource,
    embedder: Embedder | None,
    bar: Callable[[str, str], Bar],
    *,
    metrics: Sequence[Metric] | None = None,
    measures: bool = True,
    limit: int | None = None,
    baselines: Iterable[tuple[EditorInfo, RoundOutcome]] | None = None,
    scored: Callable[[Results], None] | None = None,
) -> tuple[Results, Path]:
    """Returns the results of the run, written to its `results.json` and `timing.json`, and its page.

    The page is `report.html`, or `report/index.html` where there are more samples than one file shows. Pair scores
    are kept in the run folder, so that nothing is scored twice. An image that can't be
    read or is not the recorded one is named in a warning; its rounds count as not run.

    Args:
        bar: Makes a progress bar from a title and a unit.
        embedder, metrics, measures, limit, baselines: As in `build_results`.
        scored: Given the results once they are written, before the page is made.
    """
    with bar(f"scoring {run.identity.editor.name}", "pair") as shown:
        while True:  # one damaged image costs its own rounds; what was scored before is not scored again
            try:
                results = build_results(
                    run,
                    source,
                    embedder,
                    metrics=metrics,
                    baselines=baselines,
                    measures=measures,
                    limit=limit,
                    progress=shown.at,
                )
                break
            except DamagedImageError as error:
                warnings.warn(f"{error}; its rounds count as not run", stacklevel=2)
                run.leave_out(error.digest)
    write_results(results, run.path / "results.json")
    write_timing(run, source, run.path / "timing.json", results)
    if scored is not None:
        scored(results)
    with bar("page", "sample") as shown:
        page = write_report(results, [run], source, run.path / "report", progress=shown.at)
    return results, page
