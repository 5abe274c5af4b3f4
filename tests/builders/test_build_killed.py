"""A build that is killed in every stage pays for nothing twice and ends with the same bytes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from deepfashion_tree import write_deepfashion_tree
from images_server import ImagesServer
from lmm_server import LmmServer
from whole_build import pictures

from fashionedit.builders.stage_store import StageStore

STAGES = ("photos", "generate", "filter", "analyse", "crop", "split", "shards", "last files")
KILLS_IN_A_STAGE = 1
PHOTOGRAPHS = 16
CONCURRENCY = 4
pytestmark = pytest.mark.slow


def build(source: Path, out: Path, images: ImagesServer, lmm: LmmServer, stage: str = "never", after: int = 0) -> int:
    arguments = [
        *("build", "--source", str(source), "--out", str(out), "--quiet", "--encoder", "offline", "--sketches"),
        *("--drafts", "openai:toy", "--draft", f"base_url={images.url}", "--draft", f"concurrency={CONCURRENCY}"),
        *("--model", "toy-lmm", "--base-url", lmm.url, "--concurrency", str(CONCURRENCY), "--ask", "max_retries=0"),
        *("--price", str(source.with_name("prices.json")), "--budget", "5"),
        *("--min-similarity", "none", "--top-k", "12", "--validation", "6"),
    ]
    script = Path(__file__).with_name("killed_build.py")
    done = subprocess.run(
        [sys.executable, str(script), stage, str(after), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}


def test_a_build_killed_in_every_stage_pays_for_nothing_twice(tmp_path: Path) -> None:
    source = write_deepfashion_tree(tmp_path / "deepfashion", pictures(PHOTOGRAPHS)).root
    prices = {model: {"input": 1, "output": 4} for model in ("toy", "toy-lmm")}
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    with ImagesServer() as images, LmmServer() as lmm:
        assert build(source, tmp_path / "whole", images, lmm) == 0
        wanted, drafts_of_a_whole, calls_of_a_whole = shards(tmp_path / "whole"), images.calls.total(), lmm.calls

    out, work = tmp_path / "killed", tmp_path / "killed.build"
    chance = random.Random(0)
    kills: Counter[str] = Counter()
    with ImagesServer() as images, LmmServer() as lmm:
        for stage in STAGES:
            for number in range(KILLS_IN_A_STAGE):
                ended = build(source, out, images, lmm, stage, chance.randint(1, 2 if stage == "split" else 5))
                kills[stage] += ended == -signal.SIGKILL
                assert kills[stage] == number + 1, f"the build was not killed in the stage {stage}"
                answers = len(list(StageStore(work / "analyse").records()))
                assert lmm.calls <= answers + kills["analyse"] * CONCURRENCY
                drafts = len(list(StageStore(work / "generate").records()))
                assert images.calls.total() <= drafts + kills["generate"] * CONCURRENCY
                assert not out.exists()
        assert build(source, out, images, lmm) == 0
        assert images.calls.total() <= drafts_of_a_whole + kills["generate"] * CONCURRENCY
        assert lmm.calls <= calls_of_a_whole + kills["analyse"] * CONCURRENCY
    assert shards(out) == wanted
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("*.old"))
