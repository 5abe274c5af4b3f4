"""Opening the data by name: as samples for our own code, or as a `datasets.Dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidDataError
from .folder import FashionEditFolder, open_folder
from .rendered import Progress, synthetic_folder
from .sources import HydratedSet, LocalFolder, Repository, SyntheticSet, find_source
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
    if isinstance(source, LocalFolder):
        return open_folder(source.path, split)
    if isinstance(source, Repository):
        return open_folder(source.snapshot(), split)
    if isinstance(source, HydratedSet):
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
    if isinstance(source, LocalFolder):
        return source.path
    if isinstance(source, Repository):
        return source.snapshot()
    if isinstance(source, HydratedSet):
        return source.folder()
    raise InvalidDataError(f"{spec} is no folder of its own; write it to one first: fashionedit synthesize OUT")


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
