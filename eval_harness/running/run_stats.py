"""How the rounds of a run ended, counted while it goes and told at the end."""

from __future__ import annotations

import shlex
import statistics
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.references import REFERENCES, left_out, reference_of
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.runtime.costs import usd

from .chain import Ended
from .records import RoundRecord

_SHOWN = 0.01  # seconds; below that an edit's time tells nothing


class Progress(Protocol):
    """Whoever wants to know how far a run is.

    It may also have `spend(usd)`, called with what the run has cost so far, USD, earlier sessions included, where that
    is known.
    """

    def start(self, total: int, done: int) -> None:
        """Called once: the rounds of the run, and how many an earlier session committed."""

    def advance(self, status: Status) -> None:
        """Called for each further round that comes to an end."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run stands after one session.

    Args:
        path: The run folder.
        planned: The rounds of the whole run.
        statuses: Rounds by status, those of earlier sessions included.
        edits: How often this session asked the editor.
        reused: Rounds that an earlier session had committed.
        examples: For each status that is a failure, the message of the first such round.
        note: Which samples were left out, in words; empty where all have a reference of the run's kind.
        retries: How many of the edits were made again because they had failed.
        cost_usd: What the run has cost, USD, all its sessions together; None where no cost is known.
        seconds: The median time of an edit, s, of all sessions; None where none is known.
        tokens_dropped: For each round whose instruction is longer than the model reads, the tokens that it passed over.
        stopped: Why the run ended early, a sentence; empty where it did not, or the caller stopped it.
    """

    path: Path
    planned: int
    statuses: Mapping[Status, int]
    edits: int
    reused: int
    examples: Mapping[Status, str] = field(default_factory=dict)
    note: str = ""
    retries: int = 0
    cost_usd: float | None = None
    seconds: float | None = None
    stopped: str = ""
    tokens_dropped: tuple[int, ...] = ()

    @property
    def unfinished(self) -> int:
        """Rounds that were not reached."""
        return self.planned - sum(self.statuses.values())

    @property
    def incomplete(self) -> bool:
        """Whether the same call would go on: with rounds that were not reached, or that failed in passing."""
        return bool(self.unfinished) or any(status.transient for status in self.statuses)


class RunStats:
    """Counts rounds as they end, and passes them on to the progress bar; safe to use from several threads."""

    def __init__(self, progress: Progress | None, source: SampleSource) -> None:
        self._progress = progress
        self._note = _left_out(source)
        self._lock = threading.Lock()
        self._planned = 0
        self._statuses: Counter[Status] = Counter()
        self._edits = 0
        self._retries = 0
        self._reused = 0
        self._seconds: list[float] = []
        self._cut: list[int] = []
        self._usd: float | None = None
        self._examples: dict[Status, str] = {}

    def begin(self, total: int, done: int, planned: int | None = None) -> None:
        """Takes note of the rounds that this session can end with, those already done, and those of the whole run."""
        self._planned = total if planned is None else planned
        if self._progress is not None:
            self._progress.start(total, done)

    def reused(self, record: RoundRecord, *, counted: bool) -> None:
        """Counts a round of an earlier session; `counted` says that `begin` was told of it."""
        with self._lock:
            self._reused += 1
            self._count(record, advance=not counted)

    def finished(self, ended: Ended, *, asked: bool) -> None:
        """Counts a round of this session; `asked` says whether the editor was."""
        with self._lock:
            self._edits += asked
            self._count(ended, advance=True)

    def retried(self) -> None:
        """Counts an edit that failed and is made again."""
        with self._lock:
            self._edits += 1
            self._retries += 1

    def spent(self, usd: float | None) -> None:
        """Takes note of what the run has cost, USD; None where that is not known."""
        with self._lock:
            if usd is not None and usd != self._usd and (spend := getattr(self._progress, "spend", None)) is not None:
                spend(usd)
            self._usd = usd

    def _count(self, ended: Ended, *, advance: bool) -> None:
        self._statuses[ended.status] += 1
        dropped = ended.effective_params.get("tokens_dropped") if isinstance(ended, RoundRecord) else None
        if isinstance(dropped, int):
            self._cut.append(dropped)
        if ended.status is not Status.OK:
            self._examples.setdefault(ended.status, ended.message)
        elif ended.seconds is not None:
            self._seconds.append(ended.seconds)
        if advance and self._progress is not None:
            self._progress.advance(ended.status)

    def counts(self) -> dict[str, Any]:
        """Returns the numbers for the session's end line."""
        return {
            "statuses": {status.value: self._statuses[status] for status in Status if self._statuses[status]},
            "edits": self._edits,
            "retries": self._retries,
            "reused": self._reused,
            "cost_usd": self._usd,
        }

    def summary(self, path: Path, stopped: str = "") -> RunSummary:
        """Returns how the run stands; `stopped` says why it ended early."""
        return RunSummary(
            path=path,
            planned=self._planned,
            statuses={status: self._statuses[status] for status in Status if self._statuses[status]},
            edits=self._edits,
            reused=self._reused,
            examples=dict(self._examples),
            note=self._note,
            retries=self._retries,
            cost_usd=self._usd,
            seconds=statistics.median(self._seconds) if self._seconds else None,
            stopped=stopped,
            tokens_dropped=tuple(self._cut),
        )


def _left_out(source: SampleSource) -> str:
    count, kept = left_out(source), len(source.ids)
    noun = REFERENCES[reference_of(source)].noun
    have, are = ("has" if kept == 1 else "have"), ("one is" if count == 1 else f"{count:,} are")
    return f"{kept:,} of {kept + count:,} samples {have} {noun}; the other {are} left out" if count else ""


def summary_lines(summary: RunSummary) -> list[str]:
    """Returns the summary in words: counts, a line for each failed status, time and money, what is left out."""
    ended = ", ".join(f"{count} {status}" for status, count in summary.statuses.items()) or "none"
    first = (
        f"{sum(summary.statuses.values())} of {summary.planned} rounds done: {ended}; "
        f"{summary.edits} {'edit' if summary.edits == 1 else 'edits'} made now, "
        f"{summary.reused} {'round' if summary.reused == 1 else 'rounds'} kept from earlier sessions"
    )
    if summary.unfinished:
        first += f", {summary.unfinished} not reached"
    lines = [first]
    for status, count in summary.statuses.items():
        if status is not Status.OK:
            again = f"; the next run tries again; tracebacks are in {summary.path}/errors" if status.transient else ""
            lines.append(f'{status} {count}: for example "{_short(summary.examples.get(status, ""))}"{again}')
    took = []
    if summary.seconds is not None and summary.seconds >= _SHOWN:
        took.append(f"{_rounded(summary.seconds)} s an edit (median)")
    if summary.retries:
        took.append(f"{summary.retries} {'retry' if summary.retries == 1 else 'retries'}")
    if summary.cost_usd is not None:
        took.append(f"{usd(summary.cost_usd)} in all")
    if took:
        lines.append(", ".join(took))
    if cut := summary.tokens_dropped:
        lines.append(
            f"{len(cut)} {'instruction has' if len(cut) == 1 else 'instructions have'} more tokens than the text "
            f"encoder reads; up to {max(cut)} at the end had no effect"
        )
    if summary.note:
        lines.append(summary.note)
    return lines


def next_step(summary: RunSummary) -> str:
    """Returns what there is to do next, in words, with the command as a shell takes it."""
    score = shlex.join(["fashionedit", "score", str(summary.path)])
    if summary.incomplete:
        rest = f"{summary.unfinished} rounds were not reached" if summary.unfinished else "some rounds failed"
        return f"{rest}: the same command continues; or {score}"
    return score


def _rounded(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2g}"


def _short(message: str, most: int = 160) -> str:
    line = " ".join(message.split())
    return line if len(line) <= most else line[: most - 1] + "…"
