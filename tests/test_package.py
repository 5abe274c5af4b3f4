"""The package as it ships: rooms, imports, wheel."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from lowest_versions import lowest_versions

from fashionedit.errors import MissingExtraError

ROOT = Path(__file__).parents[1]
ROOMS = {
    "fashionedit_dataset": "fashionedit",
    "metrics": "fashionedit.metrics",
    "builders": "fashionedit.builders",
    "eval_harness": "fashionedit.eval_harness",
    "studio": "fashionedit.studio",
}
MAY_IMPORT = {
    "fashionedit_dataset": set(),
    "metrics": {"fashionedit_dataset"},
    "builders": {"fashionedit_dataset", "metrics"},
    "eval_harness": {"fashionedit_dataset", "metrics"},
    "studio": {"fashionedit_dataset", "metrics", "builders", "eval_harness"},
}
COMPOSITION_ROOT = ROOT / "fashionedit_dataset" / "cli"


def _modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def _room_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "fashionedit":
        return None
    for room, name in ROOMS.items():
        if room != "fashionedit_dataset" and ".".join(parts[:2]) == name:
            return room
    return "fashionedit_dataset"


def _absolute_imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names if node.module == "fashionedit"]
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_downstream_only(room: str) -> None:
    wrong = []
    for path in _modules(room):
        if path.is_relative_to(COMPOSITION_ROOT):
            continue
        for module in _absolute_imports(path):
            target = _room_of(module)
            if target and target != room and target not in MAY_IMPORT[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_imports_are_relative_inside_a_room(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in (ROOT / room).glob("*.py")  # a folder inside a room reaches its parent by the absolute name
        for module in _absolute_imports(path)
        if _room_of(module) == room
    ]
    assert not wrong


CYCLES: set[frozenset[str]] = set()
"""Import cycles that are still there; this set must only shrink."""


@cache
def _import_graph() -> dict[str, set[str]]:
    """Returns the imports of every module, those inside functions included and those for type checkers left out."""
    names = {}
    for room, package in ROOMS.items():
        for path in _modules(room):
            parts = path.relative_to(ROOT / room).with_suffix("").parts
            names[".".join([package, *(part for part in parts if part != "__init__")])] = path
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for part in node.body
            for inner in ast.walk(part)
        }
        graph[name] = set()
        for node in ast.walk(tree):
            if id(node) in skipped:
                continue
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & names.keys()
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                module = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    inner = f"{module}.{alias.name}"
                    graph[name] |= {inner if inner in names else module} & names.keys()
    return graph


def _cycles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Returns the groups of nodes that reach each other."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += graph[node]
        reach[start] = seen
    groups = {frozenset({node, *(n for n in reach[node] if node in reach[n])}) for node in graph}
    return {group for group in groups if len(group) > 1}


def _without_the_command(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Returns the graph without the command, which imports everything, and without what `__main__` starts it by."""
    left = {name for name in graph if not name.startswith("fashionedit.cli") and name != "fashionedit.__main__"}
    return {name: graph[name] & left for name in left}


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert _cycles(_without_the_command(_import_graph())) == CYCLES, "a cycle that is gone leaves the set too"


def test_no_folder_imports_another_that_imports_it() -> None:
    """A package's root holds what its folders share and what puts them together: each module of it counts alone."""
    graph = _without_the_command(_import_graph())
    tops = set(ROOMS.values())
    packages = {module for module in graph if any(other.startswith(f"{module}.") for other in graph)}

    def folder(module: str) -> str:
        inside = module if module in packages else module.rpartition(".")[0]
        return module if inside in tops else inside

    folders: dict[str, set[str]] = {}
    for module, targets in graph.items():
        folders.setdefault(folder(module), set()).update(map(folder, targets))
    assert _cycles({node: targets - {node} for node, targets in folders.items()}) <= CYCLES


def test_the_import_graph_sees_imports_inside_functions_and_finds_cycles() -> None:
    graph = _import_graph()
    assert "fashionedit.eval_harness.editing" in graph["fashionedit.eval_harness.running.calls"]
    assert "fashionedit.eval_harness.editors.callables" in graph["fashionedit.eval_harness.editors.resolve"]
    assert _cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}


def test_only_packages_list_their_public_names() -> None:
    wrong = [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in _modules(room)
        if path.name != "__init__.py" and re.search("^__all__", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert not wrong


@pytest.mark.parametrize("room", ["", ".metrics", ".eval_harness", ".synthetic"])
def test_lazy_names_are_there(room: str) -> None:
    package = importlib.import_module(f"fashionedit{room}")
    assert package.__all__
    for public in package.__all__:
        assert getattr(package, public) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018  the access is the test


def test_setup_lists_every_package() -> None:
    options = _setup()["options"]
    listed = set(options["packages"].split())
    folders = {
        ".".join([ROOMS[room], *path.parent.relative_to(ROOT / room).parts])
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    mapped = {line.split("=")[0].strip() for line in options["package_dir"].splitlines() if line.strip()}
    assert listed == folders == mapped


def test_every_dependency_has_a_lowest_version_that_can_be_installed_and_tested() -> None:
    options = _setup()
    lists = [options["options"]["install_requires"], *options["options.extras_require"].values()]
    lines = [line for text in lists for line in text.split("\n") if line and not line.startswith("fashionedit[")]
    assert len(lines) > 25
    assert not [line for line in lines if not re.fullmatch(r"[\w-]+(\[[\w,-]+\])?[>=]=\d[\w.]*", line)]
    lowest = dict(line.split("==") for line in lowest_versions())
    assert lowest.keys() >= {"click", "torch", "diffusers", "openai"}
    for line in lines:
        name, _, version = re.split(r"(?:\[.*\])?([>=]=)", line)
        assert lowest.get(name, version) == version, f"{name} has two lowest versions"


def test_a_missing_library_is_told_as_setup_cfg_requires_it(monkeypatch: pytest.MonkeyPatch) -> None:
    extras = _setup()["options.extras_require"]
    for extra in ("clip", "offline", "diffusers", "openai", "space", "sketch", "ssim"):
        lines = extras[extra].split()
        for line in lines:
            name = re.split("[>=]", line)[0]
            assert str(MissingExtraError(extra, name)) == f"{name} is not installed; run: pip install '{line}'"
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: [])
    wanted = " ".join(f"'{line}'" for line in extras["clip"].split())
    assert str(MissingExtraError("clip", "torch")) == f"torch is not installed; run: pip install {wanted}"


def test_nothing_shadows_the_package() -> None:
    assert not (ROOT / "fashionedit").exists()
    assert not (ROOT / "fashionedit_dataset" / "fashionedit_dataset.py").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_wheel_holds_every_file_and_nothing_else(wheel: Path) -> None:
    expected = {
        "/".join([*ROOMS[room].split("."), *path.relative_to(ROOT / room).parts])
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        assert re.search("^License(-Expression)?: Apache-2.0$", archive.read(metadata).decode(), re.MULTILINE)
    assert shipped == expected


def test_wheel_runs_the_command(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from fashionedit import cli; "
        "print(cli.__file__, flush=True); cli.main(['--version'])"
    )
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file, version = done.stdout.splitlines()
    assert Path(file).is_relative_to(site)
    assert version.startswith("fashionedit")


def test_the_constraints_name_public_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line.strip() and not line.startswith("#")]
    assert len(pins) > 50
    wrong = [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)]
    assert not wrong, "a pin is NAME==VERSION, without a local version (+cpu), which exists on one machine alone"
