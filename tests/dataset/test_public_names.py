from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import fashionedit


def test_all_is_what_type_checkers_see_and_all_errors_are_in_it():
    assert fashionedit.__all__ == sorted(fashionedit.__all__)
    tree = ast.parse(Path(fashionedit.__file__).read_text("utf-8"))
    seen = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(fashionedit.__all__) <= seen | {"__version__"}
    errors = {name for name in vars(fashionedit.errors) if name.endswith("Error")}
    assert errors <= set(fashionedit.__all__)
    assert fashionedit.InvalidBoxError is fashionedit.errors.InvalidBoxError


def test_importing_is_quick_and_imports_nothing_heavy():
    code = (
        "import time, sys; start = time.process_time(); from fashionedit import load; end = time.process_time();"
        "print(end - start, *sorted({'torch', 'datasets', 'evaluate', 'transformers', 'pyarrow', 'PIL', 'numpy',"
        " 'pandas', 'pydantic', 'huggingface_hub'} & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert out[1:] == []
        seconds.append(float(out[0]))
    assert min(seconds) < 0.3
