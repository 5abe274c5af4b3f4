"""An editor outside of a run: asked one by one, together or at once, counted, and judged as a run would judge it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from PIL import Image

from fashionedit.eval_harness.editing import Editor, EditorInfo, EditRequest, EditResult, PrivilegedEditor
from fashionedit.eval_harness.running.calls import Answer, Work, ask
from fashionedit.eval_harness.running.chain import Step
from fashionedit.images import pixel_digest
from fashionedit.runtime.user_code import users_code
from fashionedit.types import Sample

_PATIENCE = 60.0  # seconds that threads wait for one another to begin


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, with the sample behind it for editors that are told the answer."""

    request: EditRequest
    sample: Sample | None = None


class TriedEditor:
    """Calls an editor the way a run does: `edit_async` in the place of `edit` where there is one.

    Args:
        editor: Who is asked.
        privileged: Whether it is given the sample too.

    Attributes:
        calls: Requests that it was given so far.
    """

    def __init__(self, editor: Editor | PrivilegedEditor, *, privileged: bool = False) -> None:
        self.editor = editor
        self.calls = 0
        self._privileged = privileged
        self._runner: asyncio.Runner | None = None

    @property
    def awaited(self) -> bool:
        """Whether it is asked on an event loop."""
        return inspect.iscoroutinefunction(getattr(self.editor, "edit_async", None))

    @property
    def batch_size(self) -> int | None:
        """The most requests of one `edit_many`; None where it has none."""
        return getattr(self.editor, "batch_size", 1) if hasattr(self.editor, "edit_many") else None

    def edit(self, asked: Asked) -> Any:
        """Returns whatever the editor returns, and raises what it raises.

        Raises:
            ProgramEndedError: It tried to end the program.
        """
        self.calls += 1
        with users_code("the edit"):
            if self.awaited:
                return self._run(cast(Any, self.editor).edit_async(asked.request))
            return self._edit(asked)

    def edit_many(self, asked: Sequence[Asked]) -> Any:
        """Returns whatever `edit_many` returns."""
        self.calls += len(asked)
        with users_code("edit_many()"):
            return cast(Any, self.editor).edit_many([item.request for item in asked])

    def edit_at_once(self, asked: Sequence[Asked]) -> list[Any]:
        """Returns what the editor returns to each, all asked at the same moment: on one loop, or in as many threads."""
        self.calls += len(asked)
        if self.awaited:
            editor = cast(Any, self.editor)

            async def together() -> list[Any]:
                return list(await asyncio.gather(*(editor.edit_async(item.request) for item in asked)))

            with users_code("one of the edits"):
                return cast(list[Any], self._run(together()))
        start = threading.Barrier(len(asked), timeout=_PATIENCE)

        def one(item: Asked) -> Any:
            start.wait()
            return self._edit(item)

        with users_code("one of the edits"), ThreadPoolExecutor(len(asked)) as pool:
            return [future.result() for future in [pool.submit(one, item) for item in asked]]

    def close(self) -> None:
        """Calls the editor's `close`, if it has one; as often as this is called."""
        close: Callable[[], Any] | None = getattr(self.editor, "close", None)
        if close is None:
            return
        with users_code("close()"):
            if inspect.iscoroutinefunction(close):
                self._run(close())
            else:
                close()

    def end(self) -> None:
        """Ends the event loop."""
        if self._runner is not None:
            self._runner.close()

    def _edit(self, asked: Asked) -> Any:
        if self._privileged and asked.sample is not None:
            return cast(PrivilegedEditor, self.editor).edit(asked.request, asked.sample)
        return cast(Editor, self.editor).edit(asked.request)

    def _run(self, coroutine: Any) -> Any:
        self._runner = self._runner or asyncio.Runner()
        return self._runner.run(coroutine)


def judged(result: EditResult, request: EditRequest, *, step: Step | None = None) -> Answer:
    """Returns what a run would make of a result: a record and its image, or a failed attempt.

    Args:
        result: What the editor returned.
        request: What it was asked.
        step: Of the run; made up where there is none.

    Raises:
        EditorError: It can't be recorded: the params, the state or a number are not what they must be.
    """
    step = step or Step(
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
    return ask(Work(step=step, request=request, editor=_Given(result), size_policy="model"))


class _Given:
    """Stands in for the editor whose answer is there already."""

    def __init__(self, result: EditResult) -> None:
        self._result = result

    def describe(self) -> EditorInfo:
        return EditorInfo("given", "given")

    def edit(self, request: EditRequest) -> EditResult:
        return self._result


def levels_apart(one: Image.Image, other: Image.Image) -> float | None:
    """Returns the mean difference of two pictures' values, 0..255; None where their sizes differ."""
    import numpy as np

    if one.size != other.size:
        return None
    values = [np.asarray(image.convert("RGB"), dtype=np.int16) for image in (one, other)]
    return float(np.abs(values[0] - values[1]).mean())
