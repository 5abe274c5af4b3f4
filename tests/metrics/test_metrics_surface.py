from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import fashionedit.metrics
from fashionedit.metrics import EVALUATE_MODULES

FOLDER = Path(__file__).parents[2] / "metrics"


def test_the_public_names_are_sorted() -> None:
    names = fashionedit.metrics.__all__
    assert sorted(names, key=lambda name: (not name.isupper(), name.lower() if name.islower() else name)) == names


@pytest.mark.parametrize(
    ("names", "heavy"),
    [
        (None, ["torch", "transformers", "evaluate", "datasets", "numpy", "PIL"]),
        ("Embedder, EmbeddingCache, load_encoder, load_metrics", ["torch", "transformers", "evaluate", "datasets"]),
    ],
)
def test_importing_it_loads_nothing_heavy(names: str | None, heavy: list[str]) -> None:
    statement = f"from fashionedit.metrics import {names}" if names else "import fashionedit.metrics"
    code = f"import sys; {statement}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", ["encoder", "similarity"])
def test_the_numbers_in_docstrings_are_right(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"fashionedit.metrics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_each_metric_has_a_card(name: str) -> None:
    _, head, body = (FOLDER / name / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert {"evaluate", "metric"} <= set(yaml.safe_load(head)["tags"])
    for part in ("## How to use", "### Inputs", "### Output", "## Limits", "## Citation"):
        assert part in body
    assert f'evaluate.load("{name}")' in body


@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_each_script_runs_from_a_copy(name: str) -> None:
    lines = (FOLDER / name / f"{name}.py").read_text(encoding="utf-8").splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert not any(line.startswith("from .") or line.endswith("(") for line in imports)
    assert not (FOLDER / name / "__init__.py").exists()
