from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lmm_pairs import asked_about, make_pairs, outcomes, toy_analyst
from lmm_server import Call, Fault, LmmServer

from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore, spent
from fashionedit.runtime.costs import CostTracker

HERE = Path(__file__).parent
PAIRS = 12
CONCURRENCY = 4
pytestmark = pytest.mark.usefixtures("openai_key")


@pytest.fixture
def pairs(tmp_path: Path) -> list[Photo]:
    return make_pairs(tmp_path / "pairs", PAIRS)


def drive(tmp_path: Path, url: str, *rest: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", str(HERE / "killed_analysis.py"), str(tmp_path / "pairs"), str(PAIRS)),
            *(str(tmp_path / "killed"), url, *rest),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1] / "harness")))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answers(folder: Path) -> int:
    """Answers that are committed, repaired ones too."""
    return sum(len(json.loads(path.read_text())["data"]["turns"]) for path in folder.glob("records/*/*.json"))


def needs_repair(pairs: list[Photo]) -> set[str]:
    return {asked_about(pair) for pair in pairs[::3]}


def test_a_run_killed_in_the_middle_of_calls_pays_for_no_more_than_was_under_way(
    pairs: list[Photo], tmp_path: Path
) -> None:
    broken = needs_repair(pairs)

    def script(call: Call) -> Fault | None:
        return Fault(text="I see none.") if call.photo in broken and call.turn == 0 else None

    chance = random.Random(3)
    with LmmServer(script, seconds=0.02) as server:
        for kills, moment in enumerate(("edit", "after records", "edit"), 1):
            done = drive(tmp_path, server.url, moment, str(chance.randint(1, 3)))
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert server.calls <= answers(tmp_path / "killed") + kills * CONCURRENCY
        before = answers(tmp_path / "killed")
        assert 0 < before < PAIRS + len(broken)
        done = drive(tmp_path, server.url)
        assert (done.returncode, done.stdout) == (0, f"{PAIRS}\n"), done.stderr
        assert answers(tmp_path / "killed") == PAIRS + len(broken) <= server.calls
        assert server.calls <= answers(tmp_path / "killed") + 3 * CONCURRENCY
        told, lost = spent(StageStore(tmp_path / "killed")), server.calls - answers(tmp_path / "killed")
        charged = CostTracker(tmp_path / "killed" / "ledger.jsonl").spent
        assert told < charged  # what was paid for and lost counts in full,
        assert charged < told + (lost + 3 * CONCURRENCY) * 0.02  # and nothing else does

        whole = StageStore(tmp_path / "whole")
        analyse(pairs, toy_analyst(server.url), whole)
    assert outcomes(StageStore(tmp_path / "killed")) == outcomes(whole)
