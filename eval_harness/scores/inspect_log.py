"""A run as a log of Inspect (`.eval`), which its viewer and `load_dataset("eval", data_files=…)` read.

The form is that of Inspect's log version 2, a ZIP of JSON files: https://inspect.aisi.org.uk/eval-logs.html
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fashionedit import __version__
from fashionedit.errors import InvalidDataError
from fashionedit.files import JSON_BYTES, open_regular, parse_json

from .primary_scores import rounded, row_primary_scores
from .result_models import Results, Row

_VERSION = 2
_FILE_DATE = (1980, 1, 1, 0, 0, 0)


def is_log(path: Path) -> bool:
    """Returns whether the file is a log that `inspect_logs` made."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive, archive.open("_journal/start.json") as start:
            begin = parse_json(start.read(JSON_BYTES), name=path.name)
    except (InvalidDataError, KeyError, ValueError, OSError, zipfile.BadZipFile, zlib.error, RuntimeError):
        return False
    return isinstance(begin, dict) and isinstance(plan := begin.get("plan"), dict) and plan.get("name") == "fashionedit"


def inspect_logs(results: Results, created: str) -> dict[str, bytes]:
    """Returns by file name a log for each protocol: a sample of the log is a sample of the data after the last round.

    Samples are numbered from 1 on, since readers sort by number; `metadata` has the id, and the scores of each round.
    There is no caption, no description and no picture. The same run gives the same bytes.

    Args:
        created: When the run was begun, ISO 8601.

    Raises:
        InvalidDataError: The results are of several runs, or of none.
    """
    if len(results.runs) != 1:
        raise InvalidDataError(f"the results are of {len(results.runs)} runs; export one run at a time")
    rounds: dict[str, list[int]] = {}
    for index, row in enumerate(results.rows):
        if row.run is not None:
            rounds.setdefault(row.protocol, []).append(index)
    return {f"{_task(protocol)}.eval": _log(results, rows, created) for protocol, rows in rounds.items()}


def _log(results: Results, rows: Sequence[int], created: str) -> bytes:
    """Returns the log of one protocol, whose rows have these indexes, by round."""
    row = results.rows[rows[-1]]
    scores = {
        index: {
            metric.id: [value / (100 if metric.is_share else 1) for value in row_primary_scores(results, index, metric)]
            for metric in results.metrics
        }
        for index in rows
    }
    samples = [_sample(results, rows, scores, place) for place in range(len(results.samples))]
    spec, plan = _spec(results, row, created), {"name": "fashionedit", "steps": [], "config": {}}
    header = {
        "version": _VERSION,
        "status": "success",
        "eval": spec,
        "plan": plan,
        "results": _results(results, row),
        "stats": {"started_at": created, "completed_at": created, "model_usage": {}},
    }
    files: dict[str, Any] = {"_journal/start.json": {"version": _VERSION, "eval": spec, "plan": plan}}
    files |= {f"samples/{one['id']}_epoch_1.json": one for one in samples}
    files["summaries.json"] = [
        {name: one[name] for name in ("id", "epoch", "input", "target", "metadata", "scores")} | {"completed": True}
        for one in samples
    ]
    files["header.json"] = header
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
            archive.writestr(zipfile.ZipInfo(name, _FILE_DATE), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _task(protocol: str) -> str:
    return f"fashionedit_{protocol}"


def _spec(results: Results, row: Row, created: str) -> dict[str, Any]:
    identity, dataset = results.runs[0], results.dataset
    named = hashlib.sha256(json.dumps([identity.model_dump(mode="json"), row.protocol]).encode()).hexdigest()
    return {
        "eval_id": named[:22],
        "run_id": named[22:44],
        "created": created,
        "task": _task(row.protocol),
        "task_id": named[44:],
        "task_version": identity.protocol_version,
        "task_args": {"reference": identity.reference, "rounds": identity.rounds, "seed": identity.seed},
        "dataset": {
            "name": f"{dataset.name} {dataset.split}",
            "samples": len(results.samples),
            "sample_ids": list(range(1, len(results.samples) + 1)),
            "shuffled": False,
        },
        "model": f"fashionedit/{row.editor}",
        "model_args": identity.params,
        "config": {},
        "packages": {"fashionedit": __version__},
        "metadata": {
            "editor_fingerprint": row.fingerprint,
            "manifest": identity.manifest,
            "metrics": {metric.id: metric.fingerprint for metric in results.metrics},
            "intervals": results.interval,
        },
    }


def _results(results: Results, row: Row) -> dict[str, Any]:
    scores = []
    for metric in results.metrics:
        score = row.scores[metric.id]
        known = {"mean": score.mean, "stderr": score.standard_error, "low": score.low, "high": score.high}
        metrics = {name: {"name": name, "value": value} for name, value in known.items() if value is not None}
        scores.append({"name": metric.id, "scorer": metric.id, "params": {}, "metrics": metrics})
    return {
        "total_samples": row.requested,
        "completed_samples": row.requested,
        "scores": scores,
        "metadata": {"ok": row.ok, "failures": row.failures},
    }


def _sample(
    results: Results, rows: Sequence[int], scores: Mapping[int, Mapping[str, Sequence[float]]], place: int
) -> dict[str, Any]:
    row, last, sample = results.rows[rows[-1]], results.row_samples[rows[-1]], results.samples[place]
    answer = f"{last.status[place]}, image {last.digests[place][:16]}"
    return {
        "id": place + 1,
        "epoch": 1,
        "input": f"{sample.id}, {row.protocol}, after round {row.round}",
        "target": "the original photograph",
        "messages": [],
        "output": {
            "model": row.editor,
            "choices": [{"message": {"role": "assistant", "content": answer}, "stop_reason": "stop"}],
            "completion": answer,
        },
        "scores": {name: {"value": rounded(values[place])} for name, values in scores[rows[-1]].items()},
        "metadata": {
            "sample": sample.id,
            "garment": sample.garment,
            "category": sample.category,
            "gender": sample.gender,
            "view": sample.view,
            "status": last.status[place],
            "digest": last.digests[place],
            "rounds": {
                str(results.rows[index].round): {
                    "status": results.row_samples[index].status[place],
                    **{name: values[place] for name, values in scores[index].items()},
                }
                for index in rows
            },
        },
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }
