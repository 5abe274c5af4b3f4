"""A bundle's files, read into what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fashionedit.eval_harness.scores.result_models import Results

from .bundle import (
    OUTPUTS_FILE,
    PACKAGES_FILE,
    PARAMETERS_FILE,
    RESULTS_FILE,
    SCORES_FILE,
    Bundle,
    Outputs,
    Packages,
    Parameters,
    file_of,
    read_bundle,
)
from .score_rows import ScoreRow, read_score_rows


@dataclass(frozen=True, slots=True)
class Contents:
    """What the files of a bundle say; each is well-formed and the one that `bundle.json` names, and no more is known.

    Args:
        rows: Of `scores.parquet`.
    """

    bundle: Bundle
    results: Results
    rows: tuple[ScoreRow, ...]
    outputs: Outputs
    parameters: Parameters
    packages: Packages


def read_contents(folder: Path) -> Contents:
    """Returns what the bundle in this folder says.

    Raises:
        InvalidDataError: It is no whole bundle.
    """
    bundle, files = read_bundle(folder)
    results = file_of(Results, files[RESULTS_FILE], folder / RESULTS_FILE)
    unstarred = tuple(metric.id for metric in results.metrics if not metric.is_share)
    return Contents(
        bundle,
        results,
        tuple(read_score_rows(files[SCORES_FILE], unstarred)),
        file_of(Outputs, files[OUTPUTS_FILE], folder / OUTPUTS_FILE),
        file_of(Parameters, files[PARAMETERS_FILE], folder / PARAMETERS_FILE),
        file_of(Packages, files[PACKAGES_FILE], folder / PACKAGES_FILE),
    )
