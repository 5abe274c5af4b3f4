"""Opening data by name: what a user names, where it comes from, as samples or as a `datasets.Dataset`."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .card import CARD_FILE, data_files, read_card
from .errors import DatasetNotFoundError, InvalidDataError
from .folder import FashionEditFolder, open_folder, split_files
from .manifest import MANIFEST_FILE
from .paths import registered_folder
from .photo_index import PhotoIndex, holds_photographs
from .synthetic.rendering import Progress, renderer_key, synthetic_folder
from .types import split_names

if TYPE_CHECKING:
    import datasets


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
    """Returns the FashionEdit folder that `spec` names, fetched or filled in where that is needed; nothing is rendered.

    Args:
        spec: As for `open_data`, but for the synthetic set.

    Raises:
        DatasetNotFoundError: No place that was looked at holds the data.
        InvalidDataError: It is the synthetic set, or a file is not what it must be.
    """
    source = find_source(spec)
    if isinstance(source, SyntheticSet):
        raise InvalidDataError(f"{spec} is no folder of its own; write it to one first: fashionedit synthesize OUT")
    return source.folder()


def load(
    spec: str | Path | None = None,
    *,
    split: str | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    **options: Any,
) -> datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict:
    """Returns what `load_dataset("fashionedit", ...)` does, without relying on that name being known to `datasets`.

    Args:
        spec: As for `open_data`; the full set by default.
        split: `train`, `validation` (`val`), or any of `datasets`' slices; a dictionary of all splits by default.
        streaming: Read rows as they are needed instead of preparing a copy in the cache of `datasets`.
        num_proc: Processes that prepare that copy.
        cache_dir: Where it is, instead of the usual place.
        token: For the Hub.
        options: `samples=` and `seed=` of the synthetic set, `revision=` of a Hub repository.

    Raises:
        DatasetNotFoundError: No place that was looked at holds the data.
        InvalidDataError: A file or an option is not what it must be.
    """
    from .builder import CODE_HASH, FashionEdit

    source = find_source(spec)
    where: dict[str, Any] = {}
    if isinstance(source, SyntheticSet):
        where = {"config_name": "synthetic", "samples": source.samples}
    elif spec is not None:
        where = {"data_dir": str(spec)}
    builder = FashionEdit(
        dataset_name="fashionedit",
        hash=CODE_HASH,
        cache_dir=str(cache_dir) if cache_dir is not None else None,
        token=token,
        **{**where, **options},
    )
    wanted = _split_for_datasets(split)
    if streaming:
        return builder.as_streaming_dataset(split=wanted)
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset(split=wanted)


def _split_for_datasets(split: str | None) -> str | None:
    """Puts `validation` for `val`, slices kept: `val[:10]+train` is `validation[:10]+train`."""
    if split is None:
        return None
    parts = [part.strip() for part in split.split("+")]
    return "+".join("validation" + part[3:] if part == "val" or part.startswith("val[") else part for part in parts)


DEFAULT_SAMPLES = 24
_REPOSITORY = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*?)(?:@([^@\s]+))?")
_SYNTHETIC = re.compile(r"synthetic(?::(.*))?")


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
    """A dataset repository on the Hugging Face Hub."""

    id: str
    revision: str | None = None

    def fingerprint(self, token: str | bool | None = None) -> str:
        """Returns the commit that the revision stands for; the one fetched last where the Hub can't be reached.

        Raises:
            DatasetNotFoundError: The repository does not exist, is closed to us, or can't be reached.
        """
        return self._fetch(token, [CARD_FILE]).name

    def folder(self, token: str | bool | None = None) -> Path:
        """Returns the folder with the repository's files in the Hub's own cache, fetched where they are not there yet.

        Raises:
            DatasetNotFoundError: The repository does not exist, is closed to us, or can't be reached.
        """
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
        """Returns the Parquet files of each split, as paths for `HfFileSystem`.

        Raises:
            DatasetNotFoundError: The repository can't be reached, or holds no FashionEdit files.
        """
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
        """Returns what changes when the annotations or one of the photographs do.

        Raises:
            DatasetNotFoundError: The annotations can't be fetched.
            InvalidDataError: They are not in the annotations form.
        """
        from .hydration import hydration_key

        return hydration_key(self.annotations.folder(token), PhotoIndex(self.photographs))

    def folder(self, token: str | bool | None = None) -> Path:
        """Returns the full set's folder, made now unless it was before.

        Raises:
            DatasetNotFoundError: The annotations can't be fetched.
            InvalidDataError: A sample can't be filled in; the message says how many and why.
        """
        from .hydration import hydrated_folder

        return hydrated_folder(self.annotations.folder(token), PhotoIndex(self.photographs))


Source = HydratedSet | LocalFolder | Repository | SyntheticSet


def find_source(spec: str | Path | None = None, *, revision: str | None = None) -> Source:
    """Returns the source that `spec` names.

    Args:
        spec: A FashionEdit folder; a folder of photographs, which fills in the annotations form that the bare name
            stands for; `synthetic` or `synthetic:N`; a Hub repository `org/name[@revision]`. None or
            `fashionedit` is the full set: `$FASHIONEDIT_DATA`, else the folder registered with `fashionedit use
            FOLDER`, else the Hub repository `$FASHIONEDIT_REPO`.
        revision: Of a Hub repository, where `spec` gives none.

    Raises:
        DatasetNotFoundError: Nothing is found there; the message names the ways to give one.
        InvalidDataError: `synthetic:N` without a number, or the settings can't be read.
    """
    if spec is None or (str(spec) == "fashionedit" and not Path("fashionedit").is_dir()):
        return _full_set(revision)
    text = str(spec)
    if isinstance(spec, str) and (match := _SYNTHETIC.fullmatch(text)):
        return SyntheticSet(_number(match.group(1), text))
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


def _number(text: str | None, spec: str) -> int:
    if text is None:
        return DEFAULT_SAMPLES
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InvalidDataError(f"{spec} has no number of samples; write synthetic:N with N from 1 on")
    return int(text)
