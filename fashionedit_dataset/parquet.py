"""Parquet as FashionEdit writes and reads it: shards with small row groups, images embedded and left uncompressed.

The same rows give the same bytes (with the same version of pyarrow, whose name stands in every file).
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .errors import InvalidDataError
from .rows import StoredRow
from .schema import COLUMNS, IMAGE_COLUMNS, OPTIONAL_COLUMNS, REFERENCE_COLUMNS, arrow_schema

ROWS_PER_GROUP = 64
GROUP_BYTES = 32 * 2**20
SHARD_BYTES = 500_000_000
_FOOTER_BYTES = 1_000_000  # what a shard may still need after its last row group

# Chunk borders follow the content, so that a changed row changes few of the blocks that the Hub stores.
_CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}


class ShardWriter:
    """Writes the rows of one split as `<folder>/<split>-00000-of-0000N.parquet`, in bounded memory.

    The files get their names when the block ends well; until then they are called `<split>-00000.part`.

    Args:
        folder: An existing folder.
        split: `train` or `validation`.
        shard_bytes: No file is larger, unless a single row is.
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
        self._sink: Any = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._close()
        if kind is None:
            for number, shard in enumerate(self._shards):
                shard.rename(shard.with_name(f"{self._split}-{number:05d}-of-{len(self._shards):05d}.parquet"))

    def write(self, sample: StoredRow) -> None:
        """Adds one row."""
        if self._waiting and sum(row.nbytes for row in self._waiting) + sample.nbytes > self._group_bytes:
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
        writer = self._writer or self._open()
        writer.write_table(table, row_group_size=ROWS_PER_GROUP)

    def _open(self) -> pq.ParquetWriter:
        shard = self._folder / f"{self._split}-{len(self._shards):05d}.part"
        self._shards.append(shard)
        self._sink = shard.open("wb")
        self._writer = pq.ParquetWriter(self._sink, self._schema, **_writer_options(self._schema))
        return self._writer

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._sink.flush()
            os.fsync(self._sink.fileno())
            self._sink.close()
        self._writer = self._sink = None


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    leaves = list(_leaves(schema))
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


def _leaves(schema: pa.Schema) -> Iterable[str]:
    """Yields the column paths as Parquet names them."""

    def walk(path: str, kind: pa.DataType) -> Iterable[str]:
        if pa.types.is_struct(kind):
            for field in kind:
                yield from walk(f"{path}.{field.name}", field.type)
        elif pa.types.is_list(kind):
            yield from walk(f"{path}.list.element", kind.value_type)
        else:
            yield path

    for field in schema:
        yield from walk(field.name, field.type)


def open_parquet(path: Path, *, name: str) -> pq.ParquetFile:
    """Returns the file, opened, once its columns are seen to be FashionEdit's.

    Raises:
        InvalidDataError: It is no Parquet file, or a column is missing or of another type; messages call it `name`.
    """
    try:
        file = pq.ParquetFile(path, memory_map=False)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidDataError(f"{name} can't be read as Parquet ({reason}); replace the file") from error
    conform(file.schema_arrow.empty_table(), COLUMNS, name=name)
    return file


def conform(table: pa.Table, columns: Iterable[str], *, name: str) -> pa.Table:
    """Returns the named columns with exactly the types of the schema; optional ones that are missing are null.

    Files of other makers may hold wider numbers, large strings, or the fields of a difference in another order.

    Raises:
        InvalidDataError: A required column is missing, or one has another kind of values; messages say `name`.
    """
    schema = arrow_schema()
    chosen = [schema.field(column) for column in columns]
    arrays = []
    for field in chosen:
        if field.name not in table.column_names:
            if field.name in _required():
                raise InvalidDataError(f"{name} has no column {field.name}; FashionEdit needs {', '.join(_required())}")
            arrays.append(pa.nulls(len(table), field.type))
            continue
        found = table.column(field.name)
        try:
            arrays.append(_fit(_whole(found), field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
            raise InvalidDataError(
                f"{name} has {found.type} in column {field.name}; FashionEdit has {field.type} there"
            ) from error
    return pa.Table.from_arrays(arrays, schema=pa.schema(chosen))


def _required() -> Sequence[str]:
    return [column for column in COLUMNS if column not in (*OPTIONAL_COLUMNS, *REFERENCE_COLUMNS)]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


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
    if pa.types.is_string(wanted):
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    return bool(pa.types.is_binary(found) or pa.types.is_large_binary(found))
