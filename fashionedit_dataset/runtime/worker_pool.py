"""The worker pool: drafts, analyses and edits are all made by it.

A thread pool. Each worker takes a task, calls the model or service and commits the outcome before it takes the next, so
a killed process loses at most `concurrency` calls. The pool decides the order, retries, time limits, what Ctrl-C does
and when to stop; it reserves money before each call. `limiter.py` keeps the pauses that a service asks for.
"""

from __future__ import annotations

import heapq
import random
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fashionedit.errors import BudgetSpentError, ServiceError

from .costs import usd
from .limiter import Limiter, ServiceReply

FAILURES_IN_A_ROW = 20
"""After this many tasks in a row without an answer, the service counts as down."""

FIRST_OUTCOMES = 8
"""If all of the first outcomes of a session failed for one reason, the pool stops before it pays for more. It looks at
this many outcomes, or at `concurrency` of them if that is more."""

FIRST_BACKOFF = 1.0
"""The wait before the first retry, s, unless a caller says otherwise; doubled for each further retry."""

LONGEST_BACKOFF = 60.0
"""The longest wait before a retry, s; a pause that the service asks for comes on top."""

_CLOCK = 0.1  # seconds between two looks at the clock, of the thread that waits for the workers
_COMMITTING = 10.0  # seconds that answers which are being written have, after a second Ctrl-C


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One thing to ask for; stages add what they need.

    Args:
        place: Tasks are done in this order, and only those with the same first and last number go into one call.
        tries: How often it has been asked for again.
        alone: Whether it is kept out of calls with others, because one that it was in failed as a whole.
    """

    place: tuple[int, int, int]
    tries: int = 0
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to, for one task.

    Args:
        answered: True ends a row of failures, False adds to it, None does neither.
        reason: Why it is of no use, in the same few words for the same cause; None where it is of use, or nobody knows.
        message: Why, in a sentence.
        kept: Whether it counts as done although it is of no use, so that `--retry` can't name it.
        conclusive: Whether the task is done; an answer that is sent back for repair is not.
        again: Whether the same call may succeed a little later.
        alone: Whether it was asked together with others, and what failed is the whole of them.
        stop: The error for which no further call is worth making.
        reply: What the service said about its limits.
        value: What the stage commits.
    """

    answered: bool | None = True
    reason: str | None = None
    message: str = ""
    kept: bool = False
    conclusive: bool = True
    again: bool = False
    alone: bool = False
    stop: Exception | None = None
    reply: ServiceReply | None = None
    value: Any = field(default=None, repr=False)


T = TypeVar("T", bound=Task)


class Stage(ABC, Generic[T]):
    """What a stage does for the pool; all of it is called from several threads. Without a price nothing is reserved."""

    noun: str
    """What its outcomes are called in messages, in the plural."""

    @property
    def batch(self) -> int:
        """How many tasks go into one call."""
        return 1

    def spent(self) -> float | None:
        """Returns what all runs have cost, USD; None where that is not known."""
        return None

    def reserve(self, tasks: Sequence[T]) -> str:
        """Reserves the most that the call may cost, and returns the entry.

        Raises:
            BudgetSpentError: There is not enough.
        """
        return ""

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        """Puts what the call has cost in the place of the reservation; without outcomes it was not made."""
        return

    @abstractmethod
    def prepare(self, tasks: Sequence[T]) -> Any:
        """Returns what `call` needs; what it raises ends the stage."""

    @abstractmethod
    def call(self, prepared: Any) -> Sequence[Outcome]:
        """Makes the call, and returns an outcome for each task; what it raises ends the stage."""

    def seconds(self, tasks: int) -> float | None:
        """Returns how long a call with so many tasks is waited for; None waits for ever."""
        return None

    def expired(self, tasks: Sequence[T], seconds: float) -> Sequence[Outcome]:
        """Returns the outcomes of a call that is waited for no longer, after so many seconds."""
        message = f"no answer within {seconds:g} s"
        return [Outcome(answered=False, reason="timeout", message=message) for _ in tasks]

    @abstractmethod
    def commit(self, finished: Sequence[tuple[T, Outcome, bool]]) -> Iterable[T]:
        """Writes the outcomes, and returns the tasks that follow from them; True marks those asked for again."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended the stage.

    `at_once` says that it came a second time, so that the calls `under_way` were not waited for; they may have been
    paid for.
    """

    def __init__(self, *, at_once: bool = False, under_way: int = 0) -> None:
        super().__init__("interrupted; the same command continues")
        self.at_once = at_once
        self.under_way = under_way


class CommonFailureError(ServiceError):
    """The first outcomes of a stage are all of no use, for the same reason."""


class _EndedError(Exception):
    """No further call is made."""


@dataclass(slots=True, eq=False)
class _Call(Generic[T]):
    """One call, from the moment its tasks are taken until all of them are on disk."""

    tasks: list[T]
    entry: str | None = None  # of the ledger
    began: float | None = None
    deadline: float | None = None
    given_up: bool = False


class WorkerPool(Generic[T]):
    """Does the tasks of a stage, and all that follow from them.

    With one worker and no time limit the calling thread does the work itself.

    Args:
        stage: What is done.
        concurrency: Calls under way at the same time, at most.
        retries: How often a call is made again whose failure may pass.
        backoff: Seconds before the first retry; doubled for each further one, 60 at most.
        keep_going: Whether it goes on although the first outcomes share a reason.
        stop: Asked before each call; True ends the stage, cleanly.
        tell: Given a sentence when Ctrl-C is pressed and calls under way are waited for.
    """

    def __init__(
        self,
        stage: Stage[T],
        *,
        concurrency: int = 1,
        retries: int = 0,
        backoff: float = FIRST_BACKOFF,
        keep_going: bool = False,
        stop: Callable[[], bool] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._stage = stage
        self._concurrency = concurrency
        self._retries = retries
        self._backoff = backoff
        self._stop = stop
        self._tell = tell
        self._limiter = Limiter(concurrency)
        self._schedule: Schedule[T] = Schedule()
        self._changed = threading.Condition()  # its lock holds for all that follows; nothing is written under it
        self._calls: list[_Call[T]] = []
        self._workers = 0
        self._given_up = 0
        self._failures = 0
        self._settled = 0
        self._writing = 0
        self._one_by_one = False  # there is no money for several tasks at once
        self._first = max(FIRST_OUTCOMES, concurrency)
        self._kept = False
        self._reasons: Counter[str] = Counter()  # of this session alone, so that every session gets further
        self._proven = keep_going
        self._example = ""
        self._ended = False
        self._interrupted = False
        self._at_once = False
        self._error: BaseException | None = None

    def run(self, tasks: Iterable[T]) -> bool:
        """Does the tasks, and returns whether nothing is left to do; False where `stop` ended it.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; what was under way is committed, unless it came a second time.
            CommonFailureError: The first outcomes share a reason.
            ServiceError: The service won't work at all, or gives no answer for 20 tasks in a row, or hangs.
            BudgetSpentError: A further call could exceed the budget; what was paid for is committed.
            BaseException: What else a stage raised; calls under way are committed by then.
        """
        for task in tasks:
            self._schedule.add(task)
        if not self._schedule:
            return True
        try:
            with on_interrupt(self._press):
                self._work(min(self._concurrency, len(self._schedule)))
        except BaseException as error:
            self._end(error)
            if not self._at_once:
                raise
        if self._at_once:
            raise Interrupted(at_once=True, under_way=self._abandon())
        if self._interrupted:
            raise Interrupted
        if self._error is not None:
            raise self._error
        return not self._ended

    def _work(self, workers: int) -> None:
        if self._concurrency == 1 and self._stage.seconds(1) is None:
            self._workers = 1
            self._worker()
            return
        with self._changed:
            for _ in range(workers):
                self._start_worker()
        while True:
            with self._changed:
                if not self._workers:
                    return
                self._changed.wait(_CLOCK)
                overdue = self._overdue()
            for call, outcomes in overdue:
                self._settle(call, outcomes)

    def _press(self) -> None:
        """Is called for each Ctrl-C, in the main thread."""
        if self._interrupted:
            self._at_once = True
            raise KeyboardInterrupt
        self._interrupted = True
        self._end()
        if self._tell is not None:
            self._tell("stopping; calls under way are waited for and kept (Ctrl-C again stops at once)")

    def _abandon(self) -> int:
        """Has nothing more committed, waits for what is just being written, and returns the calls under way."""
        with self._changed:
            for call in self._calls:
                call.given_up = True
            self._changed.wait_for(lambda: not self._writing, _COMMITTING)
            return sum(call.began is not None for call in self._calls)

    def _end(self, error: BaseException | None = None) -> None:
        """Has no further call made; the first error counts."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()
        self._limiter.stop(_EndedError())

    def _start_worker(self) -> None:
        self._workers += 1
        threading.Thread(target=self._worker, name=self._stage.noun, daemon=True).start()

    def _worker(self) -> None:
        goes_on = True
        try:
            while goes_on and (call := self._next()) is not None:
                goes_on = self._do(call)
        except BaseException as error:
            self._end(error)
        finally:
            if goes_on:  # else another worker took its place when the call was given up
                with self._changed:
                    self._workers -= 1
                    self._changed.notify_all()

    def _next(self) -> _Call[T] | None:
        """Returns the next call, its money reserved; waits for one, and returns None once there will be none."""
        while (call := self._taken()) is not None:
            if self._stop is not None and self._stop():
                self._put_back(call)
                self._end()
                continue
            try:
                call.entry = self._stage.reserve(call.tasks)
                return call
            except BudgetSpentError as error:
                self._put_back(call)
                if len(call.tasks) > 1:
                    self._one_by_one = True
                elif not self._wait_for_money():
                    self._end(error)
            except BaseException:
                self._put_back(call)
                raise
        return None

    def _taken(self) -> _Call[T] | None:
        with self._changed:
            while not self._ended and (self._schedule or self._calls):
                now = time.monotonic()
                wait = self._schedule.wait(now)
                batch = 1 if self._one_by_one else self._stage.batch
                if self._may_start() and (tasks := self._schedule.take(batch, now)):
                    call = _Call(tasks)
                    self._calls.append(call)
                    return call
                self._changed.wait(wait)
            return None

    def _may_start(self) -> bool:
        if len(self._calls) >= self._limiter.allowed:
            return False
        return self._proven or len(self._calls) + self._reasons.total() < self._first

    def _put_back(self, call: _Call[T]) -> None:
        with self._changed:
            for task in call.tasks:
                self._schedule.add(task)
            self._calls.remove(call)
            self._changed.notify_all()

    def _wait_for_money(self) -> bool:
        """Waits until a call has cost less than was reserved for it; returns False where none is under way."""
        with self._changed:
            before = self._settled
            while not self._ended and self._settled == before:
                if not any(call.entry is not None for call in self._calls):
                    return False
                self._changed.wait()
            return True

    def _do(self, call: _Call[T]) -> bool:
        """Makes the call and commits its outcomes; returns whether this thread is still wanted."""
        try:
            prepared = self._stage.prepare(call.tasks)
            self._limiter.before_sending()
            seconds = self._stage.seconds(len(call.tasks))
            with self._changed:
                if self._ended:
                    raise _EndedError
                call.began = time.monotonic()
                call.deadline = None if seconds is None else call.began + seconds
            outcomes = self._stage.call(prepared)
        except BaseException as error:
            if call.given_up:
                return False
            if not isinstance(error, _EndedError):
                self._end(error)
            if call.began is None and call.entry is not None:  # else it may have been paid for
                self._stage.charge(call.entry, ())
            if not self._at_once:
                self._remove(call)
            return True
        with self._changed:
            if call.given_up:
                return False
            call.deadline = None
        self._settle(call, outcomes)
        return True

    def _settle(self, call: _Call[T], outcomes: Sequence[Outcome]) -> None:
        """Puts each outcome on disk, and what follows from it on the schedule."""
        with self._changed:
            if self._at_once:
                return
            self._writing += 1
        try:
            if call.entry is not None:
                self._stage.charge(call.entry, outcomes)
            finished = []
            for task, outcome in zip(call.tasks, outcomes, strict=True):
                if outcome.reply is not None:
                    self._limiter.after_answer(outcome.reply.status, outcome.reply.headers)
                if outcome.stop is not None:
                    self._end(outcome.stop)
                finished.append((task, outcome, self._is_asked_again(task, outcome)))
            following = list(self._stage.commit(finished))
            with self._changed:
                for task in following:
                    self._schedule.add(task)
                for task, outcome, again in finished:
                    if again:
                        pause = 0.0 if outcome.alone else pause_before(task.tries, self._backoff)
                        self._schedule.add(task, at=time.monotonic() + pause)
            for _, outcome, again in finished:
                self._judge(outcome, again)
        finally:
            with self._changed:
                self._writing -= 1
            self._remove(call)

    def _is_asked_again(self, task: T, outcome: Outcome) -> bool:
        with self._changed:
            if self._ended:
                return False
            if outcome.alone:
                task.alone = True
                return True
            if not outcome.again or task.tries >= self._retries:
                return False
            task.tries += 1
            return True

    def _judge(self, outcome: Outcome, again: bool) -> None:
        """Ends the stage where no further call is worth making."""
        error: ServiceError | None = None
        with self._changed:
            if outcome.answered:
                self._failures = 0
            elif outcome.answered is False and not again:
                self._failures += 1
            if outcome.answered and outcome.reason is None and outcome.conclusive:
                self._proven = True
            elif outcome.reason is not None:
                self._reasons[outcome.reason] += 1
                self._example = outcome.message
                self._kept = outcome.kept
                self._proven = self._proven or len(self._reasons) > 1
            if self._failures >= FAILURES_IN_A_ROW:
                error = ServiceError(
                    f"{FAILURES_IN_A_ROW} {self._stage.noun} in a row had no answer, the last one because of: "
                    f"{' '.join(outcome.message.split())}; look at the service, and the same command continues"
                )
            alike = not self._proven and self._reasons.total() >= self._first
            shared = next(iter(self._reasons.items())) if alike else None
        if error is None and shared is not None:
            error = self._common_failure(*shared)
        if error is not None:
            self._end(error)

    def _common_failure(self, reason: str, count: int) -> CommonFailureError:
        spent = self._stage.spent()
        example = f" (the last one: {' '.join(self._example.split())})" if self._example else ""
        money = "" if spent is None else f"; {usd(spent)} is spent so far"
        word = f"'{reason}'" if " " in reason else reason
        again = "or start anew in another folder" if self._kept else f"with --retry {word} to ask for these again"
        return CommonFailureError(
            f"the first {count} {self._stage.noun} all ended the same way: {reason}{example}{money}; look at the "
            f"prompt, the model and its settings, then give --keep-going to go on, {again}"
        )

    def _remove(self, call: _Call[T]) -> None:
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)
            self._settled += 1
            self._changed.notify_all()

    def _overdue(self) -> list[tuple[_Call[T], Sequence[Outcome]]]:
        """Returns the calls that took too long; their threads are left to themselves. The lock is held."""
        now = time.monotonic()
        found = []
        for call in self._calls:
            if call.deadline is None or call.began is None or now < call.deadline:
                continue
            call.given_up = True
            call.deadline = None
            self._given_up += 1
            outcomes = self._stage.expired(call.tasks, now - call.began)
            if self._given_up >= self._concurrency and not self._ended:
                self._end(_hanging(self._given_up, outcomes[0].message))
            self._workers -= 1
            if not self._ended:
                self._start_worker()
            found.append((call, outcomes))
        return found


class Schedule(Generic[T]):
    """Tasks that are ready, in the order of their places, and tasks that become ready at a later time."""

    def __init__(self) -> None:
        self._ready: list[tuple[tuple[int, int, int], int, T]] = []
        self._later: list[tuple[float, int, T]] = []
        self._count = 0  # so that no two entries compare equal

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def add(self, task: T, at: float | None = None) -> None:
        """Adds a task that is ready at once, or at a time of `time.monotonic()`."""
        self._count += 1
        if at is None:
            heapq.heappush(self._ready, (task.place, self._count, task))
        else:
            heapq.heappush(self._later, (at, self._count, task))

    def take(self, most: int, now: float) -> list[T]:
        """Returns the next ready task, and with it as many of the same kind as fit into one call of `most`."""
        while self._later and self._later[0][0] <= now:
            self.add(heapq.heappop(self._later)[2])
        if not self._ready:
            return []
        first = heapq.heappop(self._ready)[2]
        taken = [first]
        passed: list[T] = []
        while not first.alone and len(taken) < most and self._ready and self._ready[0][0][0] == first.place[0]:
            task = heapq.heappop(self._ready)[2]
            (passed if task.alone or task.place[2] != first.place[2] else taken).append(task)
        for task in passed:
            self.add(task)
        return taken

    def wait(self, now: float) -> float | None:
        """Returns the seconds until another task becomes ready by itself; None if none will."""
        return max(0.0, self._later[0][0] - now) if self._later else None


@contextmanager
def on_interrupt(press: Callable[[], None]) -> Iterator[None]:
    """Has each Ctrl-C and each SIGTERM call `press`, which may raise `KeyboardInterrupt`.

    Outside the main thread, and for a signal that is ignored, everything stays as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watched = [name for name in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(name) is not signal.SIG_IGN]
    previous = [(name, signal.signal(name, lambda number, frame: press())) for name in watched]
    try:
        yield
    finally:
        for name, handler in previous:
            signal.signal(name, handler)


def pause_before(retry: int, backoff: float) -> float:
    """Returns the seconds to wait before a retry (1 is the first): doubled each time, up to half less at random.

    At random, so that calls that failed together are not repeated together.
    """
    return min(LONGEST_BACKOFF, backoff * 2.0 ** min(retry - 1, 30)) * random.uniform(0.5, 1.0)


def _hanging(count: int, message: str) -> ServiceError:
    calls = "1 call never came" if count == 1 else f"{count} calls never came"
    return ServiceError(
        f"{calls} back ({message}), as many as may be under way at once; look at the editor or the service, or give a "
        "longer timeout, and the same command continues"
    )
