"""Pictures are coded a few at a time, so that edits that end together do not hold one another up.

Thirty threads that decode and encode at the same time all end late. One after the other the first goes on at once, and
the service's next answers come at different times (`benchmarks/harness.py`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PROCESSORS = threading.BoundedSemaphore(os.cpu_count() or 1)


@contextmanager
def processor() -> Iterator[None]:
    """Waits for a processor and holds it to the end of the block, which codes one picture and waits for nothing."""
    with _PROCESSORS:
        yield
