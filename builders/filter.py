"""Stage `filter`: drafts that resemble their photograph go on.

A record holds what is expensive and lasts, the score; its key knows the encoder and the two pictures, not the limits.
Whether the pair goes on is decided anew from all scores on every run, and a record is only written again where that
changed. So other limits encode nothing, and the records say what became of each pair at the last run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.metrics.embedder import Embedder, Item
from fashionedit.metrics.encoder import fingerprint_hash
from fashionedit.metrics.ray_embedder import PictureFile
from fashionedit.metrics.similarity import cosine_similarity
from fashionedit.runtime.progress import Progress

from .photos import Photo
from .stage_store import StageRecord, StageStore, stage_key

MIN_SIMILARITY = 85.0
"""The paper's selection in effect: the lowest of its 11,546 published scores is 85.00013."""

_PAIRS_AT_ONCE = 64


def filter_pairs(
    pairs: Sequence[Photo],
    embedder: Embedder | None,
    store: StageStore,
    *,
    min_similarity: float | None = MIN_SIMILARITY,
    top_k: int | None = None,
    selection: Collection[str] | None = None,
    progress: Progress | None = None,
) -> list[Photo]:
    """Returns the pairs that go on, in their order, with their `clip_score` where the encoder is CLIP.

    The score is the cosine similarity × 100 of photograph and draft. A pair goes on if its score is at least
    `min_similarity` (≥: the paper's text and files leave open whether 85 itself passes) and among the `top_k` highest,
    equal ones in the order of their ids. Where a selection is given, such as the paper's `captions_top.json`, its ids
    go on whatever their score is, and no others; only then may there be no embedder, and no score.

    Every score is kept in its record, whatever became of the pair: `data` has `score`, `encoder` (its name), `clip`
    (whether it is CLIP) and `fingerprint` (the hash of all that may move the number). Reasons are
    `similarity below 85`, `not among the top 11,546`, `not in the selection`; a picture that can't be read, or is
    another than it was, makes the pair `failed`.

    Raises:
        InvalidDataError: There is nothing to filter with, an id comes twice, or a record can't be understood.
    """
    if embedder is None and selection is None:
        raise InvalidDataError("there is neither an encoder nor a selection to filter with; give one of the two")
    names = Counter(pair.id for pair in pairs)
    if twice := [name for name, count in names.items() if count > 1]:
        raise InvalidDataError(f"photograph {twice[0]} comes twice; ids are unique in a build")

    def outcome(reason: str | None, score: float | None) -> dict[str, Any]:
        if reason is None:
            return {"status": "kept", "reason": None, "detail": None}
        if selection is not None:
            detail = "the selection that was given does not name it"
        elif reason.startswith("similarity"):
            detail = f"its similarity is {score:.2f}; at least {min_similarity:g} is asked for"
        else:
            detail = f"its similarity of {score:.2f} is {reason}"
        return {"status": "dropped", "reason": reason, "detail": detail}

    def alone(identity: str, score: float | None) -> dict[str, Any]:
        """Returns the outcome as far as it needs no other pair."""
        reasons = decide({identity: score or 0.0}, min_similarity=min_similarity, selection=selection)
        return outcome(reasons[identity], score)

    records = _measure(pairs, embedder, store, alone, progress)
    scores = {name: record.data.get("score") for name, record in records.items() if record.status != "failed"}
    reasons = decide(
        {name: score or 0.0 for name, score in scores.items()},
        min_similarity=min_similarity,
        top_k=top_k,
        selection=selection,
    )
    is_clip = embedder is not None and embedder.encoder.is_clip
    kept = []
    for pair in pairs:
        identity = pair.id
        if identity not in scores:
            continue
        record = records[identity].model_copy(update=outcome(reasons[identity], scores[identity]))
        if record != records[identity]:
            store.commit(record)
        if record.status == "kept":
            kept.append(replace(pair, clip_score=scores[identity] if is_clip else None))
    return kept


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
    """Returns the scores × 100 that this stage has from the embedder's encoder, by id, kept pairs and others."""
    fingerprint = fingerprint_hash(embedder.encoder.fingerprint)
    return {
        record.id: float(record.data["score"])
        for record in store.records()
        if record.data.get("fingerprint") == fingerprint and "score" in record.data
    }


def _measure(
    pairs: Sequence[Photo],
    embedder: Embedder | None,
    store: StageStore,
    outcome: Callable[[str, float | None], dict[str, Any]],
    progress: Progress | None,
) -> dict[str, StageRecord]:
    """Returns each pair's record by its id: the one on disk, or a new one that is there by now."""
    encoder = None if embedder is None else fingerprint_hash(embedder.encoder.fingerprint)
    records: dict[str, StageRecord] = {}
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        chunk = pairs[start : start + _PAIRS_AT_ONCE]
        missing: list[tuple[Photo, str]] = []
        for pair in chunk:
            key = stage_key("filter", encoder=encoder, original=pair.digest, draft=pair.draft_digest)
            record = store.find(pair.id, key)
            measured = record is not None and (embedder is None or isinstance(record.data.get("score"), float))
            if record is not None and measured and record.status != "failed":
                records[record.id] = record
            else:
                missing.append((pair, key))
        for (pair, key), score in zip(missing, _scores([pair for pair, _ in missing], embedder), strict=True):
            made: dict[str, Any] = {"id": pair.id, "key": key}
            if isinstance(score, InvalidImageError):
                made |= {"status": "failed", "reason": "not readable", "detail": str(score)}
            else:
                made |= outcome(pair.id, score)
                if embedder is not None:
                    named = {"encoder": embedder.encoder.label, "clip": embedder.encoder.is_clip}
                    made["data"] = {"score": score, **named, "fingerprint": encoder}
            records[pair.id] = StageRecord.model_validate(made)
            store.commit(records[pair.id])
        if progress is not None:
            progress(start + len(chunk), len(pairs))
    return records


def _scores(pairs: list[Photo], embedder: Embedder | None) -> list[float | InvalidImageError | None]:
    if embedder is None:
        return [None] * len(pairs)
    try:
        return [*_cosines(pairs, embedder)]
    except InvalidImageError as error:
        if len(pairs) == 1:
            return [error]
    # One of them is bad: each by itself; what was encoded is not encoded again.
    return [score for pair in pairs for score in _scores([pair], embedder)]


def _cosines(pairs: list[Photo], embedder: Embedder) -> list[float]:
    items: list[Item] = []
    for pair in pairs:
        items += [(digest, PictureFile(path, digest)) for path, digest in pair.pair]
    vectors = embedder.embed(items)
    return [100 * float(cosine) for cosine in cosine_similarity(vectors[0::2], vectors[1::2])]
