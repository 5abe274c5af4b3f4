"""The builder behind `load_dataset("fashionedit", ...)` and `fashionedit.load`.

It imports `datasets`, so it is imported when data is loaded, and not with the package itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
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
from .types import SPLITS, as_names

_CODE = ("builder.py", "parquet.py", "schema.py")
CODE_HASH = hashlib.sha256(b"".join((Path(__file__).parent / name).read_bytes() for name in _CODE)).hexdigest()
"""Part of the name of the copy that `datasets` keeps: other code, other copy."""


@dataclass
class FashionEditConfig(datasets.BuilderConfig):  # type: ignore[misc]  # datasets has no types
    """What `load_dataset` may be given beside its own arguments, and the fingerprint of the data."""

    samples: int = DEFAULT_SAMPLES  # of each split of the synthetic set
    seed: int = 0
    revision: str | None = None  # of a Hub repository
    columns: list[str] | None = None  # those that are read; all by default
    source: str | None = None  # set by the builder, so that the copy in the cache is never a stale one


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """A part of a local file: what one process reads when several share the work."""

    path: str
    group: int
    folder: str


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """A file on the Hub, read in pieces as they are needed."""

    path: str
    token: str | bool | None


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A synthetic split that is rendered when the first row is asked for."""

    source: SyntheticSet
    split: str


_Part = _RowGroup | _RemoteFile | _Rendered


def _tables(parts: Iterable[_Part], columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yields the tables of the parts, each with its file's name; a local file is opened once for its row groups."""
    with ExitStack() as opened:
        file: ParquetReader | None = None
        for part in parts:
            if isinstance(part, _RemoteFile):
                yield from _remote_tables(part, columns)
            elif isinstance(part, _Rendered):
                folder = synthetic_folder(part.source.samples, (part.split,), seed=part.source.seed)
                yield from _tables(_row_groups(folder)[part.split], columns)
            else:
                if file is None or file.name != part.path:
                    opened.close()
                    reader = ParquetReader(Path(part.path), name=part.path, folder=Path(part.folder))
                    file = opened.enter_context(reader)
                yield part.path, file.read(part.group, columns)


def _remote_tables(file: _RemoteFile, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    from huggingface_hub import HfFileSystem

    # a cache of blocks: the pages' headers are read before the pages
    with (
        HfFileSystem(token=file.token).open(file.path, "rb", cache_type="blockcache") as stream,
        ParquetReader(stream, name=file.path) as reader,
    ):
        for group in range(reader.groups):
            yield file.path, reader.read(group, columns)


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

    def _columns(self) -> list[str]:
        if self.config.columns is None:
            return list(COLUMNS)
        columns = as_names(self.config.columns)
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown or not columns:
            found = f"FashionEdit has no column {unknown[0]!r}" if unknown else "columns is empty"
            raise InvalidDataError(f"{found}; choose from {', '.join(COLUMNS)}")
        return [name for name in COLUMNS if name in columns]

    def _info(self) -> Any:
        kinds = features()
        return datasets.DatasetInfo(
            description="Fine-grained fashion image editing: originals, drafts, three differences each, and crops.",
            features=datasets.Features({name: kinds[name] for name in self._columns()}),
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
        columns = self._columns()
        schema = self.info.features.arrow_schema
        for number, (name, table) in enumerate(_tables(parts, columns)):
            yield str(number), datasets.table.table_cast(conform(table, columns, name=name), schema)


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
