"""What a run writes to disk: its identity, one record per finished round, and the outcomes that scoring reads.

Record keys, image paths, seeds and request ids, which make a run repeatable, are computed here too.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from PIL import Image
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from fashionedit.eval_harness.editing import Role, StateTrack, Status, canonical_json
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION, PROTOCOLS
from fashionedit.eval_harness.references import REFERENCES
from fashionedit.runtime.secrets import clean, masked, whole
from fashionedit.types import DIFFERENCES_PER_SAMPLE


def record_key(
    *,
    editor: str,
    protocol: str,
    sample: str,
    round: int,
    instruction: str,
    images: Sequence[tuple[Role, str]],
    params: Mapping[str, Any],
    seed: int,
    size_policy: str,
    state: Any,
    protocol_version: str = PROTOCOL_VERSION,
) -> str:
    """Returns the key of one round, 64 hex digits: SHA-256 of everything its answer may depend on, and nothing else.

    The base image's digest is among it, so a changed round 1 gives the rounds after it other keys, and only those.
    `images` has role and pixel digest of each image, in the order shown; `state` is that of the result behind the base.

    Raises:
        EditorError: `params` or `state` is no JSON.
    """
    parts = {
        "editor": editor,
        "protocol_version": protocol_version,
        "protocol": protocol,
        "sample": sample,
        "round": round,
        "instruction": instruction,
        "images": [list(image) for image in images],
        "params": dict(params),
        "seed": seed,
        "size_policy": size_policy,
        "state": state,
    }
    return hashlib.sha256(canonical_json(parts, name="a param or a state").encode()).hexdigest()


def image_path(digest: str) -> str:
    """Returns where in a run folder the image with this pixel digest lies."""
    return f"images/{digest[:2]}/{digest}.png"


def round_seed(base: int, sample: str, protocol: str, round: int, repeat: int = 0) -> int:
    """Returns the seed of one round, 0 .. 2**31 - 1, whatever was run before it or beside it."""
    parts = [base, sample, protocol, round, *([repeat] if repeat else [])]
    digest = hashlib.sha256(canonical_json(parts, name="a seed").encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def request_id(secret: bytes, key: str) -> str:
    """Returns the opaque name of a request, 32 hex digits: without the run's secret nobody gets from it to a sample."""
    return hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()[:32]


MOST_REPEATS = 1_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _text(value: Any, info: ValidationInfo) -> Any:
    return value if info.mode == "json" else masked(clean(value))


def _json(value: Any, info: ValidationInfo) -> Any:
    # the next round is asked with the state as it is kept, and a name such as "token" is the service's own
    return value if info.mode == "json" else masked(whole(value), names=False)


_Text = BeforeValidator(_text)
"""Foreign text, made fit to be kept when the record is made; what is read from disk is as it was kept."""

_Json = BeforeValidator(_json)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EditorIdentity(_Stored):
    """The editor's part of a run's identity; `supplied` marks images that somebody made elsewhere and imported.

    `state` and `stitched` are as in `EditorInfo`; runs from before them are chained by images and not stitched.
    """

    name: str
    fingerprint: str
    privileged: bool = False
    supplied: bool = False
    state: StateTrack = "images"
    stitched: bool = False


class RunIdentity(_Stored):
    """`run.json`: what makes two runs the same run. Immutable; nothing about when, where or how fast.

    Args:
        samples: Those that the run goes over: the split, or the part of it that has this kind of reference.
        manifest: The hash of the whole split.
        reference: What `bug` shows: `detail`, `sketch` or `example`.
        repeats: How often each chain is run, each time with other seeds; it is written down where it is more than 1, so
            that a run with one seed is the same run as before there were others.
    """

    schema_version: Literal[1] = 1
    protocol_version: str
    editor: EditorIdentity
    dataset: str
    split: str
    samples: Annotated[int, Field(ge=0)]
    manifest: str
    control_set: bool
    protocols: tuple[str, ...]
    rounds: Annotated[int, Field(ge=1, le=DIFFERENCES_PER_SAMPLE)]
    reference: str = "detail"
    size_policy: Literal["model", "base"] = "model"
    seed: int = 0
    params: dict[str, Any] = {}
    repeats: Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 1

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        if unknown := {*self.protocols} - {*PROTOCOLS}:
            raise ValueError(f"no protocol is called {min(unknown)!r}")
        if len(self.protocols) > len({*self.protocols}):
            raise ValueError("a protocol is named twice")
        if self.reference not in REFERENCES:
            raise ValueError(f"no kind of reference is called {self.reference!r}")
        return self

    @model_serializer(mode="wrap")
    def _without_one_repeat(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        if self.repeats == 1:
            del found["repeats"]
        return found

    def public(self) -> RunIdentity:
        """Returns the identity as results and pages show it: what an older version wrote may hold a secret."""
        shown = {name: masked(clean(getattr(self.editor, name))) for name in ("name", "fingerprint")}
        editor = self.editor.model_copy(update=shown)
        return self.model_copy(update={"editor": editor, "params": masked(self.params)})


class InputImage(_Stored):
    """One image that an editor was shown."""

    role: Role
    digest: str
    size: tuple[int, int]


class OutputImage(_Stored):
    """The image that came back: digest of its decoded pixels, size in pixels (width, height), path in the run folder.

    `path` is None for the dataset's own draft, which is not copied. `returned_size` is what the editor gave, before
    `--size base` resized it.
    """

    digest: str
    size: tuple[int, int]
    path: str | None
    returned_size: tuple[int, int]

    @model_validator(mode="after")
    def _lies_in_the_run(self) -> Self:
        if self.path is not None and (self.path != image_path(self.digest) or not _DIGEST.fullmatch(self.digest)):
            raise ValueError(f"{self.path!r} is not where the image of this digest lies in a run folder")
        return self


class _Round(_Stored):
    schema_version: Literal[1] = 1
    key: str
    sample: str
    protocol: str
    round: int
    status: Status
    message: Annotated[str, _Text] = ""


class RoundRecord(_Round):
    """One finished round on disk; its presence is the commit."""

    instruction: str
    inputs: tuple[InputImage, ...]
    output: OutputImage | None = None
    seed: int
    params: dict[str, Any] = {}
    effective_params: Annotated[dict[str, Any], _Text] = {}
    model_version: Annotated[str | None, _Text] = None
    usage: Annotated[dict[str, int], _Json] = {}
    cost_usd: float | None = None
    seconds: float | None = None
    attempts: int = 1
    state: Annotated[Any, _Json] = None


class FailedAttempt(_Round):
    """One attempt that gave no result (`timeout`, `error`), kept in `errors/`; the next run tries again.

    With status `refused`, a refusal whose record gave way to the result of asking again.
    """

    traceback: Annotated[str, _Text] = ""
    time: str
    model_version: Annotated[str | None, _Text] = None
    usage: Annotated[dict[str, int], _Json] = {}
    cost_usd: float | None = None
    seconds: float | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image that scoring can name without decoding it, and open, or read as a file where it is one."""

    digest: str
    size: tuple[int, int]
    open: Callable[[], Image.Image] = field(repr=False, compare=False)
    encoded: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """What one round of one sample came to.

    Args:
        round: 0 for the draft, else 1, 2, 3.
        status: How it ended; None where the round was never run.
        current: The last good image: this round's own where `status` is ok, else an earlier round's, else the draft.
        own: Whether `current` is this round's own image.
        message: Why there is no image.
    """

    sample: str
    protocol: str
    round: int
    status: Status | None
    current: ImageRef
    own: bool
    instruction: str = ""
    message: str = ""
    seconds: float | None = None
    cost_usd: float | None = None
    attempts: int = 0
