"""A run that was killed, at whatever moment, loses nothing that was committed and asks for little again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_editors import ToyEditor
from toy_runs import kept, sessions
from toy_samples import ToySource

from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run

DRIVER = Path(__file__).with_name("killed_run.py")
EDITS = 60  # 10 samples × 2 protocols × 3 rounds


def drive(out: Path, counter: Path, concurrency: int = 1, *moment: str) -> subprocess.Popen[str]:
    """Starts the run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(out), str(counter), str(concurrency), *moment],
        env=os.environ | {"PYTHONPATH": str(DRIVER.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def committed(out: Path) -> set[str]:
    return {path.stem for path in out.glob("records/*/*.json")}


@pytest.mark.parametrize(
    ("moment", "images", "records", "again"),
    [
        ("edit", 2, 2, 1),
        ("before images", 2, 2, 1),
        ("after images", 3, 2, 1),
        ("before records", 3, 2, 1),
        ("after records", 3, 3, 0),
    ],
)
def test_the_record_is_the_commit(tmp_path: Path, moment: str, images: int, records: int, again: int) -> None:
    out, counter = tmp_path / "run", tmp_path / "counter"
    process = drive(out, counter, 1, moment, "2")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (len(list(out.glob("images/*/*.png"))), len(committed(out))) == (images, records)
    statuses = [o.status for o in RunFolder.open(out).outcomes(ToySource(10)) if o.status is not None]
    assert len(statuses) == records
    editor = ToyEditor()
    summary = run(editor, ToySource(10), out, stop=lambda: len(editor.requests) == 3)
    assert summary.reused == records
    killed = lines(counter)[2]
    asked = [f"{request.protocol} {request.round} {request.seed}" for request in editor.requests]
    assert asked.count(killed) == again


@pytest.mark.parametrize("concurrency", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_time_ends_as_one_that_never_was(concurrency: int, tmp_path: Path) -> None:
    out, counter = tmp_path / "run", tmp_path / "counter"
    before: set[str] = set()
    for kills, wanted in enumerate((3, 17, 31), 1):  # no process comes to its end before it is killed
        process = drive(out, counter, concurrency, "hold", str(wanted + 10))
        while len(lines(counter)) < wanted:
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert before <= committed(out)
        before = committed(out)
        assert len(lines(counter)) <= len(before) + kills * concurrency
    last, _ = drive(out, counter, concurrency).communicate(timeout=60)
    assert int(last) == EDITS - len(before)
    assert len(set(lines(counter))) == EDITS
    assert len(lines(counter)) <= EDITS + 3 * concurrency
    events = [line["event"] for line in sessions(out)]
    assert (events.count("start"), events[-1]) == (4, "end")
    assert not list(out.rglob("*.part"))

    whole, _ = drive(tmp_path / "whole", tmp_path / "once").communicate(timeout=60)
    assert whole == f"{EDITS}\n"
    assert kept(out) == kept(tmp_path / "whole")
    assert len(kept(out)) == EDITS * 2 + 1
