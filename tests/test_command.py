"""The command as a person meets it."""

from __future__ import annotations

import errno
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from publishing_toys import image_folder

from fashionedit.cli import cli, main
from fashionedit.eval_harness.scores.results import read_results
from fashionedit.eval_harness.scores.table import to_markdown

ROOT = Path(__file__).parents[1]


def pages() -> str:
    """Returns docs/commands.md: the help of the command and of each verb, as they print it."""
    parts = [
        "# The command\n\nWhat `fashionedit --help` and the help of each verb print. Written by "
        "`python tests/test_command.py > docs/commands.md`; a test compares.\n"
    ]
    for verb in (None, *cli.commands):
        arguments = [*([verb] if verb else []), "--help"]
        shown = CliRunner().invoke(cli, arguments, prog_name="fashionedit", terminal_width=100).output
        parts.append(f"```console\n$ {' '.join(['fashionedit', *arguments])}\n{shown}```\n")
    return "\n".join(parts)


def sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_the_help_page_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == pages()


def _shown_commands() -> list[str]:
    """Returns the command lines of README and docs, each from its verb on."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in page.read_text(encoding="utf-8").splitlines():
            if page.name != "commands.md" and (match := re.match(r"(?:\$|>)\s+(?:\w+=\S+ )*fashionedit (.*)", line)):
                found.append(match.group(1).split("#")[0].rstrip("& "))
    return found


@pytest.mark.parametrize("line", _shown_commands())
def test_every_command_in_the_documentation_exists(line: str) -> None:
    verb, *arguments = shlex.split(line)
    known = {name for option in cli.commands[verb].params for name in (*option.opts, *option.secondary_opts)}
    assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_every_module_that_the_documentation_names_exists() -> None:
    folders = ("fashionedit_dataset", "metrics", "builders", "eval_harness", "benchmarks", "examples", "tests")
    files = [path.as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")]
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"`((?!my_)[a-z_/]+\.py)`", page.read_text(encoding="utf-8")):
            assert any(file.endswith(f"/{name}") for file in files), f"{page.name} names {name}"


def test_the_readme_shows_the_verbs_that_matter() -> None:
    assert {"run", "score", "show", "build", "publish"} <= {line.split()[0] for line in _shown_commands()}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nobody", "--data", "synthetic:1", "--out", "x"], "no editor is called 'nobody'"),
        (["score", "nowhere"], "holds no run.json"),
        (["show", "nowhere"], "give the folder of a scored run"),
        (["use", "nowhere"], "nowhere"),
        (["pack", "nowhere", "out"], "nowhere"),
        (["run", "identity", "--data", "nowhere", "--out", "x"], "nowhere"),
        (["run", "identity", "--data", "synthetic:1", "--out", "x", "--split", "test"], "'test'"),
        (["run", "identity", "--data", "synthetic:1", "--out", "x", "--param", "fast"], "KEY=VALUE"),
        (["run", "identity", "--data", "synthetic:1", "--out", "x", "--reference", "sketch"], "has a sketch"),
        (["build", "--source", "nowhere", "--out", "x"], "nowhere"),
        (["publish", "nowhere", "--repo", "a/b", "--dry-run"], "nowhere"),
        (["hydrate", "nowhere", ".", "x"], "nowhere"),
        (["import", "nowhere", "--data", "synthetic:1", "--out", "x", "--name", "me"], "nowhere"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    error = sentence([*arguments, *(["--quiet"] if arguments[0] in ("run", "import", "pack", "score") else [])], capsys)
    assert says in error
    assert error.startswith("fashionedit: ")
    assert len(error.splitlines()) == 1
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "paint"], "no stage is called 'paint'"),
        (["--column", "caption"], "no NAME=COLUMN"),
        (["--min-similarity", "high"], "such as 85"),
        (["--ask", "mood=good"], "--ask takes no mood"),
        (["--prompt", "rhyme"], "rhyme is no prompt"),
        (["--selection", "nowhere.json"], "nowhere.json"),
        (["--draft", "mood=good"], "take no mood"),
        (["--drafts", "crayons"], "nothing called 'crayons' makes drafts"),
        (["--price", "cheap=1"], "input=USD"),
        (["--budget", "5", "--model", "mine", "--drafts", "folder:photos"], "no price of mine is known"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_mistaken_build_gets_one_sentence(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.effect_noise((80, 96), 60).convert("RGB").save("photos/coat.png")
    (tmp_path / "photos" / "metadata.jsonl").write_text('{"file_name": "coat.png", "caption": "A grey coat."}\n')
    limits = [] if "--min-similarity" in arguments else ["--min-similarity", "none"]
    error = sentence(["build", "--source", "photos", "--out", "x", "--quiet", *limits, *arguments], capsys)
    assert says in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_every_verb_on_a_users_own_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image_folder(tmp_path / "mine")
    (tmp_path / "model.py").write_text(
        "from PIL import ImageOps\n\ndef edit(image, instruction, reference=None):\n    return ImageOps.mirror(image)\n"
    )

    def told(*arguments: str) -> str:
        main(list(arguments))
        return capsys.readouterr().out

    assert "2 validation" in told("pack", "mine", "packed", "--name", "mine", "--quiet")
    assert str(tmp_path / "packed") in told("use", "packed")
    assert "12 ok" in told("run", "model.py:edit", "--data", "packed", "--out", "runs/mirror", "--quiet")
    assert "0 edits" in told("run", "model.py:edit", "--data", "packed", "--out", "runs/mirror", "--quiet")

    supplied = tmp_path / "supplied" / "draft"
    supplied.mkdir(parents=True)
    Image.new("RGB", (20, 20), "red").save(supplied / "original0.png")
    imported = told("import", "supplied", "--data", "packed", "--out", "runs/other", "--name", "other", "--quiet")
    assert "1 of 2 images, 1 missing" in imported

    table = told("score", "runs/mirror", "runs/other", "--encoder", "offline", "--device", "cpu", "--quiet")
    assert "other‡" in table
    assert "not run" in table
    assert told("show", "runs/mirror", "runs/other") == table
    assert "| Method |" in told("show", "runs/mirror", "--markdown")
    assert json.loads(told("show", "runs/mirror", "--json"))["dataset"]["name"] == "mine"
    assert told("report", "runs/mirror", "runs/other", "--out", "both.html", "--quiet") == "both.html\n"
    assert "<html" in (tmp_path / "both.html").read_text(encoding="utf-8")
    told("synthesize", "control", "--samples", "1", "--workers", "1", "--quiet")
    assert (tmp_path / "control" / "README.md").exists()

    error = sentence(["run", "identity", "--data", "packed", "--out", "runs/mirror", "--quiet"], capsys)
    assert "editor.name" in error


@pytest.mark.slow
def test_the_demo_prints_the_table_and_writes_the_page(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fashionedit", "demo", "--out", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("Draft", "return the reference", "paste the reference", "oracle", "stepper", "control set"):
        assert name.lower() in done.stdout.lower()
    assert "rendering" in done.stderr
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert "synthetic-0-validation-00000" in page
    results = json.loads((tmp_path / "demo" / "results.json").read_text())
    assert {row["editor"] for row in results["rows"]} >= {"identity", "oracle", "synthetic-stepper"}
    printed = to_markdown(read_results(tmp_path / "demo" / "results.json")).splitlines()
    described = (ROOT / "docs" / "harness.md").read_text(encoding="utf-8").partition("`make demo` prints this")[2]
    shown = [line for line in described.splitlines() if line.startswith("|")]
    assert len(shown) == 9
    assert not [line for line in shown if line not in printed], "docs/harness.md has another table than the demo"


@pytest.mark.parametrize("place", ["file", "file/deeper"])
def test_a_file_in_the_way_is_named_in_one_sentence(place, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    error = sentence(["synthesize", str(tmp_path / place), "--samples", "1", "--quiet"], capsys)
    assert error.startswith(f"fashionedit: {tmp_path / 'file'}")
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_told_and_a_bug_is_not_hidden(monkeypatch, capsys):
    def fails(error):
        def wrong(**options):
            raise error

        monkeypatch.setattr(cli.commands["show"], "callback", wrong)

    with pytest.raises(OSError, match="No space left") as full:
        Path("/dev/full").write_text("x")
    fails(full.value)
    assert "the disk can't be written (No space left on device); make room" in sentence(["show", "x"], capsys)
    fails(PermissionError(errno.EACCES, "Permission denied", "/there"))
    assert "/there can't be read or written (Permission denied); change its rights" in sentence(["show", "x"], capsys)
    fails(PermissionError(errno.EACCES, "Permission denied", "/there/.page.html.12.0123abcd.part"))
    assert "/there/page.html can't be" in sentence(["show", "x"], capsys)
    fails(KeyboardInterrupt())
    with pytest.raises(SystemExit) as stopped:
        main(["show", "x"])
    assert stopped.value.code == 130
    assert capsys.readouterr().err.endswith("fashionedit: stopped; give the same command again\n")
    assert "No such option '--colour'" in sentence(["show", "x", "--colour"], capsys)
    fails(MemoryError())
    assert "the memory of this machine is full; close other programs" in sentence(["show", "x"], capsys)
    fails(OSError(errno.EMFILE, "Too many open files", "/there"))
    assert "/there can't be opened (Too many open files); raise the limit" in sentence(["show", "x"], capsys)
    for bug in (ConnectionResetError(errno.ECONNRESET, "reset"), OSError("no number")):
        fails(bug)
        with pytest.raises(OSError, match=r"reset|no number"):
            main(["show", "x"])


if __name__ == "__main__":
    sys.stdout.write(pages())
