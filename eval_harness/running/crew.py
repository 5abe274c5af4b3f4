"""The threads of a run: who asks the editor next, how long it is waited for, and when no further call is made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from fashionedit.errors import BudgetSpentError, ServiceError
from fashionedit.runtime.limiter import Limiter

from .asking import Asker
from .attempts import Answer, failed
from .limits import FAILURES_IN_A_ROW, Limits, pause_before
from .records import FailedAttempt
from .rounds import Rounds
from .schedule import Job, Schedule
from .spending import Spending
from .summary import Tally

_LOOK_AROUND = 0.1  # seconds between two looks at the clock and for Ctrl-C, of the thread that waits for the others


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session ends before everything is done.

    Args:
        kind: `stopped` by the caller, `interrupted` by Ctrl-C, out of `budget`, or an `error`.
        message: A sentence, of a budget.
        error: What is to be raised, of an error.
    """

    kind: Literal["stopped", "interrupted", "budget", "error"]
    message: str = ""
    error: BaseException | None = None


class _EndedError(Exception):
    """No further call is made."""


@dataclass(slots=True, eq=False)
class _Call:
    """One call of the editor, from the moment its jobs are taken until all of them are on disk."""

    jobs: list[Job]
    reservation: str
    began: float = 0.0
    deadline: float | None = None
    given_up: bool = False


class Crew:
    """As many workers as calls may be under way; each asks, judges and commits, so that this too goes side by side.

    A worker takes its next job when the last one is on disk. So at most `concurrency` calls are made and not committed
    at any time, and a process that is killed has paid for no more than that in vain. With one worker, and nobody to
    watch the clock for, the calling thread does the work itself.

    Args:
        rounds: The jobs.
        asker: Who is asked.
        limits: Of the session.
        spending: Its money.
        tally: Told of every round that ends.
        stop: Asked before each call; True ends the session.
    """

    def __init__(
        self,
        rounds: Rounds,
        asker: Asker,
        limits: Limits,
        spending: Spending,
        tally: Tally,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self._rounds = rounds
        self._asker = asker
        self._limits = limits
        self._spending = spending
        self._tally = tally
        self._stop = stop
        self._limiter = Limiter(limits.concurrency)
        self._schedule = Schedule()
        self._changed = threading.Condition()  # its lock holds for all that follows
        self._calls: list[_Call] = []
        self._threads: list[threading.Thread] = []
        self._workers = 0
        self._given_up = 0
        self._failures = 0
        self.ending: Ending | None = None

    def work(self, jobs: list[Job]) -> None:
        """Does the jobs and all that follow from them, until nothing is left to do or the session ends.

        Raises:
            BaseException: What ended it, if that is an error; calls under way are committed by then.
        """
        for job in jobs:
            self._schedule.add(job)
        if self._limits.concurrency == 1 and self._limits.patience is None:
            self._workers = 1
            self._worker()
        else:
            for _ in range(min(self._limits.concurrency, len(jobs))):
                self._start_worker()
            with self._changed:
                while self._workers:
                    self._changed.wait(_LOOK_AROUND)
                    self._give_up_overdue()
        if self.ending is not None and self.ending.error is not None:
            raise self.ending.error

    def end(self, ending: Ending) -> None:
        """Has no further call made; the first reason counts."""
        with self._changed:
            self.ending = self.ending or ending
            self._changed.notify_all()
        self._limiter.stop(_EndedError())

    def _start_worker(self) -> None:
        self._workers += 1
        thread = threading.Thread(target=self._worker, name=f"edit-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _worker(self) -> None:
        goes_on = True
        try:
            while goes_on and (call := self._next()) is not None:
                goes_on = self._do(call)
        except BaseException as error:
            self.end(Ending("error", error=error))
        finally:
            if goes_on:  # else another worker took its place when it was given up
                with self._changed:
                    self._workers -= 1
                    self._changed.notify_all()

    def _next(self) -> _Call | None:
        """Returns the next call, registered; waits for one, and returns None once there will be none."""
        with self._changed:
            while self.ending is None and (self._schedule or self._calls):
                now = time.monotonic()
                wait = self._schedule.wait(now)
                if len(self._calls) < self._limiter.allowed and (jobs := self._schedule.take(self._asker.batch, now)):
                    call = self._register(jobs)
                    if call is not None or self.ending is not None:
                        return call
                self._changed.wait(wait)
            return None

    def _register(self, jobs: list[Job]) -> _Call | None:
        """Returns the call, or None if it has to wait for money, or the session ends; the lock is held."""
        if self._stop is not None and self._stop():
            self.end(Ending("stopped"))
        else:
            while True:
                try:
                    call = _Call(jobs, self._spending.reserve(len(jobs)))
                except BudgetSpentError as error:
                    if len(jobs) > 1:
                        for job in jobs[1:]:
                            self._schedule.add(job)
                        del jobs[1:]
                        continue
                    if not self._calls:  # those under way may cost less than promised
                        self.end(Ending("budget", message=str(error)))
                    break
                self._calls.append(call)
                return call
        for job in jobs:
            self._schedule.add(job)
        return None

    def _do(self, call: _Call) -> bool:
        """Makes the call and commits its answers; returns whether this thread is still wanted."""
        try:
            works = [self._rounds.work(job) for job in call.jobs]
            self._limiter.before_sending()
            seconds = self._asker.seconds(len(works))
            with self._changed:
                if self.ending is not None:
                    raise _EndedError
                call.began = time.monotonic()
                call.deadline = None if seconds is None else call.began + seconds
            answers = self._asker(works)
        except BaseException as error:
            if call.given_up:
                return False
            if not isinstance(error, _EndedError):
                self.end(Ending("interrupted" if isinstance(error, KeyboardInterrupt) else "error", error=error))
            self._release(call)
            return True
        with self._changed:
            if call.given_up:
                return False
            call.deadline = None
        self._settle(call, answers)
        return True

    def _settle(self, call: _Call, answers: list[Answer]) -> None:
        """Puts each answer on disk, and each chain on its way again."""
        try:
            for job, answer in zip(call.jobs, answers, strict=True):
                if answer.reply is not None:
                    self._limiter.after_answer(answer.reply.status, answer.reply.headers)
                self._finish(job, answer)
        finally:
            self._release(call, answers)

    def _finish(self, job: Job, answer: Answer) -> None:
        ended = answer.ended
        before = job.attempts
        job.attempts += ended.attempts
        if not isinstance(ended, FailedAttempt):
            ended = ended.model_copy(update={"attempts": job.attempts})
        self._rounds.write(job, ended, answer.image)
        if answer.stop is not None:
            self.end(Ending("error", error=answer.stop))
        elif isinstance(ended, FailedAttempt) and self._again(job, answer):
            self._tally.retried()
            return
        self._tally.finished(ended, asked=True)
        following = self._rounds.follow(job, ended)
        with self._changed:
            if not isinstance(ended, FailedAttempt):
                self._failures = 0
            elif answer.again or not before:  # what failed in an earlier session too may be the sample's own fault
                self._failures += 1
            if following is not None:
                self._schedule.add(following)
            down = self._failures >= FAILURES_IN_A_ROW
        if down:
            self.end(Ending("error", error=_down(ended.message)))

    def _again(self, job: Job, answer: Answer) -> bool:
        """Returns whether the job is asked for again, and puts it on the schedule if so."""
        with self._changed:
            if self.ending is not None:
                return False
            if answer.alone:
                job.alone = True
                self._schedule.add(job)
                return True
            if not answer.again or job.tries >= self._limits.retries:
                return False
            job.tries += 1
            self._schedule.add(job, at=time.monotonic() + pause_before(job.tries, self._limits.backoff))
            return True

    def _release(self, call: _Call, answers: list[Answer] | None = None) -> None:
        self._spending.charge(call.reservation, answers or ())
        self._tally.spent(self._spending.usd)
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)
            self._changed.notify_all()

    def _give_up_overdue(self) -> None:
        """Ends the edits that took too long; their threads are left to themselves. The lock is held."""
        now = time.monotonic()
        for call in [call for call in self._calls if call.deadline is not None and now >= call.deadline]:
            call.given_up = True
            self._given_up += 1
            answers = [failed(job.step, self._asker.given_up(), now - call.began) for job in call.jobs]
            if self._given_up >= self._limits.concurrency:
                self.end(Ending("error", error=_hanging(self._given_up, answers[0].ended.message)))
            self._settle(call, [replace(answer, again=answer.again and not self.ending) for answer in answers])
            self._workers -= 1
            if self.ending is None:
                self._start_worker()


def _down(message: str) -> ServiceError:
    return ServiceError(
        f"{FAILURES_IN_A_ROW} rounds in a row had no answer, the last one because of: {' '.join(message.split())}; "
        "look at the editor or its service, and the same command continues"
    )


def _hanging(count: int, message: str) -> ServiceError:
    edits = "1 edit never came" if count == 1 else f"{count} edits never came"
    return ServiceError(
        f"{edits} back ({message}), as many as may be under way at once; look at the editor or give a longer "
        "--timeout, and the same command continues"
    )
