"""What a stage has finished before, for a run that begins after it: read from its records, nothing made or paid for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from fashionedit.errors import InvalidDataError

from .analyse.conversation import analysed
from .generate import DraftFinder, DraftMaker
from .photo import Analysed, Pair, Photo
from .stage_store import StageRecord, StageStore


def finished_drafts(
    photos: Sequence[Photo], store: StageStore, *, digests: Mapping[str, str], maker: Callable[[], DraftMaker]
) -> list[Pair]:
    """Returns the photographs with the drafts that are there.

    Args:
        photos: In their order.
        store: Of the stage `generate`.
        digests: Of the photographs' pixels, by id.
        maker: Asked where drafts are that lie in a folder of their own.

    Raises:
        InvalidDataError: A photograph has not been through the stage.
    """
    records = _records(store, "generate", {photo.id for photo in photos})
    kept = [photo for photo in photos if records[photo.id].status == "kept"]
    elsewhere = any(records[photo.id].data.get("ready") and photo.draft is None for photo in kept)
    finder = maker() if elsewhere else None
    pairs = []
    for photo in kept:
        digest = records[photo.id].data["draft"]
        found = finder.find(photo.id) if isinstance(finder, DraftFinder) else None
        pairs.append(Pair(photo, photo.draft or found or store.image_path(digest), digests[photo.id], digest))
    return pairs


def finished_filter(pairs: Sequence[Pair], store: StageStore) -> list[Pair]:
    """Returns the pairs that went on when the filter was run last, with their scores.

    Raises:
        InvalidDataError: A pair has not been through the stage.
    """
    records = _records(store, "filter", {pair.photo.id for pair in pairs})
    return [
        replace(pair, clip_score=record.data["score"] if record.data.get("clip") else None)
        for pair in pairs
        if (record := records[pair.photo.id]).status == "kept"
    ]


def finished_analysis(pairs: Sequence[Pair], store: StageStore) -> list[Analysed]:
    """Returns the pairs with the differences that are there.

    Raises:
        InvalidDataError: A pair has not been through the stage.
    """
    records = _records(store, "analyse", {pair.photo.id for pair in pairs})
    return [analysed(pair, records[pair.photo.id]) for pair in pairs if records[pair.photo.id].status == "kept"]


def _records(store: StageStore, stage: str, wanted: Collection[str]) -> dict[str, StageRecord]:
    records = {record.id: record for record in store.records() if record.id in wanted}
    if missing := len(wanted) - len(records):
        raise InvalidDataError(
            f"{missing:,} of {len(wanted):,} photographs have not been through the stage {stage}; run it first, with "
            f"--only {stage}"
        )
    return records
