"""A user's own photographs and captions, found by `image_id`: any folder, as it was unpacked."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import DatasetNotFoundError, InvalidDataError
from .files import parse_json, read_regular
from .images import SUFFIXES, UNREAD_SUFFIXES
from .types import safe_id

_MOST_BYTES = 512 * 2**20  # of a file with captions
_CAPTION_FILES = ("captions.json", "metadata.jsonl", "metadata.csv")
_HUB_ROWS = "rows.jsonl"  # what a build keeps of a dataset on the Hub
_LONGEST_NAME = 300  # letters
_NAME_COLUMNS = ("image_id", "file_name", "image", "original", "name", "path", "id")
_CAPTION_COLUMNS = ("annotation", "caption", "text", "prompt")


class PhotoIndex:
    """The photographs of a folder by their names, and the captions that lie there.

    Only names and tables are read: a photograph is opened when it is asked for. Files may lie at any depth; several
    with one name (as `segm/<id>.png` beside `images/<id>.jpg`) are all offered, and so are those that a row of a table
    names beside the id. Whoever asks compares hashes, so that no column has to be called as somebody expects. Without a
    file of captions the `captions.json`, `metadata.jsonl` or CSV file that lies highest counts.

    Raises:
        DatasetNotFoundError: There is no such folder, or no photograph in it.
        InvalidDataError: The file with the captions can't be read.
    """

    def __init__(self, folder: Path | str, captions: Path | str | None = None) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DatasetNotFoundError(
                f"{folder} {'is no folder' if self.folder.exists() else 'does not exist'}; check the path of your "
                "photographs"
            )
        self._files: dict[str, list[Path]] = {}
        found: list[Path] = []
        for path in walk_files(self.folder):
            if path.suffix.lower() in SUFFIXES:
                self._files.setdefault(safe_id(path.stem), []).append(path)
            elif path.name in (*_CAPTION_FILES, _HUB_ROWS) or path.suffix.lower() == ".csv":
                found.append(path)
        if not self._files:
            raise DatasetNotFoundError(
                f"{folder} holds no photographs ({', '.join(SUFFIXES)}); give the folder that you unpacked them into"
            )
        self.captions_file = Path(captions) if captions is not None else _first(found, self.folder)
        self._rows: dict[str, list[tuple[list[Path], list[str]]]] = {}  # by id, the files and all texts of each row
        tables = {path for path in found if path.suffix != ".json"}
        self._sources = sorted(tables | ({self.captions_file} if self.captions_file is not None else set()))
        for table in self._sources:
            if table.suffix != ".json":
                self._read_table(table)
        texts = {}
        try:
            texts = read_captions(self.captions_file)
        except InvalidDataError:
            if not self._rows:
                raise  # otherwise its columns have names of their own
        self._captions = {safe_id(name): text for name, text in texts.items()}

    def files(self, key: str) -> tuple[Path, ...]:
        """Returns the files that may be the photograph with this id, JPEG before PNG before WebP."""
        paths = {*self._files.get(key, ()), *(path for paths, _ in self._rows.get(key, ()) for path in paths)}
        order = {path: (SUFFIXES.index(path.suffix.lower()), len(path.parts), path.as_posix()) for path in paths}
        return tuple(sorted(paths, key=order.__getitem__))

    def all_files(self) -> Iterator[Path]:
        """Yields every photograph."""
        for paths in self._files.values():
            yield from paths

    def caption(self, key: str) -> str | None:
        """Returns the caption of the photograph with this id; None where there is none."""
        return self._captions.get(key)

    def captions(self, key: str) -> Iterator[str | None]:
        """Yields what may be the caption of the photograph with this id, the likeliest first.

        It is what `caption` returns, each text in its rows, and the text file beside it.
        """
        yield self.caption(key)
        for _, texts in self._rows.get(key, ()):
            yield from texts
        for path in self.files(key):
            with suppress(OSError, UnicodeDecodeError):
                yield path.with_suffix(".txt").read_text("utf-8-sig")

    def _read_table(self, table: Path) -> None:
        """Keeps the rows that name a photograph; a table about something else has none."""
        with suppress(OSError, ValueError, RecursionError, csv.Error):
            for row in _table_rows(table):
                texts = list(_texts(row)) if isinstance(row, Mapping) else []
                names = [text for text in texts if len(text) <= _LONGEST_NAME]
                paths = [path for name in names for path in self._files.get(safe_id(stem_of(name)), ())]
                if paths:
                    for key in {safe_id(spelling) for name in names for spelling in (name, stem_of(name))}:
                        self._rows.setdefault(key, []).append((paths, texts))

    def fingerprint(self, keys: Iterable[str]) -> str:
        """Returns what changes when one of these photographs or the captions do: a name, a size or a time."""
        digest = hashlib.sha256()
        for path in (*(path for key in sorted(keys) for path in self.files(key)), *self._sources):
            state = path.stat()
            digest.update(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]


def holds_photographs(folder: Path) -> bool:
    """Returns whether a photograph lies in the folder, at any depth."""
    return any(path.suffix.lower() in SUFFIXES for path in walk_files(folder))


def read_captions(path: Path | None) -> dict[str, str]:
    """Returns the captions of a file by the photographs' names without folder and ending; none without a file.

    JSON is an object of name and caption, JSON lines and CSV have a column with the name (`file_name`, `image`, …) and
    one with the caption (`caption`, `text`, `annotation`, …).

    Raises:
        InvalidDataError: The file is missing or is none of these.
    """
    if path is None:
        return {}
    try:
        if path.suffix.lower() in (".csv", ".jsonl"):
            return _of_rows(_table_rows(path), path)
        values = parse_json(read_regular(path, _MOST_BYTES), name=str(path))
    except (OSError, InvalidDataError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataError(
            f"the captions in {path} can't be read ({str(error) or type(error).__name__}); give captions.json, a "
            "metadata.jsonl or a CSV file"
        ) from error
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        raise InvalidDataError(f'{path} is no JSON object of captions; write {{"photograph.jpg": "its caption", …}}')
    return {stem_of(name): text for name, text in values.items()}


def _table_rows(path: Path) -> Iterator[Any]:
    text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    if path.suffix.lower() == ".csv":
        yield from csv.DictReader(io.StringIO(text, newline=""))
    else:
        yield from (parse_json(line, name=str(path)) for line in text.split("\n") if line.strip())


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    for value in row.values():
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, str | int | float) and (text := str(value).strip()):
            yield text


def _of_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            raise InvalidDataError(f"{path} has a line that is no JSON object; write one with name and caption each")
        name = next((row[column] for column in _NAME_COLUMNS if isinstance(row.get(column), str)), None)
        text = next((row[column] for column in _CAPTION_COLUMNS if isinstance(row.get(column), str)), None)
        if name is not None and text is not None:
            found[stem_of(name)] = text
    if not found:
        raise InvalidDataError(
            f"{path} has no captions; it needs a column with the name ({', '.join(_NAME_COLUMNS)}) and one with the "
            f"caption ({', '.join(_CAPTION_COLUMNS)})"
        )
    return found


def stem_of(name: str) -> str:
    r"""Returns the name without folders, written with either slash, and without the ending of a picture; composed.

    >>> stem_of("images\\a.b.JPG")
    'a.b'
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return stem if dot and stem and f".{suffix.lower()}" in (*SUFFIXES, *UNREAD_SUFFIXES) else last


class NamedFiles:
    """Finds the files in `root` that a table names, whatever system wrote the table and unpacked the files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._inside = root.resolve()
        self._entries: dict[Path, dict[str, Path]] = {}

    def find(self, base: Path, name: Any, where: str) -> Path:
        """Returns the path that a table in the folder `base` means, which may not exist; messages call it `where`.

        Tried are the name as it is, a name that is equal once letters are composed (NFC), and both with backslashes
        as slashes.

        Raises:
            InvalidDataError: It is no relative path, leads out of the folder (links followed), or can't be looked up.
        """
        if not isinstance(name, str) or not name.strip() or "\0" in name or Path(name).is_absolute():
            raise InvalidDataError(f"{where}: {name!r} is no relative path; write the path from the table's folder")
        try:
            path = self._lookup(base, name)
            inside = path.resolve().is_relative_to(self._inside)
        except (OSError, RuntimeError) as error:  # a circle of links, or a name that is too long
            reason = getattr(error, "strerror", None) or error
            raise InvalidDataError(f"{where}: {name[:80]} can't be looked up ({reason}); check the path") from error
        if not inside:
            raise InvalidDataError(f"{where}: {name[:80]} lies outside {self._root}; copy the image into the folder")
        return path

    def _lookup(self, base: Path, name: str) -> Path:
        names = dict.fromkeys((name, name.replace("\\", "/")))
        for spelling in names:
            if (path := base / spelling).exists():
                return path
            if (found := self._equal(base, spelling)) is not None:
                return found
        return base / list(names)[-1]

    def _equal(self, base: Path, name: str) -> Path | None:
        """Returns the file whose name is equal once composed; None without one."""
        path = base
        for part in Path(name).parts:
            if part != ".." and not (path / part).exists():
                found = self._listed(path).get(unicodedata.normalize("NFC", part))
                if found is None:
                    return None
                path = found
            else:
                path = path / part
        return path

    def _listed(self, folder: Path) -> dict[str, Path]:
        if folder not in self._entries:
            entries = folder.iterdir() if folder.is_dir() else ()
            self._entries[folder] = {unicodedata.normalize("NFC", path.name): path for path in sorted(entries)}
        return self._entries[folder]


def walk_files(folder: Path) -> Iterator[Path]:
    """Yields the files below a folder in an order that depends on their names only.

    Hidden ones and the folders that macOS puts into archives are passed over; links are followed, circles are not.
    """
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if (place := str(Path(root).resolve())) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _first(found: list[Path], folder: Path) -> Path | None:
    def rank(path: Path) -> tuple[int, int, str]:
        usual = _CAPTION_FILES.index(path.name) if path.name in _CAPTION_FILES else len(_CAPTION_FILES)
        return (usual, len(path.relative_to(folder).parts), path.as_posix())

    for path in sorted(found, key=rank):
        if path.name in _CAPTION_FILES:
            return path
        try:
            read_captions(path)
        except InvalidDataError:
            continue  # a CSV file about something else
        return path
    return None
