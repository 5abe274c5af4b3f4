"""Opening data by name: what a user names, and where it comes from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .card import CARD_FILE, data_files, read_card
from .errors import DatasetNotFoundError, InvalidDataError
from .files import settings_file, write_atomically
from .folder import FashionEditFolder, open_folder, split_files
from .manifest import MANIFEST_FILE
from .photo_index import PhotoIndex, holds_photographs
from .synthetic.rendering import Progress, renderer_key, synthetic_folder
from .types import split_names


def open_data(
    spec: str | Path | None,
    split: str = "validation",
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> FashionEditFolder:
    """Returns the samples of a split.

    Args:
        spec: A FashionEdit folder; a folder of photographs, which fills in the annotations form that the bare name
            stands for (once, then kept in the cache); `synthetic` or `synthetic:N` (rendered once, then kept); a Hub
            repository `org/name[@revision]`; None or `fashionedit` for the full set, wherever it is registered.
        split: `train`, `validation` (`val`), or `train+validation`.
        workers: Processes that render a synthetic set.
        progress: Called with the samples done and the samples in all while one is rendered.

    Raises:
        DatasetNotFoundError: No place that was looked at holds the data.
        UnknownNameError: It has no such split.
        InvalidDataError: A file, column or row is not what it must be.
    """
    source = find_source(spec)
    if not isinstance(source, SyntheticSet):
        return open_folder(source.folder(), split)
    folder = synthetic_folder(source.samples, split_names(split), seed=source.seed, workers=workers, progress=progress)
    return open_folder(folder, split)


def find_folder(spec: str | Path | None) -> Path:
    """Returns the FashionEdit folder that `spec` names, fetched or filled in where that is needed.

    Raises:
        InvalidDataError: `spec` names the synthetic set, for which `open_data` is.
    """
    source = find_source(spec)
    if isinstance(source, SyntheticSet):
        raise InvalidDataError(f"{spec} is no folder of its own; write it to one first: fashionedit synthesize OUT")
    return source.folder()


DEFAULT_SAMPLES = 24
_REPOSITORY = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*?)(?:@([^@\s]+))?")


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A FashionEdit folder on this machine."""

    path: Path

    def folder(self, token: str | bool | None = None) -> Path:
        """Returns the folder."""
        return self.path

    def fingerprint(self, token: str | bool | None = None) -> str:
        """Returns what changes when a file of the folder does: its name, size or time."""
        names = sorted({name for files in split_files(self.path).values() for name in files})
        digest = hashlib.sha256()
        for name in (*names, CARD_FILE, MANIFEST_FILE):
            if (file := self.path / name).is_file():
                state = file.stat()
                digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """The control set, rendered on this machine."""

    samples: int = DEFAULT_SAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("samples", self.samples, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidDataError(f"{name} is {value!r}; the synthetic set needs a whole number from {least} on")

    def fingerprint(self, token: str | bool | None = None) -> str:
        """Returns what changes when the renderer does."""
        return renderer_key()


@dataclass(frozen=True, slots=True)
class Repository:
    """A dataset repository on the Hugging Face Hub.

    Its methods raise DatasetNotFoundError where it does not exist, is closed to us, or can't be reached.
    """

    id: str
    revision: str | None = None

    def fingerprint(self, token: str | bool | None = None) -> str:
        """Returns the commit that the revision stands for; the one fetched last where the Hub can't be reached."""
        return self._fetch(token, [CARD_FILE]).name

    def folder(self, token: str | bool | None = None) -> Path:
        """Returns the folder with the repository's files in the Hub's own cache, fetched where they are missing."""
        return self._fetch(token, ["data/*.parquet", CARD_FILE, MANIFEST_FILE, "eval.yaml"])

    def _fetch(self, token: str | bool | None, patterns: list[str]) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError

        try:
            return Path(
                snapshot_download(
                    self.id, repo_type="dataset", revision=self.revision, token=token, allow_patterns=patterns
                )
            )
        except (OSError, HFValidationError) as error:
            raise self._not_found(error) from error

    def remote_files(self, commit: str, token: str | bool | None = None) -> dict[str, list[str]]:
        """Returns the Parquet files of each split, as paths for `HfFileSystem`."""
        from huggingface_hub import HfApi

        text = read_card(self._fetch(token, [CARD_FILE]))
        try:
            names = HfApi(token=token).list_repo_files(self.id, revision=commit, repo_type="dataset")
        except OSError as error:
            raise self._not_found(error) from error
        parquet = [name for name in names if name.endswith(".parquet")]
        found = data_files(text, parquet, place=self.id)
        if not found:
            raise DatasetNotFoundError(
                f"the Hub repository {self.id} holds no data/train-*.parquet or "
                "data/validation-*.parquet; check the name"
            )
        return {split: [f"datasets/{self.id}@{commit}/{name}" for name in files] for split, files in found.items()}

    def _not_found(self, error: BaseException) -> DatasetNotFoundError:
        at = f" at revision {self.revision}" if self.revision else ""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return DatasetNotFoundError(
            f"there is no folder {self.id} here, and the Hub repository {self.id}{at} can't be fetched ({reason}); "
            "check the name, the network and your token"
        )


@dataclass(frozen=True, slots=True)
class HydratedSet:
    """The annotations form, filled in from a folder of photographs; the full set is kept in the cache folder."""

    photographs: Path
    annotations: LocalFolder | Repository

    def fingerprint(self, token: str | bool | None = None) -> str:
        """Returns what changes when the annotations or one of the photographs do."""
        from .hydration import hydration_key

        return hydration_key(self.annotations.folder(token), PhotoIndex(self.photographs))

    def folder(self, token: str | bool | None = None) -> Path:
        """Returns the full set's folder, made now unless it was before.

        Raises:
            InvalidDataError: A sample can't be filled in; the message says how many and why.
        """
        from .hydration import hydrated_folder

        return hydrated_folder(self.annotations.folder(token), PhotoIndex(self.photographs))


Source = HydratedSet | LocalFolder | Repository | SyntheticSet


def find_source(spec: str | Path | None = None, *, revision: str | None = None) -> Source:
    """Returns the source that `spec` names, as described at `open_data`.

    The full set is `$FASHIONEDIT_DATA`, else the folder registered with `fashionedit use FOLDER`, else the Hub
    repository `$FASHIONEDIT_REPO`. A `revision` counts for a Hub repository whose name gives none.

    Raises:
        DatasetNotFoundError: Nothing is found there; the message names the ways to give one.
        InvalidDataError: `synthetic:N` without a number, or the settings can't be read.
    """
    if spec is None or (str(spec) == "fashionedit" and not Path("fashionedit").is_dir()):
        return _full_set(revision)
    text = str(spec)
    if isinstance(spec, str) and (text == "synthetic" or text.startswith("synthetic:")):
        number = text.removeprefix("synthetic").removeprefix(":")
        if text != "synthetic" and not re.fullmatch("0*[1-9][0-9]*", number):
            raise InvalidDataError(f"{spec} has no number of samples; write synthetic:N with N from 1 on")
        return SyntheticSet(int(number or DEFAULT_SAMPLES))
    if (path := Path(spec).expanduser()).is_dir() and text:
        photographs_only = next(path.rglob("*.parquet"), None) is None and holds_photographs(path)
        return _filled_in(path, revision) if photographs_only else LocalFolder(path)
    if isinstance(spec, str) and not path.exists() and (match := _REPOSITORY.fullmatch(text)):
        return Repository(match.group(1), match.group(2) or revision)
    raise DatasetNotFoundError(
        f"{text} is no folder, no Hub repository (org/name or org/name@revision) and not synthetic[:N]; check the "
        "data's name"
    )


def _filled_in(photographs: Path, revision: str | None) -> HydratedSet:
    if (table := photographs / "metadata.jsonl").is_file() and b'"differences"' in _beginning(table):
        raise DatasetNotFoundError(
            f"{photographs} is a folder of pictures with a metadata.jsonl, not a dataset yet; make one of it first: "
            f"fashionedit pack {shlex.quote(str(photographs))} OUT"
        )
    if not (os.environ.get("FASHIONEDIT_DATA") or os.environ.get("FASHIONEDIT_REPO") or registered_folder()):
        raise DatasetNotFoundError(
            f"{photographs} holds photographs and no FashionEdit files: they fill in the annotations form, and none is "
            "known on this machine; set $FASHIONEDIT_REPO to its Hub repository or $FASHIONEDIT_DATA to its folder, or "
            "run `fashionedit use FOLDER`"
        )
    return HydratedSet(photographs, _full_set(revision))


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1 << 16)


def _full_set(revision: str | None) -> LocalFolder | Repository:
    if path := os.environ.get("FASHIONEDIT_DATA"):
        if not Path(path).is_dir():
            raise DatasetNotFoundError(f"$FASHIONEDIT_DATA names {path}, which is no folder; correct or unset it")
        return LocalFolder(Path(path))
    if folder := registered_folder():
        if not folder.is_dir():
            raise DatasetNotFoundError(f"the registered folder {folder} is gone; run: fashionedit use FOLDER")
        return LocalFolder(folder)
    if name := os.environ.get("FASHIONEDIT_REPO"):
        match = _REPOSITORY.fullmatch(name)
        if match is None:
            raise DatasetNotFoundError(f"$FASHIONEDIT_REPO is {name!r}; write it as org/name or org/name@revision")
        return Repository(match.group(1), match.group(2) or revision)
    raise DatasetNotFoundError(
        "no FashionEdit data is known on this machine; name a folder (--data FOLDER, in Python data_dir=FOLDER), set "
        "$FASHIONEDIT_DATA, run `fashionedit use FOLDER`, or set $FASHIONEDIT_REPO to a Hub repository; 'synthetic' "
        "needs none of them"
    )


def register_folder(path: Path | str) -> Path:
    """Returns the absolute path of the folder, which the bare name `fashionedit` stands for from now on.

    Raises:
        DatasetNotFoundError: There is no such folder, or it holds no FashionEdit files.
        InvalidDataError: Its card can't be read.
    """
    folder = Path(path).expanduser().resolve()
    split_files(folder)
    try:
        settings = _read_settings()
    except InvalidDataError:
        settings = {}  # what can't be understood is written anew
    settings["folder"] = str(folder)
    write_atomically(settings_file(), (json.dumps(settings, indent=1, sort_keys=True) + "\n").encode())
    return folder


def registered_folder() -> Path | None:
    """Returns the folder that was registered, or None; it may be gone by now."""
    folder = _read_settings().get("folder")
    if folder is None:
        return None
    if not isinstance(folder, str) or not folder:
        raise InvalidDataError(f"{settings_file()} names no folder; run: fashionedit use FOLDER")
    return Path(folder)


def _read_settings() -> dict[str, Any]:
    path = settings_file()
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{path} can't be understood ({error}); run: fashionedit use FOLDER") from error
    if not isinstance(settings, dict):
        raise InvalidDataError(f"{path} holds no JSON object; run: fashionedit use FOLDER")
    return settings
