from __future__ import annotations

import json
from pathlib import Path

import pytest

from fashionedit.builders.split_file import read_split_file
from fashionedit.errors import InvalidDataError


@pytest.mark.parametrize(
    "text",
    [
        "a-1_front\nb.2\n",
        "\ufeff# held out\r\n\r\n  images/a-1_front.jpg \r\nC:\\photos\\b.2.PNG\r\n",
        json.dumps(["a-1_front.png", "x/b.2.webp", "a-1_front"]),
        json.dumps({"validation": ["a-1_front.png", "b.2"], "train": ["c"]}),
        json.dumps({"val": ["a-1_front", "b.2"]}),
        json.dumps({"a-1_front": "val", "b.2.jpeg": "validation", "c": "train"}),
        json.dumps({"a-1_front.jpg": "A caption.", "b.2.jpg": "Another."}),
        json.dumps({"a-1_front.png": 91.5, "b.2.png": "85.1"}),
    ],
)
def test_every_form_names_the_same_images(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text, "utf-8", newline="")
    assert read_split_file(tmp_path / "list") == {"a-1_front", "b.2"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^list names no image for validation; write a name on each line"),
        (b"# nothing\n", "names no image"),
        (b"{}", "names no image"),
        (b'{"train": ["a"]}', "names no image"),
        (b"[1]", r"^list: 1 is no name of an image"),
        (b"[[", r"^list is no valid JSON \(.*\); write"),
        (b"[" * 100_000, r"^list is no valid JSON"),
        (b"caf\xe9\n", r"^list: byte 3 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_list_is_one_sentence(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(InvalidDataError, match=message):
        read_split_file(tmp_path / "list")


def test_a_file_that_is_missing_or_far_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"absent can't be read \(No such file or directory\)"):
        read_split_file(tmp_path / "absent")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidDataError, match="has more than the 67,108,864 bytes"):
        read_split_file(tmp_path / "large")
