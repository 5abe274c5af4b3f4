"""A run as lighteval writes one: a results file in JSON, and a Parquet file of details for each task.

    results/MODEL/results_DATE.json
    details/MODEL/DATE/details_fashionedit|PROTOCOL|0_DATE.parquet

The layout is that of https://huggingface.co/docs/lighteval/saving-and-reading-results
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from typing import Any

from fashionedit import __version__

from .scored import Exported


def lighteval_files(runs: Sequence[Exported]) -> dict[str, bytes]:
    """Returns path → content of the results and of each protocol's details. The same run gives the same bytes.

    Args:
        runs: The protocols of one run; at least one.
    """
    first = runs[0]
    date = first.created.replace(":", "-")
    model = re.sub(r"[^\w.-]+", "_", first.row.editor).strip("_.") or "model"
    scores: dict[str, dict[str, float]] = {f"fashionedit|{run.protocol}|0": _scores(run) for run in runs}
    names = list(scores[f"fashionedit|{first.protocol}|0"])
    scores["all"] = {name: sum(one[name] for one in scores.values()) / len(runs) for name in names}
    results = {
        "config_general": {
            "lighteval_sha": f"fashionedit {__version__}",
            "model_config": {"model_name": first.row.editor, **first.results.runs[0].params},
            "model_name": first.row.editor,
            "job_id": 0,
        },
        "results": scores,
        "versions": {f"fashionedit|{run.protocol}|0": run.results.protocol_version for run in runs},
        "config_tasks": {f"fashionedit|{run.protocol}|0": _task(run) for run in runs},
        "summary_tasks": {},
        "summary_general": {},
    }
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    files = {f"results/{model}/results_{date}.json": text.encode()}
    for run in runs:
        files[f"details/{model}/{date}/details_fashionedit|{run.protocol}|0_{date}.parquet"] = _details(run)
    return files


def _scores(run: Exported) -> dict[str, float]:
    found = {}
    for metric in run.results.metrics:
        score = run.row.scores[metric.id]
        found[metric.id] = score.mean
        found[f"{metric.id}_stderr"] = score.standard_error or 0.0
    return found


def _task(run: Exported) -> dict[str, Any]:
    identity, dataset = run.results.runs[0], run.results.dataset
    return {
        "name": f"fashionedit|{run.protocol}",
        "hf_repo": dataset.name,
        "evaluation_splits": [dataset.split],
        "num_samples": run.row.requested,
        "rounds": identity.rounds,
        "reference": identity.reference,
        "manifest": identity.manifest,
        "metrics": {metric.id: metric.fingerprint for metric in run.results.metrics},
    }


def _details(run: Exported) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for place in range(len(run.results.samples)):
        facts = run.facts(place)
        rounds = facts.pop("rounds")
        rows.append(
            {
                "doc": {"id": facts["sample"], "task_name": f"fashionedit|{run.protocol}", **facts},
                "model_response": {"status": facts["status"], "digest": facts["digest"]},
                "metric": run.scores(place),
                "rounds": json.dumps(rounds, sort_keys=True),
            }
        )
    packed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), packed)
    return packed.getvalue()
