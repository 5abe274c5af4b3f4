from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.parquet import MOST_BYTES, ROWS_PER_GROUP, ParquetReader, ShardWriter, conform, open_parquet
from fashionedit.rows import EncodedSample
from fashionedit.schema import COLUMNS, arrow_schema


def _write(folder, samples, **options):
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, "validation", **options) as writer:
        for sample in samples:
            writer.write(sample)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def rows(draw):
    return [EncodedSample.of(draw(number)) for number in range(130)]


def test_same_rows_same_bytes(tmp_path, rows):
    (one,) = _write(tmp_path / "one", rows)
    (other,) = _write(tmp_path / "other", rows)
    assert one.name == "validation-00000-of-00001.parquet"
    assert one.read_bytes() == other.read_bytes()


def test_row_groups_are_small_and_images_lie_plain(tmp_path, rows):
    (path,) = _write(tmp_path / "out", rows)
    found = pq.ParquetFile(path).metadata
    assert [found.row_group(number).num_rows for number in range(found.num_row_groups)] == [64, 64, 2]
    assert ROWS_PER_GROUP == 64
    images = 0
    for number in range(found.num_columns):
        column = found.row_group(0).column(number)
        assert column.has_offset_index
        if column.path_in_schema.endswith(".bytes"):
            images += 1
            assert column.compression == "UNCOMPRESSED"
            assert "PLAIN" in column.encodings
            assert not {"RLE_DICTIONARY", "PLAIN_DICTIONARY"} & set(column.encodings)
            assert not column.is_stats_set
        elif column.path_in_schema == "image_id":
            assert column.statistics.min == "toy-000"
    assert images == 5
    assert rows[0].images.original.data in path.read_bytes()
    assert json.loads(found.metadata[b"content_defined_chunking"])["norm_level"] == 0


def test_shards_stay_below_the_limit_and_hold_every_row_in_order(tmp_path, rows):
    limit = 1_600_000
    files = _write(tmp_path / "out", rows, shard_bytes=limit)
    assert len(files) > 2
    assert [file.name for file in files] == [
        f"validation-{number:05d}-of-{len(files):05d}.parquet" for number in range(len(files))
    ]
    assert max(file.stat().st_size for file in files) <= limit
    ids = [key for file in files for key in pq.read_table(file, columns=["image_id"])["image_id"].to_pylist()]
    assert ids == [row.facts.id for row in rows]


def test_a_row_larger_than_a_shard_has_one_of_its_own(tmp_path, rows):
    files = _write(tmp_path / "out", rows[:3], shard_bytes=10)
    assert [pq.ParquetFile(file).metadata.num_rows for file in files] == [1, 1, 1]


def test_no_file_has_its_name_after_an_error(tmp_path, rows):
    def failing():
        yield from rows[:70]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        _write(tmp_path / "out", failing())
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["validation-00000.part"]


def test_files_of_other_makers_are_brought_to_our_types(rows):
    ours = pa.Table.from_pylist([row.row() for row in rows[:3]], schema=arrow_schema())
    image = pa.struct([("path", pa.null()), ("bytes", pa.large_binary())])
    theirs = pa.schema(
        [
            ("extra", pa.int8()),
            ("crops", pa.large_list(pa.struct([("bytes", pa.binary())]))),
            ("differences", pa.list_(pa.struct([("box_2d", pa.list_(pa.float64(), 4)), ("description", pa.string())]))),
            ("image_id", pa.large_string()),
            ("annotation", pa.dictionary(pa.int32(), pa.string())),
            ("original_image", image),
            ("sd3_image", image),
            ("clip_score", pa.float32()),
        ]
    )
    plain = []
    for row in ours.to_pylist():
        cells = {name: {"bytes": row[name]["bytes"], "path": None} for name in ("original_image", "sd3_image")}
        plain.append({**row, **cells, "extra": 1})
    table = pa.Table.from_pylist(plain, schema=theirs)
    for part in (table, table.slice(1, 2), pa.concat_tables([table.slice(0, 1), table.slice(1)])):
        found = conform(part, COLUMNS, name="it")
        found.validate(full=True)
        assert found.schema.equals(arrow_schema(), check_metadata=False)
        for row, wanted in zip(found.to_pylist()[::-1], ours.to_pylist()[::-1], strict=False):
            assert row["differences"] == wanted["differences"]
            assert [crop["bytes"] for crop in row["crops"]] == [crop["bytes"] for crop in wanted["crops"]]
            assert row["clip_score"] == pytest.approx(wanted["clip_score"], abs=1e-5)
            assert row["gender"] is None


def test_missing_lists_and_images_stay_missing():
    table = pa.Table.from_pylist(
        [{"differences": None, "crops": []}, {"differences": [{"description": None, "box_2d": None}], "crops": None}],
        schema=pa.schema([("differences", pa.large_list(pa.struct([("box_2d", pa.large_list(pa.int64())),
                                                                   ("description", pa.string())]))),
                          ("crops", pa.list_(pa.struct([("path", pa.string()), ("bytes", pa.binary())])))]),
    )  # fmt: skip
    found = conform(table, ["differences", "crops"], name="it").to_pylist()
    assert [row["differences"] for row in found] == [None, [{"description": None, "box_2d": None}]]
    assert [row["crops"] for row in found] == [[], None]


@pytest.mark.parametrize("column", ["image_id", "original_image", "annotation", "sd3_image", "differences", "crops"])
def test_a_missing_column_is_named(tmp_path, rows, column):
    table = pa.Table.from_pylist([rows[0].row()], schema=arrow_schema()).drop_columns([column])
    pq.write_table(table, tmp_path / "it.parquet")
    with pytest.raises(InvalidDataError, match=rf"it\.parquet has no column {column}; FashionEdit needs"):
        open_parquet(tmp_path / "it.parquet", name="it.parquet")


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("image_id", pa.int64()),
        ("annotation", pa.list_(pa.string())),
        ("original_image", pa.string()),
        ("sd3_image", pa.struct([("path", pa.string())])),
        ("crops", pa.list_(pa.binary())),
        ("differences", pa.list_(pa.string())),
        ("differences", pa.list_(pa.struct([("description", pa.string())]))),
        ("differences", pa.list_(pa.struct([("description", pa.string()), ("box_2d", pa.list_(pa.string()))]))),
        ("clip_score", pa.string()),
        ("gender", pa.bool_()),
        ("sketches", pa.string()),
    ],
)
def test_a_column_of_another_type_is_named(column, kind):
    fields = [pa.field(column, kind) if field.name == column else field for field in arrow_schema()]
    with pytest.raises(InvalidDataError, match=rf"it has .* in column {column}; FashionEdit has"):
        conform(pa.schema(fields).empty_table(), COLUMNS, name="it")


def test_what_is_no_parquet_is_named(tmp_path):
    (tmp_path / "it.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InvalidDataError, match="it can't be read as Parquet"):
        open_parquet(tmp_path / "it.parquet", name="it")


SMALL_LIMIT = 2**24  # bytes, instead of `MOST_BYTES`, so that the files are small too


def _same(value, count):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count), pa.int32()), pa.array([value]))


_BOMBS = {
    "one long text 8,500 times": (_same("x" * 1_000_000, 8_500), {}),
    "one long picture 8,500 times": (
        pa.StructArray.from_arrays([_same(b"x" * 1_000_000, 8_500), pa.nulls(8_500, pa.string())], ["bytes", "path"]),
        {},
    ),
    "a list of one text 8,500 times": (
        pa.ListArray.from_arrays(pa.array([0, 8_500], pa.int32()), _same("x" * 1_000_000, 8_500)),
        {},
    ),
    "zeros": (pa.array([bytes(20_000_000)], pa.binary()), {"use_dictionary": False}),
    "texts that begin alike": (
        pa.array(["y" * 1_000_000] * 20),
        {"use_dictionary": False, "column_encoding": {"it": "DELTA_BYTE_ARRAY"}},
    ),
    "a list of 4 million numbers": (
        pa.ListArray.from_arrays(pa.array([0, 4_000_000], pa.int32()), pa.array(np.zeros(4_000_000, np.int8))),
        {},
    ),
}


@pytest.mark.parametrize("kind", _BOMBS)
def test_a_small_file_that_unpacks_to_more_than_the_limit_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("fashionedit.parquet.MOST_BYTES", SMALL_LIMIT)
    column, options = _BOMBS[kind]
    path = tmp_path / "it.parquet"
    pq.write_table(pa.table({"it": column}), path, compression="zstd", **options)
    assert path.stat().st_size < 1_000_000
    with ParquetReader(path, name="it") as file, pytest.raises(InvalidDataError, match="would unpack to more than"):
        file.read(0, ["it"])


def test_a_refused_file_takes_no_memory(tmp_path):
    pq.write_table(pa.table({"it": _same("x" * 1_000_000, 8_500)}), tmp_path / "it.parquet", compression="zstd")
    code = """
import resource, sys
from pathlib import Path
from fashionedit.parquet import ParquetReader
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
with ParquetReader(Path(sys.argv[1]), name="it") as file:
    file.read(0, ["it"])
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "it.parquet")], capture_output=True, text=True)
    assert "would unpack to more than" in done.stderr


def test_repeated_texts_that_fit_are_read(tmp_path):
    texts = [f"text {number % 7} " + "abc" * 2_000 for number in range(30_000)]
    pq.write_table(pa.table({"it": texts}), tmp_path / "it.parquet", compression="zstd")
    assert (tmp_path / "it.parquet").stat().st_size * 1_000 < sum(map(len, texts)) < MOST_BYTES
    with ParquetReader(tmp_path / "it.parquet", name="it") as file:
        assert file.read(0, ["it"]).column("it").to_pylist() == texts


def test_sizes_that_the_end_of_the_file_states_are_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr("fashionedit.parquet.MOST_BYTES", SMALL_LIMIT)
    pq.write_table(pa.table({"it": [bytes(20_000_000)]}), tmp_path / "it", compression="zstd", use_dictionary=False)
    data = (tmp_path / "it").read_bytes()
    stated = pq.ParquetFile(tmp_path / "it").metadata.row_group(0).column(0).total_uncompressed_size
    number = _varint(2 * stated)
    assert data.count(number) >= 2  # of the column, and of the row group
    (tmp_path / "it").write_bytes(data.replace(number, b"\x80" * (len(number) - 1) + b"\x00"))
    assert pq.ParquetFile(tmp_path / "it").metadata.row_group(0).column(0).total_uncompressed_size == 0
    with ParquetReader(tmp_path / "it", name="it") as file, pytest.raises(InvalidDataError, match="unpack"):
        file.read(0, ["it"])


def _varint(value):
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def test_texts_that_are_not_utf_8_and_columns_that_stand_there_twice(tmp_path):
    raw = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"], pa.binary()).buffers())
    pq.write_table(pa.table({"it": raw}), tmp_path / "it.parquet")
    with ParquetReader(tmp_path / "it.parquet", name="it") as file, pytest.raises(InvalidDataError, match="UTF8"):
        file.read(0, ["it"])
    twice = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["image_id", "image_id"])
    with pytest.raises(InvalidDataError, match="image_id twice"):
        conform(twice, ["image_id"], name="it")


@pytest.mark.parametrize("column", ["original_image", "sd3_image", "crops", "sketches", "examples"])
def test_an_image_that_is_only_a_path_is_refused(draw, column):
    row = EncodedSample.of(draw(0)).row()
    cell = {"bytes": None, "path": "/etc/hostname"}
    row[column] = cell if column.endswith("_image") else [cell] * 3
    table = pa.Table.from_pylist([row], schema=arrow_schema())
    with pytest.raises(InvalidDataError, match=f"column {column} that is a path without bytes"):
        conform(table, COLUMNS, name="it")
    row[column] = None
    conform(pa.Table.from_pylist([row], schema=arrow_schema()), COLUMNS, name="it")


def test_a_file_is_read_by_its_path_whatever_stands_for_the_class_of_paths(tmp_path, monkeypatch):
    """`datasets` before 4 replaces `Path` in the modules that a streamed builder imports."""
    monkeypatch.setattr("fashionedit.parquet.Path", type("xPath", (type(tmp_path),), {}))
    pq.write_table(pa.table({"it": ["a", "b"]}), tmp_path / "it.parquet")
    with ParquetReader(tmp_path / "it.parquet", name="it") as file:
        assert file.read(0, ["it"]).column("it").to_pylist() == ["a", "b"]
