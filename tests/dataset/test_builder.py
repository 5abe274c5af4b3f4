from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

import fashionedit
from fashionedit.data import register_folder
from fashionedit.errors import DatasetNotFoundError, InvalidDataError, UnknownNameError
from fashionedit.schema import arrow_schema, features

VALIDATION = "data/validation-00000-of-00001.parquet"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hf"))


def test_a_folder_as_data_dir(toy_folder, draw):
    found = load_dataset("fashionedit", data_dir=str(toy_folder))
    assert {split: len(rows) for split, rows in found.items()} == {"train": 3, "validation": 5}
    assert found["train"].features == features()
    row = found["validation"][4]
    assert row["image_id"] == "toy-004"
    assert row["sd3_image"].tobytes() == draw(4).draft.tobytes()
    assert [len(d["box_2d"]) for d in row["differences"]] == [4, 4, 4]


def test_one_split_and_slices(toy_folder):
    assert load_dataset("fashionedit", data_dir=toy_folder, split="validation").num_rows == 5
    assert load_dataset("fashionedit", "default", data_dir=toy_folder, split="train+validation[:2]").num_rows == 5
    with pytest.raises(ValueError, match="val"):
        load_dataset("fashionedit", data_dir=toy_folder, split="val")


def test_streaming_prepares_nothing(toy_folder, tmp_path):
    rows = load_dataset("fashionedit", data_dir=toy_folder, split="validation", streaming=True)
    assert rows.features == features()
    assert [row["image_id"] for row in rows] == [f"toy-{number:03d}" for number in range(5)]
    assert next(iter(rows))["original_image"].size == (64, 96)
    assert not list((tmp_path / "hf").rglob("*.arrow"))
    assert set(load_dataset("fashionedit", data_dir=toy_folder, streaming=True)) == {"train", "validation"}


# In a process of its own: `datasets` forks, and this one has the threads of all tests before.
TWO_PROCESSES = """
import sys
import fashionedit, datasets
rows = datasets.load_dataset(
    "fashionedit", data_dir=sys.argv[1], split="validation", cache_dir=sys.argv[2], num_proc=2
)
print(len(rows.cache_files), *rows["image_id"])
"""


def test_several_processes_share_the_row_groups(tmp_path, draw):
    fashionedit.write_folder(tmp_path / "set", {"validation": map(draw, range(150))})
    arguments = [sys.executable, "-c", TWO_PROCESSES, str(tmp_path / "set"), str(tmp_path / "cache")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["2", *(f"toy-{number:03d}" for number in range(150))]


@pytest.mark.parametrize("columns", [["annotation", "image_id"], ["differences"], ["crops", "view"]])
@pytest.mark.parametrize("streaming", [False, True])
def test_columns_are_read_alone(toy_folder, columns, streaming):
    whole = load_dataset("fashionedit", data_dir=toy_folder, split="train")
    rows = load_dataset("fashionedit", data_dir=toy_folder, split="train", columns=columns, streaming=streaming)
    wanted = [name for name in whole.features if name in columns]
    assert list(rows.features) == wanted
    assert [[row[name] for name in wanted] for row in rows] == [[row[name] for name in wanted] for row in whole]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (["caption"], "FashionEdit has no column 'caption'"),
        ("caption", "no column 'caption'"),
        ([], "columns is empty"),
    ],
)
def test_columns_that_there_are_not_are_refused(toy_folder, columns, says):
    with pytest.raises(InvalidDataError, match=rf"{says}; choose from image_id, "):
        fashionedit.load(toy_folder, columns=columns)


def test_a_text_is_one_column(toy_folder):
    assert list(fashionedit.load(toy_folder, split="train", columns="annotation").features) == ["annotation"]


COUNT_DECODED = """
import sys
import fashionedit, datasets
from PIL import Image, ImageFile
opened, load = [], ImageFile.ImageFile.load
real_open = Image.open
Image.open = lambda *args, **more: (opened.append("open"), real_open(*args, **more))[1]
ImageFile.ImageFile.load = lambda self: (opened.append("load"), load(self))[1]
rows = datasets.load_dataset("fashionedit", data_dir=sys.argv[1], split="validation", cache_dir=sys.argv[2])
rows["image_id"][:], rows.select_columns(["differences"])[0]
prepared = len(opened)
stream = datasets.load_dataset(
    "fashionedit", data_dir=sys.argv[1], split="validation", columns=["annotation"], streaming=True
)
texts = len(list(stream))
streamed = len(opened)
rows[0]["sd3_image"]
print(prepared, streamed, texts, len(opened) > streamed)
"""


def test_no_picture_is_decoded_before_it_is_asked_for(toy_folder, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", COUNT_DECODED, str(toy_folder), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "0", "5", "True"]


def test_the_bare_name_is_looked_up(toy_folder, monkeypatch):
    with pytest.raises(DatasetNotFoundError, match="no FashionEdit data is known"):
        load_dataset("fashionedit")
    register_folder(toy_folder)
    assert load_dataset("fashionedit", split="train").num_rows == 3
    monkeypatch.setenv("FASHIONEDIT_DATA", "/no/where")
    with pytest.raises(DatasetNotFoundError, match="FASHIONEDIT_DATA"):
        load_dataset("fashionedit")


def test_the_copy_in_the_cache_is_never_stale(toy_folder, tmp_path, draw):
    folder = Path(shutil.copytree(toy_folder, tmp_path / "set"))
    assert load_dataset("fashionedit", data_dir=folder, split="train")["image_id"][0] == "toy-010"
    shutil.rmtree(folder)
    fashionedit.write_folder(folder, {"train": [draw(7)]})
    assert load_dataset("fashionedit", data_dir=folder, split="train")["image_id"][:] == ["toy-007"]
    state = (folder / "data/train-00000-of-00001.parquet").stat()
    shutil.copyfile(toy_folder / "data/train-00000-of-00001.parquet", folder / "data/train-00000-of-00001.parquet")
    os.utime(folder / "data/train-00000-of-00001.parquet", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert load_dataset("fashionedit", data_dir=folder, split="train").num_rows == 3


def test_an_unchanged_folder_is_prepared_once(toy_folder, monkeypatch):
    first = load_dataset("fashionedit", data_dir=toy_folder, split="train")

    def refuse(*_, **__):
        raise AssertionError("prepared again")

    monkeypatch.setattr("fashionedit.builder.FashionEdit._generate_tables", refuse)
    again = load_dataset("fashionedit", data_dir=toy_folder, split="train")
    assert again.cache_files == first.cache_files


def test_synthetic_has_two_splits_and_options(toy_renderer):
    found = load_dataset("fashionedit", "synthetic", samples=2)
    assert {split: rows["image_id"][:] for split, rows in found.items()} == {
        "train": ["train-0-0", "train-0-1"],
        "validation": ["validation-0-0", "validation-0-1"],
    }
    assert load_dataset("fashionedit", "synthetic", samples=1, seed=9, split="train")["image_id"][:] == ["train-9-0"]
    assert load_dataset("fashionedit", "synthetic", split="validation").num_rows == 24


def test_streaming_renders_only_the_split_that_is_read(toy_renderer):
    rows = load_dataset("fashionedit", "synthetic", split="validation", streaming=True, samples=3)
    assert toy_renderer == []
    assert [row["image_id"] for row in rows] == [f"validation-0-{number}" for number in range(3)]
    assert toy_renderer == [(3, 0, "validation")]


def test_chosen_features_are_kept(toy_folder):
    plain = datasets.Features({**features(), "sd3_image": datasets.Image(decode=False)})
    rows = load_dataset("fashionedit", data_dir=toy_folder, split="train", features=plain)
    assert rows[0]["sd3_image"]["bytes"].startswith(b"\x89PNG")


def test_files_of_other_makers_load_too(toy_folder, tmp_path):
    table = pq.read_table(toy_folder / "data/train-00000-of-00001.parquet").drop_columns(["view"])
    pq.write_table(table.select(table.column_names[::-1]), tmp_path / "train.parquet")
    rows = load_dataset("fashionedit", data_dir=tmp_path, split="train")
    assert rows.features == features()
    assert rows["view"][:] == [None] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "synthetic", "data_dir": "/tmp"}, "takes no data_dir="),
        ({"name": "synthetic", "revision": "v1"}, "revision= belongs to the configuration default"),
        ({"samples": 3}, "samples= belongs to the configuration synthetic"),
        ({"data_dir": "synthetic"}, "load the configuration synthetic"),
        ({"data_files": {"train": __file__}}, "takes no data_files="),
        ({"name": "synthetic", "samples": 0}, "samples is 0"),
        ({"name": "synthetic", "samples": "many"}, "samples is 'many'"),
        ({"name": "synthetic", "seed": -1}, "seed is -1"),
    ],
)
def test_arguments_that_do_not_go_together_are_a_sentence(arguments, message):
    with pytest.raises(InvalidDataError, match=message):
        load_dataset("fashionedit", **arguments)


def test_an_unknown_configuration_or_option_is_refused(toy_folder, toy_renderer):
    for options in ({"data_dir": toy_folder}, {}, {"data_dir": "owner/name"}):
        with pytest.raises(UnknownNameError, match="no configuration 'synthetc'; choose default or synthetic"):
            load_dataset("fashionedit", "synthetc", **options)
    with pytest.raises(ValueError, match="doesn't have a 'colour' key"):
        load_dataset("fashionedit", "synthetic", colour="red")


def test_configurations_and_splits_can_be_asked_for(toy_folder):
    assert datasets.get_dataset_config_names("fashionedit") == ["default", "synthetic"]
    assert datasets.get_dataset_split_names("fashionedit", "default", data_dir=str(toy_folder)) == [
        "train",
        "validation",
    ]


@pytest.fixture
def naming_folder(toy_folder, tmp_path):
    """A folder in which a row names a picture of this machine instead of holding one."""
    folder = shutil.copytree(toy_folder, tmp_path / "naming")
    (tmp_path / "secret.png").write_bytes(pq.read_table(toy_folder / VALIDATION).to_pylist()[0]["sd3_image"]["bytes"])
    rows = pq.read_table(folder / VALIDATION).to_pylist()
    rows[1]["original_image"] = {"bytes": None, "path": str(tmp_path / "secret.png")}
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema()), folder / VALIDATION)
    return folder


@pytest.mark.parametrize(
    "door",
    [
        lambda folder: load_dataset("fashionedit", data_dir=folder, split="validation"),
        lambda folder: list(load_dataset("fashionedit", data_dir=folder, split="validation", streaming=True)),
        lambda folder: fashionedit.load(folder),
        lambda folder: list(fashionedit.load(folder, split="val", streaming=True)),
        lambda folder: list(fashionedit.open_data(folder)),
        lambda folder: fashionedit.open_data(folder).manifest_hash,
    ],
    ids=["load_dataset", "streaming", "load", "load streaming", "open_data", "manifest_hash"],
)
def test_no_door_opens_a_picture_that_a_row_only_names(naming_folder, door):
    with pytest.raises(InvalidDataError, match="a path without bytes"):
        door(naming_folder)


def test_an_unknown_configuration_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"no configuration 'synthetc'; choose default or synthetic"):
        load_dataset("fashionedit", "synthetc")
