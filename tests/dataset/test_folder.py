from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, InvalidImageError, UnknownNameError
from fashionedit.folder import open_folder, write_folder
from fashionedit.images import EncodedImage, pixel_digest
from fashionedit.rows import EncodedSample
from fashionedit.schema import arrow_schema

VALIDATION = "data/validation-00000-of-00001.parquet"


@pytest.fixture
def copy(toy_folder, tmp_path):
    return Path(shutil.copytree(toy_folder, tmp_path / "copy"))


def _files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _rewrite(path, change):
    """Writes the file anew, its rows changed, as somebody else's tool would."""
    rows = pq.read_table(path).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema()), path)


def test_samples_come_back_in_order(toy_folder, draw):
    folder = open_folder(toy_folder)
    assert (folder.name, folder.split, folder.control_set, len(folder)) == ("toy-set", "validation", False, 5)
    assert folder.ids == tuple(f"toy-{number:03d}" for number in range(5))
    for number, sample in enumerate(folder):
        drawn = draw(number)
        assert (sample.id, sample.annotation) == (drawn.id, drawn.annotation)
        assert sample.original.tobytes() == drawn.original.tobytes()
        assert sample.draft.tobytes() == drawn.draft.tobytes()
        assert [d.reference.tobytes() for d in sample.differences] == [d.reference.tobytes() for d in drawn.differences]
    assert folder[-1].id == "toy-004"
    assert [sample.id for sample in folder[1:3]] == ["toy-001", "toy-002"]
    with pytest.raises(IndexError):
        folder[5]
    with pytest.raises(KeyError):
        folder.sample("absent")


def test_facts_and_single_images(toy_folder, draw):
    folder = open_folder(toy_folder, "val")
    facts = folder.facts("toy-003")
    assert facts.garment == "WOMEN-Dresses-00000001"
    assert facts.descriptions[1] == "what box 1 of 3 shows"
    assert facts.boxes == tuple(difference.box for difference in folder.sample("toy-003").differences)
    assert facts.clip_score == 88.00013
    assert folder.original("toy-003").tobytes() == draw(3).original.tobytes()
    assert folder.draft("toy-003").tobytes() == draw(3).draft.tobytes()
    assert [folder.crop("toy-003", place).tobytes() for place in range(3)] == [
        difference.reference.tobytes() for difference in draw(3).differences
    ]


@pytest.mark.parametrize("split", ["train+validation", "train + val"])
def test_both_splits_at_once(toy_folder, split):
    folder = open_folder(toy_folder, split)
    assert folder.split == "train+validation"
    assert folder.ids == tuple(f"toy-{number:03d}" for number in (10, 11, 12, 0, 1, 2, 3, 4))
    assert folder.sample("toy-012").id == folder[2].id == "toy-012"


def test_digests_are_those_of_the_pixels(toy_folder, copy):
    (copy / "manifest.json").unlink()
    for folder in (open_folder(toy_folder), open_folder(copy)):
        for sample in folder:
            found = folder.digests(sample.id)
            assert found.original == pixel_digest(sample.original)
            assert found.draft == pixel_digest(sample.draft)
            assert found.crops == tuple(pixel_digest(d.reference) for d in sample.differences)
            sizes = folder.sizes(sample.id)
            assert (sizes.original, sizes.draft) == ((64, 96), (80, 80))


def test_opening_with_a_manifest_decodes_no_image(toy_folder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(EncodedImage, "read", refuse)
    folder = open_folder(toy_folder)
    assert folder.sizes("toy-001").draft == (80, 80)
    assert len(folder.manifest_hash) == 64


def test_manifest_hash_knows_the_data_and_not_its_form(tmp_path, draw, toy_folder, copy):
    wanted = open_folder(toy_folder).manifest_hash
    write_folder(tmp_path / "reversed", {"val": map(draw, reversed(range(5)))}, shard_bytes=10, control_set=True)
    assert len(list((tmp_path / "reversed" / "data").iterdir())) == 5
    assert open_folder(tmp_path / "reversed").manifest_hash == wanted

    def squeeze(rows):
        for row in rows:
            for cell in (row["original_image"], row["sd3_image"], *row["crops"]):
                buffer = io.BytesIO()
                Image.open(io.BytesIO(cell["bytes"])).save(buffer, "WEBP", lossless=True, exact=True)
                cell.update(bytes=buffer.getvalue(), path=None)

    _rewrite(copy / VALIDATION, squeeze)
    assert open_folder(copy).manifest_hash == wanted
    (copy / "manifest.json").unlink()
    assert open_folder(copy).manifest_hash == wanted


def _one_pixel(rows):
    image = Image.open(io.BytesIO(rows[2]["sd3_image"]["bytes"]))
    red, green, blue = image.getpixel((5, 5))
    image.putpixel((5, 5), (red, green, blue ^ 1))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    rows[2]["sd3_image"]["bytes"] = buffer.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[2]["crops"].reverse(),
        lambda rows: rows[2].update(annotation="other"),
        lambda rows: rows[2].update(image_id="other"),
        lambda rows: rows[2]["differences"][0].update(box_2d=[100, 100, 300, 400.5]),
        _one_pixel,
        lambda rows: rows.pop(),
    ],
    ids=["crops", "annotation", "id", "box", "pixel", "row"],
)
def test_manifest_hash_sees_every_change_and_trusts_no_stale_entry(toy_folder, copy, change):
    wanted = open_folder(toy_folder).manifest_hash
    _rewrite(copy / VALIDATION, lambda rows: None)
    assert open_folder(copy).manifest_hash == wanted
    _rewrite(copy / VALIDATION, change)
    assert open_folder(copy).manifest_hash != wanted


def test_control_set_is_marked_everywhere(tmp_path, draw):
    write_folder(tmp_path / "set", {"validation": [draw(0)]}, name="Toys", control_set=True, renderer="toys 1")
    folder = open_folder(tmp_path / "set")
    assert folder.control_set
    assert folder.name == "Toys"
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_bytes())
    assert (manifest["control_set"], manifest["renderer"], manifest["splits"]) == (True, "toys 1", {"validation": 1})
    assert "This is a control set" in (tmp_path / "set" / "README.md").read_text("utf-8")


def test_same_samples_same_files(tmp_path, draw):
    for name in ("one", "two"):
        write_folder(tmp_path / name, {"val": map(draw, range(4)), "train": map(draw, range(4, 6))}, name="Toys")
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_samples_are_taken_as_they_are_needed(tmp_path, draw, monkeypatch):
    from fashionedit.parquet import ShardWriter

    taken = written = 0
    ahead = []
    write = ShardWriter.write

    def counted(self, sample):
        nonlocal written
        written += 1
        ahead.append(taken - written)
        write(self, sample)

    def samples():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield draw(number)

    monkeypatch.setattr(ShardWriter, "write", counted)
    write_folder(tmp_path / "out", {"train": samples()}, workers=2)
    assert written == 40
    assert max(ahead) < 5


def test_threads_may_share_a_folder(tmp_path, draw):
    samples = [EncodedSample.of(draw(number)) for number in range(200)]
    write_folder(tmp_path / "set", {"validation": samples})
    folder = open_folder(tmp_path / "set")
    wanted = {row.facts.id: row.images.draft.digest for row in samples}
    keys = [folder.ids[(7 * number) % 200] for number in range(300)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda key: (key, pixel_digest(folder.draft(key))), keys))
    assert all(wanted[key] == digest for key, digest in found)


def test_a_folder_can_be_sent_to_a_process(toy_folder):
    folder = open_folder(toy_folder, "train")
    back = pickle.loads(pickle.dumps(folder))
    assert (back.ids, back.manifest_hash) == (folder.ids, folder.manifest_hash)
    assert "3 samples" in repr(back)


def test_a_missing_split_folder_or_name_is_a_sentence(tmp_path, draw, toy_folder):
    write_folder(tmp_path / "set", {"val": [draw(0)]})
    with pytest.raises(UnknownNameError, match="has no split train; it has validation"):
        open_folder(tmp_path / "set", "train")
    with pytest.raises(UnknownNameError, match="no split is called 'test'"):
        open_folder(toy_folder, "test")
    with pytest.raises(UnknownNameError, match="no split"):
        open_folder(toy_folder, "train+")
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        open_folder(tmp_path / "absent")
    with pytest.raises(DatasetNotFoundError, match="is no folder"):
        open_folder(tmp_path / "set" / "README.md")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFoundError, match="holds no data/train"):
        open_folder(tmp_path / "empty")


def test_broken_rows_are_named_with_file_and_row(copy):
    _rewrite(copy / VALIDATION, lambda rows: rows[3]["differences"][1].update(box_2d=[1200, 0, 1300, 10]))
    with pytest.raises(InvalidDataError, match=rf"{VALIDATION}, row 4: box edge ymin is 1200"):
        open_folder(copy)


def test_an_id_that_appears_twice_is_named(copy):
    shutil.copyfile(copy / VALIDATION, copy / "data/train-00000-of-00001.parquet")
    with pytest.raises(InvalidDataError, match="row 1: image_id toy-000 appears twice"):
        open_folder(copy, "train+validation")


def test_a_broken_image_is_named_when_it_is_needed(copy):
    def break_image(rows):
        rows[1]["crops"][2]["bytes"] = rows[1]["crops"][2]["bytes"][:200]
        rows[2]["original_image"]["bytes"] = None

    _rewrite(copy / VALIDATION, break_image)
    folder = open_folder(copy)
    assert folder.sample("toy-000").id == "toy-000"
    with pytest.raises(InvalidImageError, match="the crop 3 of sample toy-001 can't be read"):
        folder.sample("toy-001")
    with pytest.raises(InvalidImageError, match="the crop 3 of sample toy-001"):
        _ = folder.manifest_hash
    with pytest.raises(InvalidDataError, match="sample toy-002, has an image in column original_image that is a path"):
        folder.digests("toy-002")


def test_a_damaged_file_is_named(copy):
    data = bytearray((copy / VALIDATION).read_bytes())
    data[4:3000] = os.urandom(2996)
    (copy / VALIDATION).write_bytes(data)
    with pytest.raises(InvalidDataError, match=r"validation-00000-of-00001\.parquet"):
        [sample.id for sample in open_folder(copy)]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"images": {"a": 1}}', b'{"format_version": 2}', b"\xff"])
def test_a_manifest_that_is_none_is_named(copy, text):
    (copy / "manifest.json").write_bytes(text)
    with pytest.raises(InvalidDataError, match=r"manifest\.json"):
        open_folder(copy)


def test_the_plain_published_layout_of_others_opens(toy_folder, tmp_path):
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    table = pq.read_table(toy_folder / VALIDATION).drop_columns(["view", "clip_score"]).replace_schema_metadata(None)
    pq.write_table(table, other / "data/validation-00000-of-00001.parquet", compression="zstd", row_group_size=2)
    folder = open_folder(other)
    assert folder.manifest_hash == open_folder(toy_folder).manifest_hash
    assert (folder.name, folder.control_set) == ("other", False)
    assert (folder[0].view, folder[0].clip_score, folder[0].gender) == (None, None, "WOMEN")


def test_a_folder_is_never_written_over(tmp_path, draw):
    for name in ("file", "full"):
        (tmp_path / "full").mkdir(exist_ok=True)
        (tmp_path / ("file" if name == "file" else "full/thing")).write_text("mine")
        before = _files(tmp_path)
        with pytest.raises(InvalidDataError, match="exists and is not an empty folder"):
            write_folder(tmp_path / name, {"val": [draw(0)]})
        assert _files(tmp_path) == before
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", {"val": [draw(0)]})
    assert len(open_folder(tmp_path / "empty")) == 1


def test_of_two_writers_one_wins_whole(tmp_path, draw):
    def slow(numbers, *, rival):
        for number in numbers:
            yield draw(number)
        if rival:
            write_folder(tmp_path / "set", {"val": slow(range(2), rival=False)})

    with pytest.raises(InvalidDataError, match="exists and is not an empty folder"):
        write_folder(tmp_path / "set", {"val": slow(range(3), rival=True)}, workers=1)
    assert len(open_folder(tmp_path / "set")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def _failing(draw):
    yield draw(0)
    raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("splits", "error", "message"),
    [
        (lambda draw: {"val": _failing(draw)}, RuntimeError, "stop"),
        (lambda draw: {"val": [draw(0)], "train": [draw(1), draw(0)]}, InvalidDataError, "toy-000 appears twice"),
        (lambda draw: {"val": [draw(0)], "train": []}, InvalidDataError, "the split train has no samples"),
        (lambda draw: {"val": [draw(0)], "validation": [draw(1)]}, InvalidDataError, "the splits are val, validation"),
        (lambda draw: {}, InvalidDataError, "the splits are missing"),
        (lambda draw: {"test": [draw(0)]}, UnknownNameError, "no split is called 'test'"),
    ],
)
def test_an_error_leaves_nothing_behind(tmp_path, draw, splits, error, message):
    with pytest.raises(error, match=message):
        write_folder(tmp_path / "deep" / "set", splits(draw))
    assert not [path for path in tmp_path.rglob("*") if path.name != "deep"]


def test_a_killed_writer_leaves_no_half_folder_and_the_next_one_works(tmp_path, draw):
    code = """
        import os, signal, sys
        from pathlib import Path
        from PIL import Image
        from fashionedit import Box, Difference, Sample, write_folder
        image = Image.effect_noise((64, 64), 50).convert("RGB")
        def samples():
            for number in range(100):
                if number == 80:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield Sample(f"s{number}", "", image, image, (Difference("d", Box(0, 0, 500, 500), image),) * 3)
        write_folder(sys.argv[1], {"validation": samples()})
    """
    out = tmp_path / "set"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".set.")
    assert leftover.name.endswith(".part")
    write_folder(out, {"validation": [draw(0)]})
    assert len(open_folder(out)) == 1
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_of_ours_opens_with_datasets_alone(toy_folder, draw):
    import datasets

    found = datasets.load_dataset(str(toy_folder))
    assert {split: len(rows) for split, rows in found.items()} == {"train": 3, "validation": 5}
    row = found["validation"][2]
    drawn = draw(2)
    assert row["image_id"] == drawn.id
    assert row["original_image"].tobytes() == drawn.original.tobytes()
    assert [crop.tobytes() for crop in row["crops"]] == [d.reference.tobytes() for d in drawn.differences]
    for stored, difference in zip(row["differences"], drawn.differences, strict=True):
        assert stored["description"] == difference.description
        assert stored["box_2d"] == pytest.approx(list(difference.box.box_2d))
    streamed = datasets.load_dataset(str(toy_folder), split="validation", streaming=True)
    assert [row["image_id"] for row in streamed] == [f"toy-{number:03d}" for number in range(5)]
    assert streamed.features == found["train"].features
