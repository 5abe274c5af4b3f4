from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fashionedit.files import append_line, write_atomically


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
        "print('on', flush=True)\n"
        "for k in range(10**6): write_atomically(Path(sys.argv[1]) / str(k % 7), bytes([k % 250]) * 200_000)"
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
