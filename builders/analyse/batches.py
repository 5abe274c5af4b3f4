"""The stage through the Batch API: half the price, an answer within a day, and any number of pauses in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from fashionedit.builders.photo import Analysed, Pair
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import BudgetSpentError, InvalidDataError, InvalidImageError, ServiceError
from fashionedit.runtime.budget import Budget

from .analyst import Analyst
from .batch_collect import Collector
from .batch_files import RequestsFile, request_line
from .batch_service import BatchService
from .batch_state import BatchItem, BatchState, BatchStates
from .conversation import Conversation, analysed
from .estimate import Promises
from .pictures import pictures
from .requests import ENDPOINTS, request_body
from .stage import check_price

MAX_REQUESTS = 50_000
"""Requests in one file, the service's limit."""

MAX_BYTES = 200_000_000
"""Bytes of one file, the service's limit."""

_ENDED = ("completed", "expired", "cancelled", "failed")


def analyse_in_batches(
    pairs: Iterable[Pair],
    analyst: Analyst,
    store: StageStore,
    *,
    poll_seconds: float = 60.0,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
    budget: Budget | None = None,
    progress: Callable[[int, int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Analysed]:
    """Returns the pairs with what was found to differ, in the order of the pairs, once all batches have ended.

    The records are those of `analyse`, and either continues the other. All pairs that are to be asked about are packed
    into as many batches as the limits want; what comes back and can't be used goes, with its fault, into a following
    batch. Each step is on disk before the next: a process that is killed, or stopped with Ctrl-C, leaves the batches
    under way, and the next run finds and collects them. A pair that a batch leaves unanswered (expired, cancelled, an
    error) is `failed`, and the next run asks again. The pairs are held in memory, their images are not.

    Args:
        pairs: Photographs with their drafts.
        analyst: Who is asked, and how.
        store: Of this stage.
        poll_seconds: How long it waits before it looks again.
        max_requests, max_bytes: What one batch may hold.
        budget: Asked before each request is packed.
        progress: Called with the pairs done and the pairs in all.
        sleep: Waits so many seconds.

    Raises:
        ServiceError: The service won't work at all, or takes no batch.
        BudgetSpentError: A further request could exceed the budget; what was submitted before is collected.
        InvalidDataError: A limit is below 1, a budget is given but no price is known, or a state or record is damaged.
        MissingExtraError: The client is not installed.
    """
    if min(max_requests, max_bytes) < 1 or poll_seconds < 0:
        raise InvalidDataError("the limits of a batch must be at least 1, and the seconds between looks not negative")
    check_price(analyst, budget)
    work = _Work(list(pairs), analyst, store, budget or Budget(), progress, (max_requests, max_bytes))
    return work.run(poll_seconds, sleep)


class _Work:
    def __init__(
        self,
        pairs: list[Pair],
        analyst: Analyst,
        store: StageStore,
        budget: Budget,
        progress: Callable[[int, int], None] | None,
        limits: tuple[int, int],
    ) -> None:
        self._pairs = {pair.photo.id: pair for pair in pairs}
        self._keys = {pair.photo.id: analyst.key(pair) for pair in pairs}
        self._analyst = analyst
        self._store = store
        self._states = BatchStates(store)
        self._budget = budget
        self._promises = Promises(analyst, batch=True)
        self._progress = progress
        self._limits = limits
        self._collector = Collector(self._keys, analyst, store, budget, self._promises)

    def run(self, poll_seconds: float, sleep: Callable[[float], None]) -> Iterator[Analysed]:
        self._states.clean()
        todo = self._todo()
        underway = self._underway()
        if todo or underway:
            with BatchService(self._analyst, self._states, sleep) as service:
                for state in underway:
                    self._promise_again(state)
                while todo or underway:
                    underway = [service.submit(state) for state in underway]
                    held = {item.id for state in underway for item in state.items}
                    rest = [pair for pair in todo if pair.photo.id not in held]
                    underway += [service.submit(state) for state in self._pack(rest, alone=not underway)]
                    self._await(service, underway, poll_seconds, sleep)
                    todo, underway = self._todo(), []
        for identity, pair in self._pairs.items():
            record = self._store.find(identity, self._keys[identity])
            if record is not None and record.status == "kept":
                yield analysed(pair, record)

    def _todo(self) -> list[Pair]:
        """Returns the pairs to ask about, and tells how many are done."""
        todo = [
            pair for pair in self._pairs.values() if pair.photo.id not in self._collector.failed and self._is_open(pair)
        ]
        if self._progress is not None:
            self._progress(len(self._pairs) - len(todo), len(self._pairs))
        return todo

    def _is_open(self, pair: Pair) -> bool:
        conversation = self._conversation(pair.photo.id)
        if conversation.settled(self._analyst.max_repairs) is not None:
            return False
        if conversation.finished(self._analyst.max_repairs):
            self._store.commit(conversation.record(self._analyst))
            return False
        return True

    def _underway(self) -> list[BatchState]:
        wanted = set(self._keys.items())
        return [state for state in self._states.open() if any((item.id, item.key) in wanted for item in state.items)]

    def _conversation(self, identity: str) -> Conversation:
        return Conversation.resume(identity, self._keys[identity], self._store)

    def _pack(self, todo: list[Pair], *, alone: bool) -> Iterator[BatchState]:
        """Yields batches whose requests are on disk; stops where the budget does.

        Raises:
            BudgetSpentError: There is not enough for a single request, and nothing else is under way.
        """
        file = self._new_file()
        packed = 0
        try:
            for pair in todo:
                request = self._request(pair)
                if request is None:
                    continue
                item, line = request
                try:
                    self._budget.promise(item.promise)
                except BudgetSpentError:
                    if alone and not packed:
                        raise
                    break  # what is under way costs less than promised; the next round goes on
                if not file.has_room(line):
                    yield self._prepared(file)
                    file = self._new_file()
                file.add(item, line)
                packed += 1
            if file.items:
                yield self._prepared(file)
        finally:
            file.close()

    def _new_file(self) -> RequestsFile:
        return RequestsFile(self._states, self._analyst, *self._limits)

    def _prepared(self, file: RequestsFile) -> BatchState:
        state = file.finish()
        self._collector.promised.add(state.name)
        return state

    def _request(self, pair: Pair) -> tuple[BatchItem, bytes] | None:
        conversation = self._conversation(pair.photo.id)
        try:
            images = pictures(pair, self._analyst.images)
        except InvalidImageError as error:
            self._collector.fail(conversation, "image not readable", str(error))
            return None
        exchanges = conversation.exchanges()
        body = request_body(self._analyst, images, exchanges)
        line = request_line(pair.photo.id, f"/v1{ENDPOINTS[self._analyst.api]}", body)
        if len(line) > self._limits[1]:
            self._collector.fail(
                conversation,
                "request too large",
                f"{len(line):,} bytes are more than a batch may hold; send smaller images",
            )
            return None
        promise = self._promises.usd([image.size for image in images], exchanges)
        item = BatchItem(
            id=pair.photo.id,
            key=conversation.key,
            turn=len(conversation.turns),
            promise=promise,
            images=[image.facts() for image in images],
        )
        return item, line

    def _promise_again(self, state: BatchState) -> None:
        """Sets aside what an earlier run has promised; what is submitted is paid for, whatever the budget says now."""
        try:
            self._budget.promise(sum(item.promise for item in state.items))
        except BudgetSpentError:
            return
        self._collector.promised.add(state.name)

    def _await(
        self,
        service: BatchService,
        underway: list[BatchState],
        poll_seconds: float,
        sleep: Callable[[float], None],
    ) -> None:
        """Returns once all batches have ended and are collected.

        Raises:
            ServiceError: One of them shows that the service won't work at all, or none was taken.
        """
        refused: list[str] = []
        count = len(underway)
        while underway:
            problems: list[ServiceError] = []
            still = []
            for state in underway:
                batch = service.look(state)
                if batch.status not in _ENDED:
                    still.append(state)
                elif batch.status == "failed":
                    refused.append(self._collector.give_back(service, state, batch))
                else:
                    problems += self._collector.collect(service, state, batch)
            if problems:
                raise problems[0]
            if len(refused) == count:
                raise ServiceError(
                    f"{self._analyst.host} took none of {count} batches ({refused[0]}); mend that, or make "
                    "them smaller with --batch-requests"
                )
            if len(still) < len(underway):
                self._todo()
            underway = still
            if underway:
                sleep(poll_seconds)
