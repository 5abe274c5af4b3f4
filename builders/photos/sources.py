"""What every source of photographs offers, the files below a folder, and the subset of a source that a build takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fashionedit.builders.stage_items import Photo
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.images import SUFFIXES, UNREAD_SUFFIXES
from fashionedit.photo_index import stem_of, walk_files
from fashionedit.types import check_id, safe_id


class FileTree:
    """All files of a folder, in the order of their names.

    Hidden files and the folders that macOS puts into archives are passed over; links are followed, circles are not.

    Args:
        root: The folder.

    Raises:
        DatasetNotFoundError: There is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DatasetNotFoundError(
                f"{root} {'is no folder' if root.exists() else 'does not exist'}; check the path of the photographs"
            )
        self.root = root
        self.files = tuple(sorted(walk_files(root), key=lambda path: path.relative_to(root).parts))

    def named(self, name: str) -> Path | None:
        """Returns the file of this name that lies highest; None without one."""
        return self._highest(path for path in self.files if path.name == name)

    def folder(self, name: str) -> Path | None:
        """Returns the folder of this name that lies highest and holds images; None without one.

        An archive that nests once more (`images/images/`) gives the inner folder.
        """
        return self._highest({path.parent for path in self.images() if path.parent.name == name})

    def images(self, below: Path | None = None) -> Iterator[Path]:
        """Yields the image files, of one folder or of all, by their endings."""
        for path in self.files:
            if path.suffix.lower() in SUFFIXES and (below is None or path.is_relative_to(below)):
                yield path

    def unread(self) -> Iterator[Path]:
        """Yields the picture files in formats that are not read, by their endings."""
        return (path for path in self.files if path.suffix.lower() in UNREAD_SUFFIXES)

    def _highest(self, paths: Iterable[Path]) -> Path | None:
        return min(paths, key=lambda path: (len(path.parts), path.as_posix()), default=None)


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


class LimitedSource:
    """A source of which only some photographs are taken, spread over all; a higher limit takes the same and more.

    Args:
        source: The whole.
        limit: How many photographs at most; those without a caption and without a draft don't count.
    """

    def __init__(self, source: PhotoSource, limit: int) -> None:
        self._source = source
        self._limit = limit

    @property
    def root(self) -> Path | None:
        """The folder of the whole source."""
        return self._source.root

    def describe(self) -> dict[str, Any]:
        """Returns which source it is; the limit is no part of that."""
        return self._source.describe()

    def photos(self, fetching: Progress | None = None) -> Iterator[Photo | Unusable]:
        """Yields the photographs that are taken, in the order of the ids."""
        named = list(self._source.photos(fetching))
        usable = [item.id for item in named if isinstance(item, Photo) and (item.caption or item.draft)]
        chosen = set(sorted(usable, key=_spread)[: self._limit])
        yield from (item for item in named if item.id in chosen)


def in_share(photos: Sequence[Photo], share: tuple[int, int] | None) -> list[Photo]:
    """Returns the photographs of the k-th of n parts, for `share` = (k, n); all of them without a share."""
    if share is None:
        return list(photos)
    part, parts = share
    return [photo for photo in photos if int(_spread(photo.id), 16) % parts == part - 1]


def _spread(identity: str) -> str:
    """Returns what sorts ids as if at random, the same for ever."""
    return hashlib.sha256(identity.encode()).hexdigest()
