"""The checks that every editor must pass, and the requests they make: each returns, or raises what is wrong.

The pictures are drawn on the spot, in the sizes and with the words that trip editors up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from PIL import Image

from fashionedit.errors import EditorError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import (
    EditorInfo,
    EditRequest,
    EditResult,
    RequestImage,
    StateTrack,
    Status,
    canonical_json,
)
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.running.identity import editor_info, run_protocols
from fashionedit.runtime.user_code import described
from fashionedit.types import Box, Difference, Sample

from .tried_editor import Asked, TriedEditor, judged, levels_apart

_AT_ONCE = 4
_TOGETHER = 3
_ALIKE = 2.0  # levels, 0..255: a batch may round otherwise than one edit alone, by about one


class BrokenError(Exception):
    """A check failed; the message is the sentence."""


class NotApplicableError(Exception):
    """A check has nothing to look at; the message says why."""


@dataclass(slots=True)
class Case:
    """One editor under examination.

    Args:
        tried: Who is asked.
        info: What it said of itself first.
        repeatable: Whether it claims that the same request with the same seed gives the same picture.
        params: Of every request.
    """

    tried: TriedEditor
    info: EditorInfo
    repeatable: bool
    params: Mapping[str, Any]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols in which it edits."""
        return run_protocols(self.info, None)

    def request(self, what: str = "", **details: Any) -> Asked:
        """Returns a request in the last of its protocols, the one with a reference where there is one."""
        return trial(what or self.protocols[-1], params=self.params, **details)

    def answer(self, asked: Asked, what: str) -> EditResult:
        """Returns the answer to one request.

        Args:
            asked: The request.
            what: How a message calls it.

        Raises:
            BrokenError: The answer breaks the contract, or an exception came in its place.
            ServiceError: A service refuses to work at all.
            MissingExtraError: A package is missing.
        """
        try:
            given = self.tried.edit(asked)
        except (ServiceError, MissingExtraError):
            raise
        except Exception as error:
            raise BrokenError(_raised(asked.request, what, error)) from error
        return _checked(given, asked.request, what)


def _checked(given: Any, request: EditRequest, what: str) -> EditResult:
    """Returns what an editor gave if it is a result that a run can keep.

    Args:
        given: By the editor.
        request: What it was asked.
        what: How a message calls the request.

    Raises:
        BrokenError: It is not.
    """
    if not isinstance(given, EditResult):
        raise BrokenError(
            f"{what} ({request.protocol}) was answered with {type(given).__name__}; return an EditResult, such as "
            "EditResult.ok(image)"
        )
    if not isinstance(given.status, Status):
        raise BrokenError(f"{what} ({request.protocol}) ended with status {given.status!r}; give a member of Status")
    try:
        answer = judged(given, request)
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
    try:
        given = case.tried.edit_many(several)
    except (ServiceError, MissingExtraError):
        raise
    except Exception as error:
        raise BrokenError(_raised(several[0].request, f"edit_many of {len(several)} requests", error)) from error
    if not isinstance(given, list | tuple) or len(given) != len(several):
        count = f" of {len(given)}" if isinstance(given, list | tuple) else ""
        raise BrokenError(
            f"edit_many was given {len(several)} requests and returned {type(given).__name__}{count}; return one "
            "EditResult for each"
        )
    together = [
        _checked(result, asked.request, "a request of a batch") for result, asked in zip(given, several, strict=True)
    ]
    _compare(case, several, together, "edit_many")


def _at_once(case: Case) -> None:
    if case.info.at_once == 1:
        raise NotApplicableError("it makes one edit at a time")
    several = _several(case, min(_AT_ONCE, case.info.at_once))
    try:
        given = case.tried.edit_at_once(several)
    except (ServiceError, MissingExtraError):
        raise
    except Exception as error:
        raise BrokenError(_raised(several[0].request, f"one of {len(several)} requests at once", error)) from error
    answers = [
        _checked(result, asked.request, "a request among others") for result, asked in zip(given, several, strict=True)
    ]
    _compare(case, several, answers, f"edit() called {len(several)} times at once")


def _after_failure(case: Case) -> None:
    before = case.answer(case.request(), "a plain request")
    nonsense: dict[str, Any] = {"params": {**case.params, "no_such_param": "nonsense"}}
    for details in (nonsense, {"params": case.params, "state": {"no such": "state"}}):
        with suppress(Exception):  # how it fails is its own affair
            case.tried.edit(trial(case.protocols[-1], **details))
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


def _several(case: Case, count: int) -> list[Asked]:
    """Returns requests whose answers can be told apart, by the picture and by its size."""
    return [case.request(size=(64 + 32 * place, 128), picture=place, seed=place) for place in range(count)]


def _compare(case: Case, several: Sequence[Asked], together: Sequence[EditResult], how: str) -> None:
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
    apart = levels_apart(one.image, other.image)
    return apart == 0 if exact else apart is not None and apart <= _ALIKE


def _raised(request: EditRequest, what: str, error: Exception) -> str:
    said = described(error)
    return (
        f"{what} ({request.protocol}) raised {said}; return an EditResult with a status and a message, and raise "
        "ServiceError alone, where no further call is worth making"
    )


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
) -> Asked:
    """Returns one request; equal arguments give equal requests that share nothing.

    Args:
        protocol: `vanilla` or `bug`.
        size: Width and height of the base image, pixels.
        reference: Width and height of the reference image, pixels.
        words: The description of the difference.
        round: 1, 2 or 3.
        seed: Of the request.
        params: Of the request.
        state: What the result behind the base image returned.
        picture: Another number is another base image.
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
    return Asked(request, sample)


def _drawn(size: tuple[int, int], number: int) -> Image.Image:
    """Returns a smooth picture with some grain: a gradient that no two numbers share."""
    width, height = size
    random = np.random.default_rng(number)
    corners = random.integers(30, 226, (2, 3))
    slope = np.linspace(0, 1, height)[:, None, None] * 0.7 + np.linspace(0, 1, width)[None, :, None] * 0.3
    smooth = corners[0] * (1 - slope) + corners[1] * slope
    grain = random.integers(-20, 21, (height, width, 3))
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
