"""One progress bar for everything that takes long: done, total, speed and time to go, on stderr."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any

from tqdm import tqdm

from .secrets import printable, shown


class Bar:
    """A bar that is drawn only once there is something to wait for.

    It takes news in two forms: `at(done, total)` from stages that know where they are, and `start`, `advance` and
    `spend` from a run, whose failures it shows by status.
    """

    def __init__(self, title: str, unit: str, *, hidden: bool = False) -> None:
        self._title = printable(shown(title))
        self._unit = unit
        self._hidden = hidden
        self._bar: Any = None
        self._failures: Counter[str] = Counter()
        self._spent: dict[str, str] = {}

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def at(self, done: int, total: int) -> None:
        """Moves to `done` of `total`."""
        bar = self._open(total, 0)
        bar.update(done - bar.n)

    def start(self, total: int, done: int) -> None:
        """Begins a run of `total` rounds of which `done` were committed before."""
        self._open(total, done)

    def advance(self, status: str) -> None:
        """Counts one more round that ended with this status."""
        if self._bar is None:
            return
        if status != "ok":
            self._failures[status] += 1
            self._bar.set_postfix({**self._failures, **self._spent}, refresh=False)
        self._bar.update(1)

    def spend(self, usd: float) -> None:
        """Shows what the run has cost so far, USD."""
        self._spent = {"spent": f"${usd:.2f}"}
        if self._bar is not None:
            self._bar.set_postfix({**self._failures, **self._spent}, refresh=False)

    def _open(self, total: int, done: int) -> Any:
        if self._bar is None:
            self._bar = tqdm(
                desc=self._title,
                unit=f" {self._unit}s",
                total=total,
                initial=done,
                disable=self._hidden,
                dynamic_ncols=True,
                mininterval=0.2,
            )
        return self._bar
