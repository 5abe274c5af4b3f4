"""Money: what tokens cost, and an append-only ledger beside the work that was paid for, with the budget that it keeps.

Prices are a small dated table, written down by hand with the source of each, which a user's own prices come before: no
service tells its prices in its answers. The tokens are always kept beside the money that is computed from them.

    ledger.jsonl    {"before": 1.25}                            the first line: spent before there was a ledger
                    {"id": "5f0c-1", "reserve": 0.17, ...}      written before a call: the most that it may cost, USD
                    {"id": "5f0c-1", "charge": 0.04}            written after it: what it has cost

A reservation without a charge counts in full: its process was killed, and nobody knows what the call has cost. Where no
price is known, `reserve` is null: such a call counts as the dearest of its kind, once one is priced. Nothing is ever
taken back, so that neither a record that is replaced nor another model makes the sum smaller. Several processes
may write to one ledger; each reads the others' lines before it reserves, so that one budget holds for all of them.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fashionedit.errors import BudgetSpentError, InvalidDataError
from fashionedit.files import append_text, locked_file

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_KINDS = ("input", "output", "cached", "image")


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model, USD per million tokens.

    Args:
        input: Of what is sent.
        output: Of what comes back; for a model that makes images, of image tokens.
        cached: Of what is sent and was in the service's cache; None has no discount.
        image: Of image tokens that are sent, where they cost other than text.
        source: Where the price stands.
        as_of: The day on which it stood there, or was read (from a stored copy).

    Raises:
        InvalidDataError: A price is negative.
    """

    input: float
    output: float
    cached: float | None = None
    image: float | None = None
    source: str = "the user"
    as_of: str | None = None

    def __post_init__(self) -> None:
        for name in _KINDS:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1e6:
                raise InvalidDataError(f"the price of {name} is {value}; give USD per million tokens, from 0 on")

    def cost(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        image_tokens: int = 0,
    ) -> float:
        """Returns what the tokens cost, USD; those of the cache and of images are among the input tokens.

        >>> Price(input=0.4, cached=0.1, output=1.6).cost(input_tokens=10**6, cached_tokens=500_000, output_tokens=0)
        0.25
        """
        cached = min(cached_tokens, input_tokens)
        images = min(image_tokens, input_tokens - cached)
        return (
            (input_tokens - cached - images) * self.input
            + cached * (self.input if self.cached is None else self.cached)
            + images * (self.input if self.image is None else self.image)
            + output_tokens * self.output
        ) / 1e6


_PAGE = "https://developers.openai.com/api/docs/models/"
_TABLE = "https://developers.openai.com/api/docs/pricing"

PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "gpt-4.1-mini": Price(0.40, 1.60, cached=0.10, source=_TABLE, as_of="2026-06-21"),
        "gpt-4.1": Price(2.00, 8.00, cached=0.50, source=_TABLE, as_of="2026-06-21"),
        "gpt-4o": Price(2.50, 10.00, cached=1.25, source=_TABLE, as_of="2026-05-01"),
        "gpt-4o-mini": Price(0.15, 0.60, cached=0.075, source=_TABLE, as_of="2026-05-01"),
        "gpt-5-mini": Price(0.25, 2.00, cached=0.025, source=_TABLE, as_of="2026-03-01"),
        "gpt-5.4-mini": Price(0.75, 4.50, cached=0.075, source=_TABLE, as_of="2026-03-27"),
        "gpt-5.6-luna": Price(0.20, 1.20, cached=0.02, source=f"{_PAGE}gpt-5.6-luna", as_of="2026-11-24"),
        "gpt-6-luna": Price(0.10, 0.50, cached=0.01, source=f"{_PAGE}gpt-6-luna", as_of="2026-11-24"),
        "gpt-image-1": Price(5.00, 40.00, cached=1.25, image=10.00, source=f"{_PAGE}gpt-image-1", as_of="2026-11-24"),
        "gpt-image-1-mini": Price(
            2.00, 8.00, cached=0.20, image=2.50, source=f"{_PAGE}gpt-image-1-mini", as_of="2026-11-24"
        ),
        "gpt-image-2.6-sunburst": Price(
            5.00, 30.00, cached=1.25, image=8.00, source=f"{_PAGE}gpt-image-2.6-sunburst", as_of="2026-11-24"
        ),
    }
)
"""Published prices of the models that the documentation names, and of those named as their successors."""


def price_of(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """Returns the price of the model, or of the model that it is a dated snapshot of; None where no price is known.

    The user's `prices` come first, where the name `*` stands for every model.

    >>> price_of("gpt-4.1-mini-2025-04-14") == PRICES["gpt-4.1-mini"]
    True
    """
    names = (model, _SNAPSHOT.sub("", model))
    for table in (prices or {}, PRICES):
        for name in (*names, "*"):
            if name in table:
                return table[name]
    return None


def parse_price(text: str) -> Price:
    """Returns the price that a text like `input=0.4,output=1.6` or `input=0.4,cached=0.1,output=1.6` gives.

    Raises:
        InvalidDataError: The text is not of this form.

    >>> parse_price("input=2,output=8").output
    8.0
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        try:
            if name not in _KINDS or name in values:
                raise ValueError
            values[name] = float(value)
        except ValueError:
            raise InvalidDataError(
                f"{part.strip()!r} is no price; write input=USD,output=USD (per million tokens), and where they differ "
                "cached=USD and image=USD"
            ) from None
    if missing := [name for name in ("input", "output") if name not in values]:
        raise InvalidDataError(f"the price {text!r} lacks {' and '.join(missing)}; write input=USD,output=USD")
    return Price(values["input"], values["output"], cached=values.get("cached"), image=values.get("image"))


_WRITTEN = TypeAdapter(dict[str, Price], config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))


def read_prices(path: Path) -> dict[str, Price]:
    """Returns the prices in a JSON file: `{"model": {"input": 0.4, "cached": 0.1, "output": 1.6}}`.

    Raises:
        InvalidDataError: The file can't be read, or is not of this form; the message names the field.
    """
    try:
        return _WRITTEN.validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidDataError(
            f"{path}{f', {where}' if where else ''}: {first['msg'].removeprefix('Value error, ')}; write "
            '{"MODEL": {"input": USD, "output": USD}}, per million tokens'
        ) from error


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
        self._lock = RLock()
        self._read_to = 0  # bytes of the ledger
        self._before: float | None = None
        self._reserved: dict[str, tuple[float | None, str]] = {}  # the most a call not yet charged costs, and its kind
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
            return self._settled()

    def reserve(self, highest: float | None, purpose: str = "") -> str:
        """Enters the most that a call may cost, USD, and returns the entry's id, to be given to `charge`.

        A free call (0) gets no entry. One without a price (None) counts as the dearest one with the same purpose.

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
            self.price(purpose, highest)
            if self.limit is not None and self._total() + (highest or 0.0) > self.limit + _ROUNDING:
                raise BudgetSpentError(
                    f"{usd(self._settled())} of the budget of {usd(self.limit)} is spent, and the next call may cost "
                    f"{usd(highest or 0.0)}; give a higher --budget, and the same command continues"
                )
            time = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(file, {"id": name, "reserve": highest, "for": purpose, "time": time})
            self._own.add(name)
            return name

    def price(self, purpose: str, highest: float | None) -> None:
        """Takes note of what a call may cost at most, USD, so that earlier ones without a price count as much."""
        with self._lock:
            self._dearest[purpose] = max(self._dearest.get(purpose, 0.0), highest or 0.0)

    def charge(self, name: str, cost: float | None) -> float:
        """Puts what the call has cost in the place of its reservation, and returns it, USD.

        A cost of None is unknown and counts as the most that it could be.
        """
        with self._lock:
            highest, _ = self._reserved.get(name, (0.0, ""))
            reserved = highest or 0.0 if name in self._own else 0.0
            told = cost is not None and math.isfinite(cost)
            amount = max(0.0, cost) if told and cost is not None else reserved
            if amount or reserved or (highest is None and told):
                with self._open() as file:
                    self._write(file, {"id": name, "charge": amount})
            self._own.discard(name)
            return amount

    def _total(self) -> float:
        return (self._before or 0.0) + self._charged + sum(map(self._amount, self._reserved))

    def _settled(self) -> float:
        return self._total() - sum(map(self._amount, self._own))

    def _amount(self, name: str) -> float:
        highest, kind = self._reserved.get(name, (0.0, ""))
        return self._dearest.get(kind, 0.0) if highest is None else highest

    def _open(self) -> AbstractContextManager[int | None]:
        """Opens the ledger for this process alone."""
        return nullcontext() if self._path is None else locked_file(self._path)

    def _write(self, file: int | None, entry: dict[str, object]) -> None:
        if file is None or self._path is None:
            self._take(_Entry.model_validate(entry))
            return
        first = [] if os.fstat(file).st_size else [{"before": self._before or 0.0}]
        append_text(file, "".join(f"{json.dumps(line)}\n" for line in (*first, entry)), self._path)
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
        if entry.charge is None or entry.reserve is not None:
            self._reserved[entry.id] = entry.reserve, entry.kind or ""
            self.price(entry.kind or "", entry.reserve)
        else:
            self._reserved.pop(entry.id, None)
            self._charged += entry.charge


def usd(amount: float) -> str:
    """Returns the amount with as many digits as a small one needs: $0.0250, $12.50."""
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.4f}"
