"""Asking an editor once and judging what it answers; nothing here is shared, so attempts can run side by side."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, cast

from PIL import Image
from pydantic import ValidationError

from fashionedit.errors import EditorError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import (
    Editor,
    EditRequest,
    EditResult,
    PrivilegedEditor,
    RequestImage,
    ServiceReply,
    Status,
)
from fashionedit.images import check_size, pixel_digest, to_rgb
from fashionedit.runtime.secrets import whole
from fashionedit.types import Sample

from .chain import Ended, Step
from .identity import SizePolicy
from .keys import image_path, plain_json
from .records import FailedAttempt, InputImage, OutputImage, RoundRecord
from .sessions import timestamp
from .users_code import described

_STOPS = (EditorError, MissingExtraError, ServiceError)


MAX_ASPECT = 200
"""The longest side of an edit over its shortest; encoders resize the short side to 224 pixels and more."""


class UnusableImageError(ValueError):
    """An image that can't be kept: that round is `invalid_image`."""


@dataclass(frozen=True, slots=True)
class Work:
    """One edit to make.

    Args:
        sample: For privileged editors alone; None keeps the answer from all others.
    """

    step: Step
    request: EditRequest
    editor: Editor | PrivilegedEditor
    size_policy: SizePolicy
    sample: Sample | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt.

    Args:
        ended: A record to commit, or a failed attempt to keep.
        image: The record's image, where it has one.
        stop: The mistake for which no further edit is worth asking, such as a broken contract or a missing key.
        again: Whether the same request may succeed a little later.
        alone: Whether it was asked together with others, and what failed is the whole of them.
        reply: What the service said about its limits.
    """

    ended: Ended
    image: Image.Image | None = field(default=None, repr=False)
    stop: EditorError | MissingExtraError | ServiceError | None = None
    again: bool = False
    alone: bool = False
    reply: ServiceReply | None = None


def edit_request(
    step: Step, shown: Mapping[str, Image.Image], *, request_id: str, encoded: Mapping[str, bytes] | None = None
) -> EditRequest:
    """Returns the request of a step. Images, params and state are copies: an editor may draw on what it is given.

    Args:
        shown: The image of each role.
        request_id: Its opaque name.
        encoded: The PNG of the roles whose image is at hand as one.
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


def attempt(work: Work, edit: Callable[[Work], EditResult] | None = None) -> Answer:
    """Returns what one call of the editor came to.

    Whatever the editor raises is status `error` (`TimeoutError`: `timeout`), traceback kept, and so is an answer that
    breaks the contract; a broken contract, a missing package and a service that refuses to work stop the run as well,
    since every further edit would end the same way. `KeyboardInterrupt` alone passes through.

    Args:
        work: The edit to make.
        edit: Makes it; by default the editor's `edit`.
    """
    start = time.perf_counter()
    try:
        return ask(work, edit)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an editor's own code may raise anything, sys.exit() too; one edit ends no run
        return failed(work.step, error, time.perf_counter() - start)


def attempt_together(
    works: Sequence[Work], edit_many: Callable[[list[EditRequest]], Sequence[EditResult]]
) -> list[Answer]:
    """Returns what one call of the editor with several requests came to, each judged on its own.

    A call that raises is a failed attempt of each of them, to be asked for alone.
    """
    sizes = [_sizes(work) for work in works]
    start = time.perf_counter()
    try:
        results = edit_many([work.request for work in works])
        if not isinstance(results, list | tuple) or len(results) != len(works):
            count = f" of {len(results)}" if isinstance(results, list | tuple) else ""
            raise EditorError(
                f"edit_many() of {type(works[0].editor).__name__} was given {len(works)} requests and returned "
                f"{type(results).__name__}{count}; return one EditResult for each, in their order"
            )
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        seconds = (time.perf_counter() - start) / len(works)
        answers = [failed(work.step, error, seconds) for work in works]
        return [replace(answer, alone=True) for answer in answers]
    seconds = (time.perf_counter() - start) / len(works)
    return [_judged(work, result, size, seconds) for work, result, size in zip(works, results, sizes, strict=True)]


def failed(step: Step, error: BaseException, seconds: float) -> Answer:
    """Returns the answer that an exception makes.

    Args:
        step: What was asked.
        error: What was raised.
        seconds: How long that took.
    """
    again = isinstance(error, TimeoutError | ConnectionError)
    return Answer(_raised(step, error, seconds), stop=error if isinstance(error, _STOPS) else None, again=again)


def ask(work: Work, edit: Callable[[Work], EditResult] | None = None) -> Answer:
    """Returns what one call of the editor came to, and raises what the editor raises.

    Raises:
        EditorError: The answer breaks the contract.
    """
    sizes = _sizes(work)
    start = time.perf_counter()
    result = _checked(work, (edit or edit_once)(work))
    return _judge(work, result, sizes, result.seconds if result.seconds is not None else time.perf_counter() - start)


def edit_once(work: Work) -> EditResult:
    """Returns what the editor's `edit` returns."""
    if work.sample is None:
        return cast(Editor, work.editor).edit(work.request)
    return cast(PrivilegedEditor, work.editor).edit(work.request, _own_sample(work.sample))


def _sizes(work: Work) -> list[tuple[int, int]]:
    # Noted before the call: the editor may do as it likes with the images.
    return [item.image.size for item in work.request.images]


def _judged(work: Work, result: Any, sizes: list[tuple[int, int]], seconds: float) -> Answer:
    try:
        result = _checked(work, result)
        return _judge(work, result, sizes, result.seconds if result.seconds is not None else seconds)
    except EditorError as error:
        return failed(work.step, error, seconds)


def _checked(work: Work, result: Any) -> EditResult:
    if not isinstance(result, EditResult):
        raise EditorError(
            f"edit() of {type(work.editor).__name__} returned {type(result).__name__}; return an EditResult, such as "
            "EditResult.ok(image)"
        )
    return result


def _judge(work: Work, result: EditResult, sizes: list[tuple[int, int]], seconds: float) -> Answer:
    step, status, message = work.step, result.status, result.message
    told: dict[str, Any] = {
        "message": message,
        "model_version": result.model_version,
        "usage": dict(result.usage),
        "cost_usd": result.cost_usd,
        "seconds": round(seconds, 4),
        "attempts": result.attempts,
    }
    if status.transient:
        return Answer(_failure(step, status, **told), again=result.retry, reply=result.reply)
    image, output = None, None
    if result.image is not None:
        try:
            image, output = finished_image(result.image, sizes[0] if work.size_policy == "base" else None)
        except UnusableImageError as error:
            status, told["message"] = Status.INVALID_IMAGE, str(error)
    try:
        record = RoundRecord(
            key=step.key,
            sample=step.sample,
            protocol=step.protocol,
            round=step.round,
            status=status,
            instruction=step.instruction,
            inputs=tuple(
                InputImage(role=role, digest=digest, size=size)
                for (role, digest), size in zip(step.images, sizes, strict=True)
            ),
            output=output,
            seed=step.seed,
            params=step.params,
            effective_params=plain_json(whole(dict(result.params)), name="the params of an EditResult"),
            state=plain_json(whole(result.state), name="the state of an EditResult"),
            **told,
        )
    except ValidationError as error:
        raise _field_error(error) from error
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


def _raised(step: Step, error: BaseException, seconds: float) -> FailedAttempt:
    return _failure(
        step,
        Status.TIMEOUT if isinstance(error, TimeoutError) else Status.ERROR,
        message=described(error),
        traceback="".join(traceback.format_exception(error)),
        seconds=round(seconds, 4),
    )


def _failure(step: Step, status: Status, **told: Any) -> FailedAttempt:
    try:
        return FailedAttempt(
            key=step.key,
            sample=step.sample,
            protocol=step.protocol,
            round=step.round,
            status=status,
            time=timestamp(),
            **told,
        )
    except ValidationError as error:
        raise _field_error(error) from error


def _field_error(error: ValidationError) -> EditorError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return EditorError(f"an EditResult has {place} {first['input']!r}, which can't be recorded: {first['msg']}")


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
