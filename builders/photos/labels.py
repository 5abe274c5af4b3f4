"""The attribute labels of DeepFashion-MultiModal, as readable text.

Codes and their meaning are those of the dataset's public README; a code that it does not list is kept as a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.photographs import stem_of

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
