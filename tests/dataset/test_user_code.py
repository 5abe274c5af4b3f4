"""Code of the user's that tries to end the program: one sentence with file and line, and code 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fashionedit.cli import main
from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult
from fashionedit.eval_harness.testing import check_editor
from fashionedit.runtime.user_code import ProgramEndedError, users_code

ENDS = {
    "exit": "import sys; sys.exit({code})",
    "quit": "raise SystemExit",
    "interrupt": "raise KeyboardInterrupt",
    "generator": "raise GeneratorExit('x')",
    "own": "raise type('Mine', (BaseException,), {{}})",
    "arguments": "import argparse; argparse.ArgumentParser().parse_args(['--no-such-option'])",
}
EDITOR = """
from fashionedit.eval_harness.editing import EditorInfo, EditResult
{on_import}
class Mine:
    def __init__(self):
        {on_making}
    def describe(self):
        {on_describe}
        return EditorInfo("mine", "mine 1")
    def check_params(self, params):
        {on_check}
    def edit(self, request):
        {on_edit}
        return EditResult.ok(request.base.rotate(180))
    def close(self):
        {on_close}
"""
LINES = {"import": 3, "making": 6, "describe": 8, "check": 11, "edit": 13, "close": 16}


def written(folder: Path, place: str, how: str, code: int = 0) -> str:
    parts = {f"on_{name}": "pass" for name in LINES} | {f"on_{place}": ENDS[how].format(code=code)}
    (folder / "mine.py").write_text(EDITOR.format(**parts))
    return f"{folder / 'mine.py'}:Mine"


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    try:
        main([*arguments, "--quiet"])
        code: object = 0
    except SystemExit as stopped:
        code = stopped.code
    assert isinstance(code, int)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("place", ["import", "making", "describe", "check", "close"])
def test_a_run_ends_with_a_sentence(place: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    editor, out = written(tmp_path, place, how), tmp_path / "run"
    code, printed = command(capsys, "run", editor, "--data", "synthetic:1", "--out", str(out), "--rounds", "1")
    assert code == 2
    (sentence,) = [line for line in printed.splitlines() if "tried to end the program" in line]
    assert f"in mine.py, line {LINES[place]}" in sentence
    assert "Traceback" not in printed
    assert out.exists() is (place == "close")


@pytest.mark.parametrize("verb", ["run", "doctor"])
@pytest.mark.parametrize("code", [0, 1, 7])
def test_the_code_that_it_wants_is_not_ours(
    verb: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")] if verb == "run" else []
    ended, printed = command(capsys, verb, written(tmp_path, "import", "exit", code), "--data", "synthetic:1", *out)
    assert ended == 2
    assert f"SystemExit in mine.py, line 3: {code}" in printed


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("place", ["making", "describe", "close"])
def test_the_doctor_says_it_too(place: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = command(capsys, "doctor", written(tmp_path, place, how), "--data", "synthetic:1")
    assert code == 2
    assert f"in mine.py, line {LINES[place]}" in printed


@pytest.mark.parametrize("how", ["exit", "interrupt", "own"])
def test_an_edit_that_does_it_is_a_finding_of_the_doctor(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = command(capsys, "doctor", written(tmp_path, "edit", how), "--data", "synthetic:1")
    assert code == 1
    assert f"in mine.py, line {LINES['edit']}" in printed


class Exits:
    """Leaves the program in one of its methods."""

    def __init__(self, place: str) -> None:
        self.place = place

    def leave(self, place: str) -> None:
        if self.place == place:
            sys.exit(5)

    def describe(self) -> EditorInfo:
        self.leave("describe")
        return EditorInfo("exits", "exits 1")

    def edit(self, request: EditRequest) -> EditResult:
        self.leave("edit")
        return EditResult.ok(request.base.rotate(180))

    def close(self) -> None:
        self.leave("close")


@pytest.mark.parametrize("place", ["describe", "edit", "close"])
def test_the_checks_of_the_contract_report_it(place: str) -> None:
    report = check_editor(Exits(place))
    assert not report.conforms
    assert all("SystemExit in test_user_code.py, line " in outcome.sentence for outcome in report.failed)


class ExitsOnLoop(Exits):
    async def edit_async(self, request: EditRequest) -> EditResult:
        return self.edit(request)


def test_the_checks_report_it_from_an_event_loop_too() -> None:
    assert any("called sys.exit(5)" in outcome.sentence for outcome in check_editor(ExitsOnLoop("edit")).failed)


def test_other_exceptions_pass_as_they_are() -> None:
    with pytest.raises(ValueError, match="mine"), users_code("it"):
        raise ValueError("mine")
    with pytest.raises(EditorError) as raised, users_code("it"):
        raise EditorError("the contract")
    assert not isinstance(raised.value, ProgramEndedError)


def test_a_real_interrupt_during_the_import_is_one(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\npathlib.Path({str(tmp_path / 'begun')!r}).touch()\ntime.sleep(60)\n"
    )
    line = [sys.executable, "-m", "fashionedit", "run", "slow.py:edit", "--data", "synthetic:1", "--out", "run"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, printed = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "stopped; give the same command again" in printed
