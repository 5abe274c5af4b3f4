"""The two optional kinds of reference: three sketches, up to three examples, or none."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.folder import open_folder, write_folder
from fashionedit.images import EncodedImage, pixel_digest
from fashionedit.manifest import manifest_hash
from fashionedit.rows import EncodedSample, RowImages, encoded_size, image_bytes
from fashionedit.schema import REFERENCE_COLUMNS, arrow_schema, features

VALIDATION = "data/validation-00000-of-00001.parquet"


def _pictures(seed, count, size=(24, 20)):
    chance = np.random.default_rng([7, seed])
    return tuple(Image.fromarray(chance.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)) for _ in range(count))


@pytest.fixture
def mixed(tmp_path, draw):
    """Four samples: with both kinds, sketches alone, one example alone, and with neither."""
    samples = [
        draw(0, sketches=_pictures(0, 3), examples=_pictures(1, 2, (64, 96))),
        draw(1, sketches=_pictures(2, 3)),
        draw(2, examples=_pictures(3, 1)),
        draw(3),
    ]
    write_folder(tmp_path / "mixed", {"validation": samples})
    return tmp_path / "mixed", samples


def _rewrite(path, change):
    rows = pq.read_table(path).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema()), path)


def test_both_kinds_come_back_in_order(mixed):
    path, samples = mixed
    folder = open_folder(path)
    for sample, drawn in zip(folder, samples, strict=True):
        for kind in REFERENCE_COLUMNS:
            assert [one.tobytes() for one in getattr(sample, kind)] == [one.tobytes() for one in getattr(drawn, kind)]
            digests = tuple(map(pixel_digest, getattr(drawn, kind)))
            assert getattr(folder.digests(sample.id), kind) == digests
    row = pq.read_table(path / VALIDATION).to_pylist()[0]
    assert [cell["path"] for cell in row["sketches"]] == [f"toy-000-sketch{number}.png" for number in (1, 2, 3)]
    assert [cell["path"] for cell in row["examples"]] == ["toy-000-example1.png", "toy-000-example2.png"]


def test_the_manifest_knows_them_so_that_nothing_is_decoded(mixed, monkeypatch):
    path, samples = mixed
    known = json.loads((path / "manifest.json").read_bytes())["images"]
    listed = {entry["pixels"] for entry in known.values()}
    assert {pixel_digest(one) for sample in samples for one in (*sample.sketches, *sample.examples)} < listed
    monkeypatch.setattr(EncodedImage, "read", None)
    folder = open_folder(path)
    assert len(folder.manifest_hash) == 64
    assert len(folder.digests("toy-000").examples) == 2


def test_the_hash_of_a_set_without_them_is_what_it_was_before_they_were_known(toy_folder, tmp_path):
    lines = b""
    for sample in open_folder(toy_folder):
        shown = (sample.original, sample.draft, *(one.reference for one in sample.differences))
        differences = [[one.description, list(one.box.box_2d)] for one in sample.differences]
        line = [sample.id, sample.annotation, differences, [pixel_digest(image) for image in shown]]
        lines += json.dumps(line, separators=(",", ":")).encode() + b"\n"
    wanted = hashlib.sha256(lines).hexdigest()
    assert open_folder(toy_folder).manifest_hash == wanted

    old = tmp_path / "old" / "data"
    old.mkdir(parents=True)
    table = pq.read_table(toy_folder / VALIDATION)
    assert all(table[name].null_count == len(table) for name in REFERENCE_COLUMNS)
    table = table.drop_columns(list(REFERENCE_COLUMNS)).replace_schema_metadata(None)
    pq.write_table(table, old / "validation.parquet")
    assert open_folder(tmp_path / "old").manifest_hash == wanted
    assert open_folder(tmp_path / "old")[0].sketches == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[0]["sketches"].reverse(),
        lambda rows: rows[0]["examples"].pop(),
        lambda rows: rows[0].update(sketches=None),
        lambda rows: rows[3].update(examples=rows[2]["examples"]),
        lambda rows: rows[2].update(examples=None),
        lambda rows: rows[1].update(sketches=rows[0]["sketches"]),
    ],
    ids=["order of the sketches", "one example less", "no sketches", "an example more", "no example", "other sketches"],
)
def test_the_hash_sees_every_change_of_them(mixed, change):
    path, _ = mixed
    wanted = open_folder(path).manifest_hash
    _rewrite(path / VALIDATION, lambda rows: None)
    assert open_folder(path).manifest_hash == wanted
    _rewrite(path / VALIDATION, change)
    assert open_folder(path).manifest_hash != wanted


def test_sketches_and_examples_are_not_taken_for_one_another(toy_folder):
    facts = open_folder(toy_folder).facts("toy-000")
    sketched = RowImages("o", "d", ("a", "b", "c"), sketches=("x", "y", "z"))
    shown = RowImages("o", "d", ("a", "b", "c"), examples=("x", "y", "z"))
    assert manifest_hash([(facts, sketched)]) != manifest_hash([(facts, shown)])


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"sketches": _pictures(0, 2)}, "toy-000 has 2 sketches; a sample has one for each of its 3 differences"),
        ({"sketches": _pictures(0, 4)}, "has 4 sketches"),
        ({"examples": _pictures(0, 4)}, "toy-000 has 4 examples; a sample has at most 3"),
    ],
)
def test_another_number_of_them_is_refused(draw, kinds, message):
    with pytest.raises(InvalidDataError, match=message):
        draw(0, **kinds)
    encoded = EncodedSample.of(draw(0))
    many = {name: tuple(map(EncodedImage.of, images)) for name, images in kinds.items()}
    with pytest.raises(InvalidDataError, match=message):
        EncodedSample(encoded.facts, replace(encoded.images, **many))


def test_an_empty_list_is_none_at_all(draw):
    row = {**EncodedSample.of(draw(0)).row(), "sketches": [], "examples": []}
    assert (image_bytes(row).sketches, image_bytes(row).examples) == ((), ())


def test_datasets_shows_them_from_the_folder_alone(mixed):
    path, samples = mixed
    found = datasets.load_dataset(str(path), split="validation")
    assert found.features == features()
    for row, drawn in zip(found, samples, strict=True):
        for kind in REFERENCE_COLUMNS:
            wanted = [one.tobytes() for one in getattr(drawn, kind)] or None
            assert (row[kind] and [one.tobytes() for one in row[kind]]) == wanted


def test_the_loader_gives_old_and_new_files_the_same_columns(mixed, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hf"))
    path, _ = mixed
    table = pq.read_table(path / VALIDATION)
    old = table.drop_columns(list(REFERENCE_COLUMNS)).replace_schema_metadata(None)
    ids = pa.array([f"old-{number}" for number in range(len(old))])
    old = old.set_column(old.column_names.index("image_id"), "image_id", ids)
    pq.write_table(old, path / "data" / "train-00000-of-00001.parquet")
    (path / "README.md").unlink()
    found = datasets.load_dataset("fashionedit", data_dir=str(path))
    assert found["train"].features == found["validation"].features == features()
    assert set(found["train"]["sketches"]) == {None}
    assert [row["examples"] and len(row["examples"]) for row in found["validation"]] == [2, None, 1, None]
    streamed = datasets.load_dataset("fashionedit", data_dir=str(path), split="validation", streaming=True)
    first = next(iter(streamed))
    assert [image.size for image in first["sketches"]] == [(24, 20)] * 3


def test_jpeg_examples_keep_their_bytes(tmp_path, draw):
    buffer = io.BytesIO()
    _pictures(0, 1)[0].save(buffer, "JPEG")
    (tmp_path / "other.jpg").write_bytes(buffer.getvalue())
    example, _ = EncodedImage.from_file(tmp_path / "other.jpg", name="it")
    whole = EncodedSample.of(draw(0))
    row = EncodedSample(whole.facts, replace(whole.images, examples=(example,)))
    assert encoded_size(row) == encoded_size(whole) + len(buffer.getvalue())
    write_folder(tmp_path / "set", {"val": [row]})
    assert buffer.getvalue() in (tmp_path / "set" / VALIDATION).read_bytes()
    assert row.row()["examples"][0]["path"] == "toy-000-example1.jpg"
