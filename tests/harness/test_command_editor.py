"""A program that reads and writes files as an editor, as real processes."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
from json_service import PICTURE, edit_request
from PIL import ImageOps
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness import Status, run
from fashionedit.eval_harness.editing import UNDECLARED
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor

REQUEST = edit_request(round=2, instruction="Change 'it' to {out}; $HOME", params={"steps": 4}, state={"turn": 1})


def program(folder: Path, source: str, arguments: str = "", **settings):
    script = folder / "edit.py"
    script.write_text(source)
    line = f"command:{shlex.quote(sys.executable)} {shlex.quote(str(script))} {arguments}"
    return resolve_editor(line, EditorSettings(**settings))


MIRROR = """
import sys
from PIL import Image, ImageOps
base, reference, out = sys.argv[1:4]
ImageOps.mirror(Image.open(base)).save(out)
"""


def test_a_program_edits_three_rounds_of_both_protocols(tmp_path: Path) -> None:
    editor = program(tmp_path, MIRROR, "{base} {reference} {out}")
    summary = run(editor, ToySource(1), tmp_path / "run")
    assert summary.statuses == {Status.OK: 6}
    result = editor.edit(REQUEST)
    assert result.image is not None
    assert result.image.tobytes() == ImageOps.mirror(PICTURE).tobytes()


def test_placeholders_are_filled_once_and_without_a_shell(tmp_path: Path) -> None:
    source = """
import json, sys, pathlib
base, instruction, seed, params, request, out = sys.argv[1:]
told = json.loads(pathlib.Path(request).read_text())
assert told["instruction"] == instruction and told["round"] == 2 and told["state"] is None
pathlib.Path(out).write_bytes(pathlib.Path(base).read_bytes())
pathlib.Path(request).with_name("result.json").write_text(json.dumps(
    {"params": {"seen": [instruction, seed, json.loads(params)]}, "usage": {"images": 1}, "cost_usd": 0.5, "state": 3}
))
"""
    result = program(tmp_path, source, "{base} {instruction} {seed} {params} {request} {out}").edit(REQUEST)
    assert result.status is Status.OK, result.message
    assert result.params == {"seen": [REQUEST.instruction, "5", {"steps": 4}]}
    assert (result.usage, result.cost_usd, result.state) == ({"images": 1}, 0.5, None)


FOLDER = """
import json, sys, pathlib
folder = pathlib.Path(sys.argv[1])
told = json.loads((folder / "request.json").read_text())
assert (folder / "reference.png").exists() == (told["protocol"] == "bug")
(folder / "out.png").write_bytes((folder / "base.png").read_bytes())
(folder / "result.json").write_text(json.dumps({"state": [told["state"], told["round"]]}))
"""


def test_without_placeholders_the_folder_is_the_last_argument_and_state_is_carried(tmp_path: Path) -> None:
    result = program(tmp_path, FOLDER, state="conversation").edit(REQUEST)
    assert (result.status, result.state) == (Status.OK, [{"turn": 1}, 2]), result.message


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("import sys; sys.exit('no memory left')", Status.ERROR, "ended with code 1: no memory left"),
        ("import os; os.kill(os.getpid(), 9)", Status.ERROR, "killed by signal 9"),
        ("", Status.NO_IMAGE, "neither out.png nor result.json"),
        ("open(out, 'wb').write(open(base, 'rb').read()[:60])", Status.INVALID_IMAGE, "the answer's image"),
        ("open(out, 'wb').truncate(2 ** 28)", Status.INVALID_IMAGE, "268435456 bytes"),
        ("import os; os.mkfifo(out)", Status.INVALID_IMAGE, "is no file"),
        ('tell(\'{"status": "refused", "message": "not this one"}\')', Status.REFUSED, "not this one"),
        ("tell('{}')", Status.NO_IMAGE, "without an image"),
        ("tell('<html>')", Status.ERROR, "result.json"),
        ("tell(' ' * 2 ** 21)", Status.ERROR, "2097152 bytes"),
    ],
)
def test_each_way_to_fail_ends_in_its_status(tmp_path: Path, source: str, status: Status, words: str) -> None:
    begin = """
import sys, pathlib
base, out = sys.argv[1:]
def tell(text): pathlib.Path(out).with_name("result.json").write_text(text)
"""
    result = program(tmp_path, begin + source, "{base} {out}").edit(REQUEST)
    assert result.status is status, result.message
    assert words in result.message
    assert not result.retry


def test_an_error_in_the_place_of_an_answer_is_worth_another_try(tmp_path: Path) -> None:
    source = """
import sys, pathlib
pathlib.Path(sys.argv[1], "result.json").write_text('{"error": {"message": "the model is cold"}}')
"""
    result = program(tmp_path, source).edit(REQUEST)
    assert (result.status, result.retry) == (Status.ERROR, True)
    assert "the model is cold" in result.message


def test_a_hanging_program_is_killed_with_the_child_that_it_started(tmp_path: Path) -> None:
    note = tmp_path / "child"
    source = f"""
import subprocess, sys, pathlib
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(note)!r}).write_text(str(child.pid))
child.wait()
"""
    result = program(tmp_path, source, timeout=12).edit(REQUEST)
    assert (result.status, result.retry) == (Status.TIMEOUT, True)
    assert not _alive(int(note.read_text()))


def test_a_child_left_behind_by_a_program_that_ended_is_killed_too(tmp_path: Path) -> None:
    note = tmp_path / "child"
    source = f"""
import subprocess, sys, pathlib
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(note)!r}).write_text(str(child.pid))
"""
    result = program(tmp_path, source).edit(REQUEST)
    assert result.status is Status.NO_IMAGE
    assert not _alive(int(note.read_text()))


LEAVES_A_CHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], stderr=subprocess.DEVNULL)
"""


@pytest.mark.parametrize("waitid", [True, False], ids=["waitid", "no waitid"])
@pytest.mark.parametrize(
    ("source", "status"),
    [
        (MIRROR, Status.OK),
        ("import time; time.sleep(60)", Status.TIMEOUT),
        ("raise SystemExit(3)", Status.ERROR),
        (LEAVES_A_CHILD, Status.NO_IMAGE),
    ],
    ids=["ends", "hangs", "fails", "leaves a child"],
)
def test_no_group_is_killed_after_its_leader_was_reaped(
    waitid: bool, source: str, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not waitid:
        monkeypatch.delattr(os, "waitid")  # as on macOS before Python 3.13
    kill, reaped = os.killpg, []

    def watched(group: int, number: int) -> None:
        reaped.append(not Path(f"/proc/{group}").exists())
        kill(group, number)

    monkeypatch.setattr(os, "killpg", watched)
    timeout = 3 if status is Status.TIMEOUT else 60
    result = program(tmp_path, source, "{base} {reference} {out}", timeout=timeout).edit(REQUEST)
    assert result.status is status, result.message
    assert reaped == ([False] if waitid or status is Status.TIMEOUT else [])


def test_where_the_system_reaps_children_itself_no_group_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("the number may be another group's"))
    try:
        result = program(tmp_path, MIRROR, "{base} {reference} {out}").edit(REQUEST)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert result.status is Status.OK


def _alive(pid: int) -> bool:
    """Returns whether it still runs after a while; a zombie that waits for its parent does not."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


def test_a_program_that_is_never_shown_the_reference_takes_part_in_vanilla_alone(tmp_path: Path) -> None:
    takes_reference = [
        program(tmp_path, MIRROR, line).describe().takes_reference
        for line in ("", "{base} {out}", "{base} {reference} {out}", "{request} {out}")
    ]
    assert takes_reference == [True, False, True, True]


def test_the_fingerprint_follows_the_script(tmp_path: Path) -> None:
    first = program(tmp_path, MIRROR, "{base} {out}").describe()
    assert first.name == "command edit.py"
    assert program(tmp_path, MIRROR, "{base} {out}").describe() == first
    assert program(tmp_path, MIRROR + "#", "{base} {out}").describe().fingerprint != first.fingerprint
    assert program(tmp_path, MIRROR, "{base} {out} --fast").describe().fingerprint != first.fingerprint
    declared = [program(tmp_path, MIRROR + end, version="3").describe().fingerprint for end in ("", "#")]
    assert declared[0] == declared[1]
    assert not first.fingerprint.startswith(UNDECLARED)


def test_code_from_elsewhere_has_to_declare_a_version() -> None:
    editor = resolve_editor(f"command:{shlex.quote(sys.executable)} -m somewhere {{base}} {{out}}")
    assert editor.describe().fingerprint.startswith(UNDECLARED)


def test_a_line_that_names_no_program_is_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match="no program is called 'no-such-program'"):
        resolve_editor("command:no-such-program {base}")
    for line, name in (
        ("cat {prompt}", "prompt"),
        ("cat --in={image} {out}", "image"),
        ("cat '{\"a\":{steps}}'", "steps"),
    ):
        with pytest.raises(InvalidDataError, match=f"holds {{{name}}}, which stands for nothing"):
            resolve_editor(f"command:{line}")
    with pytest.raises(InvalidDataError, match="check its quotes"):
        resolve_editor("command:cp 'a")
    with pytest.raises(InvalidDataError, match="the command is empty"):
        resolve_editor("command: ")


def test_no_temporary_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    program(tmp_path, MIRROR, "{base} {reference} {out}").edit(REQUEST)
    assert list((tmp_path / "temporary").iterdir()) == []


ENVIRONMENT = """
import json, os, pathlib, sys
pathlib.Path(sys.argv[1]).write_bytes(pathlib.Path(sys.argv[2]).read_bytes())
pathlib.Path(sys.argv[1]).with_name("result.json").write_text(json.dumps({"params": {"env": sorted(os.environ)}}))
"""


def test_a_program_sees_no_key_but_those_that_are_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "TOY_PASSWORD", "SHORT_TOKEN", "PLAIN_SETTING"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("CONNECTION", "sk-abcdef123456")
    seen = program(tmp_path, ENVIRONMENT, "{out} {base}").edit(REQUEST).params["env"]
    secret = {"OPENAI_API_KEY", "HF_TOKEN", "TOY_PASSWORD", "SHORT_TOKEN", "CONNECTION"}
    assert not secret & set(seen)
    assert {"PLAIN_SETTING", "PATH"} <= set(seen)
    seen = program(tmp_path, ENVIRONMENT, "{out} {base}", pass_env=("HF_TOKEN",)).edit(REQUEST).params["env"]
    assert secret & set(seen) == {"HF_TOKEN"}


def test_only_a_program_is_passed_variables_and_only_those_that_are_set(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="the environment has no NOT_SET_ANYWHERE"):
        program(tmp_path, MIRROR, pass_env=("NOT_SET_ANYWHERE",))
    with pytest.raises(InvalidDataError, match="--pass-env is for command"):
        resolve_editor("identity", EditorSettings(pass_env=("HOME",)))


def test_another_key_is_the_same_program_and_another_setting_is_not(tmp_path: Path) -> None:
    prints = [
        program(tmp_path, MIRROR, f"--token {token} --api-key={token} --style {style} {{base}} {{out}}")
        .describe()
        .fingerprint
        for token, style in (("first-key", "a"), ("second-key", "a"), ("first-key", "b"))
    ]
    assert prints[0] == prints[1] != prints[2]


def test_a_key_that_a_program_writes_is_masked_even_where_its_words_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_PASSWORD", "swordfish-" + "0123456789" * 3)
    said = "import os, sys; sys.exit('x' * 100 + os.environ['TOY_PASSWORD'] + 'y' * 235)"
    result = program(tmp_path, said, pass_env=("TOY_PASSWORD",)).edit(REQUEST)
    assert "0123456789" not in result.message
    assert result.message.endswith("y")


def test_doubled_braces_reach_the_program_as_single_ones(tmp_path: Path) -> None:
    source = (
        "import sys, json, pathlib; base, out, *rest = sys.argv[1:]\n"
        "pathlib.Path(out).write_bytes(pathlib.Path(base).read_bytes())\n"
        "pathlib.Path(out).with_name('result.json').write_text(json.dumps({'model_version': ' '.join(rest)}))\n"
    )
    result = program(tmp_path, source, "{base} {out} {{print}} 'a{seed}' '{{\"s\":{seed}}}'").edit(REQUEST)
    assert result.model_version == f'{{print}} a{REQUEST.seed} {{{{"s":{REQUEST.seed}}}}}'
