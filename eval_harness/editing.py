"""The one seam a user implements: what an editor is told, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

from fashionedit.errors import EditorError
from fashionedit.types import Sample

__all__ = [
    "EditRequest",
    "EditResult",
    "Editor",
    "EditorInfo",
    "PrivilegedEditor",
    "RequestImage",
    "Role",
    "Status",
]

Role = Literal["base", "reference"]


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
    """One image of a request and what it is for."""

    role: Role
    image: Image.Image = field(repr=False)


@dataclass(frozen=True, slots=True)
class EditRequest:
    """All that an editor sees: it can neither peek at the target nor learn the garment from an id.

    Args:
        request_id: Opaque, unique within the run, the same when a run continues.
        protocol: `vanilla` (image + text) or `bug` (image + text + reference image).
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
        """The image prompts; empty in `vanilla`."""
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
        attempts: How often the service was asked.
        state: JSON that the requests built on this image carry; that of a failed result is recorded, not carried.

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

    def __post_init__(self) -> None:
        if self.status is Status.OK and not isinstance(self.image, Image.Image):
            raise EditorError(
                f"an EditResult with status ok has {type(self.image).__name__} as image; give a PIL image, or a status "
                "that says why there is none"
            )
        if self.status is not Status.OK and self.image is not None:
            raise EditorError(f"an EditResult with status {self.status} has an image; only ok has one")
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
        protocols: The protocols it can take part in.
        privileged: Whether it is told the answer; such rows are baselines, marked, never submitted.
    """

    name: str
    fingerprint: str
    protocols: tuple[str, ...] = ("vanilla", "bug")
    privileged: bool = False


@runtime_checkable
class Editor(Protocol):
    """Anything that edits."""

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
