from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from deepfashion_tree import DeepFashionTree, write_deepfashion_tree
from PIL import Image, ImageDraw
from whole_build import pictures

from fashionedit.builders.photos import Photo, Unusable, check_photos, open_source
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest, read_image


@pytest.fixture
def tree(tmp_path: Path) -> DeepFashionTree:
    return write_deepfashion_tree(tmp_path / "tree", pictures(20))


def _photo(folder: Path, name: str, size: tuple[int, int] = (80, 90), color: str = "red", **facts: Any) -> Photo:
    image = Image.new("RGB", size, color)
    ImageDraw.Draw(image).ellipse((9, 9, 50, 60), fill="grey")
    image.save(folder / f"{name}.png")
    return Photo(name, folder / f"{name}.png", **{"caption": f"a {name}", **facts})


def _kept(items: list[Photo | Unusable], store: StageStore) -> list[str]:
    return [photo.id for photo in check_photos(items, store)[0]]


def _reasons(store: StageStore) -> Counter[str]:
    return Counter(record.reason for record in store.records() if record.reason is not None)


def test_what_can_be_built_from_goes_on_and_the_rest_has_its_reason(tree: DeepFashionTree, tmp_path: Path) -> None:
    store = StageStore(tmp_path / "photos")
    seen: list[tuple[int, int]] = []
    items = open_source(tree.root, work=store.folder).photos()
    found, records = check_photos(items, store, progress=lambda *at: seen.append(at))
    assert tuple(photo.id for photo in found) == tree.usable
    assert [photo.digest for photo in found] == [pixel_digest(read_image(photo.path)) for photo in found]
    assert _reasons(store) == {"no caption": len(tree.uncaptioned), "not readable": 1}
    assert seen == [(done, tree.images) for done in range(1, tree.images + 1)]
    assert [record.id for record in records] == sorted(tree.paths)
    assert {record.id: record for record in records} == {record.id: record for record in store.records()}
    for photo, record in zip(found, (record for record in records if record.status == "kept"), strict=True):
        image = read_image(photo.path)
        assert (record.id, record.data["digest"], record.data["size"]) == (
            photo.id,
            pixel_digest(image),
            list(image.size),
        )
        assert (record.data["caption"], record.data["garment_id"]) == (photo.caption, photo.garment_id)
        assert record.data["attributes"] == dict(photo.attributes)
    corrupt = next(record for record in records if record.id == tree.corrupt)
    assert str(tmp_path) not in (corrupt.detail or "")
    assert f"{tree.corrupt}.jpg can't be read as an image" in (corrupt.detail or "")


def test_small_photographs_and_copies_are_dropped_and_the_first_copy_stays(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "photos")
    items = [
        _photo(tmp_path, "d", color="blue"),
        _photo(tmp_path, "c", (63, 300)),
        _photo(tmp_path, "b"),
        _photo(tmp_path, "a"),
        _photo(tmp_path, "small", (63, 300)),
        Unusable("e", "no draft", "resize_gen has no image e"),
    ]
    kept, _ = check_photos(items, store, workers=1)
    assert [photo.id for photo in kept] == ["a", "d"]
    details = {record.id: (record.reason, record.detail) for record in store.records() if record.status == "dropped"}
    assert details == {
        "b": ("same pixels as another", "b shows the same picture as a, pixel for pixel"),
        "c": ("too small", "c.png has 63×300 pixels; both sides need at least 64"),
        "e": ("no draft", "resize_gen has no image e"),
        "small": ("too small", "small.png has 63×300 pixels; both sides need at least 64"),
    }


def test_a_copy_goes_on_once_the_first_is_gone(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "photos")
    first, second = _photo(tmp_path, "a"), _photo(tmp_path, "b")
    assert _kept([first, second], store) == ["a"]
    assert _kept([second], store) == ["b"]
    assert _kept([second, first], store) == ["a"]


def test_a_photograph_with_a_draft_needs_no_caption(tmp_path: Path) -> None:
    draft = tmp_path / "draft.png"
    ready = _photo(tmp_path, "a", caption=None, draft=draft)
    bare = _photo(tmp_path, "b", color="blue", caption=" ")
    store = StageStore(tmp_path / "photos")
    assert _kept([ready, bare], store) == [ready.id]
    assert _reasons(store) == {"no caption": 1}


def test_nothing_is_decoded_twice_and_what_changed_is(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "photos")
    photo = _photo(tmp_path, "a")
    _, (record,) = check_photos([photo], store)
    state = photo.path.stat()
    photo.path.write_bytes(b"\0" * state.st_size)  # would not be an image if it were looked at
    os.utime(photo.path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert _kept([photo], store) == [photo.id]
    assert list(store.records()) == [record]
    os.utime(photo.path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert _kept([photo], store) == []
    assert _reasons(store) == {"not readable": 1}
    again = _photo(tmp_path, "a", color="green", view="front")
    assert _kept([again], store) == [again.id]
    (record,) = store.records()
    assert (record.status, record.reason, record.data["view"]) == ("kept", None, "front")


def test_a_file_that_vanished_is_not_readable_until_it_is_back(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "photos")
    photo = _photo(tmp_path, "a")
    data = photo.path.read_bytes()
    photo.path.unlink()
    for _ in range(2):
        assert _kept([photo], store) == []
    (record,) = store.records()
    assert record.detail == "a.png can't be read (No such file or directory)"
    photo.path.write_bytes(data)
    assert _kept([photo], store) == [photo.id]


def test_a_file_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(257 * 2**20)
    store = StageStore(tmp_path / "photos")
    assert _kept([Photo("a", path, "a coat")], store) == []
    (record,) = store.records()
    assert (record.reason, record.detail) == (
        "not readable",
        "a.png has 257 MiB, more than the 256 MiB that are read; make it smaller",
    )


def test_two_items_with_one_id_are_named(tmp_path: Path) -> None:
    photo = _photo(tmp_path, "a")
    with pytest.raises(InvalidDataError, match="two photographs with the id a; ids are unique"):
        check_photos([photo, Unusable("a", "no draft", "…")], StageStore(tmp_path / "photos"))


KILLED = """
import os, signal, sys
from pathlib import Path
from fashionedit.builders.photos import check_photos, open_source
from fashionedit.builders.stage_store import StageStore

root, work, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
store, made = StageStore(work), []
commit = store.commit

def counted(record):
    commit(record)
    made.append(record.id)
    if len(made) == after:
        os.kill(os.getpid(), signal.SIGKILL)

store.commit = counted
kept, _ = check_photos(open_source(root, work=work).photos(), store)
print(len(kept), len(made))
"""


def test_killed_twice_it_goes_on_where_it_was(tree: DeepFashionTree, tmp_path: Path) -> None:
    def run(work: Path, after: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tree.root), str(work), str(after)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for _ in range(2):
        assert run(tmp_path / "killed", 5).returncode == -signal.SIGKILL
    assert run(tmp_path / "killed", 0).stdout.split() == [str(len(tree.usable)), str(tree.images - 10)]
    whole = StageStore(tmp_path / "whole")
    check_photos(open_source(tree.root, work=whole.folder).photos(), whole)
    assert list(StageStore(tmp_path / "killed").records()) == list(whole.records())
