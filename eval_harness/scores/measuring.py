"""The measures of changes, made while the pictures are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from PIL import Image, ImageChops

from fashionedit.metrics.embedder import Embedder, Item
from fashionedit.metrics.regions import OUTSIDE_MOST, has_outside, inside, outside_decibels, outside_replaced
from fashionedit.metrics.similarity import cosine_similarity
from fashionedit.metrics.verbatim import verbatim_share

from .changes import Change, digest_of
from .measures import Asked, Measured
from .pictures import Pictures


def measure(asked: Sequence[Asked], pictures: Pictures, embedder: Embedder, measured: Measured) -> None:
    """Measures the changes, and stores each value.

    Nothing is opened for what pixels need not say: a picture that is the one before has changed nothing.

    Args:
        pictures: Knows all pictures of the changes: image, before, draft, original and reference.
    """
    with ThreadPoolExecutor(embedder.decoders, thread_name_prefix="measure") as pool:
        pixels = list(pool.map(partial(_by_pixels, pictures), asked))
    comparisons: list[tuple[str, Change, Item, Item]] = []
    for one, found in zip(asked, pixels, strict=True):
        comparisons += _comparisons(one, found, pictures)
    vectors = embedder.embed(item for _, _, first, second in comparisons for item in (first, second))
    cosines = iter(cosine_similarity(vectors[0::2], vectors[1::2])) if comparisons else iter(())
    by_encoder = {(id, change): float(next(cosines)) for id, change, _, _ in comparisons}
    for one, found in zip(asked, pixels, strict=True):
        for id in one.measures:
            measured.add(id, one.change, _value(id, found, by_encoder.get((id, one.change), 1.0)))


@dataclass(frozen=True, slots=True)
class _Pixels:
    """What needs no encoder: dB outside the box, whether a pixel changed there, and the leak, %."""

    outside: float
    changed: bool
    leak: float


def _by_pixels(pictures: Pictures, asked: Asked) -> _Pixels:
    change = asked.change
    if change.image == change.before:
        return _Pixels(OUTSIDE_MOST, False, 0.0)
    image, before, reference = map(pictures.open, (change.image, change.before, change.reference))
    outside, changed = OUTSIDE_MOST, False
    if has_outside(change.box):
        outside = outside_decibels(image, before, change.box)
        kept = outside_replaced(image, before, change.box)
        changed = ImageChops.difference(image, kept).getbbox() is not None
    shares = [verbatim_share(one, reference, change.box) for one in (image, before)]
    return _Pixels(outside, changed, 100 * max(shares[0] - shares[1], 0.0))


def _comparisons(asked: Asked, found: _Pixels, pictures: Pictures) -> Iterator[tuple[str, Change, Item, Item]]:
    """Yields the pictures whose embeddings are to be compared."""
    change = asked.change
    image: Item = (change.image, pictures.opener(change.image))
    if "inside" in asked.measures:
        mine, theirs = (
            (digest_of("inside", digest, list(change.box.box_2d)), partial(_inside, pictures, digest, change))
            for digest in (change.image, change.original)
        )
        yield "inside", change, mine, theirs
    if "outside_similarity" in asked.measures and found.changed:
        name = digest_of("outside replaced", change.image, change.before, list(change.box.box_2d))
        yield "outside_similarity", change, image, (name, partial(_replaced, pictures, change))
    if "drift" in asked.measures and change.image != change.draft:
        yield "drift", change, image, (change.draft, pictures.opener(change.draft))


def _inside(pictures: Pictures, digest: str, change: Change) -> Image.Image:
    return inside(pictures.open(digest), change.box)


def _replaced(pictures: Pictures, change: Change) -> Image.Image:
    return outside_replaced(pictures.open(change.image), pictures.open(change.before), change.box)


def _value(id: str, found: _Pixels, cosine: float) -> float:
    if id == "outside":
        return found.outside
    if id == "leak":
        return found.leak
    return 100 * (1 - cosine) if id == "drift" else 100 * cosine
