"""What comes of a batch: its lines become answers in the records, or reasons why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidDataError, ServiceError
from fashionedit.runtime.budget import Budget
from fashionedit.runtime.failures import masked

from .analyst import Analyst
from .batch_files import BatchLine
from .batch_service import BatchService
from .batch_state import BatchItem, BatchState, BatchStates
from .conversation import REFUSED, Conversation
from .estimate import Promises
from .failures import CallFailedError, failure_of_code
from .replies import read_reply

_NO_ROOM = "token_limit_exceeded"


class Collector:
    """Takes in what batches come to.

    Args:
        keys: Of the records that this run wants, by photograph.
        analyst: Who was asked.
        store: Of the stage.
        budget: Gets what an answer cost in the place of what was promised for it.
        promises: Learns what requests really take.

    Attributes:
        promised: Names of the batches whose promises are in the budget.
        failed: Photographs that this run does not ask about again.
    """

    def __init__(
        self, keys: Mapping[str, str], analyst: Analyst, store: StageStore, budget: Budget, promises: Promises
    ) -> None:
        self.promised: set[str] = set()
        self.failed: set[str] = set()
        self._keys = keys
        self._analyst = analyst
        self._store = store
        self._states = BatchStates(store)
        self._budget = budget
        self._promises = promises

    def give_back(self, service: BatchService, state: BatchState, batch: Any) -> str:
        """Closes a batch that the service has not taken, and returns why; its pairs are asked about in another.

        Raises:
            ServiceError: No other would be taken either.
        """
        errors = batch.errors.data if batch.errors and batch.errors.data else []
        code = errors[0].code if errors else None
        message = masked(errors[0].message or "") if errors else "no reason given"
        for item in state.items:
            self._settle(state, item, 0.0)
        self._close(service, state, "failed")
        if code != _NO_ROOM:
            meaning = failure_of_code(400, code, message, self._analyst)
            if isinstance(meaning, ServiceError):
                raise meaning
        return message

    def collect(self, service: BatchService, state: BatchState, batch: Any) -> list[ServiceError]:
        """Commits what came back; safe to be killed in, and to be done again."""
        items = {item.id: item for item in state.items}
        problems: list[ServiceError] = []
        for line in service.lines(batch):
            item = items.pop(line.custom_id, None)
            if item is not None and (problem := self._take(state, item, line, batch)) is not None:
                problems.append(problem)
        for item in items.values():
            reason = "not answered" if batch.status == "completed" else f"batch {batch.status}"
            self._unanswered(state, item, reason, f"the batch ended ({batch.status}) without an answer for this pair")
        self._close(service, state, batch.status)
        return problems

    def fail(self, conversation: Conversation, reason: str, detail: str) -> None:
        """Commits why a pair was not answered, and asks about it no more in this run."""
        self._store.commit(conversation.record(self._analyst, failed=(reason, detail)))
        self.failed.add(conversation.id)

    def _take(self, state: BatchState, item: BatchItem, line: BatchLine, batch: Any) -> ServiceError | None:
        conversation = Conversation.resume(item.id, item.key, self._store)
        if len(conversation.turns) != item.turn:
            self._settle(state, item, 0.0)  # committed before, and in what is spent
            return None
        if not self._may_commit(item, conversation):
            self._settle(state, item, 0.0)
            return None
        conversation.sent = item.images
        code, message, parameter = line.problem()
        if line.status == 200:
            exchanges = conversation.exchanges()
            try:
                turn = conversation.add(read_reply(line.body, state.api), self._analyst, batch=batch.id)
            except InvalidDataError as error:
                self._unanswered(state, item, "malformed answer", str(error))
                return None
            self._store.commit(conversation.record(self._analyst))
            self._settle(state, item, turn.usd or 0.0)
            sizes = [(image["size"][0], image["size"][1]) for image in item.images]
            self._promises.learn(sizes, exchanges, turn.reply.input_tokens)
            return None
        if line.status == 0:
            self._unanswered(state, item, (code or "not answered").replace("_", " "), masked(message))
            return None
        meaning = failure_of_code(line.status, code, message, self._analyst, parameter)
        if isinstance(meaning, CallFailedError) and meaning.refused:
            self._store.commit(
                conversation.record(self._analyst).model_copy(
                    update={"status": "dropped", "reason": REFUSED, "detail": meaning.detail}
                )
            )
            self._settle(state, item, 0.0)
            return None
        reason = meaning.reason if isinstance(meaning, CallFailedError) else "service refused"
        self._unanswered(state, item, reason, str(meaning))
        return meaning if isinstance(meaning, ServiceError) else None

    def _may_commit(self, item: BatchItem, conversation: Conversation) -> bool:
        """Returns whether a record of other settings would not be lost by this one."""
        if self._keys.get(item.id) == item.key or conversation.committed is not None:
            return True
        return self._keys.get(item.id) is None or self._store.find(item.id, self._keys[item.id]) is None

    def _unanswered(self, state: BatchState, item: BatchItem, reason: str, detail: str) -> None:
        conversation = Conversation.resume(item.id, item.key, self._store)
        conversation.sent = item.images
        if len(conversation.turns) == item.turn and self._may_commit(item, conversation):
            self.fail(conversation, reason, detail)
        self._settle(state, item, 0.0)

    def _settle(self, state: BatchState, item: BatchItem, usd: float) -> None:
        self._budget.settle(item.promise if state.name in self.promised else 0.0, usd)

    def _close(self, service: BatchService, state: BatchState, ended: str) -> None:
        self._states.save(state.model_copy(update={"status": "closed", "ended": ended}))
        service.forget(state)
