"""A run folder of an earlier version, half edited, continues and scores as that version did (stored_run/)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fashionedit.eval_harness.scores.results import read_results, readable_json, to_json

STORED = Path(__file__).parent / "stored_run"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(STORED, tmp_path / "stored")
    monkeypatch.chdir(tmp_path / "stored")
    return tmp_path / "stored"


def call(*arguments: str) -> str:
    command = [sys.executable, "-m", "fashionedit", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(table: str) -> list[list[str]]:
    """Returns the numbers of each row of a printed table."""
    return [found for line in table.splitlines() if len(found := re.findall(r"\d+\.\d\d", line)) == 6]


def test_a_run_of_an_earlier_version_continues_and_scores_to_the_same_numbers(stored: Path) -> None:
    said = call("run", "editor.py:edit", "--data", "data", "--out", "part", "--quiet")
    assert "12 edits made now, 12 rounds kept from earlier sessions" in said
    earlier = call("show", "whole")
    again = call("score", "part", "--encoder", "offline", "--quiet")
    assert len(numbers(earlier)) == 16
    assert numbers(again) == numbers(earlier)


def test_the_scores_of_an_earlier_version_are_not_made_again_and_its_results_are_the_same_bytes(stored: Path) -> None:
    before = {path.name: path.read_bytes() for path in (stored / "part" / "scores").iterdir()}
    known = read_results(stored / "part" / "results.json")  # with the fields that were not written then
    results = readable_json(known.model_dump(mode="json"))
    assert to_json(known) == results
    for _ in range(2):  # the second time the baselines are known
        call("score", "part", "--data", "data", "--encoder", "offline", "--quiet")
        assert (stored / "part" / "results.json").read_text() == results
    after = {path.name: path.read_bytes() for path in (stored / "part" / "scores").iterdir()}
    assert {name: text for name, text in after.items() if not name.startswith("baselines-")} == before
