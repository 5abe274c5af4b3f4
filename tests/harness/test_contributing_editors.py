"""The additions that CONTRIBUTING.md shows, as it shows them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from toy_editors import ToyEditor

from fashionedit.data import open_data
from fashionedit.errors import EditorError, InvalidDataError
from fashionedit.eval_harness import editors, protocols
from fashionedit.eval_harness.editors.resolve import PREFIXES, resolve_editor
from fashionedit.eval_harness.editors.settings import EditorSettings
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.testing import assert_conforms

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(file: str) -> str:
    """The code that the page shows for a file, without the line that names it."""
    return re.search(rf"```python\n# {re.escape(file)}[^\n]*\n(.*?)```", PAGE, re.DOTALL)[1]


def test_an_editor_is_a_module_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, line = block("eval_harness/editors/unsharp.py"), block("eval_harness/editors/resolve.py")
    assert len(module.splitlines()) + len(line.splitlines()) <= 90
    (tmp_path / "unsharp.py").write_text(module, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{editors.__name__}.unsharp", tmp_path / "unsharp.py")
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    added: dict[str, str] = {}
    exec(line, {"PREFIXES": added})
    for prefix, place in added.items():
        monkeypatch.setitem(PREFIXES, prefix, place)

    assert_conforms(resolve_editor("unsharp:2"), repeatable=True)
    with pytest.raises(InvalidDataError, match="the radius is 'two'"):
        resolve_editor("unsharp:two")
    with pytest.raises(InvalidDataError, match="has no option 'corners'; its options are corner:"):
        resolve_editor("unsharp:2", EditorSettings(options={"corners": 3}))
    with pytest.raises(EditorError, match="takes no param 'sharpness'"):
        run(resolve_editor("unsharp:2"), open_data("synthetic:1"), tmp_path / "run", params={"sharpness": 1})


def test_a_protocol_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = block("eval_harness/protocols.py")
    assert len(entry.splitlines()) <= 5
    protocol = eval(entry, vars(protocols))
    monkeypatch.setitem(protocols.PROTOCOLS, protocol.name, protocol)
    source = open_data("synthetic:1")
    run(ToyEditor(), source, tmp_path / "run")
    assert [(o.protocol, o.own) for o in RunFolder.open(tmp_path / "run").outcomes(source)][-3:] == [
        (protocol.name, True)
    ] * 3
