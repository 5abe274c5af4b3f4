"""The checks that every editor must pass, and the requests they make: each returns, or raises what is wrong.

The pictures are drawn on the spot, in the sizes and with the words that trip editors up.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from PIL import Image

from fashionedit.errors import EditorError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import (
    Editor,
    EditorInfo,
    EditRequest,
    EditResult,
    PrivilegedEditor,
    RequestImage,
    StateTrack,
    Status,
    canonical_json,
)
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.running.calls import EditorCalls, Work, judge
from fashionedit.eval_harness.running.chain import Step
from fashionedit.eval_harness.running.identity import editor_info, run_protocols
from fashionedit.images import pixel_digest
from fashionedit.runtime.user_code import described, users_code
from fashionedit.types import Box, Difference, Sample

from .findings import levels_apart

_AT_ONCE = 4
_TOGETHER = 3
_PATIENCE = 60.0  # seconds that threads wait for one another to begin
_ALIKE = 2.0  # levels, 0..255: a batch may round otherwise than one edit alone, by about one


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


class BrokenError(Exception):
    """A check failed; the message is the sentence."""


class NotApplicableError(Exception):
    """A check has nothing to look at; the message says why."""


@dataclass(slots=True)
class Case:
    """One editor under examination, what it said of itself first, and the params of every request.

    `repeatable` says whether it claims that the same request with the same seed gives the same picture.
    """

    tried: TriedEditor
    info: EditorInfo
    repeatable: bool
    params: Mapping[str, Any]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols in which it edits."""
        return run_protocols(self.info, None)

    def request(self, what: str = "", **details: Any) -> Work:
        """Returns a request in the last of its protocols, the one with a reference where there is one."""
        return trial(what or self.protocols[-1], params=self.params, privileged=self.info.privileged, **details)

    def answer(self, asked: Work, what: str) -> EditResult:
        """Returns the answer to one request, which messages call `what`.

        Raises:
            BrokenError: The answer breaks the contract, or an exception came in its place.
            ServiceError: A service refuses to work at all.
            MissingExtraError: A package is missing.
        """
        with _exceptions_told(asked, what):
            given = self.tried.edit(asked)
        return _checked(given, asked, what)


@contextmanager
def _exceptions_told(asked: Work, what: str) -> Iterator[None]:
    try:
        yield
    except (ServiceError, MissingExtraError):
        raise
    except Exception as error:
        raise BrokenError(
            f"{what} ({asked.request.protocol}) raised {described(error)}; return an EditResult with a status and a "
            "message, and raise ServiceError alone, where no further call is worth making"
        ) from error


def _checked(given: Any, asked: Work, what: str) -> EditResult:
    """Returns what an editor gave, if it is a result that a run can keep.

    Raises:
        BrokenError: It is not.
    """
    request = asked.request
    if not isinstance(given, EditResult):
        raise BrokenError(
            f"{what} ({request.protocol}) was answered with {type(given).__name__}; return an EditResult, such as "
            "EditResult.ok(image)"
        )
    if not isinstance(given.status, Status):
        raise BrokenError(f"{what} ({request.protocol}) ended with status {given.status!r}; give a member of Status")
    try:
        answer = judge(asked.step, given, asked.sizes, 0.0)
    except EditorError as error:
        raise BrokenError(f"the answer to {what} ({request.protocol}) can't be kept: {error}") from error
    if answer.ended.status is not given.status:
        raise BrokenError(
            f"{what} ({request.protocol}) was answered ok with an image that can't be used: {answer.ended.message}"
        )
    if given.attempts < 0 or (given.cost_usd is not None and not 0 <= given.cost_usd < float("inf")):
        raise BrokenError(
            f"the answer to {what} says {given.attempts} attempts and {given.cost_usd} USD; give numbers from 0 on"
        )
    return given


def _describe(case: Case) -> None:
    info = case.info
    if info.needs_reference and not info.takes_reference:
        raise BrokenError(f"{info.name} needs a reference and takes none; let describe() say one or the other")
    if info.state not in get_args(StateTrack):
        raise BrokenError(f"describe() says state {info.state!r}; give {' or '.join(get_args(StateTrack))}")
    if type(info.at_once) is not int or info.at_once < 1:
        raise BrokenError(f"describe() says {info.at_once!r} edits at once; give a whole number from 1 on")
    most = info.most_at_once
    if most is not None and (type(most) is not int or most < info.at_once):
        raise BrokenError(
            f"describe() says at most {most!r} edits at once and {info.at_once} by default; the most can't be less"
        )
    if info.usd_per_edit is not None and not 0 <= info.usd_per_edit < float("inf"):
        raise BrokenError(f"describe() says {info.usd_per_edit!r} USD an edit; give a number from 0 on, or None")
    size = case.tried.batch_size
    if size is not None and (type(size) is not int or size < 1):
        raise BrokenError(f"batch_size is {size!r}; give a whole number from 1 on")


def _describe_again(case: Case) -> None:
    case.answer(case.request(), "a plain request")
    again = editor_info(case.tried.editor)
    if again != case.info:
        raise BrokenError(
            f"describe() said {case.info} first and {again} after an edit; it must be the same whenever it is asked, "
            "since the fingerprint decides whether a run continues"
        )


def _edits(case: Case) -> None:
    for protocol in case.protocols:
        result = case.answer(case.request(protocol), "a plain request")
        if result.status is not Status.OK:
            raise BrokenError(f"a plain request ({protocol}) ended with {result.status}: {result.message}")


def _sizes(case: Case) -> None:
    for protocol in case.protocols:
        for name, size in SIZES.items():
            case.answer(case.request(protocol, size=size), f"a base image of {size[0]}×{size[1]} pixels ({name})")


def _references(case: Case) -> None:
    if not case.info.takes_reference:
        raise NotApplicableError("it takes no reference")
    shows = next(name for name in case.protocols if PROTOCOLS[name].shows_reference)
    for name, size in REFERENCE_SIZES.items():
        case.answer(case.request(shows, reference=size), f"a reference {name} ({size[0]}×{size[1]})")


def _instructions(case: Case) -> None:
    for protocol in case.protocols:
        for name, words in INSTRUCTIONS.items():
            case.answer(case.request(protocol, words=words), f"an instruction {name}")


def _request_unchanged(case: Case) -> None:
    for protocol in case.protocols:
        asked, untouched = case.request(protocol), case.request(protocol)
        case.answer(asked, "a plain request")
        for item, before in zip(asked.request.images, untouched.request.images, strict=True):
            if item.image.mode != before.image.mode or item.image.tobytes() != before.image.tobytes():
                raise BrokenError(f"edit() drew on the {item.role} image of its request ({protocol}); edit a copy")
        if dict(asked.request.params) != dict(untouched.request.params):
            raise BrokenError("edit() changed the params of its request; change a copy")


def _repeats(case: Case) -> None:
    if not case.repeatable:
        raise NotApplicableError("it does not claim to repeat")
    for protocol in case.protocols:
        one, other = (case.answer(case.request(protocol), "a plain request") for _ in range(2))
        if not _alike(one, other, exact=True):
            raise BrokenError(
                f"the same request with the same seed was answered otherwise the second time ({protocol}); seed every "
                "draw from request.seed, or do not claim to be repeatable"
            )


def _state(case: Case) -> None:
    for protocol in case.protocols:
        first = case.answer(case.request(protocol), "a plain request")
        if first.status is not Status.OK:
            continue
        if case.info.state == "conversation" and first.state is None:
            raise BrokenError(
                "describe() says state conversation, and an edit returned no state; return what the next "
                "round needs as EditResult.state"
            )
        canonical_json(first.state, name="the state of an EditResult")
        case.answer(case.request(protocol, round=2, state=first.state), "round 2 with the state of round 1")


def _batches(case: Case) -> None:
    size = case.tried.batch_size
    if size is None:
        raise NotApplicableError("it has no edit_many")
    several = _several(case, min(_TOGETHER, size))
    with _exceptions_told(several[0], f"edit_many of {len(several)} requests"):
        given = case.tried.edit_many(several)
    if not isinstance(given, list | tuple) or len(given) != len(several):
        count = f" of {len(given)}" if isinstance(given, list | tuple) else ""
        raise BrokenError(
            f"edit_many was given {len(several)} requests and returned {type(given).__name__}{count}; return one "
            "EditResult for each"
        )
    together = [_checked(*pair, "a request of a batch") for pair in zip(given, several, strict=True)]
    _compare(case, several, together, "edit_many")


def _at_once(case: Case) -> None:
    if case.info.at_once == 1:
        raise NotApplicableError("it makes one edit at a time")
    several = _several(case, min(_AT_ONCE, case.info.at_once))
    with _exceptions_told(several[0], f"one of {len(several)} requests at once"):
        given = case.tried.edit_at_once(several)
    answers = [_checked(*pair, "a request among others") for pair in zip(given, several, strict=True)]
    _compare(case, several, answers, f"edit() called {len(several)} times at once")


def _after_failure(case: Case) -> None:
    before = case.answer(case.request(), "a plain request")
    nonsense = replace(case, params={**case.params, "no_such_param": "nonsense"}).request()
    for asked in (nonsense, case.request(state={"no such": "state"})):
        with suppress(Exception):  # how it fails is its own affair
            case.tried.edit(asked)
    after = case.answer(case.request(), "a plain request after a failed one")
    if after.status is not before.status:
        raise BrokenError(
            f"a plain request ended with {before.status}, and with {after.status} after a failed one "
            f"({after.message}); a failed edit must leave nothing behind"
        )


def _close(case: Case) -> None:
    for time in ("once", "twice"):
        try:
            case.tried.close()
        except Exception as error:
            raise BrokenError(
                f"close() raised {type(error).__name__} when called {time} ({error}); it must bear to be called again"
            ) from error


def _several(case: Case, count: int) -> list[Work]:
    """Returns requests whose answers can be told apart, by the picture and by its size."""
    return [case.request(size=(64 + 32 * place, 128), picture=place, seed=place) for place in range(count)]


def _compare(case: Case, several: Sequence[Work], together: Sequence[EditResult], how: str) -> None:
    for place, (asked, result) in enumerate(zip(several, together, strict=True)):
        fresh = case.request(size=asked.request.base.size, picture=place, seed=place)
        alone = case.answer(fresh, "a request alone")
        if alone.status is not result.status:
            raise BrokenError(
                f"{how} ended with {result.status} for request {place + 1} of {len(several)} ({result.message}), and "
                f"with {alone.status} for it alone"
            )
        if not _alike(alone, result, exact=False, pixels=case.repeatable):
            raise BrokenError(
                f"{how} answered request {place + 1} of {len(several)} with another picture than edit() does for it "
                "alone; the answers must be in the order of the requests, and share nothing"
            )


def _alike(one: EditResult, other: EditResult, *, exact: bool, pixels: bool = True) -> bool:
    if one.status is not other.status or one.size != other.size:
        return False
    if one.image is None or other.image is None or not pixels:
        return True
    return levels_apart(one.image, other.image) <= (0 if exact else _ALIKE)


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "describe": _describe,
    "edits": _edits,
    "describe-again": _describe_again,
    "sizes": _sizes,
    "tiny-references": _references,
    "instructions": _instructions,
    "request-unchanged": _request_unchanged,
    "repeats": _repeats,
    "state": _state,
    "batches": _batches,
    "at-once": _at_once,
    "after-failure": _after_failure,
    "close": _close,
}
"""The checks in their order; `close` is the last."""


PLAIN = (96, 128)
SIZES: Mapping[str, tuple[int, int]] = {
    "odd": (65, 97),
    "tall": (48, 192),
    "wide": (192, 48),
}
"""Base images, width and height in pixels."""

REFERENCE_SIZES: Mapping[str, tuple[int, int]] = {
    "of 8 pixels": (8, 8),
    "ten times as wide as high": (80, 8),
    "ten times as high as wide": (8, 80),
}
"""Reference images: a crop of a button, of a hem, of a zip."""

_WORDS = "The blazer has a notched lapel and two buttons."
INSTRUCTIONS: Mapping[str, str] = {
    "of 4,000 characters": "The coat has a belt, five buttons and a collar that is turned up. " * 61,
    "in several scripts": "Das Kleid hat Rüschen – 袖は長い, والياقة مستديرة,\n\t“tailored” 👗🧵 {braces} <b>%s</b>",
}
"""Descriptions that an instruction may hold."""


def trial(
    protocol: str,
    *,
    size: tuple[int, int] = PLAIN,
    reference: tuple[int, int] = (40, 32),
    words: str = _WORDS,
    round: int = 1,
    seed: int = 1,
    params: Mapping[str, Any] | None = None,
    state: Any = None,
    picture: int = 0,
    privileged: bool = False,
) -> Work:
    """Returns one request; equal arguments give equal requests that share nothing.

    `size` and `reference` are width and height of the two images, `words` describe the difference; another `picture`
    is another base image.
    """
    shown = {"base": _drawn(size, picture), "reference": _drawn(reference, picture + 100)}
    name = hashlib.sha256(repr((protocol, size, reference, words, round, seed, params, state, picture)).encode())
    request = EditRequest(
        request_id=name.hexdigest()[:32],
        protocol=protocol,
        round=round,
        instruction=PROTOCOLS[protocol].instruction(words),
        images=tuple(RequestImage(role, shown[role]) for role in PROTOCOLS[protocol].roles),
        seed=seed,
        params=deepcopy(dict(params or {})),
        state=deepcopy(state),
    )
    difference = Difference(words, Box(100, 100, 500, 600), _drawn(reference, picture + 100))
    sample = Sample("trial", "A trial.", _drawn(size, picture), _drawn(size, picture + 200), (difference,) * 3)
    return Work(trial_step(request), request, sample if privileged else None)


def _drawn(size: tuple[int, int], number: int) -> Image.Image:
    """Returns a smooth picture with some grain: a gradient that no two numbers share."""
    width, height = size
    random = np.random.default_rng(number)
    corners = random.integers(30, 226, (2, 3))
    slope = np.linspace(0, 1, height)[:, None, None] * 0.7 + np.linspace(0, 1, width)[None, :, None] * 0.3
    smooth = corners[0] * (1 - slope) + corners[1] * slope
    grain = random.integers(-20, 21, (height, width, 3))
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
