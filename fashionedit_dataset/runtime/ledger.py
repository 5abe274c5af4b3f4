"""Money: an append-only ledger beside the work that was paid for, and the budget that it keeps.

    ledger.jsonl    {"before": 1.25}                            the first line: spent before there was a ledger
                    {"id": "5f0c-1", "reserve": 0.17, ...}      written before a call: the most that it may cost, USD
                    {"id": "5f0c-1", "charge": 0.04}            written after it: what it has cost

A reservation without a charge counts in full: its process was killed, and nobody knows what the call has cost. Where no
price is known, `reserve` is null: such a call counts as the dearest of its kind, once one is priced. Nothing is ever
taken back, so that neither a record that is replaced nor another model makes the sum smaller. Several processes
may write to one ledger; each reads the others' lines before it reserves, so that one budget holds for all of them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashionedit.errors import BudgetSpentError, InvalidDataError

LEDGER_FILE = "ledger.jsonl"
_ROUNDING = 1e-9  # USD


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    id: str | None = None
    before: float | None = Field(None, ge=0, le=1e12)
    reserve: float | None = Field(None, ge=0, le=1e12)
    kind: str | None = Field(None, alias="for")
    charge: float | None = Field(None, ge=0, le=1e12)


class CostTracker:
    """What the calls of all runs together have cost, and whether the next one fits the budget.

    Safe to use from several threads, and from several processes with one ledger.

    Args:
        path: The ledger; made with its first entry. None keeps the sum in memory alone.
        limit: USD for all runs together; None has no limit.
        before: Returns what the records say was spent, USD; asked where there is no ledger yet.

    Raises:
        InvalidDataError: The limit is negative or no number, or the ledger can't be understood.
    """

    def __init__(
        self, path: Path | None = None, *, limit: float | None = None, before: Callable[[], float] = float
    ) -> None:
        if limit is not None and not (math.isfinite(limit) and limit >= 0):
            raise InvalidDataError(f"the budget is {limit}; give an amount in USD from 0 on")
        self.limit = limit
        self._path = path
        self._lock = Lock()
        self._read_to = 0  # bytes of the ledger
        self._before: float | None = None
        self._amounts: dict[str, float] = {}  # of calls that are not charged yet
        self._unpriced: dict[str, str] = {}  # the kinds of calls that nobody knows the cost of
        self._dearest: dict[str, float] = {}  # by kind, the most that a call may cost
        self._charged = 0.0
        self._own: set[str] = set()  # under way in this process
        self._count = 0
        self._session = os.urandom(4).hex()
        if path is not None and path.exists():
            with path.open("rb") as file:
                self._read(file.fileno())
        if self._before is None:
            self._before = before()

    @property
    def spent(self) -> float:
        """USD spent by all runs, without what is reserved for this process's calls under way."""
        with self._lock:
            return self._total() - self._reserved()

    @property
    def under_way(self) -> int:
        """How many calls of this process are reserved and not charged."""
        return len(self._own)

    def reserve(self, highest: float | None, purpose: str = "") -> str:
        """Enters what a call may cost at most, USD, and returns the entry's id, to be given to `charge`.

        Args:
            highest: 0 for a call that is free, which gets no entry; None where nobody knows.
            purpose: What is paid for. A call without a price counts as the dearest one with the same purpose.

        Raises:
            BudgetSpentError: With what is spent and reserved already, it could exceed the limit.
            OSError: The ledger can't be written; the call must not be made.
        """
        with self._lock:
            self._count += 1
            name = f"{self._session}-{self._count}"
        if highest is not None and highest <= 0:
            return name
        with self._lock, self._open() as file:
            if file is not None:
                self._read(file)
            self._price(purpose, highest)
            if self.limit is not None and self._total() + (highest or 0.0) > self.limit + _ROUNDING:
                spent = self._total() - self._reserved()
                raise BudgetSpentError(
                    f"{usd(spent)} of the budget of {usd(self.limit)} is spent, and the next call may cost "
                    f"{usd(highest or 0.0)}; give a higher --budget, and the same command continues"
                )
            time = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(file, {"id": name, "reserve": highest, "for": purpose, "time": time})
            self._own.add(name)
            return name

    def price(self, purpose: str, highest: float | None) -> None:
        """Takes note of what a call may cost at most, USD, so that earlier ones without a price count as much."""
        with self._lock:
            self._price(purpose, highest)

    def _price(self, purpose: str, highest: float | None) -> None:
        self._dearest[purpose] = max(self._dearest.get(purpose, 0.0), highest or 0.0)

    def charge(self, name: str, cost: float | None) -> float:
        """Puts what the call has cost in the place of its reservation, and returns it, USD.

        Args:
            name: What `reserve` returned.
            cost: None where nobody says: it counts as the most that it could.
        """
        with self._lock:
            reserved, unpriced = self._amounts.get(name, 0.0) if name in self._own else 0.0, name in self._unpriced
            told = cost is not None and math.isfinite(cost)
            amount = max(0.0, cost) if told and cost is not None else reserved
            if amount or reserved or (unpriced and told):
                with self._open() as file:
                    self._write(file, {"id": name, "charge": amount})
            self._own.discard(name)
            return amount

    def _total(self) -> float:
        unpriced = sum(map(self._amount, self._unpriced))
        return (self._before or 0.0) + self._charged + sum(self._amounts.values()) + unpriced

    def _reserved(self) -> float:
        return sum(map(self._amount, self._own))

    def _amount(self, name: str) -> float:
        if name in self._unpriced:
            return self._dearest.get(self._unpriced[name], 0.0)
        return self._amounts.get(name, 0.0)

    @contextmanager
    def _open(self) -> Iterator[int | None]:
        """Opens the ledger for this process alone."""
        if self._path is None:
            yield None
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            with suppress(OSError):  # a file system without locks still appends each line whole
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _write(self, file: int | None, entry: dict[str, object]) -> None:
        lines = [entry]
        if file is None:
            self._take(_Entry.model_validate(entry))
            return
        size = os.fstat(file).st_size
        if size == 0:
            lines.insert(0, {"before": self._before or 0.0})
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        text = ("\n" if torn else "") + "".join(f"{json.dumps(line)}\n" for line in lines)
        data = text.encode()
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._read(file)

    def _read(self, file: int) -> None:
        """Takes in the lines that were written since it was read last, by whatever process."""
        size = os.fstat(file).st_size
        data = os.pread(file, size - self._read_to, self._read_to) if size > self._read_to else b""
        whole = data.rfind(b"\n") + 1
        self._read_to += whole
        for line in data[:whole].splitlines():
            try:
                self._take(_Entry.model_validate_json(line))
            except ValidationError:
                if line.rstrip().endswith(b"}"):
                    raise InvalidDataError(
                        f"{self._path} holds a line that is no entry of a ledger ({line[:60]!r}); mend that line, or "
                        "move the file away to begin with what the records say"
                    ) from None
                # else a line that a full disk cut short: its call was not made

    def _take(self, entry: _Entry) -> None:
        if entry.before is not None:
            self._before = entry.before
        if entry.id is None:
            return
        if entry.reserve is not None:
            self._amounts[entry.id] = entry.reserve
            self._price(entry.kind or "", entry.reserve)
        elif entry.charge is None:
            self._unpriced[entry.id] = entry.kind or ""
        else:
            self._amounts.pop(entry.id, None)
            self._unpriced.pop(entry.id, None)
            self._charged += entry.charge


def usd(amount: float) -> str:
    """Returns the amount with as many digits as a small one needs: $0.0250, $12.50."""
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}"
