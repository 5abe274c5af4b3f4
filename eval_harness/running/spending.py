"""What a run has cost, over all its sessions, and whether the next call still fits its budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo
from fashionedit.runtime.costs import LEDGER_FILE, CostTracker

from .attempts import Answer


class Spending:
    """The money of a run, kept in `ledger.jsonl` of its folder; a run made before there were ledgers has its records.

    Each edit reserves the most that it may cost: the editor's own estimate, or the largest cost seen so far if that is
    more. An edit that nobody tells the cost of counts in full, but for one that the service answered with an error.

    Args:
        folder: The run folder.
        info: The editor.
        limit: USD; None has no limit.

    Raises:
        InvalidDataError: There is a limit, and nobody says what an edit costs.
    """

    def __init__(self, folder: Path, info: EditorInfo, limit: float | None) -> None:
        costs = [
            cost for cost in (_cost_on_disk(*it, info.usd_per_edit) for it in _written(folder)) if cost is not None
        ]
        self._largest = max([*costs, *([] if info.usd_per_edit is None else [info.usd_per_edit])], default=None)
        if limit is not None and self._largest is None:
            raise InvalidDataError(
                f"editor {info.name} does not say what an edit costs, so that a budget can't be kept; give --price if "
                "it knows prices, or leave --budget out"
            )
        self._tracker = CostTracker(folder / LEDGER_FILE, limit=limit, before=lambda: sum(costs))
        self._known = bool(costs) or self._tracker.spent > 0

    @property
    def usd(self) -> float | None:
        """USD spent, earlier sessions included; None where no cost is known."""
        return self._tracker.spent if self._known else None

    def reserve(self, edits: int) -> str:
        """Reserves what so many edits may cost, and returns the entry, to be given to `charge`.

        Raises:
            BudgetSpentError: It could exceed the limit.
        """
        return self._tracker.reserve((self._largest or 0.0) * edits, "edit")

    def charge(self, entry: str, answers: Sequence[Answer]) -> None:
        """Puts what the edits have cost in the place of the reservation; no answers, nothing was asked."""
        costs = [self._cost(answer) for answer in answers]
        told = [answer.ended.cost_usd for answer in answers if answer.ended.cost_usd is not None]
        self._tracker.charge(entry, sum(costs))
        if told:
            self._largest = max(*told, self._largest or 0.0)
        self._known = self._known or bool(told) or any(costs)

    def _cost(self, answer: Answer) -> float:
        if answer.ended.cost_usd is not None:
            return answer.ended.cost_usd
        refused = answer.reply is not None and answer.reply.status >= 400
        if refused or isinstance(answer.stop, ServiceError | MissingExtraError):
            return 0.0
        return self._largest or 0.0


def _cost_on_disk(told: dict[str, Any], edit: bool, estimate: float | None) -> float | None:
    cost = told.get("cost_usd")
    if isinstance(cost, int | float):
        return float(cost)
    return estimate if edit and told.get("attempts", 1) > 0 else None


def _written(folder: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yields what each record and each failed attempt says, and whether it is a record."""
    for pattern, edit in (("records/*/*.json", True), ("errors/*.json", False)):
        for path in folder.glob(pattern):
            try:
                told = json.loads(path.read_bytes())
            except (ValueError, RecursionError):
                continue  # damaged: the run asks again, or says so, where it needs it
            if isinstance(told, dict):
                yield told, edit
