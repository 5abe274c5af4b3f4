from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fashionedit


def test_all_is_sorted_and_every_name_is_there():
    assert fashionedit.__all__ == sorted(fashionedit.__all__)
    for name in fashionedit.__all__:
        assert getattr(fashionedit, name) is not None
    assert set(fashionedit.__all__) <= set(dir(fashionedit))


def test_all_is_what_type_checkers_see_and_all_errors_are_in_it():
    tree = ast.parse(Path(fashionedit.__file__).read_text("utf-8"))
    seen = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(fashionedit.__all__) <= seen | {"__version__"}
    errors = {name for name in vars(fashionedit.errors) if name.endswith("Error")}
    assert errors <= set(fashionedit.__all__)
    assert fashionedit.InvalidBoxError is fashionedit.errors.InvalidBoxError


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = fashionedit.nothing


def test_importing_is_quick_and_imports_nothing_heavy():
    code = (
        "import time, sys; start = time.perf_counter(); import fashionedit; end = time.perf_counter();"
        "print(end - start, *sorted({'torch', 'datasets', 'evaluate', 'transformers', 'pyarrow', 'PIL', 'numpy',"
        " 'pydantic', 'huggingface_hub'} & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert out[1:] == []
        seconds.append(float(out[0]))
    assert min(seconds) < 0.3
