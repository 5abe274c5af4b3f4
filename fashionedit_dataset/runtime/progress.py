"""The progress of everything that takes long, on stderr: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from .secrets import printable, shown

if TYPE_CHECKING:
    from rich.progress import Progress as LiveBars
    from rich.progress import TaskID

Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""

FIRST_LINE = 10.0
"""Seconds until the first line where there is no terminal; what ends sooner has its last line alone."""

LINES_APART = 60.0
"""Seconds between two lines."""


class Bar:
    """A bar that is drawn only once there is something to wait for; safe to use from several threads.

    It takes news in two forms: `at(done, total)` from stages that know where they are, and `start` and `advance` from a
    run, whose failures it shows by status. `spend` tells either what it has cost.

    Args:
        title: What is done.
        unit: What is counted, in the singular.
        hidden: Whether nothing is shown.
    """

    def __init__(self, title: str, unit: str, *, hidden: bool = False) -> None:
        self._title = printable(shown(title))
        self._unit = unit
        self._hidden = hidden
        self._lock = threading.Lock()
        self._done = self._before = 0
        self._total: int | None = None
        self._failures: Counter[str] = Counter()
        self._spent: tuple[str, ...] = ()
        self._began = self._due = 0.0
        self._live: LiveBars | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._total is not None and not self._hidden:
            self._write()

    def at(self, done: int, total: int) -> None:
        """Moves to `done` of `total`."""
        with self._lock:
            self._open(total, 0)
            self._done, self._total = done, total
            self._show()

    def start(self, total: int, done: int) -> None:
        """Begins a run of `total` rounds of which `done` were committed before."""
        with self._lock:
            self._open(total, done)
            self._show()

    def advance(self, status: str) -> None:
        """Counts one more round that ended with this status."""
        with self._lock:
            if self._total is not None:
                self._done += 1
                self._failures[str(status)] += status != "ok"
                self._show()

    def spend(self, usd: float) -> None:
        """Shows what the work has cost so far, USD."""
        with self._lock:
            self._spent = (f"${usd:.2f} spent",)

    def _open(self, total: int, done: int) -> None:
        if self._total is not None:
            return
        self._done, self._before, self._total = done, done, total
        self._began = time.monotonic()
        self._due = self._began + FIRST_LINE
        if not self._hidden and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._live = _live_display()
            self._task = self._live.add_task(self._title, total=total, completed=done, news="", unit=self._unit)
            self._live.start()

    def _show(self) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=self._done, total=self._total, news=", ".join(self._news()))
        elif not self._hidden and time.monotonic() >= self._due:
            self._due = time.monotonic() + LINES_APART
            self._write()

    def _news(self) -> list[str]:
        return [*(f"{count} {status}" for status, count in self._failures.items() if count), *self._spent]

    def _write(self) -> None:
        seconds, made, left = time.monotonic() - self._began, self._done - self._before, (self._total or 0) - self._done
        clock = f"{_duration(seconds * left / made)} left" if left and made else f"in {_duration(seconds)}"
        counted = f"{self._title}: {self._done:,} of {self._total:,} {self._unit}s"
        print(", ".join([counted, *self._news(), clock]), file=sys.stderr, flush=True)


def _live_display() -> LiveBars:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    def text(template: str) -> TextColumn:
        return TextColumn(template, markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))

    class Clock(ProgressColumn):
        def render(self, task: Task) -> Text:
            left = task.time_remaining
            if task.finished or left is None:
                return Text(f"in {_duration(task.elapsed or 0)}")
            return Text(f"{_duration(left)} left")

    return Progress(
        text("{task.description}"),
        BarColumn(bar_width=24),
        text("{task.completed:,.0f} of {task.total:,.0f} {task.fields[unit]}s"),
        Clock(),
        text("{task.fields[news]}"),
        console=Console(file=sys.stderr, force_terminal=True, highlight=False),
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
