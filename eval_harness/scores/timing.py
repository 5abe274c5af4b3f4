"""What a run took: kept out of `results.json`, because an interrupted run takes other times to the same results."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit import __version__
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import read_json, read_json_lines, write_atomically

from .primary_scores import row_primary_scores
from .result_models import Results
from .results import ScorableRun


def write_timing(run: ScorableRun, source: SampleSource, path: Path, results: Results | None = None) -> None:
    """Writes `timing.json`, whole or not at all."""
    text = json.dumps(timing(run, source, results), indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(path, (text + "\n").encode())


def read_timing(path: Path) -> dict[str, Any]:
    """Returns what `write_timing` wrote; nothing where there is no such file or it can't be read."""
    try:
        found = read_json(path, folder=path.parent)
        _Timing.model_validate(found)
    except (OSError, InvalidDataError, ValidationError):
        return {}
    return found


class _RoundTiming(BaseModel):
    """What a table shows of a round."""

    model_config = ConfigDict(strict=True)

    protocol: str
    round: int
    edits: int
    accepted: int | None = None
    mean_seconds: float | None = None
    median_seconds: float | None = None
    usd_per_edit: float | None = None
    seconds_per_accepted: float | None = None
    usd_per_accepted: float | None = None


class _Timing(BaseModel):
    """What is read of `timing.json`."""

    rounds: list[_RoundTiming] = []


def timing(run: ScorableRun, source: SampleSource, results: Results | None = None) -> dict[str, Any]:
    """Returns the sessions of the run, and per protocol and round what its edits took, with its own seed.

    Each round has `edits` (rounds with a record), `seconds`, `mean_seconds` and `median_seconds` of the calls whose
    time is known, s, `attempts`, `cost_usd` and `usd_per_edit`; what is not known is None. With results it also has
    `accepted`, the samples that count for the first share after this round, and `seconds_per_accepted` and
    `usd_per_accepted`: the sums of all rounds up to this one, of all samples, divided by that number.

    Args:
        results: Of this run alone.
    """
    timed = run if isinstance(run, TimedRun) else TimedRun(run)
    if not timed.times:
        for _ in timed.outcomes(source):
            pass
    rounds = [found.summary(protocol, number) for (protocol, number), found in timed.times.items()]
    if results is not None:
        for one in rounds:
            one |= _accepted(one, rounds, results)
    return {
        "schema_version": 1,
        "fashionedit": __version__,
        "sessions": list(read_json_lines(run.path / "sessions.jsonl", folder=run.path)),
        "rounds": rounds,
    }


class TimedRun:
    """A run that notes what its rounds took while its outcomes are read, so that they need not be read again."""

    def __init__(self, run: ScorableRun) -> None:
        self.path, self.identity, self._run = run.path, run.identity, run
        self.times: dict[tuple[str, int], _Times] = {}

    def outcomes(self, source: SampleSource, repeat: int = 0) -> Iterator[RoundOutcome]:
        """Yields the outcomes of the run."""
        if repeat:
            yield from self._run.outcomes(source, repeat)
            return
        times = defaultdict[tuple[str, int], _Times](_Times)
        for outcome in self._run.outcomes(source):
            times[outcome.protocol, outcome.round].add(outcome)
            yield outcome
        self.times = times


class _Times:
    """What the calls of one round in one protocol took."""

    def __init__(self) -> None:
        self.edits = self.attempts = 0
        self.seconds: list[float] = []
        self.costs: list[float] = []

    def add(self, outcome: RoundOutcome) -> None:
        self.edits += outcome.status is not None
        self.attempts += outcome.attempts
        if outcome.seconds is not None:
            self.seconds.append(outcome.seconds)
        if outcome.cost_usd is not None:
            self.costs.append(outcome.cost_usd)

    def summary(self, protocol: str, number: int) -> dict[str, Any]:
        seconds, costs = self.seconds, self.costs
        return {
            "protocol": protocol,
            "round": number,
            "edits": self.edits,
            "attempts": self.attempts,
            "seconds": math.fsum(seconds) if seconds else None,
            "mean_seconds": math.fsum(seconds) / len(seconds) if seconds else None,
            "median_seconds": statistics.median(seconds) if seconds else None,
            "cost_usd": math.fsum(costs) if costs else None,
            "usd_per_edit": math.fsum(costs) / len(costs) if costs else None,
        }


def _accepted(one: dict[str, Any], rounds: Sequence[dict[str, Any]], results: Results) -> dict[str, Any]:
    if results.share is None:
        return {}
    protocol, number = one["protocol"], one["round"]
    place = next(
        index
        for index, row in enumerate(results.rows)
        if row.run is not None and (row.protocol, row.round) == (protocol, number)
    )
    accepted = sum(value > 0 for value in row_primary_scores(results, place, results.share))
    earlier = [other for other in rounds if other["protocol"] == protocol and other["round"] <= number]
    found: dict[str, Any] = {"accepted": accepted}
    for name, field in (("seconds_per_accepted", "seconds"), ("usd_per_accepted", "cost_usd")):
        known = [other[field] for other in earlier if other[field] is not None]
        found[name] = math.fsum(known) / accepted if known and accepted else None
    return found


def begun(run: Path) -> str:
    """Returns when the run in this folder was begun, ISO 8601; the beginning of 1970 where that is not known."""
    times = []
    for line in read_json_lines(run / "sessions.jsonl", folder=run):
        with suppress(TypeError, ValueError):
            times.append(datetime.fromisoformat(line["time"]).isoformat() if "time" in line else "")
    return min(filter(None, times), default="1970-01-01T00:00:00+00:00")
