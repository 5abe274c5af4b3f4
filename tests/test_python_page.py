"""`docs/python.md` and the notebook, run as they stand."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def executed(cell: str, names: dict[str, Any]) -> Any:
    """Runs a cell as a notebook does: returns the value of its last line, if that is an expression."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last is not None else None


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "examples" / "quickstart.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "outputs hold pictures: clear them before a commit"
    names: dict[str, Any] = {}
    values = [executed("".join(cell["source"]), names) for cell in cells]
    assert len(values[0]) == 3
    assert isinstance(values[1], Image.Image)
    html, table = values[4]._repr_html_(), values[5]
    assert "sharpen" in html
    assert html.count("<img") >= 3 * 8
    assert list(table[table.method == "sharpen"]["round"]) == [1, 2, 3] * 2


def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    told = capsys.readouterr().out
    assert "edit" in told
    assert "report.html" in told
    assert (tmp_path / "runs" / "page.html").is_file()
