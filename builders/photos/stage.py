"""The photos stage: which photographs can be read, are large enough, have a caption and are no copy of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from PIL import Image

from fashionedit.builders.stage_items import Photo
from fashionedit.builders.stage_store import StageRecord, StageStore, stage_key
from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import pixel_digest, read_image, to_rgb
from fashionedit.parallel import map_in_order

from .sources import PhotoSource, Progress, Unusable

MIN_SIDE = 64
"""Pixels; three differences can't be told apart on a photograph with a shorter side."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of one item: the record on disk, and the one that should be there if it is no copy of another."""

    item: Photo | Unusable
    found: StageRecord | None
    record: StageRecord


def check_photos(
    source: PhotoSource,
    store: StageStore,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    fetching: Progress | None = None,
    on_record: Callable[[StageRecord], None] | None = None,
) -> Iterator[Photo]:
    """Yields the photographs that can be built from, in the order of their ids.

    `data` of a record: `digest` (of the decoded pixels) and `size` (width and height), once it was decoded; `caption`,
    `gender`, `category`, `garment_id`, `view` and `attributes`. Reasons: `no caption` (and no draft either), `not
    readable`, `too small`, `black image`, `one-colour image`, `same pixels as another` (the first by id stays), and
    what the source says itself. A photograph whose file, caption and facts are as they were is not decoded again.

    Args:
        source: Where they are.
        store: Of this stage.
        workers: Threads that decode; as many as there are processors by default.
        progress: Called with the photographs done and those in all.
        fetching: Called with the photographs brought to this machine and those in all, where some have to be.
        on_record: Called with the record of each item of the source in turn, kept or not; older records of photographs
            that are gone from the source are not among them.

    Raises:
        InvalidDataError: A file of the source is not what it must be, or two items have one id.
        ServiceError: The source is elsewhere and can't be reached.
    """
    items = sorted(source.photos(fetching), key=lambda item: item.id)
    _check_unique(items)
    first: dict[str, str] = {}
    for done, seen in enumerate(map_in_order(partial(_look, store), items, workers=workers), 1):
        record = _unless_copy(seen.record, first)
        if record != seen.found:
            store.commit(record)
        if on_record is not None:
            on_record(record)
        if progress is not None:
            progress(done, len(items))
        if record.status == "kept" and isinstance(seen.item, Photo):
            yield seen.item


def _look(store: StageStore, item: Photo | Unusable) -> _Seen:
    if isinstance(item, Unusable):
        key = stage_key("photos", reason=item.reason, detail=item.detail)
        record = StageRecord(id=item.id, key=key, status="dropped", reason=item.reason, detail=item.detail)
        return _Seen(item, store.find(item.id, key), record)
    data: dict[str, Any] = {
        "caption": item.caption,
        "gender": item.gender,
        "category": item.category,
        "garment_id": item.garment_id,
        "view": item.view,
        "attributes": dict(item.attributes),
    }
    try:
        state = item.path.stat()
    except OSError as error:
        key = stage_key("photos", file=item.path.name, missing=True, facts=data)
        detail = f"{item.path.name} can't be read ({error.strerror})"
        record = StageRecord(id=item.id, key=key, status="dropped", reason="not readable", detail=detail, data=data)
        return _Seen(item, store.find(item.id, key), record)
    drawn = item.draft is not None
    key = stage_key(
        "photos",
        file=item.path.name,
        bytes=state.st_size,
        time=state.st_mtime_ns,
        draft=drawn,
        min=MIN_SIDE,
        blank="dropped",
        facts=data,
    )
    found = store.find(item.id, key)
    if found is not None:
        return _Seen(item, found, found)
    if not drawn and not (item.caption or "").strip():
        reason, detail = "no caption", f"{item.path.name} has no caption to make a draft from"
        return _Seen(
            item, None, StageRecord(id=item.id, key=key, status="dropped", reason=reason, detail=detail, data=data)
        )
    return _Seen(item, None, _decoded(item, key, data))


def _decoded(item: Photo, key: str, data: dict[str, Any]) -> StageRecord:
    try:
        image = read_image(item.path, name=item.path.name)
    except InvalidImageError as error:
        return StageRecord(id=item.id, key=key, status="dropped", reason="not readable", detail=str(error), data=data)
    data = {"digest": pixel_digest(image), "size": list(image.size), **data}
    if min(image.size) < MIN_SIDE:
        detail = f"{item.path.name} has {image.width}×{image.height} pixels; both sides need at least {MIN_SIDE}"
        return StageRecord(id=item.id, key=key, status="dropped", reason="too small", detail=detail, data=data)
    if (blank := blank_reason(image)) is not None:
        detail = f"{item.path.name} has one colour all over"
        return StageRecord(id=item.id, key=key, status="dropped", reason=blank[0], detail=detail, data=data)
    return StageRecord(id=item.id, key=key, status="kept", data=data)


def _unless_copy(record: StageRecord, first: dict[str, str]) -> StageRecord:
    """Returns the record, dropped where an earlier photograph has its pixels, and kept where none has any more."""
    digest = record.data.get("digest")
    if digest is None or record.reason in ("too small", "black image", "one-colour image"):
        return record
    if (other := first.setdefault(digest, record.id)) == record.id:
        return record.model_copy(update={"status": "kept", "reason": None, "detail": None})
    return record.model_copy(
        update={
            "status": "dropped",
            "reason": "same pixels as another",
            "detail": f"{record.id} shows the same picture as {other}, pixel for pixel",
        }
    )


def _check_unique(items: list[Photo | Unusable]) -> None:
    for before, item in pairwise(items):
        if before.id == item.id:
            raise InvalidDataError(f"the source has two photographs with the id {item.id}; ids are unique")


_SPREAD = 2  # levels of 0..255; what JPEG makes of one colour


def blank_reason(image: Image.Image) -> tuple[str, str] | None:
    """Returns why the image shows nothing, as reason and sentence; None for an image with something in it.

    One colour is one within 2 of 255 levels in each channel.

    >>> blank_reason(Image.new("RGB", (8, 8)))[0]
    'black image'
    """
    lows, highs = zip(*to_rgb(image).getextrema(), strict=True)
    if any(high - low > _SPREAD for low, high in zip(lows, highs, strict=True)):
        return None
    if max(highs) <= _SPREAD:
        return "black image", "the draft is black all over, as safety filters and overflowing half precision leave it"
    return "one-colour image", f"the draft has one colour all over, about rgb{lows}"
