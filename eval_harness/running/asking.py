"""The ways an editor can be asked: one request, several together, or on an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from fashionedit.eval_harness.editing import Editor, EditorInfo, EditResult, PrivilegedEditor

from .attempts import Answer, Work, attempt, attempt_together, edit_once
from .event_loop import EventLoop, OutOfTimeError
from .limits import Limits

_FOR_CANCELLING = 5.0  # seconds that a cancelled coroutine has to come to its end


class Asker:
    """Asks one editor, from any number of threads.

    Args:
        editor: Who is asked.
        info: What it says of itself.
        limits: Of the session.

    Attributes:
        batch: Requests that may be put into one call.
    """

    def __init__(self, editor: Editor | PrivilegedEditor, info: EditorInfo, limits: Limits) -> None:
        self._editor: Any = editor
        self._patience = limits.patience
        self._loop: EventLoop | None = None
        alone = info.privileged
        if not alone and inspect.iscoroutinefunction(getattr(editor, "edit_async", None)):
            self._loop = EventLoop()
        takes = int(getattr(editor, "batch_size", 1)) if not alone and hasattr(editor, "edit_many") else 1
        self.batch = max(1, min(takes, limits.batch or takes))

    def seconds(self, requests: int) -> float | None:
        """Returns how long a call with so many requests is waited for; None waits for ever."""
        if self._patience is None:
            return None
        return self._patience * requests + (_FOR_CANCELLING if self._loop is not None else 0.0)

    def __call__(self, works: Sequence[Work]) -> list[Answer]:
        """Returns the answers, in the order of the requests."""
        if len(works) > 1:
            return attempt_together(works, self._editor.edit_many)
        return [attempt(works[0], self._awaited if self._loop is not None else edit_once)]

    def given_up(self) -> OutOfTimeError:
        """Returns the error of an edit that is waited for no longer."""
        return OutOfTimeError(self._patience or 0.0)

    def close(self) -> None:
        """Tells the editor that no further edit comes, and ends the event loop."""
        try:
            close = getattr(self._editor, "close", None)
            if close is None:
                return
            if inspect.iscoroutinefunction(close):
                loop = self._loop = self._loop or EventLoop()
                loop.run(close())
            else:
                close()
        finally:
            if self._loop is not None:
                self._loop.close()

    def _awaited(self, work: Work) -> EditResult:
        assert self._loop is not None
        result: EditResult = self._loop.run(self._editor.edit_async(work.request), self._patience)
        return result
