"""The stage of a run that the worker pool works through: asks the editor, judges what it answers and commits it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from fashionedit.eval_harness.editing import Editor, EditorInfo, EditResult, PrivilegedEditor, Status
from fashionedit.runtime.worker_pool import Outcome

from .attempts import Answer, Work, attempt, attempt_together, edit_once, failed
from .event_loop import EventLoop, OutOfTimeError
from .limits import Limits
from .records import FailedAttempt
from .rounds import Job, Rounds
from .spending import Spending
from .summary import Tally
from .users_code import users_code

_CANCELLING = 5.0  # seconds that a cancelled coroutine has to come to its end


class EditorCalls:
    """Calls one editor, from any number of threads: one request, several together, or on an event loop.

    Args:
        editor: Who is asked.
        info: What it says of itself.
        limits: Of the session.

    Attributes:
        batch: Requests that may be put into one call.
    """

    def __init__(self, editor: Editor | PrivilegedEditor, info: EditorInfo, limits: Limits) -> None:
        self._editor: Any = editor
        self._patience = limits.patience
        self._loop: EventLoop | None = None
        alone = info.privileged
        if not alone and inspect.iscoroutinefunction(getattr(editor, "edit_async", None)):
            self._loop = EventLoop()
        takes = int(getattr(editor, "batch_size", 1)) if not alone and hasattr(editor, "edit_many") else 1
        self.batch = max(1, min(takes, limits.batch or takes))

    def seconds(self, requests: int) -> float | None:
        """Returns how long a call with so many requests is waited for; None waits for ever."""
        if self._patience is None:
            return None
        return self._patience * requests + (_CANCELLING if self._loop is not None else 0.0)

    def __call__(self, works: Sequence[Work]) -> list[Answer]:
        """Returns the answers, in the order of the requests."""
        if len(works) > 1:
            return attempt_together(works, self._editor.edit_many)
        return [attempt(works[0], self._awaited if self._loop is not None else edit_once)]

    def given_up(self) -> OutOfTimeError:
        """Returns the error of an edit that is waited for no longer."""
        return OutOfTimeError(self._patience or 0.0)

    def close(self) -> None:
        """Tells the editor that no further edit comes, and ends the event loop."""
        try:
            close = getattr(self._editor, "close", None)
            if close is None:
                return
            with users_code(f"close() of {type(self._editor).__name__}"):
                if inspect.iscoroutinefunction(close):
                    loop = self._loop = self._loop or EventLoop()
                    loop.run(close())
                else:
                    close()
        finally:
            if self._loop is not None:
                self._loop.close()

    def _awaited(self, work: Work) -> EditResult:
        assert self._loop is not None
        result: EditResult = self._loop.run(self._editor.edit_async(work.request), self._patience)
        return result


class EditStage:
    """The rounds of a run, as the worker pool does them.

    Args:
        rounds: What there is to do.
        calls: The editor.
        spending: The run's money.
        tally: Told of every round that ends.
    """

    noun = "rounds"

    def __init__(self, rounds: Rounds, calls: EditorCalls, spending: Spending, tally: Tally) -> None:
        self._rounds = rounds
        self._calls = calls
        self._spending = spending
        self._tally = tally

    @property
    def batch(self) -> int:
        """How many rounds go into one call."""
        return self._calls.batch

    def spent(self) -> float | None:
        """Returns what all sessions have cost, USD; None where that is not known."""
        return self._spending.usd

    def reserve(self, tasks: Sequence[Job]) -> str:
        """Reserves the most that the edits may cost."""
        return self._spending.reserve(len(tasks))

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        """Enters what the edits have cost."""
        self._spending.charge(entry, [outcome.value for outcome in outcomes])
        self._tally.spent(self._spending.usd)

    def prepare(self, tasks: Sequence[Job]) -> tuple[Sequence[Job], list[Work]]:
        """Returns the edits to make, their images decoded."""
        return tasks, [self._rounds.work(task) for task in tasks]

    def call(self, prepared: tuple[Sequence[Job], list[Work]]) -> list[Outcome]:
        """Asks the editor."""
        tasks, works = prepared
        return [_outcome(task, answer) for task, answer in zip(tasks, self._calls(works), strict=True)]

    def seconds(self, tasks: int) -> float | None:
        """Returns how long so many edits are waited for; None waits for ever."""
        return self._calls.seconds(tasks)

    def expired(self, tasks: Sequence[Job], seconds: float) -> list[Outcome]:
        """Returns the outcomes of edits that are waited for no longer."""
        return [_outcome(task, failed(task.step, self._calls.given_up(), seconds)) for task in tasks]

    def commit(self, finished: Sequence[tuple[Job, Outcome, bool]]) -> Iterable[Job]:
        """Writes the edits, and moves their chains on."""
        for job, outcome, again in finished:
            answer: Answer = outcome.value
            ended = answer.ended
            job.attempts += ended.attempts
            if not isinstance(ended, FailedAttempt):
                ended = ended.model_copy(update={"attempts": job.attempts})
            self._rounds.write(job, ended, answer.image)
            if again:
                self._tally.retried()
                continue
            self._tally.finished(ended, asked=True)
            following = self._rounds.follow(job, ended)
            if following is not None:
                yield following


def _outcome(job: Job, answer: Answer) -> Outcome:
    ended = answer.ended
    answered: bool | None = True
    reason = None if ended.status is Status.OK else str(ended.status)
    if isinstance(ended, FailedAttempt):
        # What failed in an earlier session too, and not in passing, may be the sample's own fault.
        answered = False if answer.again or not job.attempts else None
        came = answer.reply is not None and answer.reply.status < 300  # an answer, if one of no use
        reason = reason if came else None
    return Outcome(
        answered=answered,
        reason=reason,
        message=ended.message,
        again=answer.again,
        alone=answer.alone,
        stop=answer.stop,
        reply=answer.reply,
        value=answer,
    )
