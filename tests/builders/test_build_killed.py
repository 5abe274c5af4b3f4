"""A build that is killed in every stage pays for nothing twice and ends with the same bytes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from lmm_server import LmmServer
from whole_build import BuildGround, prepare

from fashionedit.builders.stage_store import StageStore

STAGES = ("photos", "generate", "filter", "analyse", "crop", "split", "shards", "last files")
KILLS_IN_A_STAGE = 1
PHOTOGRAPHS = 16
CONCURRENCY = 4
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> BuildGround:
    return prepare(tmp_path_factory.mktemp("ground"), PHOTOGRAPHS)


def build(
    ground: BuildGround, out: Path, server: LmmServer, stage: str = "never", after: int = 0, *, keep: int = 12
) -> int:
    arguments = ground.arguments(out, server.url, "--min-similarity", "none", "--top-k", str(keep), "--sketches")
    script = Path(__file__).with_name("killed_build.py")
    log = out.with_suffix(".drafts")
    done = subprocess.run(
        [sys.executable, str(script), str(log), stage, str(after), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}


def test_a_build_killed_in_every_stage_pays_for_nothing_twice(ground: BuildGround, tmp_path: Path) -> None:
    with LmmServer() as server:
        assert build(ground, tmp_path / "whole", server) == 0
        wanted, calls_of_a_whole = shards(tmp_path / "whole"), server.calls

    out, work = tmp_path / "killed", tmp_path / "killed.build"
    chance = random.Random(0)
    kills: Counter[str] = Counter()
    with LmmServer() as server:
        for stage in STAGES:
            for number in range(KILLS_IN_A_STAGE):
                ended = build(ground, out, server, stage, chance.randint(1, 2 if stage == "split" else 5))
                kills[stage] += ended == -signal.SIGKILL
                assert kills[stage] == number + 1, f"the build was not killed in the stage {stage}"
                answers = len(list(StageStore(work / "analyse").records()))
                assert server.calls <= answers + kills["analyse"] * CONCURRENCY
                made = Counter(out.with_suffix(".drafts").read_text().split()) if stage != "photos" else Counter()
                drafts = len(list(StageStore(work / "generate").records()))
                assert made.total() <= drafts + kills["generate"]
                assert not out.exists()
        assert build(ground, out, server) == 0
        assert server.calls <= calls_of_a_whole + kills["analyse"] * CONCURRENCY
    assert shards(out) == wanted
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("*.old"))
