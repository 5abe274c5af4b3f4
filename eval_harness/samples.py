"""What the harness needs of a dataset, so that a folder, a subset or a toy can stand in for one another."""

from __future__ import annotations

from typing import Protocol

from fashionedit.types import Box, Sample


class SampleDigests(Protocol):
    """The pixel digests of a sample's images, known without decoding one."""

    @property
    def original(self) -> str:
        """Digest of the original."""
        ...

    @property
    def draft(self) -> str:
        """Digest of the draft."""
        ...

    @property
    def references(self) -> tuple[str, ...]:
        """Digests of the reference images, in the order of the rounds: the crops, unless another kind was asked for."""
        ...

    @property
    def sketches(self) -> tuple[str, ...]:
        """Digests of the sketches, in the order of the rounds; empty where there are none."""
        ...

    @property
    def examples(self) -> tuple[str, ...]:
        """Digests of the examples, one to three; empty where there are none."""
        ...

    @property
    def original_size(self) -> tuple[int, int]:
        """Width and height of the original, pixels."""
        ...

    @property
    def draft_size(self) -> tuple[int, int]:
        """Width and height of the draft, pixels."""
        ...


class SampleFacts(Protocol):
    """What is known of a sample besides its images."""

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The texts of the differences, in the order of the rounds."""
        ...

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes of the differences, on the original."""
        ...

    @property
    def garment(self) -> str:
        """The cluster that standard errors go by."""
        ...


class SampleSource(Protocol):
    """Samples that a run goes over, in a fixed order."""

    @property
    def name(self) -> str:
        """How tables call the dataset."""
        ...

    @property
    def split(self) -> str:
        """The split, or splits joined by `+`."""
        ...

    @property
    def control_set(self) -> bool:
        """Whether the samples were drawn by a program, so that no table of them speaks of photographs."""
        ...

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the samples, in order."""
        ...

    @property
    def manifest_hash(self) -> str:
        """Changes with any sample: its id, texts, boxes or pixels."""
        ...

    def sample(self, id: str, /) -> Sample:
        """Returns the sample with its images decoded."""
        ...

    def digests(self, id: str, /) -> SampleDigests:
        """Returns the digests of the sample's images, without decoding."""
        ...

    def facts(self, id: str, /) -> SampleFacts:
        """Returns the texts and boxes of the sample, without decoding."""
        ...
