"""The command as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fashionedit.command import cli, main

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


def test_every_verb_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {line.split()[2] for line in readme.splitlines() if line.startswith("$ fashionedit ")}
    assert named <= set(cli.commands)
    assert {"run", "score", "show", "pack"} <= named


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nobody", "--data", "synthetic:1", "--out", "x"], "no editor is called 'nobody'"),
        (["score", "nowhere"], "holds no run.json"),
        (["show", "nowhere"], "fashionedit score"),
        (["use", "nowhere"], "nowhere"),
        (["pack", "nowhere", "out"], "nowhere"),
        (["run", "identity", "--data", "nowhere", "--out", "x"], "nowhere"),
        (["run", "identity", "--data", "synthetic:1", "--out", "x", "--split", "test"], "'test'"),
        (["run", "identity", "--data", "synthetic:1", "--out", "x", "--param", "fast"], "KEY=VALUE"),
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


@pytest.mark.slow
def test_the_demo_prints_the_table_and_writes_the_page(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fashionedit", "demo", "--samples", "2", "--out", str(tmp_path / "demo")],
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


if __name__ == "__main__":
    sys.stdout.write(pages())
