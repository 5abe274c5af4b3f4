"""From a row of the dataset to a row of the table, on the real control set with real pretrained weights."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scored_toys import drawn_sample

from fashionedit.cli import main
from fashionedit.eval_harness.editors import EDITORS, resolve_editor
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.result_models import Results, Row
from fashionedit.eval_harness.scores.results import build_results, merge
from fashionedit.folder import FashionEditFolder, open_folder, write_folder
from fashionedit.metrics import Embedder, load_encoder
from fashionedit.synthetic.rendering import write_synthetic

SAMPLES = 7
IDENTICAL = 20 * np.log10(255 / np.finfo(np.float64).eps)  # what cv2.PSNR gives for equal pictures: 361.2 dB
DRIVER = Path(__file__).with_name("killed_command.py")
MOMENTS = ("edit", "before images", "after images", "before records", "after records")


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> FashionEditFolder:
    """One of each garment."""
    folder = tmp_path_factory.mktemp("control") / "set"
    write_synthetic(folder, SAMPLES, ("validation",), workers=2)
    return open_folder(folder)


@pytest.fixture(scope="module")
def score_all(tmp_path_factory: pytest.TempPathFactory) -> Callable[[FashionEditFolder], Results]:
    """Runs editors over a set and scores them, with one encoder for all tests of this file."""
    embedder = Embedder(load_encoder("offline", device="cpu"))

    def score(source: FashionEditFolder, editors: tuple[str, ...] = tuple(EDITORS)) -> Results:
        out = tmp_path_factory.mktemp("runs")
        scored = []
        for name in editors:
            run(resolve_editor(name), source, out / name)
            scored.append(build_results(RunFolder.open(out / name), source, embedder, measures=False))
        return merge(scored)

    return score


@pytest.fixture(scope="module")
def table(control: FashionEditFolder, score_all: Callable[[FashionEditFolder], Results]) -> Results:
    return score_all(control)


def rows(results: Results, editor: str, protocol: str) -> list[Row]:
    return sorted((row for row in results.rows if (row.editor, row.protocol) == (editor, protocol)), key=_round)


def _round(row: Row) -> int:
    return row.round


def means(results: Results, editor: str, protocol: str, metric: str) -> list[float]:
    return [row.scores[metric].mean for row in rows(results, editor, protocol)]


def draft(results: Results, metric: str) -> float:
    return next(row for row in results.rows if row.kind == "floor").scores[metric].mean


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cosine", "psnr"])
@pytest.mark.parametrize("protocol", ["vanilla", "bug"])
def test_the_stepper_climbs_from_the_draft_to_the_ceiling(table: Results, protocol: str, metric: str) -> None:
    climb = [draft(table, metric), *means(table, "synthetic-stepper", protocol, metric)]
    assert len(climb) == 4
    assert all(low < high for low, high in itertools.pairwise(climb))
    assert climb[-1] == pytest.approx(means(table, "oracle", protocol, metric)[-1], abs=1e-9)


@pytest.mark.slow
def test_doing_nothing_stays_exactly_at_the_draft(table: Results) -> None:
    for metric in ("cosine", "cosine_star", "psnr"):
        for protocol in ("vanilla", "bug"):
            assert means(table, "identity", protocol, metric) == [draft(table, metric)] * 3


@pytest.mark.slow
def test_the_ceiling_is_the_original_itself(table: Results) -> None:
    for protocol in ("vanilla", "bug"):
        assert means(table, "oracle", protocol, "cosine") == pytest.approx([100] * 3, abs=1e-4)
        assert means(table, "oracle", protocol, "cosine_star") == [100] * 3
        assert means(table, "oracle", protocol, "psnr") == pytest.approx([IDENTICAL] * 3, abs=1e-6)


@pytest.mark.slow
def test_pasting_all_crops_rebuilds_a_synthetic_original(table: Results) -> None:
    for metric in ("cosine", "cosine_star", "psnr"):
        pasted, oracle = means(table, "paste-reference", "bug", metric), means(table, "oracle", "bug", metric)
        assert pasted[-1] == oracle[-1]
    assert not rows(table, "paste-reference", "vanilla")
    assert not rows(table, "return-reference", "vanilla")


@pytest.mark.slow
def test_where_the_draft_is_another_picture_pasting_lies_between_floor_and_ceiling(
    tmp_path: Path, score_all: Callable[..., Results]
) -> None:
    size = (300, 440)
    samples = [replace(drawn_sample(n, size=size), draft=drawn_sample(9 - n, size=size).draft) for n in range(4)]
    write_folder(tmp_path / "cards", {"validation": samples})
    results = score_all(open_folder(tmp_path / "cards"), ("identity", "return-reference", "paste-reference", "oracle"))
    floor, ceiling = draft(results, "psnr"), means(results, "oracle", "bug", "psnr")[0]
    pasted = means(results, "paste-reference", "bug", "psnr")
    assert floor < pasted[0] < pasted[1] < pasted[2] < ceiling


def drive(data: str, out: Path, counter: Path, *moment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DRIVER), data, str(out), str(counter), *moment],
        env=os.environ | {"PYTHONPATH": str(DRIVER.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_a_command_killed_twenty_times_gives_the_same_results_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = "synthetic:4"
    out, counter, chance = tmp_path / "killed", tmp_path / "counter", random.Random(7)
    edits = 4 * 2 * 3
    moments = list(MOMENTS) * 4
    chance.shuffle(moments)
    before: set[str] = set()
    for kills, moment in enumerate(moments, 1):
        done = drive(data, out, counter, moment, str(chance.randint(0, 1)))
        assert done.returncode == -signal.SIGKILL, done.stderr
        committed = {path.stem for path in out.glob("records/*/*.json")}
        assert before <= committed
        before = committed
        assert len(before) <= len(counter.read_text().splitlines()) <= len(before) + kills
    assert drive(data, out, counter).returncode == 0
    assert edits <= len(counter.read_text().splitlines()) <= edits + len(moments)

    whole, once = tmp_path / "whole", tmp_path / "once"
    assert drive(data, whole, once).returncode == 0
    assert len(once.read_text().splitlines()) == edits
    main(["score", str(out), str(whole), "--encoder", "offline", "--device", "cpu", "--quiet"])
    assert (out / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert "killed_command" in capsys.readouterr().out
