"""DeepFashion-MultiModal as it was unpacked: photographs, captions and labels, and what the file names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionedit.builders.stage_items import Photo
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.photo_index import read_captions, stem_of
from fashionedit.types import safe_id

from .sources import FileTree, Progress, Unusable, add_unique, not_read

_NAME = re.compile(
    r"(?P<gender>MEN|WOMEN)-(?P<category>[A-Za-z_]+)-id_(?P<garment_id>\d{8})-(?P<colourway>\d{2})_\d+_"
    r"(?P<view>front|side|back|full|flat|additional)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PhotoName:
    """The parts of a name such as `WOMEN-Dresses-id_00000002-02_1_front`.

    Args:
        gender: `MEN` or `WOMEN`.
        category: Such as `Tees_Tanks`; 23 pairs of gender and category are in the paper's selection.
        garment_id: Eight digits, unique within gender and category.
        colourway: Two digits: the garment in another colour.
        view: `front`, `side`, `back`, `full`, `flat` or `additional`.
    """

    gender: str
    category: str
    garment_id: str
    colourway: str
    view: str

    @property
    def facts(self) -> dict[str, Any]:
        """The parts that are columns of the dataset."""
        return {
            "gender": self.gender,
            "category": self.category,
            "garment_id": self.garment_id,
            "view": self.view,
        }


def parse_file_name(name: str) -> PhotoName | None:
    """Returns what the name tells, with or without folder and ending; None where it is not in DeepFashion's form.

    >>> parse_file_name("images/MEN-Tees_Tanks-id_00007981-03_3_back.jpg").view
    'back'
    >>> parse_file_name("holiday.jpg") is None
    True
    """
    match = _NAME.fullmatch(stem_of(name))
    return PhotoName(**match.groupdict()) if match else None


SHAPE_FILE = "shape_anno_all.txt"
FABRIC_FILE = "fabric_ann.txt"
PATTERN_FILE = "pattern_ann.txt"

# None: the part can't be seen, which is no label.
_NO_YES = ("no", "yes", None)
_SHAPE: Mapping[str, Sequence[str | None] | Mapping[int, str | None]] = {
    "sleeve length": ("sleeveless", "short-sleeve", "medium-sleeve", "long-sleeve", "not long-sleeve", None),
    "lower clothing length": ("three-point", "medium short", "three-quarter", "long", None),
    "socks": ("no", "socks", "leggings", None),
    "hat": _NO_YES,
    "glasses": ("no", "eyeglasses", "sunglasses", "in hand or on the clothes", None),
    "neckwear": _NO_YES,
    "wrist wearing": _NO_YES,
    "ring": _NO_YES,
    "waist accessories": ("no", "belt", "clothing", "hidden", None),
    "neckline": {0: "V-shape", 1: "square", 2: "round", 4: "standing", 5: "lapel", 6: "suspenders", 7: None},
    "cardigan": ("yes", "no", None),  # 0 is yes here
    "navel covered": _NO_YES,
}
_FABRICS = ("denim", "cotton", "leather", "furry", "knitted", "chiffon", "other", None)
_PATTERNS = ("floral", "graphic", "striped", "pure color", "lattice", "other", "color block", None)
_LAYERS = ("upper", "lower", "outer")
_FILES: Mapping[str, Mapping[str, Sequence[str | None] | Mapping[int, str | None]]] = {
    SHAPE_FILE: _SHAPE,
    FABRIC_FILE: {f"{layer} fabric": _FABRICS for layer in _LAYERS},
    PATTERN_FILE: {f"{layer} pattern": _PATTERNS for layer in _LAYERS},
}


def read_labels(paths: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Returns the attributes of each photograph, by its name without ending: up to 12 of shape, 3 fabrics, 3 patterns.

    What is not visible in the photograph is left out.

    Args:
        paths: Files called `shape_anno_all.txt`, `fabric_ann.txt` or `pattern_ann.txt`.

    Raises:
        InvalidDataError: A line has not the numbers it must have.
    """
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        meanings = _FILES[path.name]
        for number, line in enumerate(_lines(path), 1):
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
                if (text := _meaning(texts, code)) is not None:
                    labels[attribute] = text
    return found


def _meaning(texts: Sequence[str | None] | Mapping[int, str | None], code: int) -> str | None:
    known = texts if isinstance(texts, Mapping) else dict(enumerate(texts))
    return known.get(code, f"unlisted ({code})")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataError(f"{path} can't be read ({error}); unpack the file again") from error


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
