"""Stage `photos`: keeps photographs that can be read, are large enough, have a caption and are no copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from PIL import Image

from fashionedit.builders.stage_store import StageRecord, StageStore, stage_key
from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import pixel_digest, read_image, to_rgb
from fashionedit.parallel import map_in_order
from fashionedit.runtime.progress import Progress

from .sources import Photo, Unusable

MIN_SIDE = 64
"""Pixels; three differences can't be told apart on a photograph with a shorter side."""


def check_photos(
    items: Iterable[Photo | Unusable],
    store: StageStore,
    *,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> tuple[list[Photo], list[StageRecord]]:
    """Returns the photographs that can be built from, and the record of each item, in the order of their ids.

    `data` of a record: `digest` (of the decoded pixels) and `size` (width and height), once it was decoded; `caption`,
    `gender`, `category`, `garment_id`, `view` and `attributes`. Reasons: `no caption` (and no draft either), `not
    readable`, `too small`, `black image`, `one-colour image`, `same pixels as another` (the first by id stays), and
    what the source says itself. A photograph whose file, caption and facts are as they were is not decoded again.

    Args:
        items: All that the source names.
        store: Of this stage; older records of photographs that are gone from the source stay in it.
        workers: Threads that decode; as many as there are processors by default.
        progress: Called with the photographs done and those in all.

    Raises:
        InvalidDataError: Two items have one id.
    """
    items = sorted(items, key=lambda item: item.id)
    for before, item in pairwise(items):
        if before.id == item.id:
            raise InvalidDataError(f"the source has two photographs with the id {item.id}; ids are unique")
    first: dict[str, str] = {}
    kept, records = [], []
    looks = map_in_order(partial(_look, store), items, workers=workers)
    for item, (stored, seen) in zip(items, looks, strict=True):
        record = _unless_copy(seen, first)
        if record != stored:
            store.commit(record)
        records.append(record)
        if record.status == "kept" and isinstance(item, Photo):
            kept.append(replace(item, digest=record.data["digest"]))
        progress(len(records), len(items))
    return kept, records


def _look(store: StageStore, item: Photo | Unusable) -> tuple[StageRecord | None, StageRecord]:
    """Returns the record on disk, and the one that should be there if the item is no copy of another."""
    if isinstance(item, Unusable):
        key = stage_key("photos", reason=item.reason, detail=item.detail)
        record = StageRecord(id=item.id, key=key, status="dropped", reason=item.reason, detail=item.detail)
        return store.find(item.id, key), record
    facts: dict[str, Any] = {
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
        key = stage_key("photos", file=item.path.name, missing=True, facts=facts)
        detail = f"{item.path.name} can't be read ({error.strerror})"
        record = StageRecord(id=item.id, key=key, status="dropped", reason="not readable", detail=detail, data=facts)
        return store.find(item.id, key), record
    key = stage_key(
        "photos",
        file=item.path.name,
        bytes=state.st_size,
        time=state.st_mtime_ns,
        draft=item.draft is not None,
        min=MIN_SIDE,
        blank="dropped",
        facts=facts,
    )
    stored = store.find(item.id, key)
    return stored, stored or _decoded(item, key, facts)


def _decoded(item: Photo, key: str, data: dict[str, Any]) -> StageRecord:
    def dropped(reason: str, detail: str) -> StageRecord:
        return StageRecord(id=item.id, key=key, status="dropped", reason=reason, detail=detail, data=data)

    name = item.path.name
    if item.draft is None and not (item.caption or "").strip():
        return dropped("no caption", f"{name} has no caption to make a draft from")
    try:
        image = read_image(item.path, name=name)
    except InvalidImageError as error:
        return dropped("not readable", str(error))
    data = {"digest": pixel_digest(image), "size": list(image.size), **data}
    if min(image.size) < MIN_SIDE:
        return dropped(
            "too small", f"{name} has {image.width}×{image.height} pixels; both sides need at least {MIN_SIDE}"
        )
    if (blank := blank_reason(image)) is not None:
        return dropped(blank[0], f"{name} has one colour all over")
    return StageRecord(id=item.id, key=key, status="kept", data=data)


def _unless_copy(record: StageRecord, first: dict[str, str]) -> StageRecord:
    """Returns the record, dropped where an earlier photograph has its pixels, and kept where none has any more."""
    digest = record.data.get("digest")
    if digest is None or record.reason in ("too small", "black image", "one-colour image"):
        return record
    if (other := first.setdefault(digest, record.id)) == record.id:
        return record.model_copy(update={"status": "kept", "reason": None, "detail": None})
    detail = f"{record.id} shows the same picture as {other}, pixel for pixel"
    return record.model_copy(update={"status": "dropped", "reason": "same pixels as another", "detail": detail})


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
