"""What this package replaces and deletes is what it wrote; what killed writers left is cleared or comes back."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.files import clear_leftovers, write_atomically
from fashionedit.owned_folders import MARK_FILE, check_apart, new_folder, read_mark, recover_folder


def fill(out: Path, files: dict[str, str]) -> None:
    with new_folder(out, "build", replace=True) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARK_FILE
    }


def test_our_files_are_replaced_and_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "set"
    fill(out, {"card": "1", "data/a": "1", "data/b": "1"})
    (out / ".git").mkdir()
    (out / ".git" / "HEAD").write_text("mine")
    (out / "data" / "notes").write_text("mine")
    (out / "link").symlink_to(tmp_path)
    fill(out, {"card": "2", "data/a": "2"})
    assert texts(out) == {"card": "2", "data/a": "2", ".git/HEAD": "mine", "data/notes": "mine"}
    assert (out / "link").is_symlink()
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_of_ours_that_somebody_changed_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "set"
    fill(out, {"card": "1", "gone": "1"})
    (out / "card").write_text("edited by hand")
    (out / "gone").write_text("edited too")
    fill(out, {"card": "2"})
    assert texts(out) == {"card": "2", "card.old": "edited by hand", "gone": "edited too"}
    (out / "card").write_text("again")
    fill(out, {"card": "3"})
    assert texts(out) == {"card": "3", "card.old": "edited by hand", "card.old2": "again", "gone": "edited too"}


@pytest.mark.parametrize(
    "content", ["{}", "", "nonsense", '{"kind": "build", "files": {}}', '{"written_by": "me", "kind": "build"}']
)
def test_a_mark_counts_by_its_content(tmp_path: Path, content: str) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / MARK_FILE).write_text(content)
    (out / "thesis.tex").write_text("years")
    with pytest.raises(InvalidDataError, match="choose another one or remove it"):
        fill(out, {"card": "1"})
    assert texts(out) == {"thesis.tex": "years"}


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    with new_folder(tmp_path / "page", "page") as folder:
        (folder / "index.html").touch()
    with pytest.raises(InvalidDataError, match="is a page that"):
        fill(tmp_path / "page", {"card": "1"})
    with pytest.raises(InvalidDataError, match="lies inside"):
        fill(tmp_path / "page" / "deep" / "set", {"card": "1"})
    (tmp_path / "link").symlink_to(tmp_path / "page")
    with pytest.raises(InvalidDataError, match="is a link"):
        fill(tmp_path / "link", {"card": "1"})
    assert not (tmp_path / "page" / "deep").exists()


def test_a_full_disk_is_named_by_the_folder_and_leaves_none_above_it(tmp_path: Path) -> None:
    out = tmp_path / "above" / "folder" / "out"
    with pytest.raises(OSError, match="No space left") as caught, new_folder(out, "page"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write says it, without a name
    assert caught.value.filename == str(out)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_earlier_folder(tmp_path: Path) -> None:
    fill(tmp_path / "set", {"card": "1"})
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "set", "build", replace=True) as folder:
        (folder / "missing" / "card").write_text("half")
    assert texts(tmp_path / "set") == {"card": "1"}
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from fashionedit import owned_folders
    out, call, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    def dying(owner, name):
        old = getattr(owner, name)
        def stepping(*arguments, **named):
            global number
            number -= 1
            if number < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return old(*arguments, **named)
        setattr(owner, name, stepping)
    dying(Path, "rename") if call == "rename" else dying(Path, "unlink")
    with owned_folders.new_folder(out, "build", replace=True) as folder:
        (folder / "card").write_text("2")
        (folder / "more").write_text("2")
"""


@pytest.mark.parametrize(
    ("call", "number", "before"),
    [
        ("rename", 0, {"card": "1", "mine": "mine", "too": "mine"}),  # before anything was moved
        ("rename", 1, {}),  # the earlier folder is away, the new one is not there yet
        ("rename", 2, {"card": "2", "more": "2"}),  # foreign files are still with the earlier one
        ("rename", 3, {"card": "2", "more": "2", "mine": "mine"}),
        ("rename", 4, {"card": "2", "more": "2", "mine": "mine", "too": "mine"}),
        ("unlink", 0, {"card": "2", "more": "2", "mine": "mine", "too": "mine"}),
        ("unlink", 1, {"card": "2", "more": "2", "mine": "mine", "too": "mine"}),
    ],
)
def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, call: str, number: int, before: dict[str, str]) -> None:
    out = tmp_path / "set"
    fill(out, {"card": "1"})
    (out / "mine").write_text("mine")
    (out / "too").write_text("mine")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(out), call, str(number)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (texts(out) if out.exists() else {}) == before
    recover_folder(out)
    assert list(tmp_path.iterdir()) == [out]
    version = {"card": "1"} if number < 2 and call == "rename" else {"card": "2", "more": "2"}
    assert texts(out) == {**version, "mine": "mine", "too": "mine"}
    fill(out, {"card": "3"})
    assert texts(out) == {"card": "3", "mine": "mine", "too": "mine"}
    assert list(tmp_path.iterdir()) == [out]


def test_a_kill_right_after_the_folder_was_made_leaves_nothing_for_long(tmp_path: Path) -> None:
    out = tmp_path / "set"
    (tmp_path / ".set.00000000.part").mkdir()
    (tmp_path / ".set.00000001.part").mkdir()
    (tmp_path / ".set.00000001.part" / MARK_FILE).touch()
    stranger = tmp_path / ".set.00000002.part"
    stranger.mkdir()
    (stranger / "mine").touch()
    fill(out, {"card": "1"})
    assert sorted(tmp_path.iterdir()) == sorted([out, stranger])


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "set"
    with new_folder(out, "build", replace=True) as first:
        (first / "card").write_text("1")
        fill(out, {"card": "2"})
        assert first.is_dir()
    assert texts(out) == {"card": "1"}
    assert list(tmp_path.iterdir()) == [out]


def test_the_mark_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, {"y": "1", "x": "2"})
    first, second = (tmp_path / name / MARK_FILE for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    mark = read_mark(tmp_path / "a")
    assert mark is not None
    assert sorted(mark.files) == ["x", "y"]
    assert json.loads(first.read_text())["written_by"] == "fashionedit"


def test_folders_that_overlap_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    check_apart({"the work": tmp_path / "set.build", "the set": tmp_path / "set"})
    same = [("a", "a"), ("real", "link"), ("a", "b/../a")]
    for work, out in [*same, ("a", "a/b"), ("a/b/c", "a"), ("link/x", "real"), ("a", "b/../a/c")]:
        with pytest.raises(InvalidDataError, match="lie apart"):
            check_apart({"the work": tmp_path / work, "the set": tmp_path / out})


def test_temporary_files_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from fashionedit.files import write_atomically
        def die(descriptor): os.kill(os.getpid(), signal.SIGKILL)
        os.fsync = die
        write_atomically(Path(sys.argv[1]) / "deep" / "file", b"half")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], check=False)
    assert len(list(tmp_path.rglob("*.part"))) == 1
    waits = "import os, sys; os.fsync = lambda descriptor: (print('on', flush=True), sys.stdin.readline())\n"
    writes = "from pathlib import Path; from fashionedit.files import write_atomically as write\n"
    living = subprocess.Popen(
        [sys.executable, "-c", f"{waits}{writes}write(Path(sys.argv[1]) / 'other', b'whole')", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert living.stdin is not None
    assert living.stdout is not None
    living.stdout.readline()
    (tmp_path / ".notes.part").touch()
    clear_leftovers(tmp_path, below=True)
    assert len(list(tmp_path.rglob(".other.*.part"))) == len(list(tmp_path.rglob(".*.part"))) - 1 == 1
    living.communicate("\n")
    assert (tmp_path / "other").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.glob(".*")] == [".notes.part"]


def test_the_first_write_into_a_folder_clears_it(tmp_path: Path) -> None:
    leftover = tmp_path / f".file.{os.getpid()}.0123abcd.part"
    leftover.write_bytes(b"half")
    write_atomically(tmp_path / "other", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
