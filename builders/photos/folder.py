"""Any folder of photographs with a table beside them, or with a text file beside each."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from fashionedit.builders.stage_items import Photo
from fashionedit.errors import DatasetNotFoundError, InvalidDataError, UnknownNameError
from fashionedit.files import open_regular, parse_json
from fashionedit.photo_index import NamedFiles, read_captions, stem_of
from fashionedit.runtime.secrets import without_queries
from fashionedit.types import safe_id

from .deepfashion import parse_file_name
from .sources import FIELDS, FileTree, Progress, Unusable, add_unique, not_read


def read_table(path: Path, *, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields where a row stands (`metadata.csv, line 3`) and its values by column.

    Args:
        path: A file whose name ends in `.jsonl` or `.csv`.
        name: How messages call the file.

    Raises:
        InvalidDataError: It can't be read, or a row is none; the message names file and line.
    """
    try:
        yield from _csv_rows(path, name) if path.suffix.lower() == ".csv" else _json_rows(path, name)
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); change its rights") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataError(f"{name} can't be read ({error}); save it as UTF-8 text") from error


def _json_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with TextIOWrapper(open_regular(path), encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{name}, line {number}"
            try:
                row = parse_json(line, name="the line")
            except InvalidDataError as error:
                raise InvalidDataError(
                    f"{where}: it is no valid JSON ({error.__cause__}); write one object on each line"
                ) from error
            if not isinstance(row, dict):
                raise InvalidDataError(f"{where}: it is no JSON object; write one on each line")
            yield where, row


def _csv_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines, strict=True)
        for row in rows:
            where = f"{name}, line {rows.line_num}"
            if None in row or None in row.values():
                raise InvalidDataError(
                    f"{where}: it has {'more' if None in row else 'fewer'} values than the first line names columns; "
                    "put texts with commas in quotes"
                )
            yield where, dict(row)


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
_FACTS = ("gender", "category", "garment_id", "view")
_LONGEST_ATTRIBUTE = 500


def match_columns(names: Sequence[str], given: Mapping[str, str] | None, *, where: str) -> dict[str, str]:
    """Returns the column of each field that has one.

    Args:
        names: The columns that are there.
        given: Field and column, where a user names them; the others are looked for under their usual names, whatever
            their case.
        where: How messages call the table.

    Raises:
        UnknownNameError: A field or column that was named is not there.
        InvalidDataError: No column holds the image.
    """
    given = given or {}
    columns = ", ".join(names)
    for field, column in given.items():
        if field not in FIELDS:
            raise UnknownNameError(f"no field is called {field!r}; a column can be given for {', '.join(FIELDS)}")
        if column not in names:
            raise UnknownNameError(f"{where} has no column {column!r}; it has {columns}")
    free = {name.casefold(): name for name in reversed(names) if name not in given.values()}
    found = dict(given)
    for field, usual in _USUAL.items():
        likely = next((free[name] for name in usual if name in free), None)
        if field not in found and likely is not None:
            found[field] = likely
    if "image" not in found:
        raise InvalidDataError(
            f"{where} has no column with the image; it has {columns}: name one with --column image=…"
        )
    return found


def item_is_garment(
    columns: dict[str, str], given: Mapping[str, str] | None, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Turns `item_id` into the garment where several rows share a value: then it names no photograph.

    Args:
        columns: Of `match_columns`; changed.
        given: Field and column, where a user named them.
        rows: All rows of the table.
    """
    column = columns.get("id", "")
    if column.casefold() != "item_id" or "id" in (given or {}) or "garment_id" in columns:
        return
    values = [str(row[column]).strip() for row in rows if row.get(column) not in (None, "")]
    if len(values) > len(set(values)):
        columns["garment_id"] = columns.pop("id")


def photo_facts(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> dict[str, Any]:
    """Returns caption, facts and attributes of a row, as arguments of `Photo`.

    What the row does not tell, DeepFashion's form of file name may. Other columns with plain values become attributes.

    Args:
        row: The values by column.
        columns: Of `match_columns`.
        name: The photograph's file name or id.
    """
    parsed = parse_file_name(name)
    facts: dict[str, Any] = dict(parsed.facts) if parsed else {}
    for field in _FACTS:
        if (text := _text(_cell(row, columns, field))) is not None:
            facts[field] = text
    attributes = {"colourway": parsed.colourway} if parsed else {}
    for column, value in row.items():
        if column not in columns.values() and (text := _text(value)) is not None:
            attributes[column] = text[:_LONGEST_ATTRIBUTE]
    return {"caption": _text(_cell(row, columns, "caption")), "attributes": attributes, **facts}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value}" if math.isfinite(value) else None
    return (without_queries(value).strip() or None) if isinstance(value, str) else None


def _cell(row: Mapping[str, Any], columns: Mapping[str, str], field: str) -> Any:
    return row.get(columns[field]) if field in columns else None


TABLE_FILES = ("metadata.jsonl", "metadata.csv")


def find_tables(tree: FileTree) -> tuple[Path, ...]:
    """Returns the tables of a folder: `metadata.jsonl` or `.csv` that lie highest, else the only CSV file at its top.

    Raises:
        InvalidDataError: There are several CSV files at the top.
    """
    named = [path for path in tree.files if path.name in TABLE_FILES]
    if named:
        highest = min(len(path.parts) for path in named)
        return tuple(path for path in named if len(path.parts) == highest)
    others = [path for path in tree.files if path.suffix.lower() == ".csv" and path.parent == tree.root]
    if len(others) > 1:
        names = ", ".join(path.name for path in others)
        raise InvalidDataError(f"{tree.root} has several tables ({names}); call the one that counts metadata.csv")
    return tuple(others)


class PhotoFolder:
    """A folder of photographs.

    With a table, its rows are the photographs: a column with the path from the table's folder, and further ones that
    `columns` names or that have usual names. Without one, every image is, and `<stem>.txt` beside it is its caption.

    Args:
        tree: The folder.
        tables: The tables; none means text files.
        captions: A file with captions by file name, for photographs that have none in the table.
        columns: Field and column, such as `caption` → `text_en`.
    """

    def __init__(
        self,
        tree: FileTree,
        tables: tuple[Path, ...] = (),
        captions: Path | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self._tree = tree
        self._tables = tables
        self._captions = captions
        self._columns = dict(columns or {})
        self._files = NamedFiles(tree.root)

    @property
    def root(self) -> Path | None:
        """The folder."""
        return self._tree.root

    def describe(self) -> dict[str, Any]:
        """Returns the kind, the folder's name, its tables, and what a user said about captions and columns."""
        return {
            "kind": "folder",
            "spec": self._tree.root.resolve().name,
            "tables": [path.relative_to(self._tree.root).as_posix() for path in self._tables],
            "captions": self._captions.name if self._captions else None,
            "columns": dict(sorted(self._columns.items())),
        }

    def photos(self, fetching: Progress | None = None) -> Iterator[Photo | Unusable]:
        """Yields a photograph for each row, or for each image, in the order of the ids.

        Raises:
            DatasetNotFoundError: There is none.
            InvalidDataError: A table can't be understood, a path leads out of the folder, or an id stands there twice.
        """
        captions = read_captions(self._captions) if self._captions is not None else {}
        found = self._of_rows(captions) if self._tables else self._of_texts(captions)
        if not found:
            raise DatasetNotFoundError(f"{self._tree.root} holds no photographs; add images, or rows to its table")
        for _, item in sorted(found.items()):
            yield item

    def _of_rows(self, captions: Mapping[str, str]) -> dict[str, Photo | Unusable]:
        found: dict[str, Photo | Unusable] = {}
        places: dict[str, str] = {}
        for table in self._tables:
            name = table.relative_to(self._tree.root).as_posix()
            rows = list(read_table(table, name=name))
            if not rows:
                raise InvalidDataError(f"{name} has no row; write one for each photograph")
            names = list(dict.fromkeys(column for _, row in rows for column in row))
            columns = match_columns(names, self._columns, where=name)
            item_is_garment(columns, self._columns, [row for _, row in rows])
            if not captions and "caption" not in columns and "draft" not in columns:
                raise InvalidDataError(
                    f"{name} has no column with a caption (caption, annotation, text, prompt, description); it has "
                    f"{', '.join(names)}: name one with --column caption=…, or give --captions FILE"
                )
            for where, row in rows:
                item = self._of_row(table.parent, where, row, columns, captions)
                if (first := places.setdefault(item.id, where)) != where:
                    raise InvalidDataError(f"{where}: the photograph {item.id} stands in {first} too; ids are unique")
                found[item.id] = item
        return found

    def _of_row(
        self, base: Path, where: str, row: Mapping[str, Any], columns: Mapping[str, str], captions: Mapping[str, str]
    ) -> Photo | Unusable:
        name = row.get(columns["image"])
        path = self._files.find(base, name, f"{where}, column {columns['image']}")
        given = row.get(columns["id"]) if "id" in columns else None
        identity = safe_id(str(given).strip()) if given not in (None, "") else safe_id(stem_of(path.name))
        if not path.is_file():
            return Unusable(identity, "no image file", f"{where}: there is no file {name}")
        facts = photo_facts(row, columns, path.name)
        if facts["caption"] is None:
            facts["caption"] = captions.get(stem_of(path.name))
        draft = None
        if (draft_name := row.get(columns["draft"]) if "draft" in columns else None) not in (None, ""):
            draft = self._files.find(base, draft_name, f"{where}, column {columns['draft']}")
            if not draft.is_file():
                return Unusable(identity, "no draft", f"{where}: there is no file {draft_name}")
        return Photo(identity, path, draft=draft, **facts)

    def _of_texts(self, captions: Mapping[str, str]) -> dict[str, Photo | Unusable]:
        paths: dict[str, Path] = {}
        for path in self._tree.images():
            add_unique(paths, safe_id(stem_of(path.name)), path, self._tree.root)
        found: dict[str, Photo | Unusable] = not_read(self._tree)
        for identity, path in paths.items():
            name = parse_file_name(path.name)
            found[identity] = Photo(
                identity,
                path,
                _text_beside(path) or captions.get(stem_of(path.name)),
                attributes={"colourway": name.colourway} if name else {},
                **(name.facts if name else {}),
            )
        return found


def _text_beside(path: Path) -> str | None:
    try:
        return " ".join(path.with_suffix(".txt").read_text("utf-8-sig").split()) or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidDataError(
            f"{path.with_suffix('.txt')} can't be read ({error.strerror}); change its rights"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{path.with_suffix('.txt')} can't be read ({error}); save it as UTF-8 text") from error
