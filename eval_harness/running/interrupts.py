"""Ctrl-C: the first one lets what is under way come to its end, the second one does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .summary import RunSummary


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C ended the run; what was under way then is committed.

    Args:
        summary: How the run stands.
    """

    def __init__(self, summary: RunSummary) -> None:
        super().__init__("the run was interrupted; the same call continues it")
        self.summary = summary


@contextmanager
def on_interrupt(first: Callable[[], None]) -> Iterator[None]:
    """Has the first Ctrl-C call `first`, and any further one raise `KeyboardInterrupt` as usual.

    Outside the main thread, and where Ctrl-C is ignored, everything stays as it is.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    pressed = False

    def press(number: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        first()

    previous = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
