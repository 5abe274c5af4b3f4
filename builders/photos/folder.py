"""Any folder of photographs with a table beside them, or with a text file beside each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fashionedit.builders.photo import Photo
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.photographs import NamedFiles, read_captions, stem_of
from fashionedit.types import safe_id

from .columns import item_is_garment, match_columns, photo_facts
from .file_names import parse_file_name
from .source import Progress, Unusable, add_unique, not_read
from .tables import read_table
from .tree import FileTree

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
