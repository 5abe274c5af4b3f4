"""Stage `analyse`: a model names three differences of each pair."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Unpack

from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import (
    PaidOptions,
    PaidStage,
    StageRecord,
    StageStore,
    is_named,
    stage_key,
)
from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.images import upright_size
from fashionedit.runtime import openai_client
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.progress import Progress
from fashionedit.runtime.vision_model import CallFailedError, Promises, failed_call
from fashionedit.runtime.worker_pool import Outcome, Task

from .analyst import Analyst, pictures
from .answers import read_answer
from .conversation import UNUSABLE, Conversation, Turn, analysed, stored_differences
from .request import Size, request_body, request_tokens

if TYPE_CHECKING:
    from openai import OpenAI


def analyse(
    pairs: Iterable[Photo],
    analyst: Analyst,
    store: StageStore,
    **options: Unpack[PaidOptions],
) -> list[Photo]:
    """Returns the pairs with what was found to differ, in the order of the pairs.

    Every answer is committed before the next call about its pair, so that calls ≤ committed answers + kills ×
    `concurrency`. An answer that can't be used is sent back with its fault, `max_repairs` times at most; after that the
    pair is dropped, as is one that is refused, and what was said is kept. A call that is not answered after
    `max_retries` leaves its pair `failed`, and the next run tries again.

    When it stops (an error, Ctrl-C or SIGTERM) no further call is made; those under way are waited for and committed.

    Raises:
        ServiceError: The service won't work at all: no key, no quota, no such model, or down.
        BudgetSpentError: A further call could exceed the budget.
        InvalidDataError: A budget is given but no price of the model is known, or a record is damaged.
        MissingExtraError: The client is not installed.
    """
    check_price(analyst, options.get("budget"))
    stage, todo = _Analysis(analyst, store, options), list(pairs)
    try:
        stage.run(stage.open(todo), concurrency=analyst.concurrency, retries=analyst.max_retries)
    finally:
        stage.close()
    records = ((pair, store.find(pair.id, analyst.key(pair.digest, pair.draft_digest))) for pair in todo)
    return [analysed(pair, record) for pair, record in records if record is not None and record.status == "kept"]


def check_price(analyst: Analyst, budget: CostTracker | None) -> None:
    """Raises InvalidDataError if there is a limit and no price of the model is known."""
    if budget is not None and budget.limit is not None and analyst.price is None:
        raise InvalidDataError(
            f"no price of {analyst.model} is known, so that a budget can't be kept; give --price input=USD,output=USD "
            "(per million tokens)"
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _PairTask(Task):
    pair: Photo
    conversation: Conversation
    sizes: list[Size]


_Prepared = tuple[_PairTask, "OpenAI", dict[str, Any] | InvalidImageError]


class _Analysis(PaidStage[_PairTask]):
    """The worker pool's jobs; the value of an outcome is the answer, or the reason why there is none."""

    noun = "pairs"

    def __init__(self, analyst: Analyst, store: StageStore, options: PaidOptions) -> None:
        super().__init__(store, options)
        self.analyst = analyst
        self._promises = Promises(analyst.price, analyst.max_output_tokens)
        self._opening = Lock()
        self._client: OpenAI | None = None

    def open(self, pairs: Sequence[Photo]) -> list[_PairTask]:
        """Returns what is left to ask about."""
        self.total = len(pairs)
        tasks: list[_PairTask] = []
        most = self.analyst.max_repairs
        for number, pair in enumerate(pairs):
            conversation = Conversation.resume(pair.id, self.analyst.key(pair.digest, pair.draft_digest), self.store)
            if (record := conversation.settled(most)) is not None and is_named(record, self.retry):
                conversation = Conversation(conversation.id, conversation.key)
            elif record is not None or conversation.finished(most):
                if record is None:
                    self.store.commit(conversation.record(self.analyst))
                self.advance()
                continue
            # By the files' headers; those of a usual draft where they say none.
            sizes = [upright_size(path) or (1024, 1024) for path, _ in pair.pair]
            tasks.append(_PairTask(place=(0, number, 0), pair=pair, conversation=conversation, sizes=sizes))
        return tasks

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def reserve(self, tasks: Sequence[_PairTask]) -> str:
        (task,) = tasks
        return self.budget.reserve(self._promises.usd(self._tokens(task, task.conversation.exchanges())), "analyse")

    def _tokens(self, task: _PairTask, exchanges: Sequence[tuple[str, str]]) -> int:
        return request_tokens(self.analyst, task.sizes, exchanges)

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        answer = outcomes[0].value if outcomes else None
        unknown = isinstance(answer, CallFailedError) and answer.paid
        self.budget.charge(entry, answer.usd if isinstance(answer, Turn) else None if unknown else 0.0)

    def prepare(self, tasks: Sequence[_PairTask]) -> _Prepared:
        """Returns the request; a client is opened, and a key is needed, only once there is something to ask."""
        (task,) = tasks
        with self._opening:
            if self._client is None:
                self._client = openai_client.open_client(base_url=self.analyst.base_url, timeout=self.analyst.timeout)
        try:
            images = pictures(task.pair, self.analyst.images)
        except InvalidImageError as error:
            return task, self._client, error
        if not task.conversation.sent:
            task.conversation.sent = [image.facts() for image in images]
        return task, self._client, request_body(self.analyst, images, task.conversation.exchanges())

    def call(self, prepared: _Prepared) -> list[Outcome]:
        task, client, body = prepared
        conversation = task.conversation
        if isinstance(body, InvalidImageError):
            return [failed_call(body)]
        start = time.monotonic()
        try:
            reply, limits = self.analyst.endpoint.ask(client, body)
        except (CallFailedError, ServiceError, MissingExtraError) as error:
            return [failed_call(error)]
        seconds = time.monotonic() - start
        turn = conversation.add(reply, self.analyst, seconds=seconds, attempts=task.tries + 1)
        self._promises.learn(self._tokens(task, conversation.exchanges()[:-1]), reply.input_tokens)
        record = conversation.record(self.analyst)
        return [
            Outcome(
                reason=record.reason if record.status == "dropped" else None,
                message=record.detail or "",
                conclusive=conversation.finished(self.analyst.max_repairs),
                reply=limits,
                value=turn,
            )
        ]

    def commit(self, finished: Sequence[tuple[_PairTask, Outcome, bool]]) -> Iterable[_PairTask]:
        """Writes the answer, and returns the pair if it is to be asked about again for repair."""
        for task, outcome, again in finished:
            if again or outcome.stop is not None:
                continue
            answer = outcome.value
            failure = answer if isinstance(answer, CallFailedError) else None
            self.store.commit(task.conversation.record(self.analyst, failure))
            if failure is None and not task.conversation.finished(self.analyst.max_repairs):
                task.tries = 0
                yield task
            else:
                self.advance()


def read_answers(pairs: Sequence[Photo], store: StageStore, progress: Progress | None = None) -> list[Photo]:
    """Returns the pairs whose ready answer (`answer`) can be used, in their order.

    `data` of a record: `answer` (the raw text) and, where it is kept, `differences`.
    """
    items = []
    for done, pair in enumerate(pairs, 1):
        text = pair.answer or ""
        key = stage_key("analyse", ready=text, original=pair.digest)
        record = store.find(pair.id, key)
        if record is None:
            record = _read(pair.id, key, text)
            store.commit(record)
        if progress is not None:
            progress(done, len(pairs))
        if record.status == "kept":
            items.append(analysed(pair, record))
    return items


def _read(identity: str, key: str, text: str) -> StageRecord:
    data: dict[str, Any] = {"answer": text}
    try:
        parsed = read_answer(text, convert=True)
    except InvalidDataError as error:
        return StageRecord(id=identity, key=key, status="dropped", reason=UNUSABLE, detail=str(error), data=data)
    data["differences"] = stored_differences(parsed.differences)
    if parsed.notes:
        data["converted"] = list(parsed.notes)
    return StageRecord(id=identity, key=key, status="kept", data=data)
