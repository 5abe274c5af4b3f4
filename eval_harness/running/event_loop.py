"""One event loop in a thread of its own, for editors whose `edit_async` is awaited from worker threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class OutOfTimeError(TimeoutError):
    """The harness's time for an edit is over; what was under way is cancelled or given up."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


class EventLoop:
    """Awaits coroutines for any thread that asks; started by the first of them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="edit-async", daemon=True)
        self._started = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, Result], seconds: float | None = None) -> Result:
        """Returns what the coroutine returns, and raises what it raises.

        Args:
            coroutine: Awaited on the loop's thread.
            seconds: Cancelled after so long; None waits for ever.

        Raises:
            OutOfTimeError: It was cancelled.
        """

        async def limited() -> Result:
            try:
                async with asyncio.timeout(seconds) as scope:
                    return await coroutine
            except SystemExit as error:  # it would end the loop's thread, and every later edit would wait for ever
                raise RuntimeError(f"the coroutine called sys.exit({error.code!r})") from error
            except TimeoutError:
                if scope.expired() and seconds is not None:
                    raise OutOfTimeError(seconds) from None
                raise

        with self._started:
            if self._thread.ident is None:
                self._thread.start()
        future = asyncio.run_coroutine_threadsafe(limited(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancels what is still under way and ends the thread."""
        if self._thread.ident is not None:
            try:
                asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(timeout=5)
            except TimeoutError:
                return  # a coroutine blocks the loop; its thread is a daemon and dies with the process
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
        if not self._loop.is_running():
            self._loop.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
