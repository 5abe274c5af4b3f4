"""The search for a browser, and what happens to the browser tests where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import browser
import pytest

ROOT = Path(__file__).parents[1]
BROWSER_TESTS = "tests/harness/test_browser.py"
QUICK_TESTS = "tests/dataset/test_costs.py"
WITHOUT = """
import sys, browser, pytest
browser.NAMES = browser.PLACES = ()
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def program(path: Path, code: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a browser; returns the one folder on its PATH."""
    monkeypatch.setattr(browser, "PLACES", ())
    monkeypatch.delenv("FASHIONEDIT_CHROMIUM", raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setattr(browser, "NAMES", tuple(f"{name}-of-this-test" for name in browser.NAMES))
    return tmp_path / "bin"


def test_nothing_is_found_where_nothing_is(bare: Path) -> None:
    assert browser.find_browser() is None


@pytest.mark.parametrize("name", ["google-chrome-stable", "microsoft-edge", "chromium-browser"])
def test_a_browser_on_the_path_is_found_and_one_that_does_not_start_is_passed_over(name: str, bare: Path) -> None:
    program(bare / "chromium-of-this-test", code=1)
    edge = program(bare / f"{name}-of-this-test", code=0)
    assert browser.find_browser() == (edge if name != "chromium" else None)


def test_a_browser_in_one_of_the_usual_places_is_found(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chrome = program(bare / "Google Chrome")
    monkeypatch.setattr(browser, "PLACES", ("/nowhere", str(chrome)))
    assert browser.find_browser() == chrome


def test_the_one_that_the_user_names_comes_first_and_must_start(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "chromium-of-this-test")
    monkeypatch.setenv("FASHIONEDIT_CHROMIUM", str(program(bare / "mine")))
    assert browser.find_browser() == bare / "mine"
    monkeypatch.setenv("FASHIONEDIT_CHROMIUM", str(program(bare / "broken", code=3)))
    with pytest.raises(RuntimeError, match=r"broken, which does not start; correct or unset it"):
        browser.find_browser()


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_without_a_browser_its_tests_are_left_out_and_on_ci_they_fail(ci: str, code: int, tmp_path: Path) -> None:
    environment = os.environ | {
        "CI": ci,
        "FASHIONEDIT_CHROMIUM": "",
        "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    chosen = f"{BROWSER_TESTS}::test_one_file_asks_for_nothing_else" if ci else BROWSER_TESTS
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, chosen, QUICK_TESTS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    if ci:
        assert f"no browser was found; {browser.ADVICE}" in done.stdout
    else:
        assert last.endswith(f"browser tests were left out, because no browser was found; {browser.ADVICE}")
        assert int(last.split()[0]) > 10
