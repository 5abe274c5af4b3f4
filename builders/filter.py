"""The filter: drafts that resemble their photograph go on.

A record holds what is expensive and lasts, the score; its key knows the encoder and the two pictures, not the limits.
Whether the pair goes on is decided anew from all scores on every run, and a record is only written again where that
changed. So other limits encode nothing, and the records say what became of each pair at the last run.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from operator import length_hint
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import pixel_digest, read_image
from fashionedit.metrics.embedder import Embedder, Item
from fashionedit.metrics.fingerprint import fingerprint_hash
from fashionedit.metrics.similarity import cosine_similarity

from .stage_items import Pair
from .stage_store import StageRecord, StageStore, stage_key

MIN_SIMILARITY = 85.0
"""The paper's selection in effect: the lowest of its 11,546 published scores is 85.00013."""

_PAIRS_AT_ONCE = 64


def filter_pairs(
    pairs: Iterable[Pair],
    embedder: Embedder | None,
    store: StageStore,
    *,
    min_similarity: float | None = MIN_SIMILARITY,
    top_k: int | None = None,
    selection: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Pair]:
    """Yields the pairs that go on, in their order, with their `clip_score`.

    The score is the cosine similarity × 100 of photograph and draft. A pair goes on if its score is at least
    `min_similarity` (≥: the paper's text and files leave open whether 85 itself passes) and among the `top_k` highest.
    Every score is kept in its record, whatever became of the pair: `data` has `score`, `encoder` (its name), `clip`
    (whether it is CLIP) and `fingerprint` (the hash of all that may move the number). Reasons are
    `similarity below 85`, `not among the top 11,546`, `not in the selection`; a picture that can't be read, or is
    another than it was, makes the pair `failed`.

    Without `top_k` pairs are yielded as they are measured; with it all are measured first, and those that may go on
    are held in memory, without their pictures.

    Args:
        pairs: A photograph's id must come once only.
        embedder: Encodes what it does not know. Only the scores of CLIP become the pair's `clip_score`; others stay in
            the records. None measures nothing, which only a selection allows.
        store: Of this stage.
        min_similarity: The lowest cosine × 100 that goes on; None for no such limit.
        top_k: How many go on at most, the highest first, equal ones in the order of their ids; None for no such limit.
        selection: Ids that go on whatever their score is, and no others: a list that was made before, such as the
            paper's `captions_top.json`. The two limits are not applied then.
        progress: Called with the pairs measured and the pairs in all, as far as `pairs` tells its length.

    Raises:
        InvalidDataError: A limit makes no sense, an id comes twice, or a record can't be understood.
    """
    _check(embedder, min_similarity, top_k, selection)
    limits = _Limits(min_similarity, selection)
    ranked = top_k is not None and selection is None

    def run() -> Iterator[Pair]:
        seen: set[str] = set()
        waiting: list[tuple[Pair, StageRecord]] = []
        for pair, record in _measured(pairs, embedder, store, limits, progress):
            identity = pair.photo.id
            if identity in seen:
                raise InvalidDataError(f"photograph {identity} comes twice; ids are unique in a build")
            seen.add(identity)
            if record.status == "failed":
                continue
            outcome = limits.outcome(identity, record.data.get("score"))
            if ranked and outcome.reason is None:
                waiting.append((pair, record))
                continue
            _settle(store, record, outcome)
            if outcome.reason is None:
                yield _scored(pair, record, embedder)
        reasons = decide({record.id: record.data["score"] for _, record in waiting}, top_k=top_k)
        for pair, record in waiting:
            reason = reasons[record.id]
            detail = reason and f"its similarity of {record.data['score']:.2f} is {reason}"
            _settle(store, record, _Outcome.of(reason, detail))
            if reason is None:
                yield _scored(pair, record, embedder)

    return run()


def decide(
    scores: Mapping[str, float],
    *,
    min_similarity: float | None = None,
    top_k: int | None = None,
    selection: Collection[str] | None = None,
) -> dict[str, str | None]:
    """Returns for each id why it does not go on, None if it does: what `filter_pairs` does, from scores alone.

    >>> decide({"a": 91.0, "b": 84.9, "c": 85.0}, min_similarity=85, top_k=1)
    {'a': None, 'b': 'similarity below 85', 'c': 'not among the top 1'}
    """
    if selection is not None:
        return {identity: None if identity in selection else "not in the selection" for identity in scores}
    reasons: dict[str, str | None] = dict.fromkeys(scores)
    if top_k is not None:
        order = sorted(scores, key=lambda identity: (-scores[identity], identity))
        reasons |= dict.fromkeys(order[top_k:], f"not among the top {top_k:,}")
    if min_similarity is not None:
        low = f"similarity below {min_similarity:g}"
        reasons |= {identity: low for identity, score in scores.items() if score < min_similarity}
    return reasons


def stored_scores(store: StageStore, embedder: Embedder) -> dict[str, float]:
    """Returns the scores × 100 that this stage has from the embedder's encoder, by id, kept pairs and others.

    Raises:
        InvalidDataError: A record can't be understood.
    """
    fingerprint = fingerprint_hash(embedder.encoder.fingerprint)
    return {
        record.id: float(record.data["score"])
        for record in store.records()
        if record.data.get("fingerprint") == fingerprint and "score" in record.data
    }


def _check(
    embedder: Embedder | None, min_similarity: float | None, top_k: int | None, selection: Collection[str] | None
) -> None:
    if min_similarity is not None and not -100 <= min_similarity <= 100:
        raise InvalidDataError(f"the least similarity is {min_similarity}; give a cosine × 100, -100..100")
    if top_k is not None and top_k < 1:
        raise InvalidDataError(f"the top {top_k} are asked for; give 1 or more")
    if embedder is None and selection is None:
        raise InvalidDataError("there is neither an encoder nor a selection to filter with; give one of the two")


class _Outcome(NamedTuple):
    """What a record says beside its data."""

    status: str
    reason: str | None
    detail: str | None

    @classmethod
    def of(cls, reason: str | None, detail: str | None) -> _Outcome:
        return cls("dropped" if reason else "kept", reason, detail)


class _Limits(NamedTuple):
    """The limits that need no other pair."""

    min_similarity: float | None
    selection: Collection[str] | None

    def outcome(self, identity: str, score: float | None) -> _Outcome:
        scores = {identity: math.nan if score is None else score}
        reason = decide(scores, min_similarity=self.min_similarity, selection=self.selection)[identity]
        if reason is None:
            return _Outcome.of(None, None)
        if self.selection is not None:
            return _Outcome.of(reason, "the selection that was given does not name it")
        return _Outcome.of(reason, f"its similarity is {score:.2f}; at least {self.min_similarity:g} is asked for")


def _measured(
    pairs: Iterable[Pair],
    embedder: Embedder | None,
    store: StageStore,
    limits: _Limits,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[Pair, StageRecord]]:
    """Yields each pair with its record: the one on disk, or a new one that is there by now."""
    encoder = None if embedder is None else fingerprint_hash(embedder.encoder.fingerprint)
    total, done = length_hint(pairs), 0
    iterator = iter(pairs)
    while chunk := list(islice(iterator, _PAIRS_AT_ONCE)):
        keys = [
            stage_key("filter", encoder=encoder, original=pair.original_digest, draft=pair.draft_digest)
            for pair in chunk
        ]
        found = [_found(store, pair, key, embedder) for pair, key in zip(chunk, keys, strict=True)]
        records = {record.id: record for record in found if record is not None}
        missing = [(pair, key) for pair, key in zip(chunk, keys, strict=True) if pair.photo.id not in records]
        scores = _scores([pair for pair, _ in missing], embedder)
        for (pair, key), score in zip(missing, scores, strict=True):
            data: dict[str, Any] = {}
            if isinstance(score, InvalidImageError):
                outcome = _Outcome("failed", "not readable", str(score))
            else:
                outcome = limits.outcome(pair.photo.id, score)
                if embedder is not None:
                    named = {"encoder": embedder.encoder.label, "clip": embedder.encoder.is_clip}
                    data = {"score": score, **named, "fingerprint": encoder}
            made = {"id": pair.photo.id, "key": key, "data": data, **outcome._asdict()}
            records[pair.photo.id] = StageRecord.model_validate(made)
            store.commit(records[pair.photo.id])
        for pair in chunk:
            yield pair, records[pair.photo.id]
        done += len(chunk)
        if progress is not None:
            progress(done, max(done, total))


def _found(store: StageStore, pair: Pair, key: str, embedder: Embedder | None) -> StageRecord | None:
    record = store.find(pair.photo.id, key)
    if record is None or record.status == "failed":
        return None
    return record if embedder is None or isinstance(record.data.get("score"), float) else None


def _scores(pairs: list[Pair], embedder: Embedder | None) -> list[float | InvalidImageError | None]:
    if embedder is None:
        return [None] * len(pairs)
    try:
        return [*_cosines(pairs, embedder)]
    except InvalidImageError as error:
        if len(pairs) == 1:
            return [error]
    # One of them is bad: each by itself; what was encoded is not encoded again.
    return [score for pair in pairs for score in _scores([pair], embedder)]


def _cosines(pairs: list[Pair], embedder: Embedder) -> list[float]:
    items: list[Item] = []
    for pair in pairs:
        for path, digest in ((pair.photo.path, pair.original_digest), (pair.draft, pair.draft_digest)):
            items.append((digest, partial(_open, path, digest)))
    vectors = embedder.embed(items)
    return [100 * float(cosine) for cosine in cosine_similarity(vectors[0::2], vectors[1::2])]


def _open(path: Path, digest: str) -> Image.Image:
    image = read_image(path)
    if pixel_digest(image) != digest:  # its embedding would be kept under another picture's name
        raise InvalidImageError(f"{path} is another picture than when it was first read; put the old one back")
    return image


def _settle(store: StageStore, record: StageRecord, outcome: _Outcome) -> None:
    if (record.status, record.reason, record.detail) != outcome:
        store.commit(StageRecord.model_validate({**record.model_dump(), **outcome._asdict()}))


def _scored(pair: Pair, record: StageRecord, embedder: Embedder | None) -> Pair:
    named = embedder is not None and embedder.encoder.is_clip
    return dataclasses.replace(pair, clip_score=record.data["score"] if named else None)
