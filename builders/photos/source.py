"""What every source of photographs offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fashionedit.builders.photo import Photo
from fashionedit.errors import InvalidDataError
from fashionedit.photographs import stem_of
from fashionedit.types import check_id, safe_id

from .tree import FileTree

FIELDS = ("image", "caption", "id", "gender", "category", "garment_id", "view", "draft")
"""What a column of a table can stand for; further columns become attributes."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something that the source names but that is no photograph to build from.

    Args:
        id: Safe as a file name.
        reason: Why not, in few words that can be counted.
        detail: Why not, in a sentence about this one.

    Raises:
        InvalidDataError: The id is not path-safe.
    """

    id: str
    reason: str
    detail: str

    def __post_init__(self) -> None:
        check_id(self.id)


class PhotoSource(Protocol):
    """A place with photographs. Opening one reads nothing but names."""

    @property
    def root(self) -> Path | None:
        """The folder on this machine that holds the photographs; None for a source elsewhere."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns which source it is, as plain JSON that is the same on another machine."""
        ...

    def photos(self, fetching: Progress | None = None) -> Iterator[Photo | Unusable]:
        """Yields everything that the source names, in the order of the ids.

        Photographs without a caption come too, with `caption=None`.

        Args:
            fetching: Called with the photographs brought to this machine and those in all, where some have to be.

        Raises:
            InvalidDataError: A file of the source is not what it must be.
            ServiceError: The source is elsewhere and can't be reached.
        """
        ...


def add_unique(found: dict[str, Path], identity: str, path: Path, root: Path) -> None:
    """Adds the photograph.

    Raises:
        InvalidDataError: Another one has the id already.
    """
    if (first := found.setdefault(identity, path)) != path:
        raise InvalidDataError(
            f"{first.relative_to(root).as_posix()} and {path.relative_to(root).as_posix()} in {root} are both the "
            f"photograph {identity}; keep one of the two"
        )


def not_read(tree: FileTree) -> dict[str, Photo | Unusable]:
    """Returns the pictures of a folder in formats that are not read, by id, so that they are counted."""
    return {
        (identity := safe_id(stem_of(path.name))): Unusable(
            identity, "format not read", f"{path.name} is in a format that is not read; convert it to JPEG or PNG"
        )
        for path in tree.unread()
    }
