"""What a run folder holds, as tests compare it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fashionedit.eval_harness.running.records import RoundOutcome, RoundRecord
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource


def outcomes(out: Path, source: SampleSource) -> dict[tuple[str, str, int], RoundOutcome]:
    """What each round came to, by protocol, sample and round."""
    return {(o.protocol, o.sample, o.round): o for o in RunFolder.open(out).outcomes(source)}


def records(out: Path) -> list[RoundRecord]:
    """All records, in the order of their keys."""
    return [RoundRecord.model_validate_json(path.read_bytes()) for path in sorted(out.glob("records/*/*.json"))]


def failures(out: Path) -> list[dict[str, Any]]:
    """All failed attempts, in the order of their keys."""
    return [json.loads(path.read_text()) for path in sorted(out.glob("errors/*.json"))]


def kept(out: Path) -> dict[str, Any]:
    """Identity, records and images of a run, times aside."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in (out / "run.json", *out.glob("images/*/*"))}
    for path in out.glob("records/*/*"):
        record = json.loads(path.read_text())
        assert record.pop("seconds") >= 0
        found[path.name] = record
    return found


def sessions(out: Path) -> list[dict[str, Any]]:
    """The lines of `sessions.jsonl`."""
    return [json.loads(line) for line in (out / "sessions.jsonl").read_text().splitlines()]
