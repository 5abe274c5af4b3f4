from __future__ import annotations

import inspect
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from fashionedit import aliases


def _python(code: str, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
    """Returns what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_libraries_still_have_what_is_wrapped():
    """When this fails, a library has moved a private function: `aliases` has to follow."""
    import datasets.load
    import evaluate.loading

    dataset = inspect.signature(inspect.unwrap(datasets.load.dataset_module_factory)).parameters
    assert list(dataset)[:2] == ["path", "revision"]
    assert datasets.load.dataset_module_factory._wrapped_by_fashionedit
    assert "dataset_module_factory(" in inspect.getsource(datasets.load.load_dataset_builder)
    assert [field for field in inspect.signature(datasets.load.DatasetModule).parameters][:3] == [
        "module_path",
        "hash",
        "builder_kwargs",
    ]
    metric = inspect.signature(inspect.unwrap(evaluate.loading.evaluation_module_factory)).parameters
    assert next(iter(metric)) == "path"
    assert evaluate.loading.evaluation_module_factory._wrapped_by_fashionedit
    assert "evaluation_module_factory(" in inspect.getsource(evaluate.loading.load)
    assert list(inspect.signature(evaluate.loading.ImportableModule).parameters) == ["module_path", "hash"]


LOAD = """
    import sys
    {imports}
    rows = datasets.load_dataset("fashionedit", data_dir=sys.argv[1], split="train")
    print(len(rows), datasets.load.__spec__.loader is datasets.load.__loader__, type(datasets.load.__loader__).__name__)
"""


@pytest.mark.parametrize("imports", ["import fashionedit, datasets", "import datasets, fashionedit"])
def test_the_name_is_known_whichever_is_imported_first(toy_folder, tmp_path, imports):
    assert _python(LOAD.format(imports=imports), str(toy_folder), cwd=tmp_path) == "3 True SourceFileLoader"


def test_the_switch_leaves_both_libraries_alone():
    code = """
        import sys, fashionedit, datasets.load, evaluate.loading
        print(any("fashionedit" in type(finder).__module__ for finder in sys.meta_path),
              hasattr(datasets.load.dataset_module_factory, "_wrapped_by_fashionedit"),
              hasattr(evaluate.loading.evaluation_module_factory, "_wrapped_by_fashionedit"))
    """
    assert _python(code, FASHIONEDIT_NO_ALIASES="1") == "False False False"
    assert _python(code, FASHIONEDIT_NO_ALIASES="0") == "True True True"


def test_a_folder_of_that_name_wins(toy_folder, tmp_path, monkeypatch):
    import shutil

    import datasets

    shutil.copytree(toy_folder, tmp_path / "fashionedit")
    (tmp_path / "fashionedit/data/train-00000-of-00001.parquet").unlink()
    card = tmp_path / "fashionedit/README.md"
    card.write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: validation, path: data/*.parquet}\n---\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    found = datasets.load_dataset("fashionedit")
    assert list(found) == ["validation"]


def test_installing_twice_wraps_once():
    import datasets.load

    wrapped = datasets.load.dataset_module_factory
    aliases.install()
    assert datasets.load.dataset_module_factory is wrapped
    assert sum(hasattr(finder, aliases._MARK) for finder in sys.meta_path) == 1


def test_importing_the_package_anew_adds_no_second_hook():
    code = (
        "import sys, fashionedit\n"
        "for name in [name for name in sys.modules if name.split('.')[0] == 'fashionedit']: del sys.modules[name]\n"
        "import fashionedit, datasets.load\n"
        "print(sum(hasattr(finder, '_wrapped_by_fashionedit') for finder in sys.meta_path),"
        " hasattr(datasets.load.dataset_module_factory, '_wrapped_by_fashionedit'))"
    )
    assert _python(code) == "1 True"


def test_other_names_go_where_they_went(tmp_path):
    import datasets
    import evaluate

    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert datasets.load_dataset("csv", data_files=str(tmp_path / "rows.csv"), split="train")[0] == {"a": 1, "b": 2}
    with pytest.raises((ConnectionError, FileNotFoundError)):
        evaluate.load("no_such_metric")


@pytest.mark.parametrize("name", aliases.METRICS)
@pytest.mark.parametrize("prefix", ["", "fashionedit/"])
def test_metrics_are_known_by_their_bare_and_full_name(name, prefix, tmp_path, monkeypatch):
    import evaluate

    monkeypatch.chdir(tmp_path)
    assert evaluate.load(prefix + name).name == name


def test_a_metric_script_in_the_working_directory_wins(tmp_path, monkeypatch):
    import evaluate.loading

    (tmp_path / "psnr").mkdir()
    (tmp_path / "psnr" / "psnr.py").write_text("import evaluate\n")
    monkeypatch.chdir(tmp_path)
    assert "fashionedit" not in evaluate.loading.evaluation_module_factory("psnr").module_path


def test_a_library_that_moved_its_function_is_reported_once_and_still_works():
    moved = types.ModuleType("datasets.load")
    with pytest.warns(UserWarning, match=r"datasets\.load has no dataset_module_factory .* use fashionedit\.load\(\)"):
        aliases._wrap_in(moved, "dataset_module_factory", aliases._serve_dataset)
    assert not hasattr(moved, "dataset_module_factory")
