"""The kinds of reference image that `bug` may show, and the view of a dataset that has one of them in the crops' place.

A run shows one kind to all its samples. Those that have no image of it are left out, and every place that tells the
number of samples says so. `vanilla` shows no reference: its rounds are the same whatever the kind, record for record.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.types import DIFFERENCES_PER_SAMPLE, Sample

from .samples import SampleSource, encoded_images

if TYPE_CHECKING:
    from fashionedit.rows import RowImages, SampleFacts

Source = TypeVar("Source", bound=SampleSource)
One = TypeVar("One")

DETAIL = "detail"
"""The kind that every sample has: the crop of the original inside the box, the one that the paper measures."""


@dataclass(frozen=True, slots=True)
class ReferenceKind:
    """One of the applications of an image prompt (paper, Fig. 2)."""

    name: str  # on the command line and in `run.json`
    column: str  # of the dataset
    label: str  # in the column "Prompt" of tables
    noun: str  # what a sample has that has it
    meaning: str  # what an editor is shown as second image


REFERENCES: dict[str, ReferenceKind] = {
    kind.name: kind
    for kind in (
        ReferenceKind(DETAIL, "crops", "image", "a crop", "the crop of the original inside the box"),
        ReferenceKind("sketch", "sketches", "sketch", "a sketch", "a line drawing of the crop"),
        ReferenceKind("example", "examples", "example", "an example", "another photograph of the same garment"),
    )
}
"""The kinds by name."""


def find_reference(name: str) -> ReferenceKind:
    """Returns the kind of this name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in REFERENCES:
        raise UnknownNameError(f"no kind of reference is called {name!r}; choose {', '.join(REFERENCES)}")
    return REFERENCES[name]


class WithReference:
    """The samples that have a reference of one kind, with it as their reference.

    Round k shows sketch k, or example ((k - 1) mod n) + 1 of n. All else is the dataset's own. So is its manifest hash:
    that of the whole split, whatever was left out.

    Raises:
        UnknownNameError: There is no such kind.
        InvalidDataError: No sample has a reference of it.
    """

    def __init__(self, whole: SampleSource, reference: str) -> None:
        self._kind = find_reference(reference)
        self.whole = whole
        self.reference = reference
        self.name, self.split, self.control_set = whole.name, whole.split, whole.control_set
        self.manifest_hash = whole.manifest_hash  # before the digests: it learns all of them at once, side by side
        self.ids = tuple(id for id in whole.ids if getattr(whole.digests(id), self._kind.column))
        if not self.ids:
            raise InvalidDataError(
                f"no sample of {whole.name} {whole.split} has {self._kind.noun}; give a dataset whose column "
                f"{self._kind.column} is filled, or another kind of reference"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, id: str, /) -> Sample:
        """Returns the sample, its images decoded, with this kind of reference in each difference."""
        sample = self.whole.sample(id)
        shown = zip(sample.differences, shown_references(sample, self.reference), strict=True)
        return replace(
            sample, differences=tuple(replace(difference, reference=reference) for difference, reference in shown)
        )

    def digests(self, id: str, /) -> RowImages[str]:
        """Returns the pixel digests of the sample's images, those of this kind as `crops`."""
        found = self.whole.digests(id)
        return replace(found, crops=_by_round(getattr(found, self._kind.column)))

    def sizes(self, id: str, /) -> RowImages[tuple[int, int]]:
        """Returns the width and height of the sample's images, those of this kind as `crops`."""
        found = self.whole.sizes(id)
        return replace(found, crops=_by_round(getattr(found, self._kind.column)))

    def facts(self, id: str, /) -> SampleFacts:
        """Returns the texts and boxes of the sample."""
        return self.whole.facts(id)

    def encoded(self, id: str, /) -> RowImages[bytes]:
        """Returns the sample's images as files, those of this kind as `crops`."""
        found = encoded_images(self.whole, id)
        return replace(found, crops=_by_round(getattr(found, self._kind.column)))


class Subset:
    """Some samples of a source, in its order. All else is the source's own, its manifest hash too."""

    def __init__(self, source: SampleSource, ids: Collection[str]) -> None:
        self._source = source
        self.ids = tuple(id for id in source.ids if id in ids)
        self.not_reached = len(source.ids) - len(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def subset(source: Source, ids: Collection[str]) -> Source:
    """Returns the source with these samples alone: itself where that is all of them."""
    return source if len(ids) == len(source.ids) else cast(Source, Subset(source, set(ids)))


def not_reached(source: SampleSource) -> int:
    """Returns how many samples a `subset` leaves out."""
    count: int = getattr(source, "not_reached", 0)
    return count


def shown_references(sample: Sample, reference: str) -> tuple[Image.Image, ...]:
    """Returns the reference image of each round; the sample is as the dataset gives it, and has this kind."""
    if reference == DETAIL:
        return tuple(difference.reference for difference in sample.differences)
    return _by_round(getattr(sample, find_reference(reference).column))


def _by_round(images: Sequence[One]) -> tuple[One, ...]:
    return tuple(images[place % len(images)] for place in range(DIFFERENCES_PER_SAMPLE))


def with_reference(source: Source, reference: str) -> Source:
    """Returns the source with this kind of reference: itself where it has that kind already.

    Raises:
        UnknownNameError: There is no such kind.
        InvalidDataError: No sample has a reference of it.
    """
    find_reference(reference)
    if reference_of(source) == reference:
        return source
    whole = source.whole if isinstance(source, WithReference) else source
    return cast(Source, whole if reference == DETAIL else WithReference(whole, reference))


def reference_of(source: SampleSource) -> str:
    """Returns the kind of reference that a source shows: `detail`, unless it is a view of another one."""
    kind: str = getattr(source, "reference", DETAIL)
    return kind


def left_out(source: SampleSource) -> int:
    """Returns how many samples of the split the source leaves out, for want of a reference of its kind."""
    whole: SampleSource = getattr(source, "whole", source)
    return len(whole.ids) - len(source.ids) - not_reached(source) if whole is not source else 0
