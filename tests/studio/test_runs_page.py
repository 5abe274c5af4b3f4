"""Scored runs in the studio."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from judge_service import write_cards, write_runs

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scored_run import Scoring
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.studio.runs_page import RunsPage


def test_the_report_of_scored_runs_is_made_beside_the_studio(tmp_path: Path):
    runs = [RunFolder.open(path) for path in write_runs(tmp_path, 2, protocols=("bug",))]
    source = write_cards(tmp_path / "again" / "cards", 2)
    with pytest.raises(InvalidDataError, match="score"):
        RunsPage(runs, source)
    _, metrics = Scoring(metrics=("psnr",)).load()
    for run in runs:
        write_results(build_results(run, source, None, metrics=metrics, measures=False), run.path / "results.json")
    page = RunsPage(runs, source)
    try:
        while "address" not in (found := page.ready()):
            assert not found["error"]
        index = Path(unquote(found["address"].partition("=")[2]))
        assert index.is_relative_to(page.path)
        assert "FashionEdit" in index.read_text(encoding="utf-8")
        assert len(list((page.path / "report" / "data" / "samples").glob("*.js"))) == 2
    finally:
        page.close()
    assert not page.path.exists()
