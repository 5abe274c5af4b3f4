"""Money: an append-only ledger beside the work that was paid for, and the budget that it keeps.

    ledger.jsonl    {"before": 1.25}                            the first line: spent before there was a ledger
                    {"id": "5f0c-1", "reserve": 0.17, ...}      written before a call: the most that it may cost, USD
                    {"id": "5f0c-1", "charge": 0.04}            written after it: what it has cost

A reservation without a charge counts in full: its process was killed, and nobody knows what the call has cost. Nothing
is ever taken back, so that neither a record that is replaced nor another model makes the sum smaller. Several processes
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
        self._charged = 0.0
        self._own: dict[str, float] = {}  # under way in this process
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
            return self._total() - sum(self._own.values())

    @property
    def under_way(self) -> int:
        """How many calls of this process are reserved and not charged."""
        return len(self._own)

    def reserve(self, highest: float, purpose: str = "") -> str:
        """Enters what a call may cost at most, USD, and returns the entry's id, to be given to `charge`.

        Args:
            highest: 0 for a call that is free, which gets no entry.
            purpose: What is paid for, for readers of the ledger.

        Raises:
            BudgetSpentError: With what is spent and reserved already, it could exceed the limit.
            OSError: The ledger can't be written; the call must not be made.
        """
        with self._lock:
            self._count += 1
            name = f"{self._session}-{self._count}"
        if highest <= 0:
            return name
        with self._lock, self._open() as file:
            if file is not None:
                self._read(file)
            if self.limit is not None and self._total() + highest > self.limit + _ROUNDING:
                spent = self._total() - sum(self._own.values())
                raise BudgetSpentError(
                    f"{usd(spent)} of the budget of {usd(self.limit)} is spent, and the next call may cost "
                    f"{usd(highest)}; give a higher --budget, and the same command continues"
                )
            time = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(file, {"id": name, "reserve": highest, "for": purpose, "time": time})
            self._own[name] = highest
            return name

    def charge(self, name: str, cost: float | None) -> float:
        """Puts what the call has cost in the place of its reservation, and returns it, USD.

        Args:
            name: What `reserve` returned.
            cost: None where nobody says: it counts as the most that it could.
        """
        with self._lock:
            reserved = self._own.get(name, 0.0)
            amount = reserved if cost is None or not math.isfinite(cost) else max(0.0, cost)
            if amount or reserved:
                with self._open() as file:
                    self._write(file, {"id": name, "charge": amount})
                self._own.pop(name, None)
            return amount

    def _total(self) -> float:
        return (self._before or 0.0) + self._charged + sum(self._amounts.values())

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
        if entry.id is not None and entry.reserve is not None:
            self._amounts[entry.id] = entry.reserve
        if entry.id is not None and entry.charge is not None:
            self._amounts.pop(entry.id, None)
            self._charged += entry.charge


def usd(amount: float) -> str:
    """Returns the amount with as many digits as a small one needs: $0.0250, $12.50."""
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}"
