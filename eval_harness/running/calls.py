"""Calls an editor and validates what it returns; calls share nothing, so they can run side by side.

Editors with `edit_async` are awaited on one event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import traceback
import warnings
from collections.abc import Coroutine, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
from PIL import Image
from pydantic import ValidationError

from fashionedit.errors import EditorError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import (
    Editor,
    EditorInfo,
    EditRequest,
    EditResult,
    PrivilegedEditor,
    RequestImage,
    ServiceReply,
    Status,
    plain_json,
)
from fashionedit.images import check_size, pixel_digest, to_rgb
from fashionedit.runtime.secrets import whole
from fashionedit.runtime.user_code import described, users_code
from fashionedit.types import Sample

from .chain import Ended, Step
from .identity import SizePolicy
from .records import InputImage, OutputImage, image_path

_STOPS = (EditorError, MissingExtraError, ServiceError)

MAX_ASPECT = 200
"""The longest side of an edit over its shortest; encoders resize the short side to 224 pixels and more."""


class UnusableImageError(ValueError):
    """An image that can't be kept: that round is `invalid_image`."""


@dataclass(frozen=True, slots=True)
class Work:
    """One edit to make; `sample` is for privileged editors alone, None keeps the answer from all others."""

    step: Step
    request: EditRequest
    sample: Sample | None = None

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the images, to be noted before the call: an editor may do as it likes with them."""
        return [item.image.size for item in self.request.images]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt.

    Args:
        ended: A record to commit, or a failed attempt to keep.
        image: The record's image, where it has one.
        encoded: The image as PNG, in its place, where it was made on another machine.
        blank: Whether the image has one colour all over, and nothing that the editor was shown has.
        stop: The mistake for which no further edit is worth asking, such as a broken contract or a missing key.
        again: Whether the same request may succeed a little later.
        alone: Whether it was asked together with others, and what failed is the whole of them.
        reply: What the service said about its limits.
    """

    ended: Ended
    image: Image.Image | None = field(default=None, repr=False)
    encoded: bytes | None = field(default=None, repr=False)
    blank: bool = False
    stop: EditorError | MissingExtraError | ServiceError | None = None
    again: bool = False
    alone: bool = False
    reply: ServiceReply | None = None


def edit_request(
    step: Step, shown: Mapping[str, Image.Image], *, request_id: str, encoded: Mapping[str, bytes] | None = None
) -> EditRequest:
    """Returns the request of a step. Images, params and state are copies: an editor may draw on what it is given.

    `shown` has the image of each role, `encoded` the PNG of those that are at hand as one.
    """
    known = encoded or {}
    return EditRequest(
        request_id=request_id,
        protocol=step.protocol,
        round=step.round,
        instruction=step.instruction,
        images=tuple(RequestImage(role, _own(shown[role]), known.get(role)) for role, _ in step.images),
        seed=step.seed,
        params=deepcopy(step.params),
        state=deepcopy(step.state),
    )


def failed(step: Step, error: BaseException, seconds: float) -> Answer:
    """Returns the answer that an exception makes, raised after so many seconds."""
    ended = step.failure(
        Status.TIMEOUT if isinstance(error, TimeoutError) else Status.ERROR,
        message=described(error),
        traceback="".join(traceback.format_exception(error)),
        seconds=round(seconds, 4),
    )
    again = isinstance(error, TimeoutError | ConnectionError)
    return Answer(ended, stop=error if isinstance(error, _STOPS) else None, again=again)


def ask(editor: Editor | PrivilegedEditor, work: Work, size_policy: SizePolicy = "model") -> Answer:
    """Returns what one call of the editor came to, and raises what the editor raises.

    Raises:
        EditorError: The answer breaks the contract.
    """
    sizes, start = work.sizes, time.perf_counter()
    result = edit_once(editor, work)
    return judge(work.step, result, sizes, time.perf_counter() - start, size_policy, name=type(editor).__name__)


def edit_once(editor: Editor | PrivilegedEditor, work: Work) -> EditResult:
    """Returns what the editor's `edit` returns."""
    if work.sample is None:
        return cast(Editor, editor).edit(work.request)
    return cast(PrivilegedEditor, editor).edit(work.request, _own_sample(work.sample))


def judge(
    step: Step,
    result: Any,
    sizes: Sequence[tuple[int, int]],
    seconds: float,
    size_policy: SizePolicy = "model",
    *,
    name: str = "",
) -> Answer:
    """Returns what a run makes of a result: a record and its image, or a failed attempt.

    `sizes` are those of the images that were shown. The result's own time comes before `seconds`. Messages call the
    editor `name`.

    Raises:
        EditorError: It is no result, or can't be recorded.
    """
    if not isinstance(result, EditResult):
        raise EditorError(
            f"edit(){f' of {name}' if name else ''} returned {type(result).__name__}; return an EditResult, such as "
            "EditResult.ok(image)"
        )
    status = result.status
    told: dict[str, Any] = {
        "message": result.message,
        "model_version": result.model_version,
        "usage": dict(result.usage),
        "cost_usd": result.cost_usd,
        "seconds": round(seconds if result.seconds is None else result.seconds, 4),
        "attempts": result.attempts,
    }
    image, output = None, None
    try:
        if status.transient:
            return Answer(step.failure(status, **told), again=result.retry, reply=result.reply)
        if result.image is not None:
            try:
                image, output = finished_image(result.image, sizes[0] if size_policy == "base" else None)
            except UnusableImageError as error:
                status, told["message"] = Status.INVALID_IMAGE, str(error)
        record = step.record(
            status,
            inputs=tuple(
                InputImage(role=role, digest=digest, size=size)
                for (role, digest), size in zip(step.images, sizes, strict=True)
            ),
            output=output,
            effective_params=plain_json(whole(dict(result.params)), name="the params of an EditResult"),
            state=plain_json(whole(result.state), name="the state of an EditResult"),
            **told,
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise EditorError(
            f"an EditResult has {place} {first['input']!r}, which can't be recorded: {first['msg']}"
        ) from error
    return Answer(record, image, reply=result.reply)


def finished_image(image: Image.Image, size: tuple[int, int] | None) -> tuple[Image.Image, OutputImage]:
    """Returns the image as it is kept: mode RGB, resized (Lanczos) to `size` (width, height) where one is given.

    Raises:
        UnusableImageError: It has no pixels, more of them than `images.check_size` allows, or none that can be decoded.
    """
    returned = image.size
    try:
        check_size(returned, "the image")
        kept = to_rgb(image)
        check_size(kept.size, "the image")
        if max(kept.size) > MAX_ASPECT * min(kept.size):
            raise InvalidImageError(f"the image has {kept.width}×{kept.height} pixels, too elongated to be scored")
    except Exception as error:  # Pillow raises what it stumbles over in data that is cut or foreign
        text = str(error) if isinstance(error, InvalidImageError) else f"the image can't be used ({error})"
        raise UnusableImageError(text) from error
    if size is not None and kept.size != size:
        kept = kept.resize(size, Image.Resampling.LANCZOS)
    digest = pixel_digest(kept)
    return kept, OutputImage(digest=digest, size=kept.size, path=image_path(digest), returned_size=returned)


def _is_blank(image: Image.Image | None, request: EditRequest) -> bool:
    if image is None or not _one_colour(image):
        return False
    return not any(_one_colour(item.image) for item in request.images)


def _one_colour(image: Image.Image) -> bool:
    ranges: Any = image.getextrema()
    return all(low == high for low, high in ranges)


def _own(image: Image.Image) -> Image.Image:
    own = to_rgb(image).copy()
    own.info.clear()  # metadata may name the photograph
    return own


def _own_sample(sample: Sample) -> Sample:
    return replace(
        sample,
        draft=_own(sample.draft),
        original=_own(sample.original),
        differences=tuple(replace(item, reference=_own(item.reference)) for item in sample.differences),
        sketches=tuple(map(_own, sample.sketches)),
        examples=tuple(map(_own, sample.examples)),
    )


def _warn_of_nan(kind: str, flag: int) -> None:
    """Says what NumPy finds where a model gives no numbers: half precision that overflows, most of the time."""
    warnings.warn("the editor computed values that are no numbers (NaN); its pictures may be black", stacklevel=2)


_CANCELLING = 5.0  # seconds that a cancelled coroutine has to come to its end


class EditorCalls:
    """Calls one editor, from any number of threads: one request, several together, or on an event loop.

    An edit is waited for `patience` seconds; None waits for ever. `batch` is the most requests in one call; None takes
    as many as the editor does.
    """

    def __init__(
        self,
        editor: Editor | PrivilegedEditor,
        info: EditorInfo,
        size_policy: SizePolicy = "model",
        *,
        patience: float | None = None,
        batch: int | None = None,
    ) -> None:
        self.editor: Any = editor
        self._size_policy = size_policy
        self._patience = patience
        awaited = not info.privileged and inspect.iscoroutinefunction(getattr(editor, "edit_async", None))
        self._loop = EventLoop() if awaited else None
        takes = int(getattr(editor, "batch_size", 1)) if not info.privileged and hasattr(editor, "edit_many") else 1
        self.batch = max(1, min(takes, batch or takes))

    def ready(self) -> None:
        """Waits until a call can begin, before its time is counted."""

    def seconds(self, requests: int) -> float | None:
        """Returns how long a call with so many requests is waited for; None waits for ever."""
        if self._patience is None:
            return None
        return self._patience * requests + (_CANCELLING if self._loop is not None else 0.0)

    def given_up(self) -> OutOfTimeError:
        """Returns the error of an edit that is waited for no longer."""
        return OutOfTimeError(self._patience or 0.0)

    def __call__(self, works: Sequence[Work]) -> list[Answer]:
        """Returns what one call came to for each of the requests, in their order.

        Whatever the editor raises is status `error` (`TimeoutError`: `timeout`), traceback kept, and so is an answer
        that breaks the contract; a broken contract, a missing package and a service that refuses to work stop the run
        as well, since every further edit would end the same way. `KeyboardInterrupt` alone passes through. A call with
        several requests that raises is a failed attempt of each of them, to be asked for alone.
        """
        sizes, start = [work.sizes for work in works], time.perf_counter()
        try:
            results = self.edit(works)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an editor's own code may raise anything, sys.exit() too; one edit ends no run
            seconds = (time.perf_counter() - start) / len(works)
            return [replace(failed(work.step, error, seconds), alone=len(works) > 1) for work in works]
        seconds = (time.perf_counter() - start) / len(works)
        return [self._judged(*item, seconds) for item in zip(works, results, sizes, strict=True)]

    def _judged(self, work: Work, result: Any, sizes: list[tuple[int, int]], seconds: float) -> Answer:
        try:
            answer = judge(work.step, result, sizes, seconds, self._size_policy, name=type(self.editor).__name__)
            return replace(answer, blank=work.sample is None and _is_blank(answer.image, work.request))
        except Exception as error:
            return failed(work.step, error, seconds)

    def edit(self, works: Sequence[Work]) -> Sequence[Any]:
        """Returns what the editor returns to each of the requests, and raises what it raises.

        Raises:
            EditorError: `edit_many` gave no list of as many results.
        """
        if np.geterr()["invalid"] != "warn":  # the editor's own setting
            return self._edit(works)
        with np.errstate(invalid="call", call=_warn_of_nan):
            return self._edit(works)

    def _edit(self, works: Sequence[Work]) -> Sequence[Any]:
        if len(works) == 1:
            if self._loop is not None:
                return [self._loop.run(self.editor.edit_async(works[0].request), self._patience)]
            return [edit_once(self.editor, works[0])]
        results = self.editor.edit_many([work.request for work in works])
        if not isinstance(results, list | tuple) or len(results) != len(works):
            count = f" of {len(results)}" if isinstance(results, list | tuple) else ""
            raise EditorError(
                f"edit_many() of {type(self.editor).__name__} was given {len(works)} requests and returned "
                f"{type(results).__name__}{count}; return one EditResult for each, in their order"
            )
        return results

    def close(self) -> None:
        """Tells the editor that no further edit comes, and ends the event loop."""
        try:
            self.close_editor()
        finally:
            self.end_loop()

    def close_editor(self) -> None:
        """Calls the editor's `close`, if it has one; as often as this is called."""
        close = getattr(self.editor, "close", None)
        if close is None:
            return
        with users_code(f"close() of {type(self.editor).__name__}"):
            if inspect.iscoroutinefunction(close):
                self._loop = self._loop or EventLoop()
                self._loop.run(close())
            else:
                close()

    def end_loop(self) -> None:
        """Ends the event loop, where there is one."""
        if self._loop is not None:
            self._loop.close()


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

        Raises:
            OutOfTimeError: It was cancelled after so many seconds.
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
