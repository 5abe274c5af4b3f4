"""Doing one thing to many items on several threads, in order and in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """Yields `function(item)` for each item, in the order of the items; an error is raised at its item's turn.

    Items are taken from one thread, at most two a worker ahead of their use, so memory does not grow with their number.
    Threads (by default one per processor) are worth it where the work releases the interpreter lock, as decoding,
    encoding and hashing of images do.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    source = iter(items)
    failure: Exception | None = None
    with ThreadPoolExecutor(workers, thread_name_prefix="fashionedit") as pool:
        try:
            while failure is None:
                try:
                    waiting.append(pool.submit(function, next(source)))
                except StopIteration:
                    break
                except Exception as error:  # of the items: raised below, after the results of those before it
                    failure = error
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    if failure is not None:
        raise failure
