"""A row as a value: its facts, its images as bytes, and the way to and from `Sample`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from PIL import Image

from .errors import InvalidDataError
from .images import EncodedImage, read_image
from .schema import OPTIONAL_COLUMNS
from .types import DIFFERENCES_PER_SAMPLE, Box, Difference, Sample, check_id, check_references

_HIGHEST_SCORE = 1e6  # far above a cosine × 100, but sums of it stay finite

One = TypeVar("One")
Other = TypeVar("Other")


def stored_box(values: Iterable[float]) -> Box:
    """Returns the box as it is stored: edges rounded to 32-bit floats, which may leave it empty (InvalidBoxError)."""
    box = Box.from_box_2d(values)
    return Box.from_box_2d(struct.unpack("<4f", struct.pack("<4f", *box.box_2d)))


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """All of a row but its images; the fields are those of `Sample`, boxes as they are stored.

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
        if self.clip_score is not None and not abs(self.clip_score) <= _HIGHEST_SCORE:
            raise InvalidDataError(f"sample {self.id} has the clip_score {self.clip_score}; it is a cosine × 100")

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
        """Returns the facts of a row that was read, with or without its image columns; its boxes are as stored."""
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
            boxes=tuple(Box.from_box_2d(difference["box_2d"]) for difference in differences),
            **{name: row[name] for name in OPTIONAL_COLUMNS},
        )

    def row(self) -> dict[str, Any]:
        """Returns the values of the columns that hold no images."""
        return {
            "image_id": self.id,
            "annotation": self.annotation,
            "differences": [
                {"description": text, "box_2d": list(box.box_2d)}
                for text, box in zip(self.descriptions, self.boxes, strict=True)
            ],
            **{name: getattr(self, name) for name in OPTIONAL_COLUMNS},
        }

    @property
    def garment(self) -> str:
        """The cluster of the sample: gender-category-garment id where known, else the sample's own id."""
        if self.garment_id is None:
            return self.id
        return "-".join(part for part in (self.gender, self.category, self.garment_id) if part)


class StoredRow(Protocol):
    """What a writer of rows needs of one."""

    @property
    def facts(self) -> SampleFacts:
        """All but the images."""
        ...

    @property
    def images(self) -> Iterable[EncodedImage]:
        """Every image that the row holds."""
        ...

    def row(self) -> dict[str, Any]:
        """Returns the values of `COLUMNS`."""
        ...


def encoded_size(row: StoredRow) -> int:
    """Returns how many bytes the row's encoded images have."""
    return sum(len(image.data) for image in row.images)


@dataclass(frozen=True, slots=True)
class RowImages(Generic[One]):
    """What is known of each image of a row: its bytes, its digest, its size, or the image itself.

    Args:
        crops: In the order of the differences.
    """

    original: One
    draft: One
    crops: tuple[One, ...]
    sketches: tuple[One, ...] = ()
    examples: tuple[One, ...] = ()

    def __iter__(self) -> Iterator[One]:
        yield from (self.original, self.draft, *self.crops, *self.sketches, *self.examples)

    def map(self, function: Callable[[str, One], Other]) -> RowImages[Other]:
        """Returns what the function makes of each image; it is given what messages call the image, and the image."""
        original, draft = function("original", self.original), function("draft", self.draft)
        crops, sketches, examples = (
            tuple(function(f"{name} {number}", one) for number, one in enumerate(images, 1))
            for name, images in (("crop", self.crops), ("sketch", self.sketches), ("example", self.examples))
        )
        return RowImages(original, draft, crops, sketches, examples)


def images_of_sample(sample: Sample) -> RowImages[Image.Image]:
    """Returns the images of a sample."""
    crops = tuple(difference.reference for difference in sample.differences)
    return RowImages(sample.original, sample.draft, crops, sample.sketches, sample.examples)


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """A whole row ready to be written: the facts and the encoded images.

    Raises:
        InvalidDataError: There are sketches, but not three, or more than three examples.
    """

    facts: SampleFacts
    images: RowImages[EncodedImage]

    def __post_init__(self) -> None:
        sketches, examples = len(self.images.sketches), len(self.images.examples)
        check_references(f"sample {self.facts.id}", sketches=sketches, examples=examples)

    @classmethod
    def of(cls, sample: Sample) -> EncodedSample:
        """Returns the sample with its images as PNG."""
        images = images_of_sample(sample).map(lambda _, image: EncodedImage.of(image))
        return cls(SampleFacts.of_sample(sample), images)

    def row(self) -> dict[str, Any]:
        """Returns the values of `COLUMNS`."""
        name, images = self.facts.id, self.images
        return {
            **self.facts.row(),
            "original_image": stored_image(images.original, name),
            "sd3_image": stored_image(images.draft, f"{name}-draft"),
            "crops": _stored_images(images.crops, f"{name}-crop"),
            "sketches": _stored_images(images.sketches, f"{name}-sketch") or None,
            "examples": _stored_images(images.examples, f"{name}-example") or None,
        }


def stored_image(image: EncodedImage, stem: str) -> dict[str, Any]:
    """Returns the cell that holds an image."""
    return {"bytes": image.data, "path": f"{stem}.{image.suffix}"}


def _stored_images(images: Iterable[EncodedImage], stem: str) -> list[dict[str, Any]]:
    return [stored_image(image, f"{stem}{number}") for number, image in enumerate(images, 1)]


def image_bytes(row: Mapping[str, Any]) -> RowImages[bytes]:
    """Returns the encoded images of a row.

    Raises:
        InvalidDataError: An image is missing or a path without bytes, or there is a wrong number of a kind.
    """
    crops, sketches, examples = (tuple(row[column] or ()) for column in ("crops", "sketches", "examples"))
    if len(crops) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(f"crops has {len(crops)} images; a sample has exactly {DIFFERENCES_PER_SAMPLE}")
    check_references("the row", sketches=len(sketches), examples=len(examples))
    return RowImages(row["original_image"], row["sd3_image"], crops, sketches, examples).map(image_cell)


def image_cell(name: str, cell: Mapping[str, Any] | None) -> bytes:
    """Returns the encoded image in a cell of a row, which messages call `name`; a path without bytes is refused."""
    if not cell or not cell["bytes"]:
        raise InvalidDataError(f"the {name} holds no bytes; every image is embedded in the file")
    data: bytes = cell["bytes"]
    return data


def sample_of_row(row: Mapping[str, Any], facts: SampleFacts | None = None) -> Sample:
    """Returns the row as a sample, its images decoded; `facts` are its facts, where they are known already.

    Raises:
        InvalidDataError: A value is missing or breaks a rule, or an image can't be decoded.
    """
    return decoded_sample(facts or SampleFacts.of_row(row), image_bytes(row))


def decoded_sample(facts: SampleFacts, files: RowImages[bytes]) -> Sample:
    """Returns a sample of its facts and its images as files.

    Raises:
        InvalidDataError: An image can't be decoded.
    """
    images = files.map(lambda name, data: read_image(data, name=f"the {name} of sample {facts.id}"))
    return Sample(
        id=facts.id,
        annotation=facts.annotation,
        draft=images.draft,
        original=images.original,
        differences=tuple(map(Difference, facts.descriptions, facts.boxes, images.crops)),
        sketches=images.sketches,
        examples=images.examples,
        **{name: getattr(facts, name) for name in OPTIONAL_COLUMNS},
    )
