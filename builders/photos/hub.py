"""Photographs of a dataset on the Hub, or of a folder that `datasets` opens; each row is fetched once and kept.

    <work>/hub.json            which dataset, at which commit, and the number of rows once all are there
    <work>/rows.jsonl          one line for each row, written after its images
    <work>/images/<aa>/<id>.*  the encoded bytes as they came

A process killed at any moment goes on after the last whole line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, ServiceError, UnknownNameError
from fashionedit.files import append_line, read_regular, write_atomically
from fashionedit.images import MAX_FILE_BYTES
from fashionedit.photo_index import read_captions, stem_of
from fashionedit.runtime.progress import Progress
from fashionedit.types import safe_id

from .sources import Photo, Unusable, cell, match_columns, photo_facts

HUB_FILE = "hub.json"
ROWS_FILE = "rows.jsonl"

_SIGNATURES = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp", b"GIF8": "gif", b"BM": "bmp"}


class _Row(BaseModel):
    """A kept row: its files, relative to the work folder, and the arguments of `Photo`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int
    id: str
    image: str | None = None
    draft: str | None = None
    facts: dict[str, Any] = {}


class HubDataset:
    """A dataset whose rows have an image and a caption: on the Hub, or a folder with Parquet or other data files.

    Args:
        place: `org/name`, or the folder.
        work: Where its images are kept.
        captions: A file with captions by photograph, for rows without one.
        columns: Field and column, such as `caption` → `text`; the others have usual names.
        config, split: Of the dataset; needed where there are several.
        revision: Branch, tag or commit. A branch is followed once: later runs stay at the commit of the first.
    """

    def __init__(
        self,
        place: str,
        work: Path,
        *,
        captions: Path | None,
        columns: Mapping[str, str] | None,
        config: str | None,
        split: str | None,
        revision: str | None,
    ) -> None:
        self.root: Path | None = Path(place) if Path(place).is_dir() else None
        self._place = place
        self._work = work
        self._captions = captions
        self._columns = dict(sorted((columns or {}).items()))
        self._asked = {"config": config, "split": split, "revision": revision}
        self._state: dict[str, Any] = {}

    def describe(self) -> dict[str, Any]:
        """Returns repository and commit, or the folder and the hash of its file list, and what was asked for."""
        identity = {key: value for key, value in self._started().items() if key != "rows"}
        return {**identity, "captions": self._captions.name if self._captions else None}

    def photos(self, fetching: Progress | None = None) -> list[Photo | Unusable]:
        """Returns a photograph for each row, once all rows are here; what was fetched is kept on an error."""
        rows = self._fetched(fetching)
        captions = read_captions(self._captions)
        items: list[Photo | Unusable] = []
        for row in sorted(rows, key=lambda row: row.id):
            if row.image is None:
                items.append(Unusable(row.id, "no image", f"row {row.row} of {self._place} has no image"))
                continue
            facts = dict(row.facts)
            if facts.get("caption") is None:
                facts["caption"] = captions.get(row.id)
            draft = self._work / row.draft if row.draft is not None else None
            items.append(Photo(row.id, self._work / row.image, draft=draft, **facts))
        return items

    def _started(self) -> dict[str, Any]:
        """Returns what `hub.json` says, written now if it was not."""
        if self._state:
            return self._state
        wanted = {
            "kind": "hub",
            "spec": self.root.resolve().name if self.root else self._place,
            "columns": self._columns,
            **self._asked,
            **({"files": _file_list(self.root)} if self.root else {}),
        }
        path = self._work / HUB_FILE
        before: dict[str, Any] | None = None
        try:
            state = json.loads(path.read_bytes())
            before = {key: value for key, value in state.items() if key not in ("commit", "rows")}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError) as error:
            raise InvalidDataError(
                f"{path} can't be understood ({error}); delete its folder to fetch all anew"
            ) from error
        if before != wanted:
            if before is not None and (self._work / ROWS_FILE).exists():
                raise InvalidDataError(
                    f"{self._work} holds the photographs of another dataset, or of other columns ({path.name}); choose "
                    "another --work folder, or delete this one"
                )
            state = {**wanted, "commit": None if self.root else _commit_of(self._place, self._asked["revision"])}
            self._keep(state)
        self._state = state
        return self._state

    def _keep(self, state: Mapping[str, Any]) -> None:
        write_atomically(self._work / HUB_FILE, (json.dumps(state, indent=1, ensure_ascii=False) + "\n").encode())

    def _fetched(self, fetching: Progress | None) -> list[_Row]:
        state = self._started()
        rows = self._kept_rows()
        if state.get("rows") == len(rows):
            return rows
        source = _OpenedSplit(self._place, state["config"], state["split"], state["commit"])
        columns = match_columns(source.columns, self._columns, where=self._place)
        for name in ("image", "draft"):
            if name in columns and columns[name] not in source.image_columns:
                if name in self._columns or name == "image":
                    raise InvalidDataError(
                        f"the column {columns[name]} of {self._place} holds no images; those with images are "
                        f"{', '.join(source.image_columns) or 'none'}: name one with --column {name}=…"
                    )
                del columns[name]
        ids = {row.id: row.row for row in rows}
        for number, values in enumerate(source.rows(len(rows)), len(rows)):
            row = self._kept(source, columns, number, values)
            if (first := ids.setdefault(row.id, number)) != number:
                raise InvalidDataError(
                    f"rows {first} and {number} of {self._place} have the same id, {row.id}; name a column whose "
                    "values are unique with --column id=… and, where this one names the garment, that with --column "
                    f"garment_id=…, and delete {self._work}"
                )
            append_line(self._work / ROWS_FILE, row.model_dump_json(exclude_defaults=True))
            rows.append(row)
            if fetching is not None:
                fetching(len(rows), max(len(rows), source.total))
        if not rows:
            raise DatasetNotFoundError(f"the split {source.split} of {self._place} has no rows; choose another split")
        self._state = {**state, "rows": len(rows)}
        self._keep(self._state)
        return rows

    def _kept_rows(self) -> list[_Row]:
        """Returns the rows whose lines are whole, up to the first that is missing."""
        try:
            lines = (self._work / ROWS_FILE).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        rows: list[_Row] = []
        for line in lines:
            try:
                row = _Row.model_validate_json(line)
            except ValidationError:
                continue  # what a killed process left of a line; its row was fetched again
            if row.row == len(rows):
                rows.append(row)
        return rows

    def _kept(self, source: _OpenedSplit, columns: Mapping[str, str], number: int, values: Mapping[str, Any]) -> _Row:
        """Returns the row, once its images are on disk."""
        image = values.get(columns["image"])
        name = cell(values, columns, "id")
        if name in (None, "") and isinstance(image, dict) and isinstance(image.get("path"), str):
            name = image["path"].split("::")[0]
        if isinstance(name, str) and "://" in name:
            name = name.partition("?")[0]  # a signed URL's signature is no part of an id
        identity = safe_id(stem_of(str(name)) if name not in (None, "") else f"{source.split}-{number:06d}")
        plain = {key: value for key, value in values.items() if key not in source.image_columns}
        return _Row(
            row=number,
            id=identity,
            image=self._kept_image(image, "images", identity),
            draft=self._kept_image(cell(values, columns, "draft"), "drafts", identity),
            facts=photo_facts(identity, plain, columns),
        )

    def _kept_image(self, value: Any, folder: str, identity: str) -> str | None:
        data = read_image_cell(self._place, value)
        if data is None:
            return None
        fan = hashlib.sha256(identity.encode()).hexdigest()[:2]
        suffix = next((suffix for start, suffix in _SIGNATURES.items() if data.startswith(start)), "img")
        name = f"{folder}/{fan}/{identity}.{suffix}"
        path = self._work / name
        if not path.is_file() or path.read_bytes() != data:
            write_atomically(path, data)
        return name


def _file_list(folder: Path) -> str:
    """Returns what changes when a file of the folder does: its name, size or time."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        state = path.stat()
        digest.update(f"{path.relative_to(folder).as_posix()} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


class _OpenedSplit:
    """One split of a dataset, of which nothing but the schema was read: its name, its columns and its rows."""

    def __init__(self, place: str, config: str | None, split: str | None, revision: str | None) -> None:
        from datasets import Image, load_dataset

        with _one_sentence(place):
            found = load_dataset(place, config, revision=revision, streaming=True)
        names = sorted(map(str, found))
        if split is None and len(names) > 1:
            raise UnknownNameError(f"{place} has the splits {', '.join(names)}; choose one with --source-split")
        if split is not None and split not in names:
            raise UnknownNameError(f"{place} has no split {split!r}; it has {', '.join(names)}")
        self.split = split or names[0]
        dataset = found[self.split]
        if dataset.features is None:
            with _one_sentence(place):
                dataset = dataset._resolve_features()
        self.columns = tuple(dataset.features)
        self.image_columns = tuple(name for name, kind in dataset.features.items() if isinstance(kind, Image))
        for name in self.image_columns:
            dataset = dataset.cast_column(name, Image(decode=False))
        sizes = dataset.info.splits or {}
        self.total = (sizes[self.split].num_examples if self.split in sizes else None) or 0
        self._place, self._dataset = place, dataset

    def rows(self, start: int) -> Iterator[dict[str, Any]]:
        """Yields rows from the `start`-th on; class labels as their names, images as `{"bytes", "path"}`, undecoded."""
        from datasets import ClassLabel

        labels = {name: kind for name, kind in self._dataset.features.items() if isinstance(kind, ClassLabel)}
        with _one_sentence(self._place):
            for row in self._dataset.skip(start):
                for name, kind in labels.items():
                    if isinstance(row.get(name), int) and 0 <= row[name] < kind.num_classes:
                        row[name] = kind.int2str(row[name])
                yield row


def read_image_cell(place: str, value: Any) -> bytes | None:
    """Returns the encoded bytes of `{"bytes", "path"}` as a row has it; None where the row has no image.

    Raises:
        InvalidDataError: The row names a file outside the dataset, or one that is too large.
        ServiceError: The Hub can't be reached any more.
    """
    if not isinstance(value, dict):
        return None
    data, path = value.get("bytes"), value.get("path")
    if data is None and isinstance(path, str):
        data = _file_of_dataset(place, path)
    if data is not None and len(data) > MAX_FILE_BYTES:
        raise InvalidDataError(
            f"{place} holds an image above the {MAX_FILE_BYTES // 2**20} MiB that are read ({str(path)[:120]})"
        )
    return None if data is None else bytes(data)


def _file_of_dataset(place: str, path: str) -> bytes:
    """Returns the content of a file of the dataset that a row names, or more than the most that is read.

    `datasets` reads several places in one path (`inner::outer`) in an order of its own, so none of those is read.
    """
    folder = Path(place)
    local = folder.is_dir()
    inside = local or path.startswith((f"hf://datasets/{place}@", f"hf://datasets/{place}/"))
    if not inside or "::" in path or "\0" in path or ".." in path.split("/"):
        raise InvalidDataError(
            f"a row of {place} names the image {path[:120]!r}, which lies outside the dataset or in more than "
            "one place; give the dataset with its images in it"
        )
    try:
        if local:
            return read_regular(folder / path, MAX_FILE_BYTES, folder=folder)
    except (InvalidDataError, OSError) as error:
        raise InvalidDataError(
            f"a row of {place} names the image {path[:120]!r}, which can't be read from inside the dataset "
            f"({_first_line(error)})"
        ) from error
    from datasets.utils.file_utils import xopen

    with _one_sentence(place), xopen(path, "rb") as file:
        data: bytes = file.read(MAX_FILE_BYTES + 1)
    return data


def _commit_of(repository: str, revision: str | None) -> str:
    """Returns the commit that the revision stands for now, 40 hex digits."""
    from huggingface_hub import HfApi

    with _one_sentence(repository):
        return str(HfApi().dataset_info(repository, revision=revision).sha)


_NETWORK = ("aiohttp", "fsspec", "httpcore", "httpx", "huggingface_hub", "requests")


@contextmanager
def _one_sentence(place: str) -> Iterator[None]:
    """Turns what `datasets` and the Hub's client raise into our errors."""
    from datasets.exceptions import DatasetNotFoundError as NotThere
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except (NotThere, FileNotFoundError, RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise DatasetNotFoundError(
            f"{place} can't be opened as a dataset ({_first_line(error)}); check the name and the revision, and log in "
            "(hf auth login) if it is not public"
        ) from error
    except Exception as error:
        from_outside = isinstance(error, OSError) or type(error).__module__.split(".")[0] in _NETWORK
        if from_outside and not Path(place).is_dir():
            raise ServiceError(
                f"the Hub does not answer for {place} ({_first_line(error)}); check the network, and the same "
                "command continues"
            ) from error
        if from_outside or isinstance(error, ValueError | RuntimeError):
            raise InvalidDataError(
                f"the dataset {place} can't be read ({_first_line(error)}); check its configuration and its files"
            ) from error
        raise


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]
