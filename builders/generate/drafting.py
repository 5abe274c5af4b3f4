"""The interface between the stage and a draft maker: request, result, maker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import stage_key
from fashionedit.errors import InvalidDataError, ServiceError
from fashionedit.images import EncodedImage
from fashionedit.runtime.limiter import ServiceReply


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """One draft to make: the photograph's id, the caption, and the seed of `draft_seed`, 0 .. 2**31 - 1."""

    id: str
    caption: str
    seed: int


@dataclass(frozen=True, slots=True)
class DraftResult:
    """Result of one request: an image, a reason why there is none, or an error that ends all requests.

    Args:
        image: The draft, any mode and size; or as the PNG of a worker, which has judged it.
        reason: Why there is none, in the same few words for the same cause.
        detail: Why there is none, in a sentence.
        retry: Whether the next run should ask again: a time-out is worth it, a refusal is not.
        again: Whether the same request may be answered a little later, so that this run asks again.
        reply: What the service said about its limits.
        stop: The service refuses to work at all. The photograph gets no record; the stage commits what else came
            back and raises this.
        seconds: The draft's share of the time that its batch took, s; without the time for loading.
        cost: Money, USD; None where nobody says, so that it counts as the maker's highest cost.
        effective: What the draft was really made with, plain JSON.
        provenance: What else is worth recording and moves no pixel by more than rounding does: device, batch, versions,
            tokens; plain JSON.

    Raises:
        InvalidDataError: It is not exactly one of the three, or a reason has no detail.
    """

    image: Image.Image | EncodedImage | None = field(default=None, repr=False)
    reason: str | None = None
    detail: str | None = None
    retry: bool = False
    again: bool = False
    reply: ServiceReply | None = None
    stop: ServiceError | None = None
    seconds: float = 0.0
    cost: float | None = 0.0
    effective: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = [value for value in (self.image, self.reason, self.stop) if value is not None]
        if len(given) != 1 or (self.reason is None) is not (self.detail is None):
            raise InvalidDataError(
                "a draft's result has an image, or a reason with a detail, or an error to stop with; give exactly one"
            )


class DraftMaker(Protocol):
    """Makes drafts from captions.

    It may also have `concurrency`, the calls of `make` that may be under way at once (1 by default), `max_retries`, how
    often a request is made again that may be answered a little later (0), and `close()`, called once at the end.
    """

    @property
    def batch_size(self) -> int:
        """How many requests `make` is given at once; asked before each call, as it may shrink."""
        ...

    @property
    def highest_cost(self) -> float | None:
        """What one draft may cost at most, USD; 0 where nothing is paid, None where it isn't known."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns everything that moves a pixel apart from caption and seed, as plain JSON; it is part of the keys.

        What moves one by rounding alone (batch size, device, library versions) is provenance, so that a draft is not
        made again because of it.
        """
        ...

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns the results in the order of the requests; there are `batch_size` of them at most.

        Raises:
            ServiceError: Nothing works at all, and nothing of this batch has been paid for.
        """
        ...


@runtime_checkable
class DraftFinder(Protocol):
    """A maker that has drafts as files: the stage uses these as they are, and asks `make` for the others only."""

    def find(self, identity: str) -> Path | None:
        """Returns the draft of the photograph with this id, None where there is none."""
        ...


def draft_key(maker: Mapping[str, Any], base_seed: int, photo: Photo) -> str:
    """Returns the key of the record of a photograph's draft; `maker` is what `DraftMaker.describe` returned."""
    return stage_key("generate", maker=maker, caption=photo.caption, seed=draft_seed(base_seed, photo.id))


def draft_seed(base_seed: int, photo_id: str) -> int:
    """Returns the seed of one photograph's draft, 0 .. 2**31 - 1, whatever is generated before it or beside it.

    31 bits, like the harness's seeds: torch would take 64, but services read a seed as a signed 32-bit number. Two of
    11,546 photographs share a seed once in 32 datasets, which does no harm: their captions differ.

    >>> draft_seed(0, "a") == draft_seed(0, "a") != draft_seed(1, "a")
    True
    """
    digest = hashlib.sha256(json.dumps(["draft", base_seed, photo_id]).encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF
