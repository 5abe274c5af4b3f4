"""Making a bundle of a scored run: always the same bytes for the same records."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import to_json

from .bundle import (
    BUNDLE_FILE,
    OUTPUTS_FILE,
    PACKAGES_FILE,
    PARAMETERS_FILE,
    RESULTS_FILE,
    SCORES_FILE,
    Benchmark,
    Bundle,
    BundledFile,
    Packages,
    Parameters,
    pretty_json,
    sealed,
)
from .effective import effective_parameters, package_sets
from .official import fingerprint_differences
from .score_rows import score_rows, to_parquet


def make_bundle(
    run: RunFolder, source: SampleSource, results: Results, benchmark: Benchmark, *, name: str, model: str | None
) -> tuple[Bundle, dict[str, bytes]]:
    """Returns what `bundle.json` says, and the content of all files of the bundle by their names.

    Args:
        source: The dataset that the run was made on.
        results: The run's own, as `score` wrote them.
        benchmark: The dataset as it is published.
        name: How tables call the model.
        model: Its repository on the Hub, if it has one.
    """
    unstarred = tuple(metric.id for metric in results.metrics if not metric.is_share)
    files = {
        RESULTS_FILE: to_json(results).encode(),
        SCORES_FILE: to_parquet(list(score_rows(results)), unstarred),
        OUTPUTS_FILE: _outputs(run, source),
        PARAMETERS_FILE: _json(Parameters(protocols=effective_parameters(run, source))),
        PACKAGES_FILE: _json(Packages(sessions=package_sets(run.path / "sessions.jsonl"))),
    }
    bundle = sealed(
        {
            "name": name,
            "model": model,
            "benchmark": benchmark,
            "run": run.identity,
            "official": not fingerprint_differences(results),
            "files": {
                file: BundledFile(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
                for file, content in sorted(files.items())
            },
        }
    )
    files[BUNDLE_FILE] = _json(bundle)
    return bundle, files


def _json(value: BaseModel) -> bytes:
    return pretty_json(value.model_dump(mode="json"))


def _outputs(run: RunFolder, source: SampleSource) -> bytes:
    lines = []
    for outcome in run.outcomes(source):
        if outcome.status is Status.OK:
            current = outcome.current
            told = {
                "sample": outcome.sample,
                "protocol": outcome.protocol,
                "round": outcome.round,
                "digest": current.digest,
                "size": list(current.size),
            }
            lines.append(json.dumps(told, sort_keys=True, ensure_ascii=False))
    body = ",\n".join(f"  {line}" for line in lines)
    return f'{{\n "outputs": [\n{body}\n ],\n "schema_version": 1\n}}\n'.encode()
