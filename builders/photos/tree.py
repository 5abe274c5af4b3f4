"""The files below a folder, whatever was unpacked there and however deep."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fashionedit.errors import DatasetNotFoundError
from fashionedit.images import SUFFIXES, UNREAD_SUFFIXES


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
        self.files = tuple(sorted(_walk(root), key=lambda path: path.relative_to(root).parts))

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


def _walk(root: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        if (place := str(Path(folder).resolve())) in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield from (Path(folder, name) for name in names if not name.startswith("."))
