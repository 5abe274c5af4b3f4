"""Which rounds are to be asked for, in which order, and which wait for another try."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from .chain import Chain, Step
from .records import RoundRecord


@dataclass(slots=True)
class Job:
    """One round of one sample that the editor is to be asked for.

    Args:
        place: Round (those of a repetition come after those of the one before), number of the sample, number of the
            protocol: jobs are done in this order.
        chain: Where the sample stands in this protocol; it stays there until the job is done.
        step: What the editor is asked.
        earlier: Attempts that failed in earlier sessions, as `errors/` has them.
        attempts: All attempts so far, of all sessions.
        refused: The record of a refusal that is asked about again; it holds until there is another result.
        tries: How often this session has asked for it and may ask again.
        alone: Whether it is kept out of batches, because one that it was in failed as a whole.
    """

    place: tuple[int, int, int]
    chain: Chain
    step: Step
    earlier: int = 0
    attempts: int = 0
    refused: RoundRecord | None = None
    tries: int = 0
    alone: bool = False


class Schedule:
    """Jobs that are ready, in the order of their places, and jobs that become ready at a later time.

    Breadth-first: round 1 of all samples comes before round 2 of any, but nobody waits for a round to be complete.
    """

    def __init__(self) -> None:
        self._ready: list[tuple[tuple[int, int, int], Job]] = []
        self._later: list[tuple[float, tuple[int, int, int], Job]] = []

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def add(self, job: Job, at: float | None = None) -> None:
        """Takes a job in, to be ready at once, or at a time of `time.monotonic()`."""
        if at is None:
            heapq.heappush(self._ready, (job.place, job))
        else:
            heapq.heappush(self._later, (at, job.place, job))

    def take(self, most: int, now: float) -> list[Job]:
        """Returns the next ready job, and with it as many of the same round and protocol as may be asked together.

        Args:
            most: Jobs at once, from 1 on.
            now: The time.

        Returns:
            No job where none is ready.
        """
        while self._later and self._later[0][0] <= now:
            self.add(heapq.heappop(self._later)[2])
        if not self._ready:
            return []
        first = heapq.heappop(self._ready)[1]
        taken = [first]
        passed: list[Job] = []
        while not first.alone and len(taken) < most and self._ready and self._ready[0][0][0] == first.place[0]:
            job = heapq.heappop(self._ready)[1]
            (passed if job.alone or job.place[2] != first.place[2] else taken).append(job)
        for job in passed:
            self.add(job)
        return taken

    def wait(self, now: float) -> float | None:
        """Returns the seconds until another job becomes ready by itself; None if none will."""
        return max(0.0, self._later[0][0] - now) if self._later else None
