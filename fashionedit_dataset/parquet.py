"""Parquet as FashionEdit writes and reads it: shards with small row groups, images embedded and left uncompressed.

The same rows give the same bytes (with the same version of pyarrow, whose name stands in every file).
"""

from __future__ import annotations

import inspect
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .errors import InvalidDataError
from .files import named_errors, open_regular
from .rows import StoredRow, encoded_size
from .schema import COLUMNS, IMAGE_COLUMNS, OPTIONAL_COLUMNS, REFERENCE_COLUMNS, arrow_schema

ROWS_PER_GROUP = 64
GROUP_BYTES = 32 * 2**20
SHARD_BYTES = 500_000_000

MOST_BYTES = 512 * 2**20
"""What a row group may always unpack to, in bytes; a larger one may take four times the bytes in the file."""

MOST_ROWS = 1_000_000
"""The most rows of a file that is read."""

_WORTH_THREADS = 2**20  # bytes of a row group

_DICTIONARY_PAGE = 2  # kind of page, in the numbers of the format
_FRONT_CODED = 7  # encoding DELTA_BYTE_ARRAY
_DEEPEST = 8  # structs in a page's header; there are three

_TEXTS = (pa.string(), pa.large_string())
_BYTES = (pa.binary(), pa.large_binary())
_REQUIRED = [column for column in COLUMNS if column not in (*OPTIONAL_COLUMNS, *REFERENCE_COLUMNS)]

_FOOTER_BYTES = 1_000_000  # what a shard may still need after its last row group

# Chunk borders follow the content, so that a changed row changes few of the blocks that the Hub stores.
_CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}


class ShardWriter:
    """Writes the rows of one split as `<folder>/<split>-00000-of-0000N.parquet`, in bounded memory.

    The files get their names when the block ends well; until then they are called `<split>-00000.part`. No file is
    larger than `shard_bytes`, unless a single row is.
    """

    def __init__(self, folder: Path, split: str, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._split = split
        self._shard_bytes = shard_bytes
        self._schema = arrow_schema().with_metadata(
            {**(arrow_schema().metadata or {}), b"content_defined_chunking": json.dumps(_CHUNKING).encode()}
        )
        self._waiting: list[StoredRow] = []
        self._shards: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._sink: _Sink | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            self._close()
            for number, shard in enumerate(self._shards):
                shard.rename(shard.with_name(f"{self._split}-{number:05d}-of-{len(self._shards):05d}.parquet"))

    def write(self, sample: StoredRow) -> None:
        """Adds one row."""
        if self._waiting and sum(map(encoded_size, [*self._waiting, sample])) > self._group_bytes:
            self._flush()
        self._waiting.append(sample)
        if len(self._waiting) == ROWS_PER_GROUP:
            self._flush()

    @property
    def _group_bytes(self) -> int:
        return min(GROUP_BYTES, max(1, (self._shard_bytes - _FOOTER_BYTES) // 2))

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.Table.from_pylist([sample.row() for sample in self._waiting], schema=self._schema)
        self._waiting.clear()
        if self._sink is not None and self._sink.tell() + table.nbytes + _FOOTER_BYTES > self._shard_bytes:
            self._close()
        if self._writer is None or self._sink is None:
            self._writer, self._sink = self._open()
        self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        self._sink.drain()

    def _open(self) -> tuple[pq.ParquetWriter, _Sink]:
        shard = self._folder / f"{self._split}-{len(self._shards):05d}.part"
        self._shards.append(shard)
        sink = _Sink(shard)
        return pq.ParquetWriter(sink, self._schema, **_writer_options(self._schema)), sink

    def _close(self) -> None:
        writer, sink = self._writer, self._sink
        self._writer = self._sink = None
        if writer is not None and sink is not None:
            writer.close()
            sink.finish()


class _Sink(io.RawIOBase):
    """The bytes of one shard, kept until they are drained: Arrow ends the process when a write of its own fails."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[bytes] = []
        self._position = 0
        path.write_bytes(b"")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting.append(bytes(data))
        self._position += len(self._waiting[-1])
        return len(self._waiting[-1])

    def tell(self) -> int:
        return self._position

    def drain(self) -> None:
        """Appends what was written to the file."""
        with self._path.open("ab") as file, named_errors(self._path):
            for data in self._waiting:
                file.write(data)
            file.flush()
        self._waiting.clear()

    def finish(self) -> None:
        """Appends the rest, and returns when all of it is on the disk."""
        self.drain()
        with self._path.open("rb") as file, named_errors(self._path):
            os.fsync(file.fileno())


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    texts = [leaf for leaf in leaves if leaf.split(".")[0] not in IMAGE_COLUMNS]
    options: dict[str, Any] = {
        "compression": {leaf: "snappy" if leaf in texts else "none" for leaf in leaves},
        "use_dictionary": texts,
        "write_statistics": texts,
        "write_page_index": True,
    }
    if "use_content_defined_chunking" in inspect.signature(pq.ParquetWriter.__init__).parameters:
        options["use_content_defined_chunking"] = _CHUNKING
    return options


def _leaves(path: str, kind: pa.DataType) -> Iterable[str]:
    """Yields the paths of the columns below this one, as Parquet names them."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


class ParquetReader:
    """A Parquet file, by its path or open for reading, read one row group at a time and in bounded memory.

    A few kilobytes can say the same long value a million times. So the sizes of a row group's pages are read before the
    pages are, and what would take more than `MOST_BYTES` and four times the bytes in the file is refused. A link that
    leads out of `folder` is refused too; messages call the file `name`.

    Raises:
        InvalidDataError: It is no regular file, no Parquet file, or has more than `MOST_ROWS` rows.
    """

    def __init__(self, source: Path | BinaryIO, *, name: str, folder: Path | None = None) -> None:
        self.name = name
        self._source = source
        with self._sentence("can't be read as Parquet", "replace the file"):
            # not `Path`, of which `datasets` before 4 makes a class of its own here
            if isinstance(source, os.PathLike):
                open_regular(source, folder=folder).close()
            # by its path where it has one: Arrow reads that without Python's lock
            self._file = pq.ParquetFile(source, memory_map=False)
            self.schema: pa.Schema = self._file.schema_arrow
        if self.rows > MOST_ROWS:
            raise InvalidDataError(f"{name} has {self.rows:,} rows; at most {MOST_ROWS:,} are read: split the file")

    def __enter__(self) -> ParquetReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self._file.metadata.num_rows)

    @property
    def groups(self) -> int:
        """How many row groups there are."""
        return int(self._file.num_row_groups)

    def read(self, group: int, columns: Iterable[str]) -> pa.Table:
        """Returns these columns of a row group; those that the file lacks are left out.

        Raises:
            InvalidDataError: It is damaged, has a text that is not UTF-8, or would unpack to more than may be.
        """
        names = [column for column in columns if column in self.schema.names]
        with self._sentence("is damaged", "fetch or write it again"):
            chunks = self._chunks(group, set(names))
            packed = sum(chunk.total_compressed_size for chunk in chunks)
            limit = max(MOST_BYTES, 4 * packed)
            with (
                open_regular(self._source)
                if isinstance(self._source, os.PathLike)
                else nullcontext(self._source) as stream
            ):
                sizes = [_chunk_size(stream, chunk, limit) for chunk in chunks]
            if sum(size.most for size in sizes) > limit:
                self._check_exactly(group, names, [c.path_in_schema for c in chunks], sizes, limit)
            # threads that are woken for a few texts take longer than the texts
            table = self._file.read_row_group(group, columns=names, use_threads=packed > _WORTH_THREADS)
            table.validate(full=True)
        return table

    def _chunks(self, group: int, names: set[str]) -> list[Any]:
        found = self._file.metadata.row_group(group)
        chunks = [found.column(number) for number in range(found.num_columns)]
        return [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names]

    def _check_exactly(
        self, group: int, names: list[str], paths: list[str], sizes: list[_ChunkSize], limit: int
    ) -> None:
        """Reads repeated values once each, and adds up what they would come to."""
        repeated = [path for path, size in zip(paths, sizes, strict=True) if size.dictionary]
        total = sum(size.most if not size.dictionary else size.pages + 16 * size.values for size in sizes)
        if total <= limit:
            with pq.ParquetFile(self._source, read_dictionary=repeated) as file:
                total += sum(_repeated_bytes(column) for column in file.read_row_group(group, columns=names).columns)
        if total > limit:
            raise InvalidDataError(
                f"{self.name} would unpack to more than the {limit / 2**20:,.0f} MiB that are read of a row group; "
                "write it with smaller row groups"
            )

    @contextmanager
    def _sentence(self, trouble: str, advice: str) -> Iterator[None]:
        try:
            yield
        except InvalidDataError:
            raise
        except (pa.ArrowException, OSError, ValueError, IndexError, OverflowError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise InvalidDataError(f"{self.name} {trouble} ({reason}); {advice}") from error


@dataclass(frozen=True, slots=True)
class _ChunkSize:
    """What the pages of a column chunk unpack to."""

    pages: int  # bytes of all pages
    dictionary: int  # bytes of the values that the pages name by number
    values: int  # how many
    fronts: bool  # whether a value may be written as the beginning of the one before it

    @property
    def most(self) -> int:
        """Bytes that the values may take in memory, at most."""
        longest = self.pages if self.fronts else self.dictionary
        return self.pages + self.values * (longest + 16)


def _chunk_size(stream: BinaryIO, chunk: Any, limit: int) -> _ChunkSize:
    """Reads the headers of a chunk's pages: what the end of the file says of them may be a lie."""
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < place:
        place = chunk.dictionary_page_offset
    end = place + chunk.total_compressed_size
    pages = dictionary = values = 0
    fronts = False
    while place < end and pages + values <= limit:
        header, length = _page_header(stream, place)
        unpacked, packed = (header.get(field) for field in (2, 3))
        if not isinstance(unpacked, int) or not isinstance(packed, int) or min(unpacked, packed) < 0:
            raise ValueError("a page does not say how long it is")
        pages += unpacked
        if header.get(1) == _DICTIONARY_PAGE:
            dictionary += unpacked
        for field, encoding in ((5, 2), (8, 4)):  # the data page's own header, in its first and its second version
            if isinstance(inner := header.get(field), dict):
                values += max(inner.get(1) or 0, 0) if isinstance(inner.get(1), int) else limit
                fronts |= inner.get(encoding) == _FRONT_CODED
        place += length + packed
    return _ChunkSize(pages, dictionary, values, fronts and chunk.physical_type == "BYTE_ARRAY")


def _page_header(stream: BinaryIO, place: int) -> tuple[dict[int, Any], int]:
    """Returns the header of the page that begins there, by field number, and its length in bytes."""
    for size in (1 << 10, 1 << 24):  # statistics in it may be long
        stream.seek(place)
        reader = _Compact(stream.read(size))
        try:
            return reader.struct(), reader.place
        except IndexError:
            continue
    raise ValueError("a page's header has no end")


class _Compact:
    """Reads Thrift's compact protocol, as far as page headers use it: numbers, nested structs, texts skipped."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Returns the fields of the struct that begins here."""
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            found[field] = self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("a page's header is nested too deeply")
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind == 7:
            self.place += 8
        elif kind == 8:
            length = self._varint()
            self.place += length
        elif kind in (9, 10):
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._value(3 if head & 15 in (1, 2) else head & 15, depth + 1)
        elif kind == 12:
            return self.struct(depth + 1)
        else:
            raise ValueError(f"a page's header has a field of kind {kind}")
        return None

    def _byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number in a page's header is too long")
        return value | byte << shift

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


def _repeated_bytes(array: pa.Array | pa.ChunkedArray) -> int:
    """Returns the bytes that dictionary-encoded values take when each is written out."""
    if isinstance(array, pa.ChunkedArray):
        return sum(map(_repeated_bytes, array.chunks))
    kind = array.type
    if pa.types.is_dictionary(kind):
        if kind.value_type not in (*_TEXTS, *_BYTES):
            return 0
        lengths = pc.fill_null(pc.binary_length(array.dictionary), 0)
        return int(pc.sum(pc.take(lengths, array.indices).cast(pa.int64())).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_repeated_bytes(array.field(number)) for number in range(kind.num_fields))
    if _is_any_list(kind):
        return _repeated_bytes(array.values)
    return 0


def open_parquet(path: Path, *, name: str, folder: Path | None = None) -> ParquetReader:
    """Returns the file, opened, once its columns are seen to be FashionEdit's."""
    file = ParquetReader(path, name=name, folder=folder)
    empty = [pa.nulls(0, kind) for kind in file.schema.types]  # `empty_table` would import pandas
    conform(pa.Table.from_arrays(empty, schema=file.schema), COLUMNS, name=name)
    return file


def conform(table: pa.Table, columns: Iterable[str], *, name: str) -> pa.Table:
    """Returns the named columns with exactly the types of the schema; optional ones that are missing are null.

    Files of other makers may hold wider numbers, large strings, or the fields of a difference in another order.

    Raises:
        InvalidDataError: A required column is missing or there twice, one has another kind of values, or an image is a
            path without bytes, which `datasets` would open or fetch; messages say `name`.
    """
    whole = fit_columns(table, columns, name=name)
    for column in whole.column_names:
        if column in IMAGE_COLUMNS and _names_files(whole.column(column).chunk(0)):
            raise InvalidDataError(image_without_bytes(name, column))
    return whole


def image_without_bytes(name: str, column: str) -> str:
    """Returns the sentence about an image that is a path without bytes."""
    return f"{name} has an image in column {column} that is a path without bytes; every image is embedded in the file"


def fit_columns(table: pa.Table, columns: Iterable[str], *, name: str) -> pa.Table:
    """Returns what `conform` does, its images not looked at."""
    if twice := [column for column, count in Counter(table.column_names).items() if count > 1]:
        raise InvalidDataError(f"{name} has the column {twice[0]} twice; keep one of the two")
    schema = arrow_schema()
    chosen = [schema.field(column) for column in columns]
    arrays = []
    for field in chosen:
        if field.name not in table.column_names:
            if field.name in _REQUIRED:
                raise InvalidDataError(f"{name} has no column {field.name}; FashionEdit needs {', '.join(_REQUIRED)}")
            arrays.append(pa.nulls(len(table), field.type))
            continue
        found = table.column(field.name)
        try:
            whole = found.chunk(0) if found.num_chunks == 1 else found.combine_chunks()
            arrays.append(_fit(whole, field.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InvalidDataError(
                f"{name} has {found.type} in column {field.name}; FashionEdit has {field.type} there"
            ) from error
    return pa.Table.from_arrays(arrays, schema=pa.schema(chosen))


def _names_files(images: pa.Array) -> bool:
    """Returns whether an image is the name of a file instead of its bytes."""
    cells = images.flatten() if pa.types.is_list(images.type) else images
    data, path = (pc.struct_field(cells, part) for part in ("bytes", "path"))
    return bool(pc.any(pc.and_(pc.is_null(data), pc.is_valid(path))).as_py())


def _fit(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    kind = array.type
    if kind == wanted:
        return array
    if pa.types.is_null(kind):
        return pa.nulls(len(array), wanted)
    if pa.types.is_struct(wanted) and pa.types.is_struct(kind):
        parts = []
        for field in wanted:
            if kind.get_field_index(field.name) >= 0:
                parts.append(_fit(pc.struct_field(array, field.name), field.type))
            elif field.name == "path":  # nobody needs it: the bytes are there
                parts.append(pa.nulls(len(array), field.type))
            else:
                raise TypeError(field.name)
        return pa.StructArray.from_arrays(parts, fields=list(wanted), mask=array.is_null())
    if pa.types.is_list(wanted) and _is_any_list(kind):
        array = array.cast(pa.list_(kind.value_type))
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        return pa.ListArray.from_arrays(offsets, _fit(array.flatten(), wanted.value_type), mask=array.is_null())
    if not _same_kind(kind, wanted):
        raise TypeError(str(kind))
    return array.cast(wanted)


def _is_any_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_floating(wanted):
        return bool(pa.types.is_floating(found) or pa.types.is_integer(found))
    return found in (_TEXTS if wanted in _TEXTS else _BYTES)
