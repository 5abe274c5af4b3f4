"""A row as a value: its facts, its images as bytes, and the way to and from `Sample`."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .encoded import EncodedImage
from .errors import InvalidDataError
from .images import read_image
from .schema import OPTIONAL_COLUMNS
from .types import DIFFERENCES_PER_SAMPLE, Box, Difference, Sample, check_id

__all__ = ["IMAGE_NAMES", "EncodedSample", "SampleFacts", "image_bytes", "sample_of_row", "stored_box"]

IMAGE_NAMES = ("original", "draft", *(f"crop {number}" for number in range(1, DIFFERENCES_PER_SAMPLE + 1)))
"""What messages call the images of a row, in the order in which they are listed."""


def stored_box(values: Iterable[float]) -> Box:
    """Returns the box as it is stored: the edges rounded to 32-bit floats.

    Raises:
        InvalidBoxError: The edges make no box, as given or once rounded.
    """
    box = Box.from_box_2d(values)
    return Box.from_box_2d(struct.unpack("<4f", struct.pack("<4f", *box.box_2d)))


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """All of a row but its images.

    Args:
        id: The `image_id`.
        annotation: The caption that the draft was generated from.
        descriptions: What the original shows in each box, in the order of the rounds.
        boxes: Where, on the original.
        clip_score: Cosine similarity × 100 of draft and original at selection time, where known.
        gender, category, garment_id, view: What the source's file name tells, where known.

    Raises:
        InvalidDataError: The id is not path-safe, a description is empty, or there are not exactly three differences.
    """

    id: str
    annotation: str
    descriptions: tuple[str, ...]
    boxes: tuple[Box, ...]
    clip_score: float | None = None
    gender: str | None = None
    category: str | None = None
    garment_id: str | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        found = len(self.descriptions)
        if found != DIFFERENCES_PER_SAMPLE or len(self.boxes) != DIFFERENCES_PER_SAMPLE:
            raise InvalidDataError(
                f"sample {self.id} has {found} differences; a sample has exactly {DIFFERENCES_PER_SAMPLE}"
            )
        if not all(text.strip() for text in self.descriptions):
            raise InvalidDataError(
                f"sample {self.id} has a difference without description; say in words what the original shows there"
            )

    @classmethod
    def of_sample(cls, sample: Sample) -> SampleFacts:
        """Returns the facts of a sample, its boxes as they are stored."""
        return cls(
            id=sample.id,
            annotation=sample.annotation,
            descriptions=tuple(difference.description for difference in sample.differences),
            boxes=tuple(stored_box(difference.box.box_2d) for difference in sample.differences),
            **{name: getattr(sample, name) for name in OPTIONAL_COLUMNS},
        )

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> SampleFacts:
        """Returns the facts of a row that was read, with or without its image columns.

        Raises:
            InvalidDataError: A value is missing or breaks a rule of the schema.
        """
        for name in ("image_id", "annotation", "differences"):
            if row[name] is None:
                raise InvalidDataError(f"{name} is empty; every row has one")
        differences = row["differences"]
        for number, difference in enumerate(differences, 1):
            if difference is None or difference["description"] is None or difference["box_2d"] is None:
                raise InvalidDataError(f"difference {number} lacks its description or its box_2d; it needs both")
        return cls(
            id=row["image_id"],
            annotation=row["annotation"],
            descriptions=tuple(difference["description"] for difference in differences),
            boxes=tuple(stored_box(difference["box_2d"]) for difference in differences),
            **{name: row[name] for name in OPTIONAL_COLUMNS},
        )

    @property
    def garment(self) -> str:
        """The cluster of the sample: gender-category-garment id where known, else the sample's own id."""
        if self.garment_id is None:
            return self.id
        return "-".join(part for part in (self.gender, self.category, self.garment_id) if part)


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """A whole row ready to be written: the facts and the images as bytes, crops in the order of the differences."""

    facts: SampleFacts
    original: EncodedImage
    draft: EncodedImage
    crops: tuple[EncodedImage, ...]

    @classmethod
    def of(cls, sample: Sample) -> EncodedSample:
        """Returns the sample with its images as PNG."""
        return cls(
            SampleFacts.of_sample(sample),
            EncodedImage.of(sample.original),
            EncodedImage.of(sample.draft),
            tuple(EncodedImage.of(difference.reference) for difference in sample.differences),
        )

    @property
    def images(self) -> tuple[EncodedImage, ...]:
        """Original, draft, crops."""
        return (self.original, self.draft, *self.crops)

    @property
    def nbytes(self) -> int:
        """The bytes of the encoded images."""
        return sum(len(image.data) for image in self.images)

    def row(self) -> dict[str, Any]:
        """Returns the values of `COLUMNS`."""
        facts = self.facts
        return {
            "image_id": facts.id,
            "original_image": _cell(self.original, facts.id),
            "annotation": facts.annotation,
            "sd3_image": _cell(self.draft, f"{facts.id}-draft"),
            "differences": [
                {"description": text, "box_2d": list(box.box_2d)}
                for text, box in zip(facts.descriptions, facts.boxes, strict=True)
            ],
            "crops": [_cell(crop, f"{facts.id}-crop{k}") for k, crop in enumerate(self.crops, 1)],
            **{name: getattr(facts, name) for name in OPTIONAL_COLUMNS},
        }


def _cell(image: EncodedImage, stem: str) -> dict[str, Any]:
    return {"bytes": image.data, "path": f"{stem}.{image.suffix}"}


def image_bytes(row: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Returns the encoded images of a row: original, draft, three crops.

    Raises:
        InvalidDataError: One of them is missing, or is a path without bytes.
    """
    crops = row["crops"] or []
    if len(crops) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(f"crops has {len(crops)} images; a sample has exactly {DIFFERENCES_PER_SAMPLE}")
    cells = (row["original_image"], row["sd3_image"], *crops)
    for name, cell in zip(IMAGE_NAMES, cells, strict=True):
        if not cell or not cell["bytes"]:
            raise InvalidDataError(f"the {name} holds no bytes; every image is embedded in the file")
    return tuple(cell["bytes"] for cell in cells)


def sample_of_row(row: Mapping[str, Any], facts: SampleFacts | None = None) -> Sample:
    """Returns the row as a sample, its images decoded.

    Args:
        row: The values of `COLUMNS`.
        facts: Its facts, where they are known already.

    Raises:
        InvalidDataError: A value is missing or breaks a rule, or an image can't be decoded.
    """
    facts = facts or SampleFacts.of_row(row)
    original, draft, *crops = (
        read_image(data, name=f"the {name} of sample {facts.id}")
        for name, data in zip(IMAGE_NAMES, image_bytes(row), strict=True)
    )
    return Sample(
        id=facts.id,
        annotation=facts.annotation,
        draft=draft,
        original=original,
        differences=tuple(map(Difference, facts.descriptions, facts.boxes, crops)),
        **{name: getattr(facts, name) for name in OPTIONAL_COLUMNS},
    )
