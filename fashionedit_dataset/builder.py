"""The builder behind `load_dataset("fashionedit", ...)` and `fashionedit.load`.

It imports `datasets`, so it is imported when data is loaded, and not with the package itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import datasets.exceptions
import datasets.table
import pyarrow as pa

from .data import DEFAULT_SAMPLES, Repository, Source, SyntheticSet, find_source
from .errors import FashionEditError, InvalidDataError, UnknownNameError
from .folder import split_files
from .parquet import ParquetReader, conform
from .schema import COLUMNS, features
from .synthetic.rendering import synthetic_folder
from .types import SPLITS

_CODE = ("builder.py", "parquet.py", "schema.py")
CODE_HASH = hashlib.sha256(b"".join((Path(__file__).parent / name).read_bytes() for name in _CODE)).hexdigest()
"""Part of the name of the copy that `datasets` keeps: other code, other copy."""


@dataclass
class FashionEditConfig(datasets.BuilderConfig):  # type: ignore[misc]  # datasets has no types
    """What `load_dataset` may be given beside its own arguments, and the fingerprint of the data."""

    samples: int = DEFAULT_SAMPLES  # of each split of the synthetic set
    seed: int = 0
    revision: str | None = None  # of a Hub repository
    source: str | None = None  # set by the builder, so that the copy in the cache is never a stale one


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """A part of a local file: what one process reads when several share the work."""

    path: str
    group: int
    folder: str

    def tables(self) -> Iterator[pa.Table]:
        path = Path(self.path)
        with ParquetReader(path, name=self.path, folder=Path(self.folder)) as file:
            yield file.read(self.group, COLUMNS)


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """A file on the Hub, read in pieces as they are needed."""

    path: str
    token: str | bool | None

    def tables(self) -> Iterator[pa.Table]:
        from huggingface_hub import HfFileSystem

        # a cache of blocks: the pages' headers are read before the pages
        with (
            HfFileSystem(token=self.token).open(self.path, "rb", cache_type="blockcache") as stream,
            ParquetReader(stream, name=self.path) as file,
        ):
            for group in range(file.groups):
                yield file.read(group, COLUMNS)


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A synthetic split that is rendered when the first row is asked for."""

    source: SyntheticSet
    split: str

    def tables(self) -> Iterator[pa.Table]:
        folder = synthetic_folder(self.source.samples, (self.split,), seed=self.source.seed)
        for part in _row_groups(folder)[self.split]:
            yield from part.tables()


_Part = _RowGroup | _RemoteFile | _Rendered


class FashionEdit(datasets.ArrowBasedBuilder):  # type: ignore[misc]  # datasets has no types
    """FashionEdit for `datasets`: configuration `default` (the full set) and `synthetic` (the control set).

    Args:
        config_name: `default` or `synthetic`.
        data_dir: A FashionEdit folder, a Hub repository (`org/name[@revision]`), or a folder of photographs, which fill
            in the annotations form, for `default`; else the places that `data.find_source` looks at.
        token: For the Hub.
        arguments: What every builder takes, and the fields of `FashionEditConfig`.

    Raises:
        UnknownNameError: There is no configuration of this name.
        DatasetNotFoundError: No place that was looked at holds the data.
        InvalidDataError: An argument does not go with the configuration.
    """

    BUILDER_CONFIG_CLASS = FashionEditConfig
    BUILDER_CONFIGS = [  # noqa: RUF012  # datasets reads it from the class
        FashionEditConfig(name="default", description="The full set, from a folder or a Hub repository."),
        FashionEditConfig(name="synthetic", description="The control set, rendered on this machine."),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def __init__(
        self,
        *,
        config_name: str | None = None,
        data_dir: str | Path | None = None,
        token: str | bool | None = None,
        **arguments: Any,
    ) -> None:
        if arguments.get("data_files"):
            raise InvalidDataError("fashionedit takes no data_files=; give the whole folder as data_dir=")
        names = [config.name for config in self.BUILDER_CONFIGS]
        if config_name is not None and config_name not in names:
            raise UnknownNameError(
                f"fashionedit has no configuration {config_name!r}; choose {' or '.join(names)}, and a folder or a "
                "repository of your own with data_dir="
            )
        self._origin = _origin(config_name or self.DEFAULT_CONFIG_NAME, data_dir, arguments)
        self._fingerprint = self._origin.fingerprint(token)
        super().__init__(
            config_name=config_name,
            data_dir=str(data_dir) if data_dir is not None else None,
            token=token,
            source=self._fingerprint,
            **arguments,
        )

    def download_and_prepare(self, *arguments: Any, **options: Any) -> None:
        """Prepares the copy in the cache; what is wrong with a file is said as everywhere else in this package."""
        try:
            super().download_and_prepare(*arguments, **options)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, FashionEditError):
                raise error.__cause__ from None
            raise

    def _info(self) -> Any:
        return datasets.DatasetInfo(
            description="Fine-grained fashion image editing: originals, drafts, three differences each, and crops.",
            features=features(),
            homepage="https://arxiv.org/abs/2509.09324",
        )

    def _split_generators(self, dl_manager: Any) -> list[Any]:
        parts = self._parts(streaming=dl_manager.is_streaming)
        return [datasets.SplitGenerator(name=split, gen_kwargs={"parts": found}) for split, found in parts.items()]

    def _parts(self, *, streaming: bool) -> dict[str, list[_Part]]:
        origin = self._origin
        if isinstance(origin, SyntheticSet):
            if streaming:
                return {split: [_Rendered(origin, split)] for split in SPLITS}
            folders = {split: synthetic_folder(origin.samples, (split,), seed=origin.seed) for split in SPLITS}
            return {split: _row_groups(folder)[split] for split, folder in folders.items()}
        if isinstance(origin, Repository):
            if streaming:
                remote = origin.remote_files(self._fingerprint, self.token)
                return {split: [_RemoteFile(path, self.token) for path in paths] for split, paths in remote.items()}
            origin = Repository(origin.id, self._fingerprint)
        return _row_groups(origin.folder(self.token))

    def _generate_tables(self, parts: list[_Part]) -> Iterator[tuple[str, pa.Table]]:
        for number, part in enumerate(parts):
            for piece, table in enumerate(part.tables()):
                whole = conform(table, COLUMNS, name=getattr(part, "path", "the synthetic set"))
                yield f"{number}_{piece}", datasets.table.table_cast(whole, self.info.features.arrow_schema)


def _origin(config_name: str, data_dir: str | Path | None, arguments: dict[str, Any]) -> Source:
    own = {"synthetic": ("samples", "seed"), "default": ("revision",)}
    for name in ("samples", "seed", "revision"):
        if arguments.get(name) is not None and name not in own[config_name]:
            other = "synthetic" if name in own["synthetic"] else "default"
            raise InvalidDataError(f"{name}= belongs to the configuration {other}, not to {config_name}")
    if config_name == "synthetic":
        if data_dir is not None:
            raise InvalidDataError("the configuration synthetic takes no data_dir=; it is rendered on this machine")
        given = {name: arguments[name] for name in own["synthetic"] if arguments.get(name) is not None}
        return SyntheticSet(**given)
    source = find_source(data_dir, revision=arguments.get("revision"))
    if isinstance(source, SyntheticSet):
        raise InvalidDataError(
            "data_dir= names a folder or a Hub repository; for the control set load the configuration synthetic"
        )
    return source


def _row_groups(folder: Path) -> dict[str, list[_Part]]:
    parts: dict[str, list[_Part]] = {}
    for split, names in split_files(folder).items():
        parts[split] = []
        for name in names:
            path = folder / name
            with ParquetReader(path, name=str(path), folder=folder) as file:
                parts[split] += [_RowGroup(str(path), group, str(folder)) for group in range(file.groups)]
    return parts
