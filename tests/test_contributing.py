"""The additions that CONTRIBUTING.md shows, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fashionedit.cli import main
from fashionedit.eval_harness import read_results

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def code(heading: str) -> str:
    """Returns the first block of Python below a bold heading."""
    found = re.search(r"```python\n(.*?)```", TEXT.split(f"**{heading}**")[1], re.DOTALL)
    assert found
    return found[1]


def test_the_metric_scores_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sharpness.py").write_text(code("Add a metric"))
    main(["run", "identity", "--data", "synthetic:2", "--split", "train", "--rounds", "1", "--out", "RUN", "--quiet"])
    command = re.search(r"`fashionedit (score RUN --metric sharpness[^`]*)`", TEXT)
    assert command
    main([*command[1].split(), "--quiet"])
    results = read_results(Path("RUN/results.json"))
    assert results.metric_ids == ("sharpness", "psnr")
    assert next(row for row in results.rows if row.kind == "ceiling").scores["sharpness"].mean == 1
