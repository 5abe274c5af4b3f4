"""The one seam a user implements: what an editor is told, and what it answers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

from fashionedit.errors import EditorError
from fashionedit.images import png_bytes
from fashionedit.runtime.limiter import ServiceReply as ServiceReply
from fashionedit.types import Sample

CPU_SLOTS = threading.BoundedSemaphore(os.cpu_count() or 1)
"""Held while one picture is encoded or decoded: thirty threads that do so at once all end late, and one after the other
the first goes on at once (`benchmarks/harness.py`)."""

Role = Literal["base", "reference"]

StateTrack = Literal["images", "conversation"]
"""What a round hands to the next: its image alone, or the provider's own memory of the conversation."""


class Status(StrEnum):
    """How an edit ended. Never a black image, never a silent zero."""

    OK = "ok"
    REFUSED = "refused"
    NO_IMAGE = "no_image"
    INVALID_IMAGE = "invalid_image"
    TIMEOUT = "timeout"
    ERROR = "error"

    @property
    def transient(self) -> bool:
        """Whether the next run tries again: a refusal is a result, a timeout is not."""
        return self in (Status.TIMEOUT, Status.ERROR)


@dataclass(frozen=True, slots=True)
class RequestImage:
    """One image of a request and what it is for.

    Args:
        role: `base` or `reference`.
        image: Mode RGB.
        encoded: The image as PNG, where the harness has it at hand.
    """

    role: Role
    image: Image.Image = field(repr=False)
    encoded: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def png(self) -> bytes:
        """The image as PNG, without metadata: what an editor sends."""
        if self.encoded is not None:
            return self.encoded
        with CPU_SLOTS:
            return png_bytes(self.image)


@dataclass(frozen=True, slots=True)
class EditRequest:
    """All that an editor sees: it can neither peek at the target nor learn the garment from an id.

    Args:
        request_id: Opaque, unique within the run, the same when a run continues.
        protocol: The protocol's name, such as `vanilla` (image + text) or `bug` (image + text + reference image).
        round: 1, 2, 3.
        instruction: The whole prompt, as the reference scripts word it.
        images: The image to edit first (role `base`), then the reference where the protocol has one. Mode RGB.
        seed: 0 .. 2**31 - 1, derived from the run's seed, the sample, the protocol and the round.
        params: What `--param key=value` gave, for the editor to read.
        state: What the result behind the base image returned, JSON; None while the base is the draft.
    """

    request_id: str
    protocol: str
    round: int
    instruction: str
    images: tuple[RequestImage, ...]
    seed: int
    params: Mapping[str, Any] = field(default_factory=dict)
    state: Any = None

    @property
    def base(self) -> Image.Image:
        """The image to edit."""
        return next(item.image for item in self.images if item.role == "base")

    @property
    def references(self) -> tuple[Image.Image, ...]:
        """The image prompts; empty in a protocol that shows none."""
        return tuple(item.image for item in self.images if item.role == "reference")


@dataclass(frozen=True, slots=True)
class EditResult:
    """What an editor answers.

    Args:
        status: `ok` needs an image; every other status needs a message and has none.
        image: The edited picture, any size; the harness makes it RGB.
        message: Why there is no image, as the model or the service put it.
        params: The effective parameters, where they differ from the request's or were defaults.
        model_version: What the service says answered.
        usage: Token or image counts, as the service reports them.
        cost_usd: Money, USD.
        seconds: The time of the call, s; measured by the harness when None.
        attempts: How often the service was asked for this result; the harness adds up its own retries.
        state: JSON that the requests built on this image carry; that of a failed result is recorded, not carried.
        retry: For `timeout` and `error`: whether the same request may succeed a little later. The harness asks again,
            as often as the run allows; an editor does not retry by itself.
        reply: What the service said about its limits, whatever the status; the harness slows down by it.

    Raises:
        EditorError: `ok` without an image, another status with one, or with no message.
    """

    status: Status
    image: Image.Image | None = field(default=None, repr=False)
    message: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    model_version: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    seconds: float | None = None
    attempts: int = 1
    state: Any = None
    retry: bool = False
    reply: ServiceReply | None = None

    def __post_init__(self) -> None:
        if self.status is Status.OK and not isinstance(self.image, Image.Image):
            raise EditorError(
                f"an EditResult with status ok has {type(self.image).__name__} as image; give a PIL image, or a status "
                "that says why there is none"
            )
        if self.status is not Status.OK and self.image is not None:
            raise EditorError(f"an EditResult with status {self.status} has an image; only ok has one")
        if self.retry and not self.status.transient:
            raise EditorError(f"an EditResult with status {self.status} asks for a retry; only timeout and error may")
        if self.status is not Status.OK and not self.message:
            raise EditorError(f"an EditResult with status {self.status} has no message; say what happened")

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the image, pixels."""
        return self.image.size if self.image is not None else None

    @classmethod
    def ok(cls, image: Image.Image, **details: Any) -> EditResult:
        """Returns the result of an edit that worked."""
        return cls(Status.OK, image, **details)

    @classmethod
    def failed(cls, status: Status, message: str, **details: Any) -> EditResult:
        """Returns the result of an edit that gave no image."""
        return cls(status, None, message, **details)


@dataclass(frozen=True, slots=True)
class EditorInfo:
    """Who an editor is, for the tables and for the run's identity.

    Args:
        name: How tables call it.
        fingerprint: Changes whenever the same request could be answered otherwise: model, revision, code, settings.
        takes_reference: Whether it can be shown a reference image beside the image to edit.
        needs_reference: Whether it can do nothing without one.
        privileged: Whether it sees the answer; such rows are baselines, marked, never submitted.
        state: Whether its rounds are chained by images alone, or by the provider's memory too: a track of its own.
        stitched: Whether it takes one image only, so that base and reference are shown side by side in one picture;
            tables keep such rows apart.
        at_once: How many edits are made at the same time unless the run says otherwise; 1 for what computes in this
            process.
        most_at_once: More than this it can't bear; None has no limit.
        usd_per_edit: What an edit costs at most, by estimate, USD, before the first is made; None if it is not known.
    """

    name: str
    fingerprint: str
    _: KW_ONLY
    takes_reference: bool = True
    needs_reference: bool = False
    privileged: bool = False
    state: StateTrack = "images"
    stitched: bool = False
    at_once: int = 1
    most_at_once: int | None = None
    usd_per_edit: float | None = None


@runtime_checkable
class Editor(Protocol):
    """Anything that edits.

    It may also have

    - `edit_many(requests) -> list[EditResult]` and `batch_size`, the most requests that it takes at once: it is then
      given requests of several samples together, and answers in their order;
    - `async edit_async(request) -> EditResult`, which is then awaited in the place of `edit`;
    - `check_params(params)`, which raises an `EditorError` for params that no edit can be given; called once, before
      the run folder is made;
    - `close()`, called once after the last edit.

    A `ServiceError` that it raises (no key, no quota, no such model) ends the run with that sentence.
    """

    def describe(self) -> EditorInfo:
        """Returns who this is; called once, before the first edit."""
        ...

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the edited image, or the status that says why there is none. May raise: that is status `error`."""
        ...


@runtime_checkable
class PrivilegedEditor(Protocol):
    """A baseline that sees the whole sample, the original included."""

    def describe(self) -> EditorInfo:
        """Returns who this is, with `privileged=True`."""
        ...

    def edit(self, request: EditRequest, sample: Sample) -> EditResult:
        """Returns the edited image, made with the answer in view."""
        ...


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any, *, name: str) -> str:
    """Returns the one JSON text of a value: sorted keys, no spaces, no NaN.

    Args:
        value: Anything that JSON can say.
        name: How the message calls the value.

    Raises:
        EditorError: JSON can't say it.
    """
    try:
        text = _CANONICAL.encode(value)
        text.encode()  # a lone surrogate is text to Python and to no file
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise EditorError(
            f"{name} can't be written as JSON ({error}); use only text, finite numbers, true, false, null, lists and "
            "mappings with text keys"
        ) from error


def plain_json(value: Any, *, name: str) -> Any:
    """Returns the value as it comes back from disk (tuples as lists), a copy that shares nothing with the first.

    Raises:
        EditorError: JSON can't say it.
    """
    return json.loads(canonical_json(value, name=name))


UNDECLARED = "undeclared-"
"""How the fingerprint of an editor begins whose code can't be read and that declares no version."""


DEFAULT_TIMEOUT = 300.0
"""Seconds that one edit may take; image services need up to two minutes."""
