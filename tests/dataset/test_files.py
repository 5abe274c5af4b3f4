from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from fashionedit.errors import InvalidDataError
from fashionedit.files import (
    FolderReader,
    append_line,
    open_regular,
    parse_json,
    parse_model,
    read_json,
    read_json_lines,
    read_regular,
    write_all,
    write_atomically,
)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "file"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_several_files_are_written_all_or_none_on_a_disk_that_fills(tmp_path: Path) -> None:
    old, new = tmp_path / "old.txt", tmp_path / "new" / "folder" / "large.bin"
    old.write_bytes(b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from fashionedit.files import write_all\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "try:\n    write_all({Path(sys.argv[1]): b'changed', Path(sys.argv[2]): bytes(10_000)})\n"
        "except OSError as error:\n    print(error.filename)"
    )
    done = subprocess.run([sys.executable, "-c", code, old, new], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(new)
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"old"
    write_all({old: b"changed", new: bytes(10_000)})
    assert (old.read_bytes(), new.stat().st_size) == (b"changed", 10_000)


def test_a_folder_in_the_way_of_one_file_leaves_the_others_alone(tmp_path: Path) -> None:
    first, way = tmp_path / "first", tmp_path / "way"
    way.mkdir()
    with pytest.raises(IsADirectoryError, match="way"):
        write_all({first: b"1", way: b"2"})
    assert list(tmp_path.iterdir()) == [way]


def test_lines_of_many_writers_never_mix(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fashionedit.files import append_line\n"
        "for k in range(500): append_line(Path(sys.argv[1]), sys.argv[2] * 300)"
    )
    path = tmp_path / "lines"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), letter]) for letter in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = path.read_text().splitlines()
    assert len(lines) == 1500
    assert all(line in ("a" * 300, "b" * 300, "c" * 300) for line in lines)


def test_a_torn_last_line_is_closed_first(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text('{"whole": 1}\n{"torn"')
    append_line(path, '{"next": 2}')
    assert path.read_text() == '{"whole": 1}\n{"torn"\n{"next": 2}\n'


def test_a_killed_writer_leaves_whole_files(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fashionedit.files import write_atomically\n"
        "for k in range(10**6):\n"
        "    write_atomically(Path(sys.argv[1]) / str(k % 7), bytes([k % 250]) * 200_000)\n"
        "    if k == 0: print('on', flush=True)"
    )
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            writer.wait(0.15)
        except subprocess.TimeoutExpired:
            writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    whole = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert whole
    for path in whole:
        data = path.read_bytes()
        assert len(data) == 200_000
        assert len(set(data)) == 1


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_pipe, "is no regular file"),
        (_socket, "is no regular file"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    ],
)
@pytest.mark.timeout(20)
def test_only_regular_files_are_opened_and_nobody_waits(tmp_path: Path, make, sentence: str) -> None:
    make(tmp_path / "it")
    with pytest.raises(InvalidDataError, match=sentence):
        open_regular(tmp_path / "it")


def test_a_link_may_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (home / "sub" / "real").write_text("ours")
    (home / "inside").symlink_to("sub/real")
    (home / "outside").symlink_to("../secret")
    (home / "loop").symlink_to("loop")
    (home / "gone").symlink_to(tmp_path, target_is_directory=True)
    assert read_regular(home / "inside", folder=home) == b"ours"
    for name in ("outside", "gone/secret", "../secret", "sub/../../secret"):
        with pytest.raises(InvalidDataError, match="leads out of"):
            read_regular(home / name, folder=home)
    with pytest.raises(OSError, match="loop"):
        read_regular(home / "loop", folder=home)
    with pytest.raises(InvalidDataError, match="is not valid"):
        read_regular(home / "a\0b", folder=home)


def test_the_links_of_a_hub_snapshot_lead_to_its_own_contents(tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--org--name" / "snapshots" / "abc"
    (tmp_path / "datasets--org--name" / "blobs").mkdir(parents=True)
    (snapshot / "data").mkdir(parents=True)
    (tmp_path / "datasets--org--name" / "blobs" / "1").write_text("content")
    (tmp_path / "datasets--org--name" / "refs").write_text("not content")
    (snapshot / "data" / "file").symlink_to("../../../blobs/1")
    (snapshot / "data" / "other").symlink_to("../../../refs")
    assert read_regular(snapshot / "data" / "file", folder=snapshot) == b"content"
    with pytest.raises(InvalidDataError, match="leads out of"):
        read_regular(snapshot / "data" / "other", folder=snapshot)


def test_a_file_beyond_the_limit_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"12345")
    assert read_regular(tmp_path / "it", 5) == b"12345"
    with pytest.raises(InvalidDataError, match="more than the 4 bytes"):
        read_regular(tmp_path / "it", 4)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidDataError, match="more than the 64,000,000 bytes"):
        read_regular(tmp_path / "sparse")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 300 + "]" * 300,
        '{"a": 1e308}',
        '{"a":' * 100_000,
        "{",
        "",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 400 + "}",
        '{"a": ' + "9" * 10_000 + "}",
        '{"a": "\\ud83d"}',
        b'{"a": "\xff"}',
    ],
)
def test_json_that_no_program_can_use_is_one_sentence(text: str | bytes) -> None:
    with pytest.raises(InvalidDataError, match=r"it\.json can't be read .*; it is no valid JSON"):
        parse_json(text, name="it.json")


def test_json_of_another_kind_and_lines_that_hold_none(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text("[1]")
    with pytest.raises(InvalidDataError, match="holds no JSON object"):
        read_json(tmp_path / "it.json")
    (tmp_path / "lines").write_bytes(b'{"a": 1}\n[2]\n\xff\n' + b"[" * 100_000 + b'\n{"b": "\xe2\x80\xa8"}\n{"c"')
    assert list(read_json_lines(tmp_path / "lines")) == [{"a": 1}, {"b": "\u2028"}]
    assert list(read_json_lines(tmp_path / "none")) == []


def test_links_are_followed_where_a_path_goes_down_through_one(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    for place in (folder / "inner", outside):
        (place / "text").write_text("text")
    (folder / "link").symlink_to(outside)
    (folder / "own").symlink_to(folder / "inner")
    assert read_regular(folder / "inner" / "text", folder=folder) == b"text"
    assert read_regular(folder / "own" / "text", folder=folder) == b"text"
    for name in ("link/text", "inner/../link/text", "../outside/text"):
        with pytest.raises(InvalidDataError, match="leads out of"):
            read_regular(folder / name, folder=folder)


def test_many_files_of_a_folder_are_read_as_each_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "in").mkdir(parents=True)
    (home / "in" / "file").write_bytes(b"content")
    (home / "in" / "empty").write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_bytes(b"secret")
    (home / "in" / "link").symlink_to(home / "in" / "file")
    (home / "in" / "away").symlink_to(tmp_path / "out" / "secret")
    (home / "gone").symlink_to(tmp_path / "out")
    (home / "in" / "folder").mkdir()
    os.mkfifo(home / "in" / "pipe")
    reader = FolderReader(home)
    for _ in range(2):
        assert [reader.read(f"in/{name}") for name in ("file", "empty", "link")] == [b"content", b"", b"content"]
        assert [reader.ending(f"in/{name}", 3) for name in ("file", "empty", "link")] == [b"ent", b"", b"ent"]
        for name in ("in/away", "gone/secret", "in/folder", "in/pipe"):
            with pytest.raises(InvalidDataError) as alone:
                read_regular(home / name, folder=home)
            for read in (reader.read, lambda name: reader.ending(name, 3)):
                with pytest.raises(InvalidDataError) as found:
                    read(name)
                assert str(found.value) == str(alone.value)
        for name in ("in/missing", "missing/file"):
            with pytest.raises(FileNotFoundError):
                reader.read(name)
    (home / "missing").mkdir()
    (home / "missing" / "file").write_bytes(b"late")
    assert reader.read("missing/file") == b"late"


class Told(BaseModel):
    value: Any = None
    number: float = 0.0


@pytest.mark.parametrize(
    "text",
    [
        *(b'{"value": NaN}', b'{"value": -Infinity}', b'{"number": 1e31}', b'{"number": 12345678901234567890e11}'),
        *(b'{"value": "\\ud800"}', b'{"value": %b}' % (b"9" * 31), b'{"value": "\xff"}', b'{"value": "\xed\xa0\x80"}'),
        *(b"", b"{", b'{"value": 1} x', b'{"value": 01}', b'{"value": "a\nb"}', b"[1]", b'{"number": "x"}'),
        b'{"value": %b}' % (b"[" * 500 + b"]" * 500),
    ],
)
def test_a_model_refuses_what_json_refuses_though_it_is_parsed_once(text: bytes) -> None:
    with pytest.raises(InvalidDataError) as found:
        parse_model(Told, text, name="it")
    if "damaged or written by another version" not in str(found.value):
        with pytest.raises(InvalidDataError) as alone:
            parse_json(text, name="it")
        assert str(found.value) == str(alone.value)


@pytest.mark.parametrize(
    "form", ['{"value": N}', '{"value": [N ,\nN\t]}', '{"value": N\r, "number": 1}', '{"value": N\n}']
)
@pytest.mark.parametrize("number", ["1e31", "1E+31", "-1.5e400", "1e0031", "9" * 31])
def test_a_model_refuses_numbers_that_json_refuses(form: str, number: str) -> None:
    text = form.replace("N", number)
    with pytest.raises(InvalidDataError) as alone:
        parse_json(text, name="it")
    with pytest.raises(InvalidDataError) as found:
        parse_model(Told, text, name="it")
    assert str(found.value) == str(alone.value)


@pytest.mark.parametrize("text", ['{"value": "NaN é \\u00e9", "number": 1e-5}', '{"value": "3e12", "number": 1E9}'])
def test_a_model_takes_what_only_looks_like_it(text: str) -> None:
    assert parse_model(Told, text, name="it") == parse_model(Told, text.encode(), name="it") == Told(**json.loads(text))
