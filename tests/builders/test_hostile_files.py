"""Files of strangers, changed at random: whatever is in them gives a value or one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from publishing_toys import caption, encode, identity, picture, sample, write_full

from fashionedit.annotations_form import write_annotations
from fashionedit.builders.pack import read_image_folder
from fashionedit.builders.photos.opening import open_source
from fashionedit.builders.photos.release import read_selection
from fashionedit.builders.split import read_split_file
from fashionedit.errors import FashionEditError, InvalidDataError
from fashionedit.folder import open_folder, split_files
from fashionedit.hydration import hydrate
from fashionedit.photo_index import read_captions

_VALUES = (None, True, 0, -1, 10**25, 10**400, 0.5, 1e308, "", "x", "\ud83d", "\u009b31m", "a\0b", [], [[]], {})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind of file that may come from somebody else; not to be changed."""
    home = tmp_path_factory.mktemp("home")
    write_full(home / "set", [sample(number) for number in range(4)])
    write_annotations(home / "set", home / "annotations")
    (home / "photos").mkdir()
    for number in range(4):
        (home / "photos" / f"{identity(number)}.jpg").write_bytes(encode(picture(number), quality=92))
    folder = home / "folder"
    folder.mkdir()
    for name in ("o.png", "d.png"):
        shutil.copy(next((home / "photos").rglob("*.jpg")), folder / name)
    differences = [{"description": "a collar", "box_2d": [100, 100, 300 + n, 400]} for n in range(3)]
    line = {"original": "o.png", "draft": "d.png", "annotation": "a red dress", "differences": differences}
    (folder / "metadata.jsonl").write_text(json.dumps(line))
    (home / "table").mkdir()
    shutil.copy(folder / "o.png", home / "table" / "o.png")
    (home / "table" / "metadata.csv").write_text('file_name,caption,gender\no.png,"a red, long dress",WOMEN\n')
    (home / "captions.json").write_text(json.dumps({f"{identity(n)}.jpg": caption(n) for n in range(4)}))
    (home / "split.json").write_text(json.dumps({"train": ["a", "b"], "validation": ["c.jpg"]}))
    (home / "split.txt").write_text("a.jpg\nb\n")
    (home / "scores.json").write_text(json.dumps({"a.png": "87.4", "b.png": 85.1}))
    return home


def _everything(folder: Path) -> None:
    for split in split_files(folder):
        opened = open_folder(folder, split)
        assert opened.manifest_hash
        assert [opened.sample(id) for id in opened.ids]


def _doors(home: Path, out: Path) -> list[tuple[str, Callable[[Path], Any]]]:
    return [
        ("set", lambda file: _everything(home / "set")),
        ("set", lambda file: write_annotations(home / "set", out)),
        ("annotations", lambda file: hydrate(home / "annotations", home / "photos", out, partial=True)),
        ("folder/metadata.jsonl", lambda file: read_image_folder(home / "folder")),
        ("table/metadata.csv", lambda file: list(open_source(str(home / "table"), work=out).photos())),
        ("table/metadata.csv", read_captions),
        ("captions.json", read_captions),
        ("captions.json", lambda file: hydrate(home / "annotations", home / "photos", out, captions=file)),
        ("split.json", read_split_file),
        ("split.txt", read_split_file),
        ("scores.json", read_selection),
    ]


def _spoiled(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        try:
            return json.dumps(_mutated(json.loads(data), chance)).encode()
        except ValueError:
            pass
    place = chance.randrange(len(data) + 1)
    return chance.choice(
        (
            data[:place],
            data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :],
            data[:place] + data[place : place + 40] * 3 + data[place:],
            data[:place]
            + chance.choice((b"[" * 5_000, b"9" * 5_000, b"\xff\xfe", b"\0", b"\xed\xa0\xbd", b"1e999", b",")),
        )
    )


def _mutated(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return chance.choice(_VALUES)
    changed = dict(value) if isinstance(value, dict) else list(value)
    key = chance.choice(list(changed) if isinstance(changed, dict) else range(len(changed)))
    changed[key] = _mutated(value[key], chance)
    return changed


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.timeout(300)
def test_no_change_of_a_file_leaves_the_tree_of_errors(home: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    copy = shutil.copytree(home, tmp_path / "home")
    doors = _doors(copy, tmp_path / "out")
    for _ in range(120):
        name, door = chance.choice(doors)
        place = copy / name
        file = chance.choice([p for p in sorted(place.rglob("*")) if p.is_file()]) if place.is_dir() else place
        whole = file.read_bytes()
        file.write_bytes(_spoiled(whole, chance))
        with contextlib.suppress(FashionEditError):
            door(file)
        file.write_bytes(whole)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("captions.json", read_captions),
        ("table/metadata.csv", read_captions),
        ("split.json", read_split_file),
        ("scores.json", read_selection),
        ("set/manifest.json", lambda file: _everything(file.parent)),
        ("set/README.md", lambda file: _everything(file.parent)),
    ],
)
@pytest.mark.timeout(30)
def test_nobody_waits_for_a_pipe(home: Path, tmp_path: Path, file: str, read: Callable[[Path], Any]) -> None:
    copy = shutil.copytree(home, tmp_path / "home")
    (copy / file).unlink()
    os.mkfifo(copy / file)
    with pytest.raises(InvalidDataError, match="no regular file"):
        read(copy / file)
