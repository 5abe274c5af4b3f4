"""Editors of other packages: entry points, and options of `module:attribute`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from fashionedit.cli import main
from fashionedit.data import open_data
from fashionedit.errors import EditorError, RunMismatchError, UnknownNameError
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.eval_harness.running.runner import run

PACKAGE = """
    from PIL import ImageOps
    from fashionedit.eval_harness import EditorInfo, EditResult

    class Solarizer:
        def __init__(self, threshold):
            self.threshold = threshold
        def describe(self):
            return EditorInfo("solarizer", f"solarizer {self.threshold}", takes_reference=False)
        def edit(self, request):
            return EditResult.ok(ImageOps.solarize(request.base, self.threshold))

    def open_editor(rest, settings):
        settings.known_options("solarize", {"extra": "added to the threshold"})
        return Solarizer(int(rest or 128) + settings.options.get("extra", 0))

    number = 7

    def returns_nothing(rest, settings):
        pass

    def ends(rest, settings):
        raise SystemExit(3)
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with entry points, as pip installs one."""
    site = tmp_path / "site"
    about = site / "solarizing-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "solarizing.py").write_text(textwrap.dedent(PACKAGE))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: solarizing\nVersion: 1.0\n")
    points = {
        "solarize": "solarizing:open_editor",
        "gone": "solarizing:missing",
        "nowhere": "no_such_module:open_editor",
        "number": "solarizing:number",
        "nothing": "solarizing:returns_nothing",
        "ends": "solarizing:ends",
        "identity": "solarizing:open_editor",
    }
    lines = [f"{name} = {value}" for name, value in points.items()]
    (about / "entry_points.txt").write_text("\n".join(["[fashionedit.editors]", *lines, ""]))
    monkeypatch.syspath_prepend(site)


def test_an_installed_editor_runs_under_its_name(tmp_path: Path) -> None:
    assert main(["run", "solarize:64", "--data", "synthetic:1", "--out", str(tmp_path / "run"), "--quiet"]) is None
    assert resolve_editor("solarize").describe().fingerprint == "solarizer 128"
    again = run(resolve_editor("solarize:64"), open_data("synthetic:1"), tmp_path / "run")
    assert (again.edits, again.reused) == (0, 3)


def test_an_installed_editor_reads_its_options() -> None:
    editor = resolve_editor("solarize:64", EditorSettings(options={"extra": 2}))
    assert editor.describe().fingerprint == "solarizer 66"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", "gone .solarizing:missing. can't be loaded .AttributeError.*install its package again"),
        ("nowhere", "nowhere .no_such_module:open_editor. can't be loaded .ModuleNotFoundError"),
        ("number", "is a int; it must be a function"),
        ("nothing", "returned NoneType; return an object with describe"),
        ("ends", "tried to end the program"),
    ],
)
def test_an_entry_point_of_no_use_is_one_sentence(name: str, words: str) -> None:
    with pytest.raises(EditorError, match=words):
        resolve_editor(f"{name}:1")


def test_no_package_takes_the_name_of_a_built_in_editor() -> None:
    assert resolve_editor("identity").describe().fingerprint == "identity 1"


def test_an_unknown_name_lists_the_installed_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"no editor is called 'solar'; choose identity, .*solarize"):
        resolve_editor("solar")


# Options of `module:attribute`

MODULE = """
    from functools import partial
    from PIL import ImageOps
    from fashionedit.eval_harness import EditorInfo, EditRequest, EditResult

    def tint(image, instruction, reference=None, *, level=128, bits=8, seed=0):
        return ImageOps.posterize(ImageOps.solarize(image, level), bits)

    async def slow(image, instruction, *, level=128):
        return ImageOps.solarize(image, level)

    def requested(request: EditRequest, level=128):
        return ImageOps.solarize(request.base, level)

    def anything(image, instruction, **kw):
        return ImageOps.solarize(image, kw["level"])

    class Mine:
        def __init__(self, level, bits=8):
            self.level, self.bits = level, bits
        def describe(self):
            return EditorInfo("mine", "mine 1")
        def edit(self, request):
            return EditResult.ok(ImageOps.solarize(request.base, self.level))

    class Callable:
        def __init__(self, level=1):
            self.level = level
        def __call__(self, image, instruction):
            return ImageOps.solarize(image, self.level)

    made = Mine(3)
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(MODULE))
    return str(path)


def with_options(module: str, name: str, **options: Any) -> Any:
    return resolve_editor(f"{module}:{name}", EditorSettings(options=options))


@pytest.mark.parametrize("name", ["tint", "slow", "requested", "anything", "Mine", "Callable"])
def test_options_reach_the_class_or_function_and_the_fingerprint(module: str, name: str, tmp_path: Path) -> None:
    source = open_data("synthetic:1")
    one, same, other = (with_options(module, name, level=level) for level in (10, 10, 200))
    assert one.describe() == same.describe()
    assert one.describe().fingerprint != other.describe().fingerprint
    assert run(one, source, tmp_path / "run", protocols=["vanilla"], rounds=1).unfinished == 0
    with pytest.raises(RunMismatchError, match=r"editor\.fingerprint"):
        run(other, source, tmp_path / "run", protocols=["vanilla"], rounds=1)
    run(other, source, tmp_path / "other", protocols=["vanilla"], rounds=1)
    pictures = [{path.name for path in (tmp_path / out / "images").rglob("*.png")} for out in ("run", "other")]
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tint", {"levels": 3}, "takes no option 'levels'; its options are level, bits"),
        ("tint", {"seed": 3}, "takes no option 'seed'"),
        ("tint", {"image": 3}, "takes no option 'image'"),
        ("slow", {"bits": 3}, "takes no option 'bits'; its options are level"),
        ("requested", {"request": 3}, "takes no option 'request'; its options are level"),
        ("Mine", {"levels": 3}, "can't be called with the options levels .*its arguments are level, bits"),
        ("Mine", {}, "can't be called without arguments .*its arguments are level, bits: set them with --option"),
        ("made", {"level": 3}, "is made already and takes no option 'level'; name its class instead"),
    ],
)
def test_an_unknown_option_is_one_sentence_before_any_call(
    module: str, name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(EditorError, match=words):
        with_options(module, name, **options)


def test_the_command_passes_options_on(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["run", f"{module}:Mine", "--data", "synthetic:1", "--out", str(tmp_path / "run"), "--quiet"]
    main([*line, "--option", "level=20"])
    with pytest.raises(SystemExit):
        main([*line, "--option", "niveau=20"])
    assert "can't be called with the options niveau" in capsys.readouterr().err
