"""What the harness needs of a dataset, so that a folder, a subset or a toy can stand in for one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from fashionedit.images import png_bytes
from fashionedit.rows import RowImages, decoded_sample, images_of_sample
from fashionedit.types import Sample

if TYPE_CHECKING:
    from fashionedit.rows import SampleFacts


class SampleSource(Protocol):
    """Samples that a run goes over, in a fixed order."""

    @property
    def name(self) -> str:
        """How tables call the dataset."""

    @property
    def split(self) -> str:
        """The split, or splits joined by `+`."""

    @property
    def control_set(self) -> bool:
        """Whether the samples were drawn by a program, so that no table of them speaks of photographs."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the samples, in order."""

    @property
    def manifest_hash(self) -> str:
        """Changes with any sample: its id, texts, boxes or pixels."""

    def sample(self, id: str, /) -> Sample:
        """Returns the sample with its images decoded."""

    def digests(self, id: str, /) -> RowImages[str]:
        """Returns the pixel digests of the sample's images, without decoding; its crops are what a run shows."""

    def sizes(self, id: str, /) -> RowImages[tuple[int, int]]:
        """Returns the width and height of the sample's images, pixels, without decoding."""

    def facts(self, id: str, /) -> SampleFacts:
        """Returns the texts and boxes of the sample, without decoding."""


def encoded_images(source: SampleSource, id: str) -> RowImages[bytes]:
    """Returns the sample's images as files: as they are stored where the source can tell, else as PNG.

    The crops are what a run shows.
    """
    if (stored := getattr(source, "encoded", None)) is not None:
        found: RowImages[bytes] = stored(id)
        return found
    return images_of_sample(source.sample(id)).map(lambda _, image: png_bytes(image))


class SentSample:
    """One sample as a source of its own, with its images as files, so that another process can work on it."""

    def __init__(self, source: SampleSource, id: str) -> None:
        self.name, self.split, self.control_set = source.name, source.split, source.control_set
        self.manifest_hash = source.manifest_hash
        self.ids = (id,)
        self._files = replace(encoded_images(source, id), sketches=(), examples=())
        self._digests, self._sizes, self._facts = source.digests(id), source.sizes(id), source.facts(id)

    @cached_property
    def _sample(self) -> Sample:
        return decoded_sample(self._facts, self._files)

    def sample(self, id: str, /) -> Sample:
        """Returns the sample; its images are decoded once."""
        return self._sample

    def digests(self, id: str, /) -> RowImages[str]:
        """Returns the pixel digests of the sample's images."""
        return self._digests

    def sizes(self, id: str, /) -> RowImages[tuple[int, int]]:
        """Returns the width and height of the sample's images, pixels."""
        return self._sizes

    def facts(self, id: str, /) -> SampleFacts:
        """Returns the texts and boxes of the sample."""
        return self._facts


@dataclass(frozen=True, slots=True)
class SampleImage(ABC):
    """Opens an image that follows from a sample alone: one of its own, or what a baseline makes of it."""

    source: SampleSource
    sample: str

    @abstractmethod
    def __call__(self) -> Image.Image:
        """Returns the image."""
