from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from toy_editors import ToyEditor
from toy_samples import ToySource

from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run

DRIVER = Path(__file__).with_name("killed_run.py")
MOMENTS = ("edit", "before images", "after images", "before records", "after records")
EDITS = 60  # 10 samples × 2 protocols × 3 rounds


def drive(out: Path, counter: Path, *moment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DRIVER), str(out), str(counter), *moment],
        env=os.environ | {"PYTHONPATH": str(DRIVER.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def committed(out: Path) -> set[str]:
    return {path.stem for path in out.glob("records/*/*.json")}


def kept(out: Path) -> dict[str, Any]:
    """All records and images of a run, times aside."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in out.glob("images/*/*")}
    for path in out.glob("records/*/*"):
        record = json.loads(path.read_text())
        assert record.pop("seconds") >= 0
        found[path.name] = record
    return found | {"run.json": (out / "run.json").read_bytes()}


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_as_one_that_never_was(tmp_path: Path) -> None:
    out, counter = tmp_path / "killed", tmp_path / "counter"
    chance = random.Random(20)
    # Each moment of an edit's life four times over, each after 0 to 4 rounds of that process.
    moments = list(MOMENTS) * 4
    chance.shuffle(moments)
    before: set[str] = set()
    for kills, moment in enumerate(moments, 1):
        done = drive(out, counter, moment, str(chance.randint(0, 4)))
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert before <= committed(out)  # nothing that was committed is lost
        before = committed(out)
        assert len(before) <= len(lines(counter)) <= len(before) + kills
    assert 20 < len(before) < EDITS
    last = drive(out, counter)
    assert last.returncode == 0, last.stderr
    assert int(last.stdout) == EDITS - len(before)

    whole = tmp_path / "whole"
    assert drive(whole, tmp_path / "once").stdout == f"{EDITS}\n"
    assert kept(out) == kept(whole)
    assert len(kept(out)) == EDITS * 2 + 1
    source = ToySource(10)
    assert [(o.sample, o.round, o.status, o.current.digest) for o in RunFolder.open(out).outcomes(source)] == [
        (o.sample, o.round, o.status, o.current.digest) for o in RunFolder.open(whole).outcomes(source)
    ]
    # One edit at a time was in flight, so each kill costs at most one; a kill after the commit costs none.
    lost = sum(moment != "after records" for moment in moments)
    assert len(lines(counter)) == EDITS + lost <= EDITS + len(moments)
    repeated = len(lines(counter)) - len(set(lines(counter)))
    assert repeated == lost
    assert len(set(lines(counter))) == EDITS
    sessions = [json.loads(line)["event"] for line in lines(out / "sessions.jsonl")]
    assert (sessions.count("start"), sessions.count("end")) == (21, 1)
    assert not list(out.rglob("*.part"))


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
    assert drive(out, counter, moment, "2").returncode == -signal.SIGKILL
    assert (len(list(out.glob("images/*/*.png"))), len(committed(out))) == (images, records)
    statuses = [o.status for o in RunFolder.open(out).outcomes(ToySource(10)) if o.status is not None]
    assert len(statuses) == records
    editor = ToyEditor()
    summary = run(editor, ToySource(10), out, stop=lambda: len(editor.requests) == 3)
    assert summary.reused == records
    killed = lines(counter)[2]
    asked = [f"{request.protocol} {request.round} {request.seed}" for request in editor.requests]
    assert asked.count(killed) == again


def test_a_process_killed_from_outside_at_any_time_loses_nothing(tmp_path: Path) -> None:
    out, counter = tmp_path / "run", tmp_path / "counter"
    environment = os.environ | {"PYTHONPATH": str(DRIVER.parent)}
    for kills, wanted in enumerate((3, 17, 31), 1):
        process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(out), str(counter)], env=environment, stdout=subprocess.DEVNULL
        )
        while len(lines(counter)) < wanted:
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL)
        before = committed(out)
        assert len(lines(counter)) <= len(before) + kills
    assert drive(out, counter).returncode == 0
    whole = tmp_path / "whole"
    drive(whole, tmp_path / "once")
    assert kept(out) == kept(whole)
    assert len(set(lines(counter))) == EDITS
    assert len(lines(counter)) <= EDITS + 3
