"""A run as a log of Inspect (`.eval`), which its viewer and `load_dataset("eval", data_files=…)` read.

The form is that of Inspect's log version 2, a ZIP of JSON files: https://inspect.aisi.org.uk/eval-logs.html
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionedit import __version__
from fashionedit.errors import InvalidDataError
from fashionedit.files import JSON_BYTES, open_regular, parse_json

from .primary_scores import rounded, row_primary_scores
from .result_models import Results, Row


@dataclass(frozen=True, slots=True)
class Exported:
    """One run in one protocol.

    Args:
        results: The file that it is of.
        protocol: `vanilla` or `bug`.
        rounds: The indexes of its rows, by round; the last one is what is reported.
        created: When the run was begun, ISO 8601.
    """

    results: Results
    protocol: str
    rounds: tuple[int, ...]
    created: str

    @property
    def row(self) -> Row:
        """The row after the last round."""
        return self.results.rows[self.rounds[-1]]

    @property
    def task(self) -> str:
        """The name of the task."""
        return f"fashionedit_{self.protocol}"

    def scores(self, place: int) -> dict[str, float]:
        """Returns what a sample adds to the means of the table after the last round; for a starred metric 1 or 0."""
        return self._scores(self.rounds[-1], place)

    def facts(self, place: int) -> dict[str, Any]:
        """Returns what is known of a sample beside its scores; no caption, no description, no picture."""
        sample, last = self.results.samples[place], self.results.row_samples[self.rounds[-1]]
        return {
            "sample": sample.id,
            "garment": sample.garment,
            "category": sample.category,
            "gender": sample.gender,
            "view": sample.view,
            "status": last.status[place],
            "digest": last.digests[place],
            "rounds": {
                str(self.results.rows[index].round): {
                    "status": self.results.row_samples[index].status[place],
                    **self._scores(index, place),
                }
                for index in self.rounds
            },
        }

    def _scores(self, index: int, place: int) -> dict[str, float]:
        return {
            metric.id: row_primary_scores(self.results, index, metric)[place] / (100 if metric.is_share else 1)
            for metric in self.results.metrics
        }


def exported(results: Results, created: str) -> Iterator[Exported]:
    """Yields each of the run's protocols.

    Raises:
        InvalidDataError: The results are of several runs, or of none.
    """
    if len(results.runs) != 1:
        raise InvalidDataError(f"the results are of {len(results.runs)} runs; export one run at a time")
    own = [index for index, row in enumerate(results.rows) if row.run is not None]
    for protocol in dict.fromkeys(results.rows[index].protocol for index in own):
        places = [index for index in own if results.rows[index].protocol == protocol]
        yield Exported(results, protocol, tuple(sorted(places, key=lambda at: results.rows[at].round)), created)


_VERSION = 2
_FILE_DATE = (1980, 1, 1, 0, 0, 0)


def is_log(path: Path) -> bool:
    """Returns whether the file is a log that `inspect_log` made."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive, archive.open("_journal/start.json") as start:
            begin = parse_json(start.read(JSON_BYTES), name=path.name)
    except (InvalidDataError, KeyError, ValueError, OSError, zipfile.BadZipFile, zlib.error, RuntimeError):
        return False
    return isinstance(begin, dict) and isinstance(plan := begin.get("plan"), dict) and plan.get("name") == "fashionedit"


def inspect_log(run: Exported) -> bytes:
    """Returns the log of one protocol: a sample of the log is a sample of the dataset after the last round.

    Samples are numbered from 1 on, since readers sort by number; `metadata` has the id, and the scores of each round.
    The same run gives the same bytes.
    """
    spec, results = _spec(run), _results(run)
    samples = [_sample(run, place) for place in range(len(run.results.samples))]
    plan = {"name": "fashionedit", "steps": [], "config": {}}
    stats = {"started_at": run.created, "completed_at": run.created, "model_usage": {}}
    header = {"version": _VERSION, "status": "success", "eval": spec, "plan": plan, "results": results, "stats": stats}
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


def _spec(run: Exported) -> dict[str, Any]:
    identity, dataset = run.results.runs[0], run.results.dataset
    named = hashlib.sha256(json.dumps([identity.model_dump(mode="json"), run.protocol]).encode()).hexdigest()
    return {
        "eval_id": named[:22],
        "run_id": named[22:44],
        "created": run.created,
        "task": run.task,
        "task_id": named[44:],
        "task_version": identity.protocol_version,
        "task_args": {"reference": identity.reference, "rounds": identity.rounds, "seed": identity.seed},
        "dataset": {
            "name": f"{dataset.name} {dataset.split}",
            "samples": len(run.results.samples),
            "sample_ids": list(range(1, len(run.results.samples) + 1)),
            "shuffled": False,
        },
        "model": f"fashionedit/{run.row.editor}",
        "model_args": identity.params,
        "config": {},
        "packages": {"fashionedit": __version__},
        "metadata": {
            "editor_fingerprint": run.row.fingerprint,
            "manifest": identity.manifest,
            "metrics": {metric.id: metric.fingerprint for metric in run.results.metrics},
            "intervals": run.results.interval,
        },
    }


def _results(run: Exported) -> dict[str, Any]:
    scores = []
    for metric in run.results.metrics:
        score = run.row.scores[metric.id]
        known = {"mean": score.mean, "stderr": score.standard_error, "low": score.low, "high": score.high}
        metrics = {name: {"name": name, "value": value} for name, value in known.items() if value is not None}
        scores.append({"name": metric.id, "scorer": metric.id, "params": {}, "metrics": metrics})
    return {
        "total_samples": run.row.requested,
        "completed_samples": run.row.requested,
        "scores": scores,
        "metadata": {"ok": run.row.ok, "failures": run.row.failures},
    }


def _sample(run: Exported, place: int) -> dict[str, Any]:
    facts = run.facts(place)
    answer = f"{facts['status']}, image {facts['digest'][:16]}"
    return {
        "id": place + 1,
        "epoch": 1,
        "input": f"{facts['sample']}, {run.protocol}, after round {run.row.round}",
        "target": "the original photograph",
        "messages": [],
        "output": {
            "model": run.row.editor,
            "choices": [{"message": {"role": "assistant", "content": answer}, "stop_reason": "stop"}],
            "completion": answer,
        },
        "scores": {name: {"value": rounded(value)} for name, value in run.scores(place).items()},
        "metadata": facts,
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }
