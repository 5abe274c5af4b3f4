"""How the rounds of a run ended, counted while it goes and told at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .chain import Ended
from .editing import Status
from .records import RoundRecord
from .references import REFERENCES, left_out, reference_of
from .samples import SampleSource

__all__ = ["Progress", "RunSummary", "Tally", "summary_lines"]


class Progress(Protocol):
    """Whoever wants to know how far a run is."""

    def start(self, total: int, done: int) -> None:
        """Called once: the rounds of the run, and how many an earlier session committed."""
        ...

    def advance(self, status: Status) -> None:
        """Called for each further round that comes to an end."""
        ...


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
    """

    path: Path
    planned: int
    statuses: Mapping[Status, int]
    edits: int
    reused: int
    examples: Mapping[Status, str] = field(default_factory=dict)
    note: str = ""

    @property
    def unfinished(self) -> int:
        """Rounds that were not reached."""
        return self.planned - sum(self.statuses.values())


class Tally:
    """Counts rounds as they end, and passes them on to the progress bar."""

    def __init__(self, progress: Progress | None, source: SampleSource) -> None:
        self._progress = progress
        self._note = _left_out(source)
        self._planned = 0
        self._statuses: Counter[Status] = Counter()
        self._edits = 0
        self._reused = 0
        self._examples: dict[Status, str] = {}

    def begin(self, total: int, done: int) -> None:
        """Takes note of the size of the run."""
        self._planned = total
        if self._progress is not None:
            self._progress.start(total, done)

    def reused(self, record: RoundRecord, *, counted: bool) -> None:
        """Counts a round of an earlier session; `counted` says that `begin` was told of it."""
        self._reused += 1
        self._count(record, advance=not counted)

    def finished(self, ended: Ended, *, asked: bool) -> None:
        """Counts a round of this session; `asked` says whether the editor was."""
        self._edits += asked
        self._count(ended, advance=True)

    def _count(self, ended: Ended, *, advance: bool) -> None:
        self._statuses[ended.status] += 1
        if ended.status is not Status.OK:
            self._examples.setdefault(ended.status, ended.message)
        if advance and self._progress is not None:
            self._progress.advance(ended.status)

    def counts(self) -> dict[str, Any]:
        """Returns the numbers for the session's end line."""
        return {
            "statuses": {status.value: self._statuses[status] for status in Status if self._statuses[status]},
            "edits": self._edits,
            "reused": self._reused,
        }

    def summary(self, path: Path) -> RunSummary:
        """Returns how the run stands."""
        statuses = {status: self._statuses[status] for status in Status if self._statuses[status]}
        return RunSummary(path, self._planned, statuses, self._edits, self._reused, dict(self._examples), self._note)


def _left_out(source: SampleSource) -> str:
    count, kept = left_out(source), len(source.ids)
    noun = REFERENCES[reference_of(source)].noun
    have, are = ("has" if kept == 1 else "have"), ("one is" if count == 1 else f"{count:,} are")
    return f"{kept:,} of {kept + count:,} samples {have} {noun}; the other {are} left out" if count else ""


def summary_lines(summary: RunSummary) -> list[str]:
    """Returns the summary in words: one line of counts, one for each status that is a failure, one of what is left out.

    >>> statuses, examples = {Status.OK: 4, Status.REFUSED: 1}, {Status.REFUSED: "no"}
    >>> lines = summary_lines(RunSummary(Path("run"), 6, statuses, edits=3, reused=2, examples=examples))
    >>> lines[0]
    '5 of 6 rounds ended: 4 ok, 1 refused; 3 edits made now, 2 rounds kept from before, 1 not reached'
    >>> lines[1]
    'refused 1: for example "no"'
    """
    ended = ", ".join(f"{count} {status}" for status, count in summary.statuses.items()) or "none"
    first = (
        f"{sum(summary.statuses.values())} of {summary.planned} rounds ended: {ended}; "
        f"{summary.edits} {'edit' if summary.edits == 1 else 'edits'} made now, "
        f"{summary.reused} {'round' if summary.reused == 1 else 'rounds'} kept from before"
    )
    if summary.unfinished:
        first += f", {summary.unfinished} not reached"
    lines = [first]
    for status, count in summary.statuses.items():
        if status is not Status.OK:
            again = "; the next run tries again" if status.transient else ""
            lines.append(f'{status} {count}: for example "{_short(summary.examples.get(status, ""))}"{again}')
    if summary.note:
        lines.append(summary.note)
    return lines


def _short(message: str, most: int = 160) -> str:
    line = " ".join(message.split())
    return line if len(line) <= most else line[: most - 1] + "…"
