"""An editor outside of a run: asked one by one, together or at once, and counted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fashionedit.eval_harness.editing import Editor, EditorInfo, EditRequest, PrivilegedEditor
from fashionedit.eval_harness.running.calls import EditorCalls, Work
from fashionedit.eval_harness.running.chain import Step
from fashionedit.images import pixel_digest
from fashionedit.runtime.user_code import users_code

_PATIENCE = 60.0  # seconds that threads wait for one another to begin


class TriedEditor:
    """Calls an editor the way a run does, and passes on what it returns and raises.

    An edit that tries to end the program raises a `ProgramEndedError`.

    Attributes:
        calls: Requests that it was given so far.
        batch_size: The most requests of one `edit_many`; None where it has none.
    """

    def __init__(self, editor: Editor | PrivilegedEditor, info: EditorInfo) -> None:
        self.editor: Any = editor
        self.calls = 0
        self.batch_size: int | None = getattr(editor, "batch_size", 1) if hasattr(editor, "edit_many") else None
        self._calls = EditorCalls(editor, info, batch=1)

    def edit(self, work: Work) -> Any:
        """Returns whatever the editor returns."""
        self.calls += 1
        with users_code("the edit"):
            return self._calls.edit([work])[0]

    def edit_many(self, works: Sequence[Work]) -> Any:
        """Returns whatever `edit_many` returns."""
        self.calls += len(works)
        with users_code("edit_many()"):
            return self.editor.edit_many([work.request for work in works])

    def edit_at_once(self, works: Sequence[Work]) -> list[Any]:
        """Returns what the editor returns to each, all asked at the same moment."""
        self.calls += len(works)
        start = threading.Barrier(len(works), timeout=_PATIENCE)

        def edit(work: Work) -> Any:
            start.wait()
            return self._calls.edit([work])[0]

        with users_code("one of the edits"), ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(edit, works))

    def close(self) -> None:
        """Calls the editor's `close`, if it has one; as often as this is called."""
        self._calls.close_editor()

    def end(self) -> None:
        """Ends the event loop."""
        self._calls.end_loop()


def trial_step(request: EditRequest) -> Step:
    """Returns a step for a request that is part of no run."""
    return Step(
        key=request.request_id,
        sample="trial",
        protocol=request.protocol,
        round=request.round,
        instruction=request.instruction,
        images=tuple((item.role, pixel_digest(item.image)) for item in request.images),
        base=None,
        seed=request.seed,
        params=dict(request.params),
        state=request.state,
    )
