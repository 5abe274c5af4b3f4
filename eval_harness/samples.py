"""What the harness needs of a dataset, so that a folder, a subset or a toy can stand in for one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fashionedit.images import png_bytes
from fashionedit.rows import RowImages, images_of_sample
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
