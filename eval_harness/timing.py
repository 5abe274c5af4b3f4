"""What a run took: kept out of `results.json`, because an interrupted run takes other times to the same results."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fashionedit import __version__
from fashionedit.files import write_atomically

from .records import RoundOutcome
from .results import ScorableRun
from .samples import SampleSource

__all__ = ["timing", "write_timing"]


def write_timing(run: ScorableRun, source: SampleSource, path: Path) -> None:
    """Writes `timing.json`, whole or not at all."""
    text = json.dumps(timing(run, source), indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(path, (text + "\n").encode())


def timing(run: ScorableRun, source: SampleSource) -> dict[str, Any]:
    """Returns the sessions of the run, and per protocol and round what its edits took.

    Each round has `edits` (rounds with a record), `seconds` and `median_seconds` of the calls whose time is known, s,
    `attempts`, and `cost_usd`; a sum over nothing known is None.
    """
    groups: dict[tuple[str, int], list[RoundOutcome]] = {}
    for outcome in run.outcomes(source):
        groups.setdefault((outcome.protocol, outcome.round), []).append(outcome)
    return {
        "schema_version": 1,
        "fashionedit": __version__,
        "sessions": list(_sessions(run.path / "sessions.jsonl")),
        "rounds": [_round(protocol, number, found) for (protocol, number), found in groups.items()],
    }


def _round(protocol: str, number: int, outcomes: Sequence[RoundOutcome]) -> dict[str, Any]:
    seconds = [outcome.seconds for outcome in outcomes if outcome.seconds is not None]
    costs = [outcome.cost_usd for outcome in outcomes if outcome.cost_usd is not None]
    return {
        "protocol": protocol,
        "round": number,
        "edits": sum(outcome.status is not None for outcome in outcomes),
        "attempts": sum(outcome.attempts for outcome in outcomes),
        "seconds": math.fsum(seconds) if seconds else None,
        "median_seconds": statistics.median(seconds) if seconds else None,
        "cost_usd": math.fsum(costs) if costs else None,
    }


def _sessions(path: Path) -> Iterator[Any]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # a line that a killed process left torn
