"""Encodes and decodes pictures a few at a time, so that edits that end together do not slow one another down.

Thirty threads that decode and encode at the same time all end late. One after the other the first goes on at once, and
the service's next answers come at different times (`benchmarks/harness.py`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SLOTS = threading.BoundedSemaphore(os.cpu_count() or 1)


@contextmanager
def cpu_slot() -> Iterator[None]:
    """Waits for a free CPU and holds it for the block, which encodes or decodes one picture and waits for nothing."""
    with _SLOTS:
        yield
