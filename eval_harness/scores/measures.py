"""Did it change only what was asked? What each round changed, how that is measured, and where the values are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import compress
from json.encoder import encode_basestring
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.images import ImageCache, to_rgb
from fashionedit.metrics.embedder import Embedder, Item
from fashionedit.metrics.encoder import ImageEncoder
from fashionedit.metrics.regions import (
    OUTSIDE_MOST,
    REGION_SIDE,
    VERBATIM_LEVELS,
    Outside,
    compare_outside,
    has_outside,
    inside,
    leaked_share,
    outside_replaced,
)
from fashionedit.metrics.registry import Picture
from fashionedit.metrics.similarity import PSNR_FINGERPRINT, cosine_similarity
from fashionedit.types import Box

from .result_models import Measure
from .stored_scores import KEY_BYTES, Pair, StoredScores, keys_of

_MAX_BYTES = 256 * 2**20  # of pixels: some 80 pictures of 1024 × 1024

Opener = Callable[[], Image.Image]


@dataclass(frozen=True, slots=True)
class Column:
    """What one round of one method in one protocol came to, sample by sample, in the order of the source.

    Args:
        statuses: None where nobody was asked.
        digests: Of the last good image after this round; None where the method has no outcome.
    """

    statuses: list[Status | None]
    digests: list[str | None]

    def only(self, chosen: Sequence[bool]) -> Column:
        """Returns it for the samples that are chosen."""
        return Column(list(compress(self.statuses, chosen)), list(compress(self.digests, chosen)))


ByRound = Mapping[int, Column]
"""Outcomes of one method in one protocol, by round."""


def grouped(outcomes: Iterable[RoundOutcome], ids: Sequence[str]) -> dict[str, dict[int, Column]]:
    """Returns the outcomes of these samples by protocol and round; those of others are passed over."""
    groups: dict[str, dict[int, Column]] = {}
    places = {id: place for place, id in enumerate(ids)}
    for outcome in outcomes:
        if (place := places.get(outcome.sample)) is not None:
            put(groups.setdefault(outcome.protocol, {}), place, len(ids), outcome)
    return groups


def put(rounds: dict[int, Column], place: int, count: int, outcome: RoundOutcome) -> None:
    """Puts an outcome into its round's column, which is made where it is the first of `count` samples."""
    column = rounds.get(outcome.round)
    if column is None:
        column = rounds[outcome.round] = Column([None] * count, [None] * count)
    column.statuses[place], column.digests[place] = outcome.status, outcome.current.digest


class Pictures:
    """Opens pictures by their pixel digests, and keeps the last ones; safe to use from several threads."""

    def __init__(self) -> None:
        self._openers: dict[str, Opener] = {}
        self._kept: ImageCache[Image.Image] = ImageCache(_MAX_BYTES)

    def name(self, digest: str, opener: Opener) -> None:
        """Says how a picture is opened; the first that is said holds."""
        self._openers.setdefault(digest, opener)

    def picture(self, digest: str) -> Picture:
        """Returns the picture as metrics take it."""
        return Picture(digest, partial(self.open, digest))

    def item(self, digest: str) -> Item:
        """Returns the picture as an embedder takes it."""
        return digest, partial(self.open, digest)

    def opener(self, digest: str) -> Opener:
        """Returns what opens the picture."""
        return self._openers[digest]

    def forget(self) -> None:
        """Lets go of the pictures that it keeps; one that is asked for again is opened again."""
        self._kept = ImageCache(_MAX_BYTES)

    def open(self, digest: str) -> Image.Image:
        """Returns the picture in RGB."""
        image = self._kept.get(digest)
        if image is None:
            image = to_rgb(self._openers[digest]())
            image.load()
            self._kept.put(digest, image, image.width * image.height * 3)
        return image


@dataclass(frozen=True, slots=True)
class Change:
    """One round of one sample that ended `ok`: pixel digests of the pictures, and the box of the difference.

    Args:
        image: What the round came to.
        before: What it began with: the last good image of the rounds before, or the draft.
        reference: What `bug` shows in this round; the same in `vanilla`, where nobody sees it.
    """

    sample: str
    round: int
    image: str
    before: str
    draft: str
    original: str
    reference: str
    box: Box

    def pair(self, measure: str) -> Pair:
        """Returns the name under which the value of a measure is stored: the picture, and all that it is held to."""
        if measure == "drift":
            return self.image, self.draft
        if measure == "inside":
            return self.image, digest_of(self.box, measure, self.original)
        reference = (self.reference,) if measure == "leak" else ()
        return self.image, digest_of(self.box, measure, self.before, *reference)


def digest_of(box: Box, *names: str) -> str:
    """Returns 64 hex digits that stand for the names and the box: SHA-256 of their JSON."""
    text = ",".join([*map(encode_basestring, names), _box_json(box.box_2d)])
    return hashlib.sha256(f"[{text}]".encode()).hexdigest()


@lru_cache(maxsize=1024)
def _box_json(edges: tuple[float, ...]) -> str:
    return json.dumps(edges, separators=(",", ":"))


def changes_of(outcomes: ByRound, source: SampleSource) -> Iterator[tuple[int, list[Change | None]]]:
    """Yields round by round the change of each sample, None where the round made no image; round 0 makes none."""
    digests = [source.digests(id) for id in source.ids]
    boxes = [source.facts(id).boxes for id in source.ids]
    before = [one.draft for one in digests]
    for round, column in sorted(outcomes.items()):
        changes: list[Change | None] = []
        for place, (id, status, image) in enumerate(zip(source.ids, column.statuses, column.digests, strict=True)):
            change = None
            if round and status is Status.OK and image is not None:
                change = Change(
                    sample=id,
                    round=round,
                    image=image,
                    before=before[place],
                    draft=digests[place].draft,
                    original=digests[place].original,
                    reference=digests[place].crops[round - 1],
                    box=boxes[place][round - 1],
                )
            changes.append(change)
            before[place] = image or before[place]
        yield round, changes


Extent = Literal["all", "unencoded", "none"]
"""What is measured of a row: everything, what needs no encoding beyond the metrics', or nothing."""

EMBEDDED = ("inside", "outside_similarity")
"""The measures for which pictures are encoded that no metric needs."""


def measures_of(encoder: ImageEncoder) -> tuple[Measure, ...]:
    """Returns the five measures as this encoder gives them."""
    by_encoder = {f"encoder {name}": value for name, value in encoder.fingerprint.items()}
    outside = f"PSNR outside the box with the image before, dB, at most {OUTSIDE_MOST:g}"
    kept = "cosine × 100 with the same image that keeps what was before outside the box"
    leak = "% of the reference found verbatim that the image before had not"
    region, most, levels = f"{REGION_SIDE}x{REGION_SIDE} bicubic", f"{OUTSIDE_MOST:g} dB", str(VERBATIM_LEVELS)

    def made(
        id: str, label: str, unit: str, better: Literal["higher", "lower"], base: Mapping[str, str], **more: str
    ) -> Measure:
        fingerprint = {**base, "measure": f"{id} 1", **more}
        return Measure(id=id, label=label, unit=unit, better=better, fingerprint=fingerprint)

    return (
        made("inside", "Inside", "cosine × 100 of the box with the original's", "higher", by_encoder, region=region),
        made("outside", "Outside dB", outside, "higher", PSNR_FINGERPRINT, most=most),
        made("outside_similarity", "Outside cosine", kept, "higher", by_encoder),
        made("drift", "Drift", "100 - cosine × 100 with the draft", "lower", by_encoder),
        made("leak", "Leak", leak, "lower", {}, cells="up to 32x32", levels=levels),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A change, and the ids of what is measured of it.

    Args:
        keys: Under which the values are stored, one after the other; computed once, asked for several times.
    """

    change: Change
    measures: tuple[str, ...]
    keys: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", keys_of(map(self.change.pair, self.measures)))

    @classmethod
    def of(cls, change: Change, extent: Extent) -> Asked:
        """Returns the change with what is measured of it to this extent."""
        return cls(change, _asked_measures(change.box, extent))


@lru_cache(maxsize=1024)
def _asked_measures(box: Box, extent: Extent) -> tuple[str, ...]:
    """Returns the ids of what is measured; nothing of the outside where the box covers all."""
    if extent == "none":
        return ()
    outside = ("outside", "outside_similarity") if has_outside(box) else ()
    ids = ("inside", *outside, "drift", "leak")
    return ids if extent == "all" else tuple(id for id in ids if id not in EMBEDDED)


def measure_limits(id: str) -> tuple[float, float]:
    """Returns what a measure can be at least and at most, in its unit."""
    return {"outside": (0.0, OUTSIDE_MOST), "drift": (0.0, 200.0), "leak": (0.0, 100.0)}.get(id, (-100.0, 100.0))


class Measured:
    """The values of the measures, on disk in the run's `scores/`."""

    def __init__(self, folder: Path, measures: Sequence[Measure]) -> None:
        self.measures = tuple(measures)
        self._stores = {one.id: StoredScores(folder, one.id, one.fingerprint) for one in measures}

    def lacking(self, asked: Sequence[Asked]) -> list[Asked]:
        """Returns those of which not all that is asked is known."""
        known = [True] * len(asked)
        for measure in self._stores:
            for place, value in zip(*self._find(measure, asked), strict=True):
                known[place] = known[place] and not np.isnan(value)
        return [one for one, whole in zip(asked, known, strict=True) if not whole]

    def values(self, measure: str, asked: Sequence[Asked | None]) -> list[float | None]:
        """Returns the values in the measure's unit; None where it is not asked for."""
        values: list[float | None] = [None] * len(asked)
        for place, value in zip(*self._find(measure, asked), strict=True):
            values[place] = None if np.isnan(value) else value
        return values

    def _find(self, measure: str, asked: Sequence[Asked | None]) -> tuple[list[int], list[float]]:
        """Returns the places of those of which the measure is asked, and its values, NaN where it is not known."""
        places, keys = list[int](), list[bytes]()
        for place, one in enumerate(asked):
            if one is not None and measure in one.measures:
                places.append(place)
                start = one.measures.index(measure) * KEY_BYTES
                keys.append(one.keys[start : start + KEY_BYTES])
        return places, self._stores[measure].find_keys(b"".join(keys)).tolist()

    def add(self, measure: str, values: Iterable[tuple[Change, float]]) -> None:
        """Stores values; one that is known stays."""
        self._stores[measure].add((change.pair(measure), value) for change, value in values)


class Keeps(Protocol):
    """What is told the values of the measures."""

    def add(self, measure: str, values: Iterable[tuple[Change, float]], /) -> None:
        """Keeps the values of a measure."""


def measure(asked: Sequence[Asked], pictures: Pictures, embedder: Embedder, measured: Keeps) -> None:
    """Measures the changes, and stores each value.

    Nothing is opened for what pixels need not say: a picture that is the one before has changed nothing.
    """
    with ThreadPoolExecutor(embedder.decoders, thread_name_prefix="measure") as pool:
        pixels = list(pool.map(partial(_by_pixels, pictures), asked))
    comparisons: list[tuple[str, Change, Item, Item]] = []
    for one, found in zip(asked, pixels, strict=True):
        comparisons += _comparisons(one, found, pictures)
    vectors = embedder.embed(item for _, _, first, second in comparisons for item in (first, second))
    cosines = iter(cosine_similarity(vectors[0::2], vectors[1::2])) if comparisons else iter(())
    by_encoder = {(id, change): float(next(cosines)) for id, change, _, _ in comparisons}
    for id in dict.fromkeys(id for one in asked for id in one.measures):
        wanted = [(one.change, found) for one, found in zip(asked, pixels, strict=True) if id in one.measures]
        measured.add(id, [(change, _value(id, found, by_encoder.get((id, change), 1.0))) for change, found in wanted])


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
    outside = Outside(OUTSIDE_MOST, changed=False)
    if has_outside(change.box):
        outside = compare_outside(image, before, change.box)
    return _Pixels(*outside, leak=100 * leaked_share(image, before, reference, change.box))


def _comparisons(asked: Asked, found: _Pixels, pictures: Pictures) -> Iterator[tuple[str, Change, Item, Item]]:
    """Yields the pictures whose embeddings are to be compared."""
    change = asked.change
    image = pictures.item(change.image)
    if "inside" in asked.measures:
        mine, theirs = (
            (digest_of(change.box, "inside", digest), partial(_inside, pictures, digest, change))
            for digest in (change.image, change.original)
        )
        yield "inside", change, mine, theirs
    if "outside_similarity" in asked.measures and found.changed:
        name = digest_of(change.box, "outside replaced", change.image, change.before)
        yield "outside_similarity", change, image, (name, partial(_replaced, pictures, change))
    if "drift" in asked.measures and change.image != change.draft:
        yield "drift", change, image, pictures.item(change.draft)


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
