from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

import fashionedit
from fashionedit.aliases import load
from fashionedit.data import (
    LocalFolder,
    Repository,
    SyntheticSet,
    find_folder,
    find_source,
    open_data,
    register_folder,
    registered_folder,
)
from fashionedit.errors import DatasetNotFoundError, InvalidDataError, UnknownNameError
from fashionedit.files import cache_folder, settings_file
from fashionedit.images import crop


def test_a_spec_names_a_folder_a_repository_or_the_synthetic_set(toy_folder, tmp_path, monkeypatch):
    assert find_source(toy_folder) == find_source(str(toy_folder)) == LocalFolder(toy_folder)
    assert find_source("org/name") == Repository("org/name")
    assert find_source("my-org/na.me_2@refs/pr/3") == Repository("my-org/na.me_2", "refs/pr/3")
    assert find_source("org/name", revision="v1") == Repository("org/name", "v1")
    assert find_source("synthetic") == SyntheticSet(24, 0)
    assert find_source("synthetic:7") == SyntheticSet(7, 0)
    (tmp_path / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_source("org/name") == LocalFolder(Path("org/name"))


@pytest.mark.parametrize("spec", ["nowhere", "a/b/c", "/no/where", "", "../up/down", "org/name@"])
def test_a_name_of_nothing_is_a_sentence(spec):
    with pytest.raises(DatasetNotFoundError, match="is no folder, no Hub repository"):
        find_source(spec)


@pytest.mark.parametrize("spec", ["synthetic:", "synthetic:0", "synthetic:-1", "synthetic:x", "synthetic:1.5"])
def test_the_synthetic_set_needs_a_number(spec):
    with pytest.raises(InvalidDataError, match="synthetic:N"):
        find_source(spec)


def test_the_bare_name_looks_at_the_environment_then_the_settings_then_the_hub(toy_folder, tmp_path, monkeypatch):
    with pytest.raises(DatasetNotFoundError) as caught:
        find_source(None)
    for way in ("data_dir=", "$FASHIONEDIT_DATA", "fashionedit use FOLDER", "$FASHIONEDIT_REPO", "'synthetic'"):
        assert way in str(caught.value)
    monkeypatch.setenv("FASHIONEDIT_REPO", "org/name@v2")
    assert find_source("fashionedit") == Repository("org/name", "v2")
    register_folder(toy_folder)
    assert find_source(None) == LocalFolder(toy_folder.resolve())
    monkeypatch.setenv("FASHIONEDIT_DATA", str(tmp_path))
    assert find_source(None) == LocalFolder(tmp_path)


def test_a_place_that_is_named_but_gone_is_a_sentence(toy_folder, tmp_path, monkeypatch, draw):
    monkeypatch.setenv("FASHIONEDIT_REPO", "no repository")
    with pytest.raises(DatasetNotFoundError, match=r"\$FASHIONEDIT_REPO is 'no repository'"):
        find_source(None)
    fashionedit.write_folder(tmp_path / "set", {"val": [draw(0)]})
    register_folder(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "moved")
    with pytest.raises(DatasetNotFoundError, match=r"the registered folder .* is gone"):
        find_source(None)
    monkeypatch.setenv("FASHIONEDIT_DATA", str(tmp_path / "set"))
    with pytest.raises(DatasetNotFoundError, match=r"\$FASHIONEDIT_DATA names"):
        find_source(None)


def test_a_folder_is_remembered_absolute(toy_folder, monkeypatch):
    assert registered_folder() is None
    monkeypatch.chdir(toy_folder.parent)
    assert register_folder("toy-set") == toy_folder.resolve() == registered_folder()


def test_only_a_fashionedit_folder_is_taken(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DatasetNotFoundError):
            register_folder(path)
    assert not settings_file().exists()


def test_other_settings_stay(toy_folder):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('{"other": 1, "folder": "/old"}')
    register_folder(toy_folder)
    assert json.loads(settings_file().read_text()) == {"other": 1, "folder": str(toy_folder.resolve())}


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff\xfe", b'{"folder": 3}', b'{"folder": ""}'])
def test_a_broken_file_is_a_sentence_and_is_mended_by_registering(toy_folder, text):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_bytes(text)
    with pytest.raises(InvalidDataError, match=r"settings\.json .*run: fashionedit use FOLDER"):
        registered_folder()
    register_folder(toy_folder)
    assert registered_folder() == toy_folder.resolve()


def test_open_data_opens_a_folder(toy_folder, monkeypatch):
    assert open_data(toy_folder).ids == open_data(str(toy_folder), "val").ids
    monkeypatch.setenv("FASHIONEDIT_DATA", str(toy_folder))
    assert len(open_data(None, "train+validation")) == 8


def test_the_synthetic_set_is_rendered_once(toy_renderer):
    seen = []
    first = open_data("synthetic:3", progress=lambda done, total: seen.append((done, total)))
    assert (len(first), first.control_set, first.name) == (3, True, "synthetic")
    assert seen == [(1, 3), (2, 3), (3, 3)]
    again = open_data("synthetic:3")
    assert (again.path, again.manifest_hash) == (first.path, first.manifest_hash)
    assert toy_renderer == [(3, 0, "validation")]
    assert first.path.is_relative_to(cache_folder() / "synthetic")
    assert len(open_data("synthetic:2")) == 2
    assert len(open_data("synthetic:2", "train+val")) == 4
    assert toy_renderer[1:] == [(2, 0, "validation"), (2, 0, "train"), (2, 0, "validation")]
    with pytest.raises(UnknownNameError):
        open_data("synthetic:2", "test")


def test_another_renderer_renders_anew(toy_renderer, monkeypatch):
    from fashionedit.synthetic import rendering

    first = open_data("synthetic:1")
    monkeypatch.setattr(rendering, "RENDERER_VERSION", "toys 2")
    assert open_data("synthetic:1").path != first.path
    assert len(toy_renderer) == 2


def test_callers_at_once_share_one_rendering(toy_renderer):
    start = threading.Barrier(4, timeout=60)

    def ask(_):
        start.wait()
        return open_data("synthetic:5").manifest_hash

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert toy_renderer == [(5, 0, "validation")]


def test_what_a_killed_renderer_left_is_cleared(toy_renderer):
    first = open_data("synthetic:1")
    leftover = first.path.with_name(f".{first.path.name}.0123abcd.part")
    first.path.rename(leftover)
    assert open_data("synthetic:1").path == first.path
    assert not leftover.exists()
    assert len(toy_renderer) == 2


def test_the_real_renderer_fills_the_control_set():
    folder = open_data("synthetic:1")
    assert folder.control_set
    (sample,) = folder
    digests = folder.digests(sample.id)
    assert digests.original != digests.draft
    assert len(set(digests.crops)) == 3
    for difference in sample.differences:
        assert difference.reference.tobytes() == crop(sample.original, difference.box).tobytes()
    assert open_data("synthetic:1", "train").ids != folder.ids


def test_load_gives_datasets_without_a_hook(toy_folder, toy_renderer, monkeypatch):
    assert {split: len(rows) for split, rows in load(toy_folder).items()} == {"train": 3, "validation": 5}
    assert load(str(toy_folder), split="val")["image_id"][0] == "toy-000"
    assert len(load(toy_folder, split="val[:2]+train")) == 5
    assert [row["image_id"] for row in load(toy_folder, split="train", streaming=True)] == [
        "toy-010",
        "toy-011",
        "toy-012",
    ]
    assert len(load("synthetic:2", split="train")) == 2
    assert load("synthetic", samples=1, seed=4, split="val")[0]["image_id"] == "validation-4-0"
    monkeypatch.setenv("FASHIONEDIT_DATA", str(toy_folder))
    assert len(load(split="train", num_proc=1)) == 3
    with pytest.raises(DatasetNotFoundError):
        load("nowhere")


def test_a_folder_with_a_metadata_file_is_packed_first(tmp_path):
    folder = tmp_path / "my photos"
    folder.mkdir()
    Image.new("RGB", (20, 30)).save(folder / "a.png")
    (folder / "metadata.jsonl").write_text('{"original": "a.png", "annotation": "a", "differences": []}\n')
    with pytest.raises(DatasetNotFoundError, match=r"make one of it first: fashionedit pack '.*/my photos' OUT$"):
        open_data(str(folder))


def test_the_synthetic_set_is_no_folder():
    with pytest.raises(InvalidDataError, match="synthetic:2 is no folder of its own; write it to one first"):
        find_folder("synthetic:2")
