"""What all sources of photographs share: the photograph, the files of a folder, file names and columns."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.images import SUFFIXES, UNREAD_SUFFIXES
from fashionedit.photo_index import stem_of, walk_files
from fashionedit.runtime.progress import Progress
from fashionedit.runtime.secrets import without_queries
from fashionedit.types import Box, check_id, safe_id


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph on its way to becoming a sample; each stage returns it with more fields filled in.

    The digests are of decoded pixels.

    Args:
        id: The `image_id` to be; safe as a file name.
        path: The image file. It is only known to exist; what is in it was not looked at yet.
        caption: What the draft is generated from; None where the source has none.
        gender, category, garment_id, view: What the file name or the metadata tell, where known.
        attributes: Further labels of the source, such as `sleeve length` → `long-sleeve`.
        draft: The draft: one that the source has ready, as the authors' release does, or that of stage `generate`.
        answer: The raw answer of a model about the differences that the source has ready.
        digest: Of the photograph; from stage `photos` on.
        draft_digest: Of the draft; from stage `generate` on.
        clip_score: The cosine similarity × 100 of photograph and draft, where stage `filter` has measured it by CLIP.
        differences: Description and box of the three, in the order of the rounds; from stage `analyse` on.
        sketches: The line drawing of each crop, where stage `crop` was to make them.

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
    digest: str = ""
    draft_digest: str = ""
    clip_score: float | None = None
    differences: tuple[tuple[str, Box], ...] = ()
    sketches: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        check_id(self.id)

    @property
    def garment(self) -> str:
        """The garment's name: gender-category-garment id where known, else the photograph's own id."""
        if self.garment_id is None:
            return self.id
        return "-".join(part for part in (self.gender, self.category, self.garment_id) if part)

    @property
    def pair(self) -> tuple[tuple[Path, str], tuple[Path, str]]:
        """File and digest of the photograph and of its draft, which must be there."""
        assert self.draft is not None
        return (self.path, self.digest), (self.draft, self.draft_digest)


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something that the source names but that is no photograph to build from.

    `reason` says why not in few words that can be counted, `detail` in a sentence about this one.
    """

    id: str
    reason: str
    detail: str

    def __post_init__(self) -> None:
        check_id(self.id)


class PhotoSource(Protocol):
    """A place with photographs. Opening one reads nothing but names."""

    root: Path | None
    """The folder on this machine that holds the photographs; None for a source elsewhere."""

    def describe(self) -> dict[str, Any]:
        """Returns which source it is, as plain JSON that is the same on another machine."""
        ...

    def photos(self, fetching: Progress | None = None) -> list[Photo | Unusable]:
        """Returns everything that the source names, in the order of the ids.

        Photographs without a caption come too, with `caption=None`.

        Args:
            fetching: Called with the photographs brought to this machine and those in all, where some have to be.

        Raises:
            DatasetNotFoundError: There is none.
            InvalidDataError: A file of the source is not what it must be.
            ServiceError: The source is elsewhere and can't be reached.
        """
        ...


class FileTree:
    """All files of a folder, in the order of their names.

    Hidden files and the folders that macOS puts into archives are passed over; links are followed, circles are not.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.resolve().name
        self.files = tuple(sorted(walk_files(root), key=lambda path: path.relative_to(root).parts))

    def named(self, name: str) -> Path | None:
        """Returns the file of this name that lies highest; None without one."""
        return self._highest(path for path in self.files if path.name == name)

    def folder(self, name: str) -> Path | None:
        """Returns the folder of this name that lies highest and holds images; None without one.

        An archive that nests once more (`images/images/`) gives the inner folder.
        """
        return self._highest({path.parent for path in self.images() if path.parent.name == name})

    def images(self) -> Iterator[Path]:
        """Yields the image files, by their endings."""
        return (path for path in self.files if path.suffix.lower() in SUFFIXES)

    def by_id(self, images: Iterable[Path]) -> dict[str, Path]:
        """Returns the images by the ids of their photographs.

        Raises:
            InvalidDataError: Two of them are one photograph.
        """
        found: dict[str, Path] = {}
        for path in images:
            identity = safe_id(stem_of(path.name))
            if (first := found.setdefault(identity, path)) != path:
                names = " and ".join(each.relative_to(self.root).as_posix() for each in (first, path))
                raise InvalidDataError(
                    f"{names} in {self.root} are both the photograph {identity}; keep one of the two"
                )
        return found

    def unread(self) -> dict[str, Photo | Unusable]:
        """Returns the pictures in formats that are not read, by id, so that they are counted."""
        found: dict[str, Photo | Unusable] = {}
        for path in self.files:
            if path.suffix.lower() in UNREAD_SUFFIXES:
                identity = safe_id(stem_of(path.name))
                detail = f"{path.name} is in a format that is not read; convert it to JPEG or PNG"
                found[identity] = Unusable(identity, "format not read", detail)
        return found

    def _highest(self, paths: Iterable[Path]) -> Path | None:
        return min(paths, key=lambda path: (len(path.parts), path.as_posix()), default=None)


_DEEPFASHION_NAME = re.compile(
    r"(?P<gender>MEN|WOMEN)-(?P<category>[A-Za-z_]+)-id_(?P<garment_id>\d{8})-(?P<colourway>\d{2})_\d+_"
    r"(?P<view>front|side|back|full|flat|additional)",
    re.ASCII,
)


def parse_file_name(name: str) -> dict[str, str]:
    """Returns what a name in DeepFashion's form tells, with or without folder and ending; nothing for any other.

    `colourway` tells the colours of one garment apart; a `garment_id` is unique within gender and category.

    >>> parse_file_name("images/MEN-Tees_Tanks-id_00007981-03_3_back.jpg")["view"]
    'back'
    >>> parse_file_name("holiday.jpg")
    {}
    """
    match = _DEEPFASHION_NAME.fullmatch(stem_of(name))
    return match.groupdict() if match else {}


FIELDS = ("image", "caption", "id", "gender", "category", "garment_id", "view", "draft")
"""What a column of a table can stand for; further columns become attributes."""

# Names that other tools and datasets give to our fields, the likeliest first.
_USUAL = {
    "image": ("image", "file_name", "original", "original_image", "filename", "file", "path", "image_path"),
    "caption": ("caption", "annotation", "text", "prompt", "description"),
    "id": ("image_id", "item_id", "id"),
    "gender": ("gender",),
    "category": ("category",),
    "garment_id": (
        *("garment_id", "garment", "product_id", "product", "product_code", "item_group_id", "sku", "style_id"),
        *("style_code", "article_id", "article_code"),
    ),
    "view": ("view",),
    "draft": ("draft", "sd3_image", "draft_file_name"),
}
_LONGEST_ATTRIBUTE = 500


def match_columns(names: Sequence[str], given: Mapping[str, str], *, where: str) -> dict[str, str]:
    """Returns the column of each field that has one: the one that a user gives, else the first of a usual name.

    Raises:
        UnknownNameError: A field or column that was given is not there.
        InvalidDataError: No column holds the image; `where` is what messages call the table.
    """
    columns = ", ".join(names)
    for wanted, column in given.items():
        if wanted not in FIELDS:
            raise UnknownNameError(f"no field is called {wanted!r}; a column can be given for {', '.join(FIELDS)}")
        if column not in names:
            raise UnknownNameError(f"{where} has no column {column!r}; it has {columns}")
    free = {name.casefold(): name for name in reversed(names) if name not in given.values()}
    found = dict(given)
    for wanted, usual in _USUAL.items():
        likely = next((free[name] for name in usual if name in free), None)
        if wanted not in found and likely is not None:
            found[wanted] = likely
    if "image" not in found:
        raise InvalidDataError(
            f"{where} has no column with the image; it has {columns}: name one with --column image=…"
        )
    return found


def photo_facts(
    name: str, row: Mapping[str, Any] | None = None, columns: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Returns caption, attributes and facts of a photograph, as arguments of `Photo`.

    What the row does not tell, DeepFashion's form of the file name may. Other columns become attributes.
    """
    row, columns = row or {}, columns or {}
    facts: dict[str, Any] = parse_file_name(name)
    attributes = {"colourway": facts.pop("colourway")} if facts else {}
    for fact in ("gender", "category", "garment_id", "view"):
        if (text := _text(cell(row, columns, fact))) is not None:
            facts[fact] = text
    for column, value in row.items():
        if column not in columns.values() and (text := _text(value)) is not None:
            attributes[column] = text[:_LONGEST_ATTRIBUTE]
    return {"caption": _text(cell(row, columns, "caption")), "attributes": attributes, **facts}


def cell(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> Any:
    """Returns what a row has for a field; None where it has no such column."""
    return row.get(columns[name]) if name in columns else None  # a column may be called ""


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value}" if math.isfinite(value) else None
    return (without_queries(value).strip() or None) if isinstance(value, str) else None


def take_spread(items: Sequence[Photo | Unusable], limit: int) -> list[Photo | Unusable]:
    """Returns at most `limit` photographs, spread over all; a higher limit takes the same and more.

    Those without a caption and without a draft don't count.
    """
    usable = [item.id for item in items if isinstance(item, Photo) and (item.caption or item.draft)]
    chosen = set(sorted(usable, key=_hash)[:limit])
    return [item for item in items if item.id in chosen]


def _hash(identity: str) -> str:
    """Returns what sorts ids as if at random, the same for ever."""
    return hashlib.sha256(identity.encode()).hexdigest()
