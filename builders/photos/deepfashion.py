"""DeepFashion-MultiModal as it was unpacked: photographs, captions and labels, wherever they lie in the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fashionedit.builders.photo import Photo
from fashionedit.errors import DatasetNotFoundError
from fashionedit.photographs import read_captions, stem_of
from fashionedit.types import safe_id

from .file_names import parse_file_name
from .labels import FABRIC_FILE, PATTERN_FILE, SHAPE_FILE, read_labels
from .source import Progress, Unusable, add_unique, not_read
from .tree import FileTree

CAPTIONS_FILE = "captions.json"

_IMAGE_FOLDERS = ("images", "image")
_OTHER_FOLDERS = ("segm", "densepose", "keypoints", "labels")


class DeepFashionFolder:
    """A folder with `images/`, `captions.json` and `labels/`, at any depth.

    A photograph is an image whose name is in DeepFashion's form, or that lies in a folder `images`; what lies in
    `segm`, `densepose`, `keypoints` or `labels` is none.

    Args:
        tree: The folder.
        captions: The file with the captions, {name: caption}; by default the `captions.json` that lies highest.
    """

    def __init__(self, tree: FileTree, captions: Path | None = None) -> None:
        self._tree = tree
        self._captions = captions if captions is not None else tree.named(CAPTIONS_FILE)
        self._labels = [path for name in (SHAPE_FILE, FABRIC_FILE, PATTERN_FILE) if (path := tree.named(name))]

    @staticmethod
    def found_in(tree: FileTree) -> bool:
        """Returns whether the folder looks like DeepFashion-MultiModal."""
        captioned = tree.named(CAPTIONS_FILE) is not None
        return any(
            _is_photograph(tree, path) and (captioned or parse_file_name(path.name) is not None)
            for path in tree.images()
        )

    @property
    def root(self) -> Path | None:
        """The folder."""
        return self._tree.root

    def describe(self) -> dict[str, Any]:
        """Returns the kind, the folder's name, and which captions and labels were found."""
        return {
            "kind": "deepfashion",
            "spec": self._tree.root.resolve().name,
            "captions": self._captions.name if self._captions else None,
            "labels": [path.name for path in self._labels],
        }

    def photos(self, fetching: Progress | None = None) -> Iterator[Photo | Unusable]:
        """Yields every photograph, in the order of the ids.

        Raises:
            DatasetNotFoundError: There is none.
            InvalidDataError: Two files are one photograph, or the captions or labels can't be understood.
        """
        found: dict[str, Path] = {}
        for path in self._tree.images():
            if _is_photograph(self._tree, path):
                add_unique(found, safe_id(stem_of(path.name)), path, self._tree.root)
        if not found:
            raise DatasetNotFoundError(
                f"{self._tree.root} holds no photographs with names like WOMEN-Dresses-id_00000002-02_1_front.jpg, and "
                "none in a folder images; give the folder that DeepFashion-MultiModal was unpacked into"
            )
        unread = {key: item for key, item in not_read(self._tree).items() if key not in found}
        captions = read_captions(self._captions) if self._captions is not None else {}
        labels = read_labels(self._labels)
        yield from unread.values()
        for identity, path in sorted(found.items()):
            name = parse_file_name(path.name)
            yield Photo(
                identity,
                path,
                captions.get(stem_of(path.name)),
                attributes={**({"colourway": name.colourway} if name else {}), **labels.get(path.stem, {})},
                **(name.facts if name else {}),
            )


def _is_photograph(tree: FileTree, path: Path) -> bool:
    folders = path.relative_to(tree.root).parts[:-1]
    if any(folder.casefold() in _OTHER_FOLDERS for folder in folders):
        return False
    return parse_file_name(path.name) is not None or any(folder.casefold() in _IMAGE_FOLDERS for folder in folders)
