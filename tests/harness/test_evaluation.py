"""One call, or one command, from an editor to its table: what it makes, when it continues, and what stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

import fashionedit
from fashionedit.cli import main
from fashionedit.errors import EditorError, EncoderNotFoundError, UnknownNameError
from fashionedit.eval_harness import live_scoring
from fashionedit.eval_harness.live_scoring import LiveScoring
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scored_run import Scoring
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import read_results
from fashionedit.eval_harness.scores.table import to_console

OFFLINE = {"encoder": "offline", "data": "synthetic:2"}
COMMAND = [sys.executable, "-m", "fashionedit"]
SLOW = """
import time
from PIL import ImageOps

def edit(image, instruction, reference=None):
    time.sleep(1)
    return ImageOps.solarize(image, len(instruction) % 200)
"""


def darker(image: Image.Image, instruction: str, reference: Image.Image | None = None) -> Image.Image:
    return ImageChops.subtract(image, Image.new("RGB", image.size, (len(instruction) % 40,) * 3))


def processes_of(out: Path) -> list[int]:
    """The processes that score this run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode()
            if "live_scoring" in line and str(out) in line:
                found.append(int(folder.name))
    return found


def test_a_function_is_run_scored_and_shown(tmp_path: Path) -> None:
    seen: list[Any] = []
    path = tmp_path / "run" / "results.json"

    def scored(table: Results) -> None:
        seen.append(table)
        assert not path.exists() or read_results(path).measures  # never half of it

    found = fashionedit.evaluate(darker, out=path.parent, scored=scored, **OFFLINE)
    assert found.summary.unfinished == 0
    assert found.page == tmp_path / "run" / "report.html"
    assert found.page.is_file()
    (first,) = seen
    assert to_console(first) == to_console(found.results)
    assert found.results == read_results(path)
    assert [one.id for one in found.results.measures] == ["inside", "outside", "outside_similarity", "drift", "leak"]
    assert "darker" in str(found)

    table = found.to_pandas()
    own = table[table.method == "darker"]
    assert list(own["round"]) == [1, 2, 3] * 2
    assert set(own.protocol) == {"vanilla", "bug"}
    row = next(row for row in found.results.rows if row.run is not None)
    assert own.iloc[0].psnr == row.scores["psnr"].mean
    assert {"kind", "prompt", "n", "failed", "psnr_se"} <= set(table.columns)

    shown = found._repr_html_()
    assert shown.count("<tr>") == len(table) + 1
    assert shown.count("<img") == 2 * (1 + 3 * 2 + 1)  # samples × (draft, rounds with references, original)
    assert "<script" not in shown


def test_it_continues_and_gives_what_run_and_score_give(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = fashionedit.evaluate("identity", out=tmp_path / "run", limit=1, **OFFLINE)
    assert first.summary.unfinished == 6
    assert first.results.dataset.samples == 1
    second = fashionedit.evaluate("identity", out=tmp_path / "run", **OFFLINE)
    assert (second.summary.edits, second.summary.reused) == (6, 6)
    assert "Traceback" not in capfd.readouterr().err  # of the scoring process, which saw the run half done

    apart = tmp_path / "apart"
    main(["run", "identity", "--data", "synthetic:2", "--out", str(apart), "--quiet"])
    main(["score", str(apart), "--encoder", "offline", "--quiet"])
    assert (apart / "results.json").read_bytes() == (tmp_path / "run" / "results.json").read_bytes()


def test_the_command_prints_the_table_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["eval", "identity", "--data", "synthetic:2", "--encoder", "offline", "--quiet"]
    line += ["--out", str(tmp_path / "run")]
    main([*line, "--limit", "1"])
    told = capsys.readouterr()
    assert "identity" in told.out
    assert "the same command continues" in told.err
    main(line)
    told = capsys.readouterr()
    assert "6 rounds kept from earlier sessions" in told.err
    assert "next:" not in told.err
    assert told.err.rstrip().endswith(f"page: {tmp_path / 'run' / 'report.html'}")
    measures = "Did it change only what was asked?"
    assert measures not in told.out
    main([*line, "--details"])
    assert measures in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"encoder": "no/such-encoder"}, EncoderNotFoundError),
        ({"scoring": Scoring(metrics=("nonsense",))}, UnknownNameError),
    ],
)
def test_what_can_not_be_scored_is_not_paid_for(
    tmp_path: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        fashionedit.evaluate(darker, out=tmp_path / "run", **{**OFFLINE, **options})
    assert not (tmp_path / "run").exists()


def test_what_is_no_editor_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="7 is no editor; give an instance"):
        fashionedit.evaluate(7, out=tmp_path / "run", **OFFLINE)  # type: ignore[arg-type]  # the mistake


def stored(out: Path) -> list[bool]:
    """Whether a score is stored, and a measure."""
    return [any((out / "scores").glob(f"{name}-*.jsonl")) for name in ("psnr", "inside")]


@pytest.mark.parametrize(
    ("option", "says"),
    [("device", r"give scoring=Scoring\(device=…\)"), ("protocol", "choose from .*protocols, ")],
)
def test_an_option_that_there_is_not_is_named(option: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=rf"evaluate\(\) has no option '{option}'; {says}"):
        fashionedit.evaluate(darker, out=tmp_path / "run", **OFFLINE, **{option: "x"})
    assert not (tmp_path / "run").exists()


def test_a_text_is_one_metric(tmp_path: Path) -> None:
    scoring = Scoring(metrics="psnr")  # type: ignore[arg-type]  # as a user writes it
    found = fashionedit.evaluate(darker, out=tmp_path / "run", data="synthetic:1", scoring=scoring)
    assert found.results.metric_ids == ("psnr",)


def test_rounds_are_scored_while_others_are_edited(tmp_path: Path) -> None:
    out, seen = tmp_path / "run", []

    def slow(image: Image.Image, instruction: str) -> Image.Image:
        deadline = time.monotonic() + 300
        if any(out.glob("images/**/*.png")) and not seen:  # not the first edit: wait until it was scored and measured
            while not all(stored(out)) and time.monotonic() < deadline:
                time.sleep(0.05)
            seen.append((stored(out), (out / "results.json").exists()))
        return darker(image, instruction)

    found = fashionedit.evaluate(slow, out=out, **OFFLINE)
    assert seen == [([True, True], False)]
    assert found.summary.unfinished == 0


def test_results_come_even_if_the_scoring_process_is_killed(tmp_path: Path) -> None:
    out, killed = tmp_path / "run", list[int]()

    def deadly(image: Image.Image, instruction: str) -> Image.Image:
        if not killed:
            killed.extend(processes_of(out))
            for process in killed:
                os.kill(process, signal.SIGKILL)
        return darker(image, instruction)

    found = fashionedit.evaluate(deadly, out=out, **OFFLINE)
    assert killed
    assert found.page.is_file()
    assert found.results == read_results(out / "results.json")


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_no_scoring_process_outlives_the_run(tmp_path: Path, kill: signal.Signals) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    out = tmp_path / "run"
    line = [*COMMAND, "eval", f"{tmp_path / 'slow.py'}:edit", "--data", "synthetic:2", "--out", str(out), "--quiet"]
    process = subprocess.Popen([*line, "--encoder", "offline"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(out.glob("records/*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(out)
    process.send_signal(kill)
    _, told = process.communicate(timeout=60)
    if kill is signal.SIGINT:
        assert process.returncode == 130
        assert b"the same command continues" in told
    deadline = time.monotonic() + 60
    while processes_of(out) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of(out)
    assert RunFolder.open(out).identity.rounds == 3
    assert not (out / "results.json").exists()


def test_measures_give_way_to_the_end_of_the_run_and_to_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []
    monkeypatch.setattr(live_scoring, "_MEASURING", 0.05)
    turn = live_scoring._Turn(words)
    turn.check(1, 9)

    def check_again_and_again() -> None:
        while True:
            turn.check(2, 9)
            time.sleep(0.01)

    with pytest.raises(live_scoring._TurnOver):
        check_again_and_again()
    turn = live_scoring._Turn(words)
    words.append("finish")
    with pytest.raises(live_scoring._TurnOver):
        turn.check(1, 9)


def test_a_scoring_process_without_an_encoder_is_not_ready(tmp_path: Path) -> None:
    with LiveScoring(tmp_path / "run", "synthetic:1", "validation", Scoring(encoder="no/such-encoder")) as live:
        assert not live.ready()
        assert not live.finish()
        assert live.page() is None


@pytest.mark.parametrize("word", ["finish {}\n", ""])
def test_the_scoring_process_says_what_it_has_done_and_ends_with_its_input(tmp_path: Path, word: str) -> None:
    out = tmp_path / "run"
    main(["run", "identity", "--data", "synthetic:2", "--out", str(out), "--quiet"])
    settings, table = json.dumps(asdict(Scoring(metrics=("psnr",)))), tmp_path / "table.json"
    line = [sys.executable, "-m", "fashionedit.eval_harness.live_scoring", str(out), "synthetic:2", "validation"]
    done = subprocess.run(
        [*line, settings], input=word.format(table), capture_output=True, text=True, timeout=120, check=True
    )
    said = ["ready", "scored", f"page {out / 'report.html'}"]
    assert done.stdout.splitlines() == (said if word else said[:1])
    assert (out / "results.json").exists() is table.exists() is bool(word)
    assert done.stderr == ""
