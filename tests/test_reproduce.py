"""The commands of Table 1: the real script, a tiny text-to-image model, and a service on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_service import ImageService
from tiny_pipelines import write_tiny_sd2

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "reproduce_table1.sh"


@pytest.fixture
def service() -> Iterator[ImageService]:
    with ImageService() as running:
        yield running


def reproduce(folder: Path, service: ImageService, *options: str) -> str:
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "FASHIONEDIT": str(bin_folder / "fashionedit"),
        "ENCODER": "offline",
        "TABLE1_SD2": str(folder / "sd2"),
        "OPENAI_BASE_URL": service.openai,
        "OPENAI_API_KEY": "sk-of-a-test",
    }
    done = subprocess.run(
        ["bash", str(SCRIPT), "synthetic:2", str(folder / "out"), *options],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_all_rows_stand_beside_the_papers(tmp_path: Path, service: ImageService) -> None:
    write_tiny_sd2(tmp_path / "sd2")
    told = reproduce(tmp_path, service, "--dry-run")
    assert "2 samples × 3 rounds × 2 protocols = 12 edits, at most about $" in told
    assert not service.calls
    assert not (tmp_path / "out").exists()

    shown = reproduce(tmp_path, service)
    rows = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("| ")][1:]
    labels = ["SD2", "SD3", *(f"{name} ({round})" for name in ("Vanilla", "BUG") for round in (1, 2, 3))]
    trivial = ["Flat grey", "Faded draft", "Return the reference", "Paste the reference"]
    added = ["Draft (do nothing)", *trivial, "Oracle (the original)"]
    assert [row[0] for row in rows] == [*labels, *added]
    assert [row[2:5] for row in rows[:2]] == [["69.25", "0", "6.93"], ["82.85", "1.75", "9.94"]]
    assert rows[7][2:5] == ["87.91", "35.4", "9.96"]
    assert [row[8] for row in rows[:8]] == ["4", "4", *["2"] * 6]
    assert not any("–" in row[5:9] for row in rows)
    assert rows[-1][5].startswith("100.00")
    assert "which is not CLIP: not to be read beside the paper's" in shown
    assert "was shut down on 2026-10-23" in shown
    assert len(service.calls) == 12
    assert (tmp_path / "out" / "table1.md").read_text() in shown


def test_without_arguments_the_script_tells_how_it_is_used() -> None:
    done = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("All eight rows of the paper's Table 1")
