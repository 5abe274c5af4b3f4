"""A FashionEdit folder on disk: opened as samples with random access, and written whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
from PIL import Image

from .card import CARD_FILE, SplitSize, card_text, data_files, read_card
from .errors import DatasetNotFoundError, InvalidDataError, UnknownNameError
from .files import cache_folder, locked_file, write_atomically
from .images import EncodedImage, read_image
from .manifest import MANIFEST_FILE, Form, Manifest, SampleHashes, StoredImage, manifest_hash, read_manifest
from .owned_folders import new_folder
from .parallel import map_in_order
from .parquet import (
    MOST_BYTES,
    SHARD_BYTES,
    ParquetReader,
    ShardWriter,
    conform,
    fit_columns,
    image_without_bytes,
    open_parquet,
)
from .rows import EncodedSample, RowImages, SampleFacts, StoredRow, encoded_size, image_bytes, sample_of_row
from .schema import COLUMNS, IMAGE_COLUMNS
from .types import SPLITS, Sample, split_name

Size = tuple[int, int]
_ROWS_AT_ONCE = 1_000  # as Python values
_GROUPS_KEPT = 2  # in memory: the one in use, and the last one, for several threads near a border


class FashionEditFolder(Sequence[Sample]):
    """The samples of a folder in the order of its files; images are decoded when a sample is asked for.

    Opening reads the texts of all rows and no image. Safe to use from several threads, and to send to processes.

    Args:
        path: The folder.
        split: `train`, `validation` (`val`), or `train+validation`.
        facts_only: Whether the annotations form will do: facts with empty captions, rows without photographs.

    Raises:
        DatasetNotFoundError: There is no such folder, or it holds no FashionEdit files.
        UnknownNameError: The folder has no such split.
        InvalidDataError: A file, column or row is not what it must be, or the folder is the annotations form and more
            than facts is asked for; the message names it.
    """

    def __init__(self, path: Path | str, split: str = "validation", *, facts_only: bool = False) -> None:
        self.path = Path(path)
        self._facts_only = facts_only
        parts = [split_name(part.strip()) for part in split.split("+")]
        self.split = "+".join(parts)
        self._manifest = read_manifest(self.path)
        if self._manifest.form == "annotations" and not facts_only:
            raise InvalidDataError(
                f"{self.path} is the annotations form: no photographs, captions or crops in it; fill them in from your "
                f"own copy with: fashionedit hydrate {self.path} PHOTOS OUT"
            )
        self.name = self._manifest.name or self.path.resolve().name
        self.control_set = self._manifest.control_set
        available = split_files(self.path)
        for part in parts:
            if part not in available:
                raise UnknownNameError(f"{self.path} has no split {part}; it has {' and '.join(available)}")
        self._names = [name for part in parts for name in available[part]]
        self._files: list[ParquetReader] = []
        self._places: dict[str, tuple[int, int, int]] = {}  # of each row: file, group, row in it
        self._facts: dict[str, SampleFacts] = {}
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()
        self._stored: dict[str, tuple[RowImages[str], RowImages[Size]]] = {}
        for number in range(len(self._names)):
            self._index(number)
        self.ids = tuple(self._facts)

    def _index(self, number: int) -> None:
        name = str(self.path / self._names[number])
        file = open_parquet(self.path / self._names[number], name=name, folder=self.path)
        self._files.append(file)
        texts = [column for column in COLUMNS if column not in IMAGE_COLUMNS]
        seen = total = 0
        for group in range(file.groups):
            table = conform(file.read(group, texts), texts, name=name)
            total += table.nbytes
            if total > MOST_BYTES:
                raise InvalidDataError(f"{name} has more than {MOST_BYTES >> 20} MiB of texts; split the file")
            rows = chain.from_iterable(batch.to_pylist() for batch in table.to_batches(_ROWS_AT_ONCE))
            for offset, row in enumerate(rows):
                seen += 1
                if self._manifest.form == "annotations" and row["annotation"] is None:
                    row["annotation"] = ""
                try:
                    facts = SampleFacts.of_row(row)
                except InvalidDataError as error:
                    raise InvalidDataError(f"{name}, row {seen}: {error}") from error
                if facts.id in self._facts:
                    raise InvalidDataError(f"{name}, row {seen}: image_id {facts.id} appears twice; ids are unique")
                self._facts[facts.id] = facts
                self._places[facts.id] = (number, group, offset)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return tuple(self.sample(key) for key in self.ids[index])
        return self.sample(self.ids[index])

    def __repr__(self) -> str:
        return f"FashionEditFolder({str(self.path)!r}, {self.split!r}, {len(self)} samples)"

    def __reduce__(self) -> tuple[Any, ...]:
        return (partial(FashionEditFolder, facts_only=self._facts_only), (self.path, self.split))

    def sample(self, key: str) -> Sample:
        """Returns the sample with this id, all its images decoded.

        Raises:
            KeyError: There is none.
            InvalidImageError: An image can't be decoded.
        """
        return sample_of_row(self.row(key), self._facts[key])

    def facts(self, key: str) -> SampleFacts:
        """Returns all of the sample but its images, without touching them.

        Raises:
            KeyError: There is no such sample.
        """
        return self._facts[key]

    def original(self, key: str) -> Image.Image:
        """Returns the sample's original, decoded, and decodes nothing else."""
        return read_image(self._images(key).original, name=self._picture_name("original", key))

    def draft(self, key: str) -> Image.Image:
        """Returns the sample's draft, decoded, and decodes nothing else."""
        return read_image(self._images(key).draft, name=self._picture_name("draft", key))

    def encoded(self, key: str) -> RowImages[bytes]:
        """Returns the sample's images as they are stored, and decodes none."""
        return self._images(key)

    def crop(self, key: str, place: int) -> Image.Image:
        """Returns the crop of the sample's difference number `place`, from 0 on, and decodes nothing else."""
        return read_image(self._images(key).crops[place], name=self._picture_name(f"crop {place + 1}", key))

    def row(self, key: str) -> dict[str, Any]:
        """Returns the sample's row as it is stored: the values of `COLUMNS`, images as their encoded bytes.

        Raises:
            KeyError: There is no such sample.
        """
        return self._cells(key, COLUMNS)

    def _cells(self, key: str, columns: Iterable[str]) -> dict[str, Any]:
        """Returns these columns of the sample's row, those of images among them."""
        file, number, offset = self._places[key]
        with self._lock:
            group = self._groups.pop((file, number), None)
            if group is None:
                group = fit_columns(self._files[file].read(number, COLUMNS), COLUMNS, name=self._name(key))
            self._groups[file, number] = group
            while len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        row: dict[str, Any] = group.select(list(columns)).slice(offset, 1).to_pylist()[0]
        for column in IMAGE_COLUMNS:
            cells = row[column] if isinstance(row[column], list) else [row[column]]
            if any(cell and cell["bytes"] is None and cell["path"] is not None for cell in cells):
                raise InvalidDataError(image_without_bytes(f"{self._name(key)}, sample {key},", column))
        return row

    def digests(self, key: str) -> RowImages[str]:
        """Returns the pixel digests of the sample's images.

        They come from the manifest, looked up by the hash of the bytes that are really there; what it does not know is
        decoded.
        """
        return self._look(key)[0]

    def sizes(self, key: str) -> RowImages[Size]:
        """Returns the width and height of the sample's images, pixels; they come from where the digests come from."""
        return self._look(key)[1]

    def _look(self, key: str) -> tuple[RowImages[str], RowImages[Size]]:
        found = self._stored.get(key)
        if found is None:
            found = self._stored[key] = self._digest((key, self._images(key)))
        return found

    @cached_property
    def manifest_hash(self) -> str:
        """The identity of the data (`manifest.manifest_hash`); reads every image's bytes once.

        In the annotations form, that of the full set it was made from.
        """
        if self._manifest.form == "annotations":
            parts = self.split.split("+")
            return self._manifest.manifest_hashes["+".join(split for split in SPLITS if split in parts)]
        missing = [key for key in self.ids if key not in self._stored]
        digests = map_in_order(self._digest, ((key, self._images(key)) for key in missing))
        self._stored.update(zip(missing, digests, strict=True))
        return manifest_hash((self._facts[key], pixels) for key, (pixels, _) in self._stored.items())

    def _digest(self, item: tuple[str, RowImages[bytes]]) -> tuple[RowImages[str], RowImages[Size]]:
        key, encoded = item

        def stored(name: str, data: bytes) -> StoredImage:
            known = self._manifest.images.get(hashlib.sha256(data).hexdigest())
            if known is not None:
                return known
            decoded = EncodedImage.read(data, name=self._picture_name(name, key))
            return StoredImage(pixels=decoded.digest, size=decoded.size)

        images = encoded.map(stored)
        return images.map(lambda _, image: image.pixels), images.map(lambda _, image: image.size)

    def _images(self, key: str) -> RowImages[bytes]:
        try:
            return image_bytes(self._cells(key, IMAGE_COLUMNS))
        except InvalidDataError as error:
            raise InvalidDataError(f"{self._name(key)}, sample {key}: {error}") from error

    def _picture_name(self, name: str, key: str) -> str:
        return f"the {name} of sample {key} in {self._name(key)}"

    def _name(self, key: str) -> str:
        return str(self.path / self._names[self._places[key][0]])


def split_files(path: Path) -> dict[str, list[str]]:
    """Returns the Parquet files of each split of a folder, relative to it.

    Raises:
        DatasetNotFoundError: There is no such folder, or it holds no FashionEdit files.
    """
    if not path.is_dir():
        raise DatasetNotFoundError(f"{path} {'is no folder' if path.exists() else 'does not exist'}; check the path")
    text = read_card(path)
    names = [file.relative_to(path).as_posix() for file in path.rglob("*.parquet") if file.is_file()]
    if found := data_files(text, names, place=str(path)):
        return found
    raise DatasetNotFoundError(
        f"{path} holds no data/train-*.parquet or data/validation-*.parquet; give a FashionEdit folder, or make one "
        "with: fashionedit pack FOLDER OUT"
    )


def open_folder(path: Path | str, split: str = "validation", *, facts_only: bool = False) -> FashionEditFolder:
    """Returns the folder's samples of a split: `train`, `validation` (or `val`), `train+validation`.

    Args:
        path: The folder.
        split: As above.
        facts_only: Whether the annotations form will do (see `FashionEditFolder`).

    Raises:
        DatasetNotFoundError: There is no such folder, or it holds no FashionEdit files.
        UnknownNameError: The folder has no such split.
        InvalidDataError: A file, column or row is not what it must be, or the folder is the annotations form; the
            message names it.
    """
    return FashionEditFolder(path, split, facts_only=facts_only)


def write_folder(
    out: Path | str,
    splits: Mapping[str, Iterable[Sample | StoredRow]],
    *,
    name: str | None = None,
    licence: str | None = None,
    licence_note: str | None = None,
    control_set: bool = False,
    renderer: str | None = None,
    form: Form = "full",
    hashes: Mapping[str, SampleHashes] | None = None,
    manifest_hashes: Mapping[str, str] | None = None,
    sections: Sequence[tuple[str, str]] = (),
    files: Mapping[str, bytes] | None = None,
    replace: bool = False,
    shard_bytes: int = SHARD_BYTES,
    workers: int | None = None,
) -> dict[str, SplitSize]:
    """Writes Parquet shards, manifest and card; returns the size of each split.

    Rows are taken one at a time, so the set may be larger than memory. Everything is written into a folder beside `out`
    whose name starts with a dot and ends with `.part`, which is renamed at the end and removed on an error; one that a
    killed process left is removed by the next call for `out`.

    Args:
        out: The new folder; it must not exist, or be empty.
        splits: Rows by split (`train`, `validation` or `val`). Images of a `Sample` are stored as PNG.
        name: The dataset's name; the folder's by default.
        licence: The Hub's short name of a licence; none is claimed by default.
        licence_note: What the card says about it.
        control_set: Marks pictures that were drawn to test the harness.
        renderer: What drew them.
        form: What the card and the manifest say the folder is.
        hashes, manifest_hashes: Of the annotations form (`Manifest.samples`, `Manifest.manifest_hashes`); looked at
            once all rows are written.
        sections: Further parts of the card: heading and text.
        files: Further files to put into the folder, by name.
        replace: Whether `out` may be a dataset that was written with `replace` before; it is replaced at the end, and
            kept on an error. Files in it that are not ours stay.
        shard_bytes: No Parquet file is larger, unless a single row is.
        workers: Threads that encode images.

    Raises:
        InvalidDataError: `out` is taken, a split has no rows, an id appears twice, or two splits are one.
    """
    out = Path(out)
    rows = {split_name(split): samples for split, samples in splits.items()}
    if not rows or len(rows) != len(splits):
        raise InvalidDataError(f"the splits are {', '.join(splits) or 'missing'}; give train, validation, or both")
    title = name or out.resolve().name
    ids: set[str] = set()
    images: dict[str, StoredImage] = {}
    sizes: dict[str, SplitSize] = {}
    with new_folder(out, "build" if replace else "dataset", replace=replace) as folder:
        (folder / "data").mkdir()
        for split in (split for split in SPLITS if split in rows):
            written = total = 0
            with ShardWriter(folder / "data", split, shard_bytes=shard_bytes) as writer:
                for row in map_in_order(_encoded, rows[split], workers=workers):
                    if row.facts.id in ids:
                        raise InvalidDataError(f"image_id {row.facts.id} appears twice; ids are unique across splits")
                    ids.add(row.facts.id)
                    images |= {image.sha256: StoredImage(pixels=image.digest, size=image.size) for image in row.images}
                    written += 1
                    total += encoded_size(row)
                    writer.write(row)
            if not written:
                raise InvalidDataError(f"the split {split} has no samples; a split has at least one")
            sizes[split] = SplitSize(written, total)
        manifest = Manifest(
            name=title,
            control_set=control_set,
            renderer=renderer,
            form=form,
            splits={split: size.rows for split, size in sizes.items()},
            images=images,
            manifest_hashes=dict(manifest_hashes or {}),
            samples=dict(hashes or {}),
        )
        write_atomically(folder / MANIFEST_FILE, manifest.to_json().encode())
        card = card_text(
            title,
            sizes,
            licence=licence,
            licence_note=licence_note,
            renderer=renderer,
            control_set=control_set,
            form=form,
            sections=sections,
        )
        write_atomically(folder / CARD_FILE, card.encode())
        for file, data in (files or {}).items():
            write_atomically(folder / file, data)
    return sizes


def _encoded(sample: Sample | StoredRow) -> StoredRow:
    return EncodedSample.of(sample) if isinstance(sample, Sample) else sample


def cached_folder(kind: str, name: str, write: Callable[[Path], object]) -> Path:
    """Returns the FashionEdit folder `name` in the cache, written now by `write` unless it was before.

    Processes that ask for the same one at once wait for the one that writes it. `kind` is the folder that such ones lie
    in, as `synthetic`; `name` says all that the content depends on.
    """
    home = cache_folder() / kind
    folder = home / name
    if not (folder / MANIFEST_FILE).is_file():
        with locked_file(home / f".{name}.lock"):
            if not (folder / MANIFEST_FILE).is_file():
                write(folder)
    return folder
