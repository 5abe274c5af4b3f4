"""How hard a run may push its editor: concurrent calls, retries, seconds, money. No part of the run's identity."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, Status
from fashionedit.runtime.costs import LEDGER_FILE, CostTracker
from fashionedit.runtime.http_clients import MOST_SECONDS
from fashionedit.runtime.worker_pool import FIRST_BACKOFF

from .calls import Answer

DEFAULT_RETRIES = 4
"""Retries after a temporary failure. The waits are at most 1, 2, 4 and 8 s (`worker_pool.pause_before`)."""

FINAL_FAILURES = tuple(str(status) for status in Status if status is not Status.OK and not status.transient)
"""Statuses that later sessions keep, unless `retry` names them."""

_SLACK = 1.1  # an editor that watches the same time itself says more about it, and is let come first


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one session of a run; `run` says what each of them does.

    Raises:
        InvalidDataError: A number is out of range.
        UnknownNameError: `retry` names no status that is final.
    """

    concurrency: int = 1
    batch: int | None = None
    retries: int = DEFAULT_RETRIES
    backoff: float = FIRST_BACKOFF
    timeout: float | None = None
    budget: float | None = None
    limit: int | None = None
    retry: tuple[str, ...] = ()
    keep_going: bool = False

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("batch", 1), ("retries", 0), ("limit", 1)):
            value = getattr(self, name)
            if value is not None and not (type(value) is int and value >= least):
                raise InvalidDataError(f"{name} is {value!r}; give a whole number from {least} on")
        for name in ("backoff", "timeout", "budget"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= 0):
                raise InvalidDataError(f"{name} is {value!r}; give a number from 0 on")
        if self.timeout is not None and not 0 < self.timeout <= MOST_SECONDS:
            raise InvalidDataError(
                f"timeout is {self.timeout:g}; give a number of seconds above 0, at most {MOST_SECONDS:,}"
            )
        for status in self.retry:
            if status not in FINAL_FAILURES:
                raise UnknownNameError(
                    f"no final status is called {status!r}; choose {', '.join(FINAL_FAILURES)} (timeout and error are "
                    "tried again anyway)"
                )

    @property
    def patience(self) -> float | None:
        """Seconds after which the harness gives an edit up: a tenth more than `timeout`."""
        return None if self.timeout is None else self.timeout * _SLACK


def edits_at_once(info: EditorInfo, asked: int | None) -> int:
    """Returns the number of concurrent edits: `asked`, else the editor's own number.

    Raises:
        InvalidDataError: More edits are asked for than the editor allows.
    """
    most = info.most_at_once
    if asked is None:
        return min(info.at_once, most or info.at_once)
    if most is not None and type(asked) is int and asked > most:
        raise InvalidDataError(
            f"editor {info.name} allows {most} concurrent {'edit' if most == 1 else 'edits'}, not {asked}; run with "
            f"--concurrency {most}{' or less' if most > 1 else ''}"
        )
    return asked


class Spending:
    """The money of a run, kept in `ledger.jsonl` of its folder; a run made before there were ledgers has its records.

    Each edit reserves the most that it may cost: the editor's own estimate, or the largest cost seen so far if that is
    more. An edit that nobody tells the cost of counts in full, but for one that the service answered with an error.
    `limit` is in USD; None has no limit.

    Raises:
        InvalidDataError: There is a limit, and nobody says what an edit costs.
    """

    def __init__(self, folder: Path, info: EditorInfo, limit: float | None) -> None:
        costs = list(_costs_on_disk(folder, info.usd_per_edit))
        self._largest = max(costs + ([] if info.usd_per_edit is None else [info.usd_per_edit]), default=None)
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


def _costs_on_disk(folder: Path, estimate: float | None) -> Iterator[float]:
    """Yields the cost of each record and failed attempt; the estimate for a record that does not say."""
    for pattern, unknown in (("records/*/*.json", estimate), ("errors/*.json", None)):
        for path in folder.glob(pattern):
            try:
                told = json.loads(path.read_bytes())
            except (ValueError, RecursionError):
                continue  # damaged: the run asks again, or says so, where it needs it
            if isinstance(told, dict):
                cost = told.get("cost_usd")
                if isinstance(cost, int | float):
                    yield float(cost)
                elif unknown is not None and told.get("attempts", 1) > 0:
                    yield unknown
