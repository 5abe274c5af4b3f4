"""Answers about differences that a source has ready, as the authors' release does: read, not asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fashionedit.errors import InvalidDataError

from .analyse.conversation import analysed
from .answers import read_answer
from .photo import Analysed, Pair
from .stage_store import StageRecord, StageStore, stage_key

UNUSABLE = "no three valid differences"
"""The reason of an answer that can't be used, here as where a model is asked."""


def read_answers(
    pairs: Iterable[Pair], store: StageStore, progress: Callable[[int, int], None] | None = None
) -> Iterator[Analysed]:
    """Yields the pairs whose ready answer can be used, in their order.

    `data` of a record: `answer` (the raw text) and, where it is kept, `differences`.

    Args:
        pairs: All of them with an answer (`Photo.answer`).
        store: Of the stage `analyse`.
        progress: Called with the pairs done and the pairs in all.

    Raises:
        InvalidDataError: A record can't be understood.
    """
    todo = list(pairs)
    for done, pair in enumerate(todo, 1):
        text = pair.photo.answer or ""
        key = stage_key("analyse", ready=text, original=pair.original_digest)
        found = store.find(pair.photo.id, key)
        record = found if found is not None else _read(pair.photo.id, key, text)
        if found is None:
            store.commit(record)
        if progress is not None:
            progress(done, len(todo))
        if record.status == "kept":
            yield analysed(pair, record)


def _read(identity: str, key: str, text: str) -> StageRecord:
    try:
        parsed = read_answer(text, convert=True)
    except InvalidDataError as error:
        return StageRecord(
            id=identity, key=key, status="dropped", reason=UNUSABLE, detail=str(error), data={"answer": text}
        )
    stored = [{"description": words, "box_2d": list(box.box_2d)} for words, box in parsed.differences]
    data = {"answer": text, "differences": stored, **({"converted": list(parsed.notes)} if parsed.notes else {})}
    return StageRecord(id=identity, key=key, status="kept", data=data)
