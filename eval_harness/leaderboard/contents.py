"""A bundle's files, read into what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.files import parse_model

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
    results = parse_model(Results, files[RESULTS_FILE], name=str(folder / RESULTS_FILE))
    unstarred = tuple(metric.id for metric in results.metrics if not metric.is_share)
    own = sum(row.run is not None for row in results.rows) * len(results.samples)
    return Contents(
        bundle,
        results,
        tuple(read_score_rows(files[SCORES_FILE], unstarred, most=2 * own)),
        parse_model(Outputs, files[OUTPUTS_FILE], name=str(folder / OUTPUTS_FILE)),
        parse_model(Parameters, files[PARAMETERS_FILE], name=str(folder / PARAMETERS_FILE)),
        parse_model(Packages, files[PACKAGES_FILE], name=str(folder / PACKAGES_FILE)),
    )
