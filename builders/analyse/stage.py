"""The stage itself: pairs go in, pairs with their three differences come out, in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, Lock

from fashionedit.builders.photo import Analysed, Pair
from fashionedit.builders.stage_store import StageRecord, StageStore
from fashionedit.errors import BudgetSpentError, InvalidDataError, InvalidImageError, ServiceError
from fashionedit.runtime.ledger import CostTracker

from .analyst import Analyst
from .conversation import REFUSED, Conversation, analysed
from .estimate import Promises
from .failures import CallFailedError
from .pictures import pictures
from .requests import request_body
from .service import Service

FAILURES_IN_A_ROW = 20
"""So many pairs without a single answer between them, and the service is taken to be down."""


def analyse(
    pairs: Iterable[Pair],
    analyst: Analyst,
    store: StageStore,
    *,
    budget: CostTracker | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Analysed]:
    """Returns the pairs with what was found to differ, in the order of the pairs.

    Every answer is committed before the next call about its pair, so that calls ≤ committed answers + kills ×
    `concurrency`. An answer that can't be used is sent back with its fault, `max_repairs` times at most; after that the
    pair is dropped, as is one that is refused, and what was said is kept. A call that is not answered after the
    client's retries leaves its pair `failed`, and the next run tries again. Pairs are taken as they are needed; twice
    `concurrency` of them are under way or waiting.

    When it stops (an error, Ctrl-C, or the iterator is closed) no further call is made; those under way are waited for
    and committed.

    Args:
        pairs: Photographs with their drafts.
        analyst: Who is asked, and how.
        store: Of this stage.
        budget: Asked before each call, and told what it has cost.
        progress: Called with the pairs done and the pairs in all; where `pairs` has no length, those taken so far.

    Raises:
        ServiceError: The service won't work at all: no key, no quota, no such model, or down.
        BudgetSpentError: A further call could exceed the budget.
        InvalidDataError: A budget is given but no price of the model is known, or a record is damaged.
        MissingExtraError: The client is not installed.
    """
    check_price(analyst, budget)
    return _run(pairs, _Stage(analyst, store, budget), progress)


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


def _run(pairs: Iterable[Pair], stage: _Stage, progress: Callable[[int, int], None] | None) -> Iterator[Analysed]:
    total = len(pairs) if isinstance(pairs, Sized) else None
    source = iter(pairs)
    taken = done = 0
    failure: Exception | None = None
    waiting: deque[tuple[Pair, Future[StageRecord]]] = deque()
    ahead = 2 * stage.analyst.concurrency
    pool = ThreadPoolExecutor(stage.analyst.concurrency, thread_name_prefix="analyse")
    try:
        while True:
            while len(waiting) < ahead and failure is None:
                try:
                    pair = next(source)
                except StopIteration:
                    break
                except Exception as error:  # of the stage before this: raised below, after what came before it
                    failure = error
                    break
                waiting.append((pair, pool.submit(stage.finish, pair)))
                taken += 1
            if not waiting:
                break
            pair, future = waiting.popleft()
            record = future.result()
            done += 1
            if progress is not None:
                progress(done, total if total is not None else taken)
            if record.status == "kept":
                yield analysed(pair, record)
    finally:
        stage.stop(_StoppedError())
        pool.shutdown(wait=True, cancel_futures=True)
        stage.close()
    if failure is not None:
        raise failure


class _StoppedError(Exception):
    """Nobody waits for the results any more."""


class _Stage:
    """What the workers share."""

    def __init__(self, analyst: Analyst, store: StageStore, budget: CostTracker | None) -> None:
        self.analyst = analyst
        self._store = store
        self._budget = budget or CostTracker()
        self._promises = Promises(analyst)
        self._lock = Lock()
        self._settled = Condition()
        self._service: Service | None = None
        self._stopped: BaseException | None = None
        self._failures = 0

    def finish(self, pair: Pair) -> StageRecord:
        """Returns how the conversation about the pair ended, once that is committed."""
        try:
            return self._finish(pair)
        except BaseException as error:
            self.stop(error)
            raise

    def stop(self, error: BaseException) -> None:
        """Has no further call made; the first error is what everybody who would make one gets."""
        with self._lock:
            self._stopped = self._stopped or error
            service = self._service
        if service is not None:
            service.limiter.stop(error)
        with self._settled:
            self._settled.notify_all()

    def close(self) -> None:
        """Ends the connections; no call is under way."""
        if self._service is not None:
            self._service.__exit__(None, None, None)

    def _finish(self, pair: Pair) -> StageRecord:
        conversation = Conversation.resume(pair.photo.id, self.analyst.key(pair), self._store)
        if (settled := conversation.settled(self.analyst.max_repairs)) is not None:
            return settled
        if conversation.finished(self.analyst.max_repairs):
            return self._commit(conversation)
        try:
            images = pictures(pair, self.analyst.images)
        except InvalidImageError as error:
            return self._commit(conversation, ("image not readable", str(error)))
        conversation.sent = [image.facts() for image in images]
        sizes = [image.size for image in images]
        while True:
            exchanges = conversation.exchanges()
            body = request_body(self.analyst, images, exchanges)
            highest = self._promises.usd(sizes, exchanges)
            service = self._open()
            reservation = self._reserve(highest)
            cost: float | None = 0.0
            try:
                answered = service.ask(body)
                turn = conversation.add(
                    answered.reply, self.analyst, seconds=answered.seconds, attempts=answered.attempts
                )
                cost = turn.usd
                record = self._commit(conversation)
            except CallFailedError as error:
                return self._not_answered(conversation, error)
            finally:
                self._charge(reservation, cost)
            self._promises.learn(sizes, exchanges, answered.reply.input_tokens)
            self._failures = 0
            if conversation.finished(self.analyst.max_repairs):
                return record

    def _not_answered(self, conversation: Conversation, error: CallFailedError) -> StageRecord:
        if error.refused:
            record = conversation.record(self.analyst).model_copy(
                update={"status": "dropped", "reason": REFUSED, "detail": error.detail}
            )
            self._store.commit(record)
            return record
        record = self._commit(conversation, (error.reason, error.detail))
        with self._lock:
            self._failures += 1
            down = self._failures >= FAILURES_IN_A_ROW
        if down:
            raise ServiceError(
                f"{FAILURES_IN_A_ROW} calls in a row were not answered, the last one because of: {error.detail}; look "
                "at the service, and the same command continues"
            ) from error
        return record

    def _reserve(self, usd: float) -> str:
        """Reserves the money; calls under way mostly cost less than the most they may, so it waits for them first.

        Raises:
            BudgetSpentError: None is under way, and the call could exceed the budget.
        """
        with self._settled:
            while True:
                if self._stopped is not None:
                    raise self._stopped
                try:
                    return self._budget.reserve(usd, "analyse")
                except BudgetSpentError:
                    if not self._budget.under_way:
                        raise
                    self._settled.wait()

    def _charge(self, reservation: str, cost: float | None) -> None:
        with self._settled:
            self._budget.charge(reservation, cost)
            self._settled.notify_all()

    def _commit(self, conversation: Conversation, failed: tuple[str, str] | None = None) -> StageRecord:
        record = conversation.record(self.analyst, failed=failed)
        self._store.commit(record)
        return record

    def _open(self) -> Service:
        """Returns the service; it is opened, and a key is needed, only once there is something to ask."""
        with self._lock:
            if self._stopped is not None:
                raise self._stopped
            if self._service is None:
                self._service = Service(self.analyst)
            return self._service
