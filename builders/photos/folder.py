"""Any folder of photographs with a table beside them, or with a text file beside each."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import open_regular, parse_json
from fashionedit.photo_index import NamedFiles, read_captions, stem_of
from fashionedit.runtime.progress import Progress
from fashionedit.types import safe_id

from .sources import FileTree, Photo, Unusable, cell, match_columns, photo_facts

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

    With tables, their rows are the photographs: a column with the path from the table's folder, and further ones that
    `columns` names or that have usual names. Without, every image is, and `<stem>.txt` beside it is its caption. A file
    with captions fills in what is missing.
    """

    def __init__(
        self, tree: FileTree, tables: tuple[Path, ...], captions: Path | None, columns: Mapping[str, str] | None
    ) -> None:
        self.root: Path | None = tree.root
        self._tree = tree
        self._tables = tables
        self._captions = captions
        self._columns = dict(sorted((columns or {}).items()))
        self._files = NamedFiles(tree.root)

    def describe(self) -> dict[str, Any]:
        """Returns the kind, the folder's name, its tables, and what a user said about captions and columns."""
        return {
            "kind": "folder",
            "spec": self._tree.name,
            "tables": [path.relative_to(self._tree.root).as_posix() for path in self._tables],
            "captions": self._captions.name if self._captions else None,
            "columns": self._columns,
        }

    def photos(self, fetching: Progress | None = None) -> list[Photo | Unusable]:
        """Returns a photograph for each row, or for each image."""
        captions = read_captions(self._captions)
        found = self._of_rows(captions) if self._tables else self._of_texts(captions)
        if not found:
            raise DatasetNotFoundError(f"{self._tree.root} holds no photographs; add images, or rows to its table")
        return [found[identity] for identity in sorted(found)]

    def _of_rows(self, captions: Mapping[str, str]) -> dict[str, Photo | Unusable]:
        found: dict[str, Photo | Unusable] = {}
        places: dict[str, str] = {}
        for table in self._tables:
            name = table.relative_to(self._tree.root).as_posix()
            rows = list(_read_table(table, name))
            if not rows:
                raise InvalidDataError(f"{name} has no row; write one for each photograph")
            columns = self._match_columns(name, [row for _, row in rows], captions)
            for where, row in rows:
                item = self._of_row(table.parent, where, row, columns, captions)
                if (first := places.setdefault(item.id, where)) != where:
                    raise InvalidDataError(f"{where}: the photograph {item.id} stands in {first} too; ids are unique")
                found[item.id] = item
        return found

    def _match_columns(
        self, name: str, rows: Sequence[Mapping[str, Any]], captions: Mapping[str, str]
    ) -> dict[str, str]:
        names = list(dict.fromkeys(column for row in rows for column in row))
        columns = match_columns(names, self._columns, where=name)
        column = columns.get("id", "")
        if column.casefold() == "item_id" and "id" not in self._columns and "garment_id" not in columns:
            values = [str(row[column]).strip() for row in rows if row.get(column) not in (None, "")]
            if len(values) > len(set(values)):  # several rows share one, so that it names no photograph but a garment
                columns["garment_id"] = columns.pop("id")
        if not captions and "caption" not in columns and "draft" not in columns:
            raise InvalidDataError(
                f"{name} has no column with a caption (caption, annotation, text, prompt, description); it has "
                f"{', '.join(names)}: name one with --column caption=…, or give --captions FILE"
            )
        return columns

    def _of_row(
        self, base: Path, where: str, row: Mapping[str, Any], columns: Mapping[str, str], captions: Mapping[str, str]
    ) -> Photo | Unusable:
        def find(field: str) -> Path:
            return self._files.find(base, row.get(columns[field]), f"{where}, column {columns[field]}")

        path = find("image")
        given = cell(row, columns, "id")
        identity = safe_id(str(given).strip() if given not in (None, "") else stem_of(path.name))
        if not path.is_file():
            return Unusable(identity, "no image file", f"{where}: there is no file {row[columns['image']]}")
        draft = find("draft") if cell(row, columns, "draft") not in (None, "") else None
        if draft is not None and not draft.is_file():
            return Unusable(identity, "no draft", f"{where}: there is no file {row[columns['draft']]}")
        facts = photo_facts(path.name, row, columns)
        if facts["caption"] is None:
            facts["caption"] = captions.get(stem_of(path.name))
        return Photo(identity, path, draft=draft, **facts)

    def _of_texts(self, captions: Mapping[str, str]) -> dict[str, Photo | Unusable]:
        found = self._tree.unread()
        for identity, path in self._tree.by_id(self._tree.images()).items():
            facts = photo_facts(path.name)
            facts["caption"] = _text_beside(path) or captions.get(stem_of(path.name))
            found[identity] = Photo(identity, path, **facts)
        return found


def _text_beside(path: Path) -> str | None:
    beside = path.with_suffix(".txt")
    try:
        return " ".join(beside.read_text("utf-8-sig").split()) or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidDataError(f"{beside} can't be read ({error.strerror}); change its rights") from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{beside} can't be read ({error}); save it as UTF-8 text") from error


def _read_table(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields where a row of a JSON lines or CSV file stands (`metadata.csv, line 3`) and its values by column."""
    try:
        with TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as lines:
            yield from _csv_rows(lines, name) if path.suffix.lower() == ".csv" else _json_rows(lines, name)
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); change its rights") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataError(f"{name} can't be read ({error}); save it as UTF-8 text") from error


def _json_rows(lines: TextIOWrapper, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
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


def _csv_rows(lines: TextIOWrapper, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = csv.DictReader(lines, strict=True)
    for row in rows:
        where = f"{name}, line {rows.line_num}"
        if None in row or None in row.values():
            raise InvalidDataError(
                f"{where}: it has {'more' if None in row else 'fewer'} values than the first line names columns; "
                "put texts with commas in quotes"
            )
        yield where, dict(row)
