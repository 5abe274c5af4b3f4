"""What a run has cost, over all its sessions, and whether the next call still fits its budget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import EditorInfo
from fashionedit.runtime.budget import Budget

from .chain import Ended
from .records import RoundRecord


class Spending:
    """The money of a run: all that records and failed attempts on disk have cost, and what this session adds.

    A call is promised the largest cost seen so far, before the first one the editor's own estimate. An edit without a
    cost counts with that estimate, a failed attempt without one as nothing.

    Args:
        folder: The run folder.
        info: The editor.
        limit: USD; None has no limit.

    Raises:
        InvalidDataError: There is a limit, and nobody says what an edit costs.
    """

    def __init__(self, folder: Path, info: EditorInfo, limit: float | None) -> None:
        self._estimate = info.usd_per_edit
        costs = [cost for cost in map(self._cost_on_disk, _written(folder)) if cost is not None]
        self._largest = max(costs, default=None)
        self._known = bool(costs)
        if limit is not None and self._estimate is None and self._largest is None:
            raise InvalidDataError(
                f"editor {info.name} does not say what an edit costs, so that a budget can't be kept; give --price if "
                "it knows prices, or leave --budget out"
            )
        self._budget = Budget(limit, sum(costs))

    @property
    def usd(self) -> float | None:
        """USD spent, earlier sessions included; None where no cost is known."""
        return self._budget.spent if self._known else None

    def promise(self, edits: int) -> float:
        """Sets aside what so many edits may cost, and returns it, USD.

        Raises:
            BudgetSpentError: It could exceed the limit.
        """
        each = self._largest if self._largest is not None else self._estimate or 0.0
        self._budget.promise(each * edits)
        return each * edits

    def settle(self, promised: float, ended: Iterable[Ended] = ()) -> None:
        """Puts what the edits have cost in the place of what was promised."""
        costs = [cost for cost in map(self._cost, ended) if cost is not None]
        self._budget.settle(promised, sum(costs))
        if costs:
            self._known = True
            self._largest = max(costs) if self._largest is None else max(self._largest, *costs)

    def _cost(self, ended: Ended) -> float | None:
        return self._cost_of(ended.cost_usd, edit=isinstance(ended, RoundRecord))

    def _cost_on_disk(self, written: tuple[dict[str, Any], bool]) -> float | None:
        told, edit = written
        return self._cost_of(told.get("cost_usd"), edit=edit and told.get("attempts", 1) > 0)

    def _cost_of(self, told: float | None, *, edit: bool) -> float | None:
        return told if told is not None else self._estimate if edit else None


def _written(folder: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yields what each record and each failed attempt says, and whether it is a record."""
    for pattern, edit in (("records/*/*.json", True), ("errors/*.json", False)):
        for path in folder.glob(pattern):
            try:
                told = json.loads(path.read_bytes())
            except ValueError:
                continue  # damaged: the run asks again, or says so, where it needs it
            if isinstance(told, dict):
                yield told, edit
