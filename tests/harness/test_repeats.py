"""A run that is made several times over, each time with other seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scored_toys import ScoredSource, drawn_baselines, drawn_sample, toy_embedder
from toy_editors import ToyEditor
from toy_runs import kept, records
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.running.records import round_seed
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.details import sections
from fashionedit.eval_harness.scores.results import build_results, read_results, to_json, write_results
from fashionedit.metrics.similarity import peak_signal_noise_ratio

SAMPLES, EDITS = 3, 18  # edits of one repetition: 3 samples × 2 protocols × 3 rounds


def noisy(request: EditRequest) -> Image.Image:
    """As many grey levels darker as the seed says."""
    return request.base.point(lambda level: max(0, level - request.seed % 24))


def test_each_repetition_has_seeds_and_records_of_its_own(tmp_path: Path) -> None:
    source, once, thrice = ToySource(SAMPLES), ToyEditor(), ToyEditor()
    run(once, source, tmp_path / "once")
    summary = run(thrice, source, tmp_path / "thrice", repeats=3)
    assert (summary.planned, summary.unfinished, summary.edits) == (3 * EDITS, 0, 3 * EDITS)
    assert len({request.seed for request in thrice.requests}) == 3 * EDITS
    assert [one.seed for one in thrice.requests[:EDITS]] == [one.seed for one in once.requests]
    first, all_of_them = kept(tmp_path / "once"), kept(tmp_path / "thrice")
    assert len(records(tmp_path / "thrice")) == 3 * EDITS
    assert {name for name in first if all_of_them[name] != first[name]} == {"run.json"}


def test_one_repetition_is_through_before_the_next_begins(tmp_path: Path) -> None:
    editor = ToyEditor()
    run(editor, ToySource(SAMPLES), tmp_path, repeats=2, concurrency=1)
    rounds = [one.round for one in editor.requests]
    assert rounds == sorted(rounds[:EDITS]) + sorted(rounds[EDITS:])


def test_the_draft_is_not_repeated(tmp_path: Path) -> None:
    summary = run(ToyEditor(), ToySource(2), tmp_path, protocols=("draft", "bug"), repeats=3)
    assert summary.planned == 2 + 3 * 2 * 3
    assert [len(list(RunFolder.open(tmp_path).outcomes(ToySource(2), one))) for one in range(3)] == [8, 6, 6]


def test_an_interrupted_run_asks_for_nothing_twice(tmp_path: Path) -> None:
    source, editor, whole = ToySource(SAMPLES), ToyEditor(), ToyEditor()
    for most in (5, 30, 99):
        left = most

        def stop() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        run(editor, source, tmp_path / "torn", repeats=3, stop=stop, concurrency=1)
    run(whole, source, tmp_path / "whole", repeats=3)
    assert len(editor.requests) == 3 * EDITS
    assert kept(tmp_path / "torn") == kept(tmp_path / "whole")


def test_a_run_with_one_seed_is_written_as_before_there_were_more(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path / "once")
    assert "repeats" not in json.loads((tmp_path / "once" / "run.json").read_text())
    assert round_seed(7, "a", "bug", 1, 0) == round_seed(7, "a", "bug", 1)
    run(ToyEditor(), ToySource(1), tmp_path / "twice", repeats=2)
    assert json.loads((tmp_path / "twice" / "run.json").read_text())["repeats"] == 2


def test_other_repeats_make_another_run(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path)
    with pytest.raises(RunMismatchError, match="repeats: run has 1, you asked 3"):
        run(ToyEditor(), ToySource(1), tmp_path, repeats=3)
    with pytest.raises(InvalidDataError, match="repeats is 0"):
        run(ToyEditor(), ToySource(1), tmp_path / "none", repeats=0)


def test_a_run_is_scored_while_a_repetition_is_under_way(tmp_path: Path) -> None:
    source, left = ScoredSource([drawn_sample(number) for number in range(2)]), 14

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    run(ToyEditor(noisy), source, tmp_path / "run", repeats=2, stop=stop, concurrency=1)
    folder = RunFolder.open(tmp_path / "run")
    results = build_results(folder, source, toy_embedder(), baselines=drawn_baselines(source))
    known = {row.round: len(row.repeats["psnr"]) for row in results.rows if row.run is not None}
    assert known == {1: 2, 2: 1, 3: 1}


def test_rows_have_the_primary_score_of_each_repetition(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, garment=f"g{number // 2}") for number in range(4)])
    run(ToyEditor(noisy), source, tmp_path / "run", repeats=3)
    folder = RunFolder.open(tmp_path / "run")
    results = build_results(folder, source, toy_embedder(), baselines=drawn_baselines(source))
    for row in results.rows:
        if row.run is None:
            assert row.repeats == {}
            continue
        expected = [
            np.mean(
                [
                    peak_signal_noise_ratio(
                        np.asarray(one.current.open()), np.asarray(source.sample(one.sample).original)
                    )
                    for one in folder.outcomes(source, repeat)
                    if (one.protocol, one.round) == (row.protocol, row.round)
                ]
            )
            for repeat in range(3)
        ]
        assert row.repeats["psnr"] == pytest.approx(expected, abs=1e-5)
        assert len(set(row.repeats["psnr"])) == 3
        assert set(row.repeats) == set(results.metric_ids)
        assert {id: values[0] for id, values in row.repeats.items()} == {
            id: score.mean for id, score in row.scores.items()
        }
        cells = next(
            cells
            for section in sections(results)
            if section.title == "Seeds"
            for cells in section.rows
            if (*cells[1:3], cells[4]) == (row.prompt, str(row.round), "PSNR")
        )
        assert cells[6:] == (f"{np.mean(row.repeats['psnr']):.2f}", f"{np.std(row.repeats['psnr'], ddof=1):.4f}")
    write_results(results, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results
    again = build_results(folder, source, toy_embedder(), baselines=drawn_baselines(source))
    assert to_json(again) == to_json(results)
