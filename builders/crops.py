"""The crop stage: what the original shows inside each box, checked, and drawn as a sketch where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.images import crop, pixel_digest, read_image
from fashionedit.parallel import map_in_order
from fashionedit.rows import stored_box

from .photo import Analysed
from .stage_store import StageRecord, StageStore, stage_key

MIN_CROP_SIDE = 8
"""Pixels; a narrower crop shows nothing that an editor could take over."""

Sketcher = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, slots=True)
class Cut:
    """An analysed pair whose crops were seen.

    Args:
        analysed: The pair and its differences.
        crop_digests: Of the pixels of each crop, in the order of the differences.
        sketches: The line drawing of each crop; none where none was asked for.
    """

    analysed: Analysed
    crop_digests: tuple[str, ...]
    sketches: tuple[Path, ...] = ()


def cut_crops(
    items: Iterable[Analysed],
    store: StageStore,
    *,
    sketcher: Sketcher | None = None,
    sketch_version: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Cut]:
    """Yields the pairs whose three crops are large enough, in their order.

    Args:
        items: Analysed pairs.
        store: Of this stage.
        sketcher: Draws the lines of a crop; without it there are no sketches.
        sketch_version: Changes when the sketcher draws otherwise.
        workers: Threads; as many as there are processors by default.
        progress: Called with the pairs done and the pairs in all.

    Raises:
        InvalidImageError: An original can't be read any more, or is another picture than it was.
    """
    todo = list(items)
    for done, (item, record) in enumerate(
        zip(todo, map_in_order(partial(_cut, store, sketcher, sketch_version), todo, workers=workers), strict=True), 1
    ):
        if progress is not None:
            progress(done, len(todo))
        if record.status == "kept":
            sketches = tuple(store.image_path(digest) for digest in record.data["sketches"])
            yield Cut(item, tuple(record.data["crops"]), sketches)


def _cut(store: StageStore, sketcher: Sketcher | None, version: str | None, item: Analysed) -> StageRecord:
    photo = item.pair.photo
    boxes = [stored_box(box.box_2d) for _, box in item.differences]
    key = stage_key(
        "crop",
        original=item.pair.original_digest,
        boxes=[list(box.box_2d) for box in boxes],
        sketch=version if sketcher is not None else None,
    )
    if (found := store.find(photo.id, key)) is not None:
        return found
    original = read_image(photo.path)
    if pixel_digest(original) != item.pair.original_digest:
        raise InvalidImageError(
            f"{photo.path} is another picture than when it was first read; put the old one back, or run the stage "
            "photos again"
        )
    crops = [crop(original, box) for box in boxes]
    narrow = [number for number, image in enumerate(crops, 1) if min(image.size) < MIN_CROP_SIDE]
    if narrow:
        size = "×".join(map(str, crops[narrow[0] - 1].size))
        record = StageRecord(
            id=photo.id,
            key=key,
            status="dropped",
            reason="crop too small",
            detail=f"the crop of difference {narrow[0]} is {size} pixels; both sides need at least {MIN_CROP_SIDE}",
        )
    else:
        sketches = [store.put_image(sketcher(image)) for image in crops] if sketcher is not None else []
        record = StageRecord(
            id=photo.id,
            key=key,
            status="kept",
            data={"crops": [pixel_digest(image) for image in crops], "sketches": sketches},
        )
    store.commit(record)
    return record
