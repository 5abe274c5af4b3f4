"""The folder of a Space."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.studio.space import write_space


def test_the_folder_runs_by_its_own_code(tmp_path: Path):
    app = write_space(tmp_path / "space", ["--editor", "drawn"])
    assert "sdk: gradio" in (app.parent / "README.md").read_text(encoding="utf-8")
    needed = (app.parent / "requirements.txt").read_text(encoding="utf-8").split()
    assert any(line.startswith("openai") for line in needed)
    assert not any(line.startswith(("gradio", "torch")) for line in needed)
    told = "import app, fashionedit, fashionedit.studio.drawn; print(fashionedit.__file__, app.ARGUMENTS)"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=app.parent, capture_output=True, text=True, env=os.environ, check=True
    )
    place, _, arguments = done.stdout.strip().partition(" ")
    assert Path(place).is_relative_to(app.parent)
    assert arguments == "['--editor', 'drawn']"
    assert (app.parent / "fashionedit" / "studio" / "templates").is_dir()


def test_a_key_is_not_written_and_files_are_not_overwritten(tmp_path: Path):
    with pytest.raises(InvalidDataError, match="secret"):
        write_space(tmp_path / "space", ["--option", "api_key=sk-abcdefghijklmnopqrstuvwxyz0123456789"])
    assert not (tmp_path / "space").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InvalidDataError):
        write_space(tmp_path / "full")
