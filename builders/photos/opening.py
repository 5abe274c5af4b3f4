"""Opens a source; looks into it to find out its kind."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, UnknownNameError
from fashionedit.files import cache_folder, lock_folder
from fashionedit.photo_index import holds_photographs
from fashionedit.runtime.progress import Progress

from .deepfashion import DeepFashionFolder
from .folder import TABLE_FILES, PhotoFolder, find_tables
from .hub import HubDataset
from .release import ReleaseFolder
from .sources import FileTree, PhotoSource

IMAGES_FOLDER = "photos"
KINDS = ("deepfashion", "folder", "hub", "release")

_REPOSITORY = re.compile(r"(?:hub:)?(?P<id>[\w-][\w.-]*/[\w-][\w.-]*?)(?:@(?P<revision>[^@\s]+))?")
_DATA_FILES = (".parquet", ".arrow")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
_FOUR_KINDS = (
    "photographs come from a DeepFashion-MultiModal folder (images/ and captions.json), the authors' release "
    "(resize_orig/, resize_gen/ and diff.json), a folder with metadata.jsonl, a CSV table or a .txt beside each image, "
    "or a dataset on the Hub (org/name)"
)


def open_source(
    spec: str | Path,
    *,
    work: Path,
    kind: str | None = None,
    captions: Path | None = None,
    columns: Mapping[str, str] | None = None,
    config: str | None = None,
    split: str | None = None,
) -> PhotoSource:
    """Returns the source; of its files nothing but the names was read.

    Args:
        spec: A folder, a table (`photos/metadata.csv`), or a dataset on the Hub: `org/name`, `hub:org/name`, with
            `@revision` where one is meant. A folder that is there wins over a repository of its name.
        work: The build's work folder; a dataset's images are kept in `photos` in it.
        kind: One of `KINDS`, where looking would find another.
        captions: A file with captions by photograph: `captions.json`, JSON lines or CSV.
        columns: Field and column, for tables and datasets: `image`, `caption`, `id`, `gender`, `category`,
            `garment_id`, `view` or `draft`.
        config, split: Of a dataset.

    Raises:
        DatasetNotFoundError: There is no such place, or nothing that was understood in it.
        InvalidDataError: A file of it is not what it must be, or an option does not fit the kind.
        UnknownNameError: There is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownNameError(f"no kind of source is called {kind!r}; choose {', '.join(KINDS)}")
    if captions is not None and not captions.is_file():
        raise DatasetNotFoundError(f"there is no file {captions} with captions; check the path")
    path, place, revision = Path(spec), str(spec), None
    if not place.startswith("hub:") and path.exists():
        tree, tables = _opened(path)
        kind = kind or ("folder" if tables else _kind_of(tree, captions))
        allowed = {"folder": ("--column",), "hub": ("--column", "--source-config", "--source-split")}.get(kind, ())
        options = {"--source-config": config, "--source-split": split, "--column": columns}
        for name, value in options.items():
            if value and name not in allowed:
                raise InvalidDataError(f"{name} means nothing for a source of the kind {kind}; leave it out")
        if kind == "folder":
            return PhotoFolder(tree, tables or find_tables(tree), captions, columns)
        if kind != "hub":
            return DeepFashionFolder(tree, captions) if kind == "deepfashion" else ReleaseFolder(tree, captions)
    else:
        match = _REPOSITORY.fullmatch(place)
        if match is None or kind not in (None, "hub"):
            raise DatasetNotFoundError(f"{spec} does not exist; {_FOUR_KINDS}")
        place, revision = match["id"], match["revision"]
    return HubDataset(
        place,
        work / IMAGES_FOLDER,
        captions=captions,
        columns=columns,
        config=config,
        split=split,
        revision=revision,
    )


def fetch_photographs(
    spec: str,
    *,
    columns: Mapping[str, str] | None,
    config: str | None,
    split: str | None,
    fetching: Progress,
) -> Path:
    """Returns the folder with a user's photographs; those of a dataset on the Hub, or in Parquet, are fetched first.

    What was fetched stays in the cache folder, and the same call again fetches what is missing.
    """
    path = Path(spec)
    asked = {"columns": columns, "config": config, "split": split}
    if path.exists() and not _holds_data_files_alone(path):
        return path
    place = str(path.resolve()) if path.exists() else spec
    name = hashlib.sha256(json.dumps([place, asked], sort_keys=True).encode()).hexdigest()[:16]
    work = cache_folder() / "photographs" / name
    source = open_source(spec, work=work, kind="hub", columns=columns, config=config, split=split)
    work.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(work)
    try:
        source.photos(fetching)
    finally:
        os.close(lock)
    return work / IMAGES_FOLDER


def _holds_data_files_alone(path: Path) -> bool:
    if not path.is_dir() or holds_photographs(path):
        return False
    return any(file.suffix.lower() in _DATA_FILES for file in FileTree(path).files)


def _opened(path: Path) -> tuple[FileTree, tuple[Path, ...]]:
    """Returns the folder, and the table where the path is one."""
    if path.is_dir():
        return FileTree(path), ()
    if path.suffix.lower() in (".csv", ".jsonl"):
        return FileTree(path.parent), (path,)
    if path.suffix.lower() in _ARCHIVES:
        raise DatasetNotFoundError(f"{path} is an archive; unpack it and give the folder")
    raise DatasetNotFoundError(f"{path} is a file that is no table; {_FOUR_KINDS}")


def _kind_of(tree: FileTree, captions: Path | None) -> str:
    names = {path.name for path in tree.files}
    images = list(tree.images())
    if ReleaseFolder.found_in(tree):
        return "release"
    if names & set(TABLE_FILES):
        return "folder"
    if DeepFashionFolder.found_in(tree):
        return "deepfashion"
    if images and (
        find_tables(tree) or captions is not None or any(path.with_suffix(".txt").is_file() for path in images)
    ):
        return "folder"
    if any(path.suffix.lower() in _DATA_FILES for path in tree.files):
        return "hub"
    if archives := [path for path in tree.files if path.suffix.lower() in _ARCHIVES]:
        first = archives[0].relative_to(tree.root).as_posix()
        raise DatasetNotFoundError(
            f"{tree.root} holds {first}{' and other archives' if len(archives) > 1 else ''}, but no photographs; "
            f"unpack {'them' if len(archives) > 1 else 'it'} there, and the same command goes on"
        )
    raise DatasetNotFoundError(f"nothing in {tree.root} was understood; {_FOUR_KINDS}")
