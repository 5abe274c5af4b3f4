"""What travels through the stages: a photograph, then with its draft, then with its differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.types import DIFFERENCES_PER_SAMPLE, Box, check_id


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph that may become a sample.

    Args:
        id: The `image_id` to be; safe as a file name.
        path: The image file. It is only known to exist; what is in it was not looked at yet.
        caption: What the draft is generated from; None where the source has none.
        gender, category, garment_id, view: What the file name or the metadata tell, where known.
        attributes: Further labels of the source, such as `sleeve length` → `long-sleeve`.
        draft: A draft that the source has ready, as the authors' release does.
        answer: The raw answer of a model about the differences that the source has ready.

    Raises:
        InvalidDataError: The id is not path-safe.
    """

    id: str
    path: Path
    caption: str | None = None
    gender: str | None = None
    category: str | None = None
    garment_id: str | None = None
    view: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    draft: Path | None = None
    answer: str | None = None

    def __post_init__(self) -> None:
        check_id(self.id)

    @property
    def garment(self) -> str:
        """What is shown: gender-category-garment id where known, else the photograph's own id."""
        if self.garment_id is None:
            return self.id
        return "-".join(part for part in (self.gender, self.category, self.garment_id) if part)


@dataclass(frozen=True, slots=True)
class Pair:
    """A photograph and the draft that was generated from its caption.

    The digests are of the decoded pixels; `clip_score` is the cosine similarity × 100 of the two, once it was measured.
    """

    photo: Photo
    draft: Path
    original_digest: str
    draft_digest: str
    clip_score: float | None = None


@dataclass(frozen=True, slots=True)
class Analysed:
    """A pair and what was found to differ, in the order of the rounds.

    Raises:
        InvalidDataError: There are not exactly three differences.
    """

    pair: Pair
    differences: tuple[tuple[str, Box], ...]

    def __post_init__(self) -> None:
        if len(self.differences) != DIFFERENCES_PER_SAMPLE:
            raise InvalidDataError(
                f"{self.pair.photo.id} has {len(self.differences)} differences; a sample has exactly "
                f"{DIFFERENCES_PER_SAMPLE}"
            )
