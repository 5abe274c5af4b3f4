"""The stage itself: pairs go in, pairs with their three differences come out, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from fashionedit.builders.answers import read_answer
from fashionedit.builders.stage_items import Analysed, Pair
from fashionedit.builders.stage_store import StageRecord, StageStore, is_named, stage_key
from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.images import upright_size
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.worker_pool import Outcome, Stage, Task, WorkerPool

from .analyst import Analyst, pictures
from .conversation import REFUSED, UNUSABLE, Conversation, Turn, analysed
from .estimate import Promises, Size
from .service import CallFailedError, Service, request_body


def analyse(
    pairs: Iterable[Pair],
    analyst: Analyst,
    store: StageStore,
    *,
    budget: CostTracker | None = None,
    retry: Sequence[str] = (),
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Analysed]:
    """Returns the pairs with what was found to differ, in the order of the pairs, once all of them are done.

    Every answer is committed before the next call about its pair, so that calls ≤ committed answers + kills ×
    `concurrency`. An answer that can't be used is sent back with its fault, `max_repairs` times at most; after that the
    pair is dropped, as is one that is refused, and what was said is kept. A call that is not answered after
    `max_retries` leaves its pair `failed`, and the next run tries again.

    When it stops (an error, Ctrl-C or SIGTERM) no further call is made; those under way are waited for and committed.

    Args:
        pairs: PhotoIndex with their drafts.
        analyst: Who is asked, and how.
        store: Of this stage.
        budget: Asked before each call, and told what it has cost.
        retry: Reasons whose pairs were dropped and are asked about anew.
        keep_going: Goes on although the first pairs were all dropped for the same reason.
        progress: Called with the pairs done and the pairs in all.
        tell: Given a sentence when Ctrl-C is pressed.

    Raises:
        ServiceError: The service won't work at all: no key, no quota, no such model, or down.
        BudgetSpentError: A further call could exceed the budget.
        InvalidDataError: A budget is given but no price of the model is known, or a record is damaged.
        MissingExtraError: The client is not installed.
    """
    check_price(analyst, budget)
    stage = _Stage(analyst, store, budget or CostTracker(), progress)
    return _run(list(pairs), stage, retry, keep_going, tell)


def check_price(analyst: Analyst, budget: CostTracker | None) -> None:
    """Returns if a budget can be kept.

    Raises:
        InvalidDataError: There is a limit, and no price of the model is known.
    """
    if budget is not None and budget.limit is not None and analyst.price is None:
        raise InvalidDataError(
            f"no price of {analyst.model} is known, so that a budget can't be kept; give --price input=USD,output=USD "
            "(per million tokens)"
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _PairTask(Task):
    pair: Pair
    conversation: Conversation
    sizes: list[Size]


@dataclass(frozen=True, slots=True)
class _Result:
    """What a call about a pair came to.

    Args:
        cost: USD; None where the service does not say.
        turn: The answer.
        failed: Reason and detail of a call that was not answered, or of a pair that can't be asked about.
        refused: Whether it is refused.
    """

    cost: float | None = 0.0
    turn: Turn | None = None
    failed: tuple[str, str] | None = None
    refused: bool = False


def _run(
    pairs: list[Pair],
    stage: _Stage,
    retry: Sequence[str],
    keep_going: bool,
    tell: Callable[[str], None] | None,
) -> Iterator[Analysed]:
    analyst = stage.analyst
    tasks = stage.open(pairs, retry)
    if tasks:
        stage.store.check_writable()
    pool = WorkerPool(
        stage,
        concurrency=analyst.concurrency,
        retries=analyst.max_retries,
        keep_going=keep_going,
        tell=tell,
    )
    try:
        pool.run(tasks)
    finally:
        stage.close()
    for pair in pairs:
        record = stage.store.find(pair.photo.id, analyst.key(pair))
        if record is not None and record.status == "kept":
            yield analysed(pair, record)


class _Stage(Stage[_PairTask]):
    """What the worker pool does."""

    noun = "pairs"

    def __init__(
        self,
        analyst: Analyst,
        store: StageStore,
        budget: CostTracker,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.analyst = analyst
        self.store = store
        self._budget = budget
        self._progress = progress
        self._promises = Promises(analyst)
        self._lock = Lock()
        self._service: Service | None = None
        self._done = self._all = 0

    def open(self, pairs: Sequence[Pair], retry: Sequence[str]) -> list[_PairTask]:
        """Returns what is left to ask about."""
        self._all = len(pairs)
        tasks: list[_PairTask] = []
        most = self.analyst.max_repairs
        for number, pair in enumerate(pairs):
            conversation = Conversation.resume(pair.photo.id, self.analyst.key(pair), self.store)
            if (record := conversation.settled(most)) is not None and is_named(record, retry):
                conversation = Conversation(conversation.id, conversation.key, [], [])
            elif record is not None or conversation.finished(most):
                if record is None:
                    self.store.commit(conversation.record(self.analyst))
                self._advance()
                continue
            tasks.append(_PairTask(place=(0, number, 0), pair=pair, conversation=conversation, sizes=_sizes(pair)))
        return tasks

    def close(self) -> None:
        """Ends the connections."""
        if self._service is not None:
            self._service.close()

    def spent(self) -> float | None:
        """Returns what the build has cost, USD."""
        return self._budget.spent or None

    def reserve(self, tasks: Sequence[_PairTask]) -> str:
        """Reserves the most that the call may cost."""
        (task,) = tasks
        return self._budget.reserve(self._promises.usd(task.sizes, task.conversation.exchanges()), "analyse")

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        """Enters what the call has cost."""
        self._budget.charge(entry, outcomes[0].value.cost if outcomes else 0.0)

    def prepare(self, tasks: Sequence[_PairTask]) -> tuple[_PairTask, Service, dict[str, Any] | InvalidImageError]:
        """Returns the request; the service is opened, and a key is needed, only once there is something to ask."""
        (task,) = tasks
        with self._lock:
            if self._service is None:
                self._service = Service(self.analyst)
        try:
            images = pictures(task.pair, self.analyst.images)
        except InvalidImageError as error:
            return task, self._service, error
        if not task.conversation.sent:
            task.conversation.sent = [image.facts() for image in images]
        return task, self._service, request_body(self.analyst, images, task.conversation.exchanges())

    def call(self, prepared: tuple[_PairTask, Service, dict[str, Any] | InvalidImageError]) -> list[Outcome]:
        """Asks, and judges the answer."""
        task, service, body = prepared
        conversation = task.conversation
        if isinstance(body, InvalidImageError):
            failed = ("image not readable", str(body))
            return [Outcome(answered=None, message=failed[1], value=_Result(failed=failed))]
        try:
            answered = service.ask(body)
        except CallFailedError as error:
            result = _Result(None if error.paid else 0.0, None, (error.reason, error.detail), error.refused)
            came = error.refused or not error.again
            return [
                Outcome(
                    answered=came,
                    reason=error.reason if came else None,
                    message=error.detail,
                    again=error.again,
                    reply=error.reply,
                    value=result,
                )
            ]
        except (ServiceError, MissingExtraError) as error:
            return [Outcome(answered=None, stop=error, value=_Result())]
        turn = conversation.add(answered.reply, self.analyst, seconds=answered.seconds, attempts=task.tries + 1)
        self._promises.learn(task.sizes, conversation.exchanges()[:-1], answered.reply.input_tokens)
        record = conversation.record(self.analyst)
        return [
            Outcome(
                reason=record.reason if record.status == "dropped" else None,
                message=record.detail or "",
                conclusive=conversation.finished(self.analyst.max_repairs),
                reply=answered.limits,
                value=_Result(turn.usd, turn),
            )
        ]

    def commit(self, finished: Sequence[tuple[_PairTask, Outcome, bool]]) -> Iterable[_PairTask]:
        """Writes the answer, and returns the pair if it is to be asked about again for repair."""
        for task, outcome, again in finished:
            result: _Result = outcome.value
            if again or outcome.stop is not None:
                continue
            record = task.conversation.record(self.analyst, failed=result.failed)
            if result.refused and result.failed is not None:
                changes = {"status": "dropped", "reason": REFUSED, "detail": result.failed[1]}
                record = record.model_copy(update=changes)
            self.store.commit(record)
            if result.turn is not None and not task.conversation.finished(self.analyst.max_repairs):
                task.tries = 0
                yield task
            else:
                self._advance()

    def _advance(self) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._all)


def _sizes(pair: Pair) -> list[Size]:
    """Returns the sizes of both pictures, by their headers; those of a usual draft where they say none."""
    return [upright_size(path) or (1024, 1024) for path in (pair.photo.path, pair.draft)]


def read_answers(
    pairs: Iterable[Pair], store: StageStore, progress: Callable[[int, int], None] | None = None
) -> Iterator[Analysed]:
    """Yields the pairs whose ready answer can be used, in their order.

    `data` of a record: `answer` (the raw text) and, where it is kept, `differences`.

    Args:
        pairs: All of them with an answer (`Photo.answer`).
        store: Of the stage `analyse`.
        progress: Called with the pairs done and the pairs in all.

    Raises:
        InvalidDataError: A record can't be understood.
    """
    todo = list(pairs)
    for done, pair in enumerate(todo, 1):
        text = pair.photo.answer or ""
        key = stage_key("analyse", ready=text, original=pair.original_digest)
        found = store.find(pair.photo.id, key)
        record = found if found is not None else _read(pair.photo.id, key, text)
        if found is None:
            store.commit(record)
        if progress is not None:
            progress(done, len(todo))
        if record.status == "kept":
            yield analysed(pair, record)


def _read(identity: str, key: str, text: str) -> StageRecord:
    try:
        parsed = read_answer(text, convert=True)
    except InvalidDataError as error:
        return StageRecord(
            id=identity, key=key, status="dropped", reason=UNUSABLE, detail=str(error), data={"answer": text}
        )
    stored = [{"description": words, "box_2d": list(box.box_2d)} for words, box in parsed.differences]
    data = {"answer": text, "differences": stored, **({"converted": list(parsed.notes)} if parsed.notes else {})}
    return StageRecord(id=identity, key=key, status="kept", data=data)
