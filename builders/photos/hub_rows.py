"""The rows of a dataset on the Hub, or of a folder with data files, through `datasets` and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, ServiceError, UnknownNameError
from fashionedit.files import read_regular
from fashionedit.images import MAX_FILE_BYTES

_NETWORK = ("aiohttp", "fsspec", "httpcore", "httpx", "huggingface_hub", "requests")


@dataclass(frozen=True, slots=True)
class HubRows:
    """One split, opened.

    Args:
        place: The repository, or the folder.
        split: The split's name.
        columns: Names, in the order of the dataset.
        image_columns: Those with images.
        total: Rows, where the dataset says how many.
    """

    place: str
    split: str
    columns: tuple[str, ...]
    image_columns: tuple[str, ...]
    total: int | None
    _dataset: Any = field(repr=False)

    def rows(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Yields rows from the `start`-th on; class labels as their names, images as `{"bytes", "path"}`, undecoded.

        Raises:
            ServiceError: The Hub can't be reached any more.
            InvalidDataError: A data file can't be read.
        """
        from datasets import ClassLabel

        labels = {name: kind for name, kind in self._dataset.features.items() if isinstance(kind, ClassLabel)}
        with _one_sentence(self.place):
            for row in self._dataset.skip(start):
                for name, kind in labels.items():
                    if isinstance(row.get(name), int) and 0 <= row[name] < kind.num_classes:
                        row[name] = kind.int2str(row[name])
                yield row

    def image_bytes(self, value: Any) -> bytes | None:
        """Returns the encoded bytes of an image of a row, as they are stored; None where the row has none.

        Raises:
            InvalidDataError: The row names a file outside the dataset, or one that is too large.
            ServiceError: The Hub can't be reached any more.
        """
        if not isinstance(value, dict):
            return None
        data, path = value.get("bytes"), value.get("path")
        if data is None and isinstance(path, str):
            return self._file(path)
        if data is not None and len(data) > MAX_FILE_BYTES:
            raise InvalidDataError(
                f"{self.place} holds an image above the {MAX_FILE_BYTES // 2**20} MiB that are read ({path})"
            )
        return data if data is None else bytes(data)

    def _file(self, path: str) -> bytes:
        """Returns the content of a file of the dataset that a row names.

        `datasets` reads several places in one path (`inner::outer`) in an order of its own, so none of those is read.
        """
        folder = Path(self.place)
        local = folder.is_dir()
        inside = local or path.startswith((f"hf://datasets/{self.place}@", f"hf://datasets/{self.place}/"))
        if not inside or "::" in path or "\0" in path or ".." in path.split("/"):
            raise InvalidDataError(
                f"a row of {self.place} names the image {path[:120]!r}, which lies outside the dataset or in more than "
                "one place; give the dataset with its images in it"
            )
        try:
            if local:
                return read_regular(folder / path, MAX_FILE_BYTES, folder=folder)
        except (InvalidDataError, OSError) as error:
            raise InvalidDataError(
                f"a row of {self.place} names the image {path[:120]!r}, which can't be read from inside the dataset "
                f"({_first_line(error)})"
            ) from error
        from datasets.utils.file_utils import xopen

        with _one_sentence(self.place), xopen(path, "rb") as file:
            data: bytes = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InvalidDataError(
                f"{self.place} holds an image above the {MAX_FILE_BYTES // 2**20} MiB that are read ({path[:120]})"
            )
        return data


def open_rows(place: str, *, config: str | None, split: str | None, revision: str | None) -> HubRows:
    """Returns a split, of which nothing but the schema was read.

    Args:
        place: A dataset repository on the Hub, or a folder that `datasets` opens.
        config: The dataset's configuration; needed where there are several.
        split: The split; needed where there are several.
        revision: Branch, tag or commit.

    Raises:
        DatasetNotFoundError: There is no such dataset, or it is closed to us.
        ServiceError: The Hub can't be reached.
        UnknownNameError: There is no such split, or several and none was named.
        InvalidDataError: `datasets` can't open it.
    """
    from datasets import Image, load_dataset

    with _one_sentence(place):
        found = load_dataset(place, config, revision=revision, streaming=True)
    names = sorted(map(str, found))
    if split is None and len(names) > 1:
        raise UnknownNameError(f"{place} has the splits {', '.join(names)}; choose one with --source-split")
    if split is not None and split not in names:
        raise UnknownNameError(f"{place} has no split {split!r}; it has {', '.join(names)}")
    chosen = split or names[0]
    dataset = found[chosen]
    if dataset.features is None:
        with _one_sentence(place):
            dataset = dataset._resolve_features()
    images = tuple(name for name, kind in dataset.features.items() if isinstance(kind, Image))
    for name in images:
        dataset = dataset.cast_column(name, Image(decode=False))
    sizes = dataset.info.splits or {}
    total = sizes[chosen].num_examples if chosen in sizes else None
    return HubRows(place, chosen, tuple(dataset.features), images, total or None, dataset)


def commit_of(repository: str, revision: str | None) -> str:
    """Returns the commit that the revision stands for now, 40 hex digits.

    Raises:
        DatasetNotFoundError: There is no such repository or revision, or it is closed to us.
        ServiceError: The Hub can't be reached.
    """
    from huggingface_hub import HfApi

    with _one_sentence(repository):
        return str(HfApi().dataset_info(repository, revision=revision).sha)


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
