"""DeepFashion-MultiModal as it was unpacked: photographs, captions and labels, and what the file names tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.photo_index import read_captions, stem_of
from fashionedit.runtime.progress import Progress

from .sources import FileTree, Photo, Unusable, parse_file_name, photo_facts

CAPTIONS_FILE = "captions.json"

_Texts = tuple[str | None, ...]

# The text of each code; None: the part can't be seen, which is no label.
_NO_YES: _Texts = ("no", "yes", None)
_FABRICS: _Texts = ("denim", "cotton", "leather", "furry", "knitted", "chiffon", "other", None)
_PATTERNS: _Texts = ("floral", "graphic", "striped", "pure color", "lattice", "other", "color block", None)
_LABELS: Mapping[str, Mapping[str, _Texts]] = {
    "shape_anno_all.txt": {
        "sleeve length": ("sleeveless", "short-sleeve", "medium-sleeve", "long-sleeve", "not long-sleeve", None),
        "lower clothing length": ("three-point", "medium short", "three-quarter", "long", None),
        "socks": ("no", "socks", "leggings", None),
        "hat": _NO_YES,
        "glasses": ("no", "eyeglasses", "sunglasses", "in hand or on the clothes", None),
        "neckwear": _NO_YES,
        "wrist wearing": _NO_YES,
        "ring": _NO_YES,
        "waist accessories": ("no", "belt", "clothing", "hidden", None),
        "neckline": ("V-shape", "square", "round", "unlisted (3)", "standing", "lapel", "suspenders", None),
        "cardigan": ("yes", "no", None),  # 0 is yes here
        "navel covered": _NO_YES,
    },
    "fabric_ann.txt": {f"{layer} fabric": _FABRICS for layer in ("upper", "lower", "outer")},
    "pattern_ann.txt": {f"{layer} pattern": _PATTERNS for layer in ("upper", "lower", "outer")},
}


def read_labels(paths: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Returns the attributes of each photograph, by its name without ending: up to 12 of shape, 3 fabrics, 3 patterns.

    What is not visible in the photograph is left out.

    Raises:
        InvalidDataError: A line has not the numbers it must have.
    """
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        meanings = _LABELS[path.name]
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidDataError(f"{path} can't be read ({error}); unpack the file again") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            name, *codes = line.split()
            if len(codes) != len(meanings) or not all(code.isascii() and code.isdigit() for code in codes):
                raise InvalidDataError(
                    f"{path}, line {number}: {line.strip()[:80]!r} is not the name of an image and {len(meanings)} "
                    "numbers; unpack the file again"
                )
            labels = found.setdefault(stem_of(name), {})
            for (attribute, texts), code in zip(meanings.items(), map(int, codes), strict=True):
                if (text := texts[code] if code < len(texts) else f"unlisted ({code})") is not None:
                    labels[attribute] = text
    return found


class DeepFashionFolder:
    """A folder with `images/`, `captions.json` and `labels/`, at any depth.

    A photograph is an image whose name is in DeepFashion's form, or that lies in a folder `images`; what lies in
    `segm`, `densepose`, `keypoints` or `labels` is none. The `captions.json` that lies highest counts by default.
    """

    def __init__(self, tree: FileTree, captions: Path | None = None) -> None:
        self.root: Path | None = tree.root
        self._tree = tree
        self._captions = captions if captions is not None else tree.named(CAPTIONS_FILE)
        self._labels = [path for name in _LABELS if (path := tree.named(name))]

    @staticmethod
    def found_in(tree: FileTree) -> bool:
        """Returns whether the folder looks like DeepFashion-MultiModal."""
        captioned = tree.named(CAPTIONS_FILE) is not None
        return any(_is_photograph(tree, path) and (captioned or parse_file_name(path.name)) for path in tree.images())

    def describe(self) -> dict[str, Any]:
        """Returns the kind, the folder's name, and which captions and labels were found."""
        return {
            "kind": "deepfashion",
            "spec": self._tree.name,
            "captions": self._captions.name if self._captions else None,
            "labels": [path.name for path in self._labels],
        }

    def photos(self, fetching: Progress | None = None) -> list[Photo | Unusable]:
        """Returns every photograph."""
        tree = self._tree
        paths = tree.by_id(path for path in tree.images() if _is_photograph(tree, path))
        if not paths:
            raise DatasetNotFoundError(
                f"{tree.root} holds no photographs with names like WOMEN-Dresses-id_00000002-02_1_front.jpg, and "
                "none in a folder images; give the folder that DeepFashion-MultiModal was unpacked into"
            )
        captions, labels = read_captions(self._captions), read_labels(self._labels)
        found = tree.unread()
        for identity, path in paths.items():
            facts = photo_facts(path.name)
            facts["caption"] = captions.get(stem_of(path.name))
            facts["attributes"] |= labels.get(path.stem, {})
            found[identity] = Photo(identity, path, **facts)
        return [found[identity] for identity in sorted(found)]


def _is_photograph(tree: FileTree, path: Path) -> bool:
    folders = {folder.casefold() for folder in path.relative_to(tree.root).parts[:-1]}
    if folders & {"segm", "densepose", "keypoints", "labels"}:
        return False
    return bool(parse_file_name(path.name) or folders & {"images", "image"})
