"""Progress: a live bar on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from fashionedit.runtime import progress
from fashionedit.runtime.progress import Bar

ON_A_TERMINAL = """
import click
from fashionedit.runtime.progress import Bar
with Bar("outer [bold]", "image") as outer, Bar("inner", "image") as inner:
    outer.at(1, 2)
    inner.at(3, 4)
    click.echo("said in between", err=True)
with Bar("toy", "round") as bar:
    bar.start(1200, 1000)
    bar.spend(12.5)
    for number in range(200):
        bar.advance("refused" if number % 50 == 0 else "ok")
"""


def on_a_terminal(code: str, **environment: str) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return said.decode()


def test_a_terminal_shows_a_live_bar_with_counts_money_and_time() -> None:
    said = on_a_terminal(ON_A_TERMINAL, TERM="xterm")
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", said)
    assert "outer [bold]" in text
    assert "3 of 4 images" in text
    assert "said in between" in text
    assert re.search(r"toy ━+ 1,200 of 1,200 rounds in \d:\d\d +4 refused, \$12\.50 spent", text)
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l"), "the cursor is shown again"


def test_a_dumb_terminal_gets_lines() -> None:
    said = on_a_terminal(ON_A_TERMINAL, TERM="dumb")
    assert "\x1b" not in said
    assert re.search(r"toy: 1,200 of 1,200 rounds, 4 refused, \$12\.50 spent, in \d:\d\d", said)


def test_elsewhere_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Bar("quick", "pair") as bar:
        for done in range(1, 6):
            bar.at(done, 5)
    with Bar("untouched", "pair"):
        pass
    with Bar("hidden", "pair", hidden=True) as bar:
        bar.at(1, 1)
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)
    monkeypatch.setattr(progress, "LINES_APART", 0.0)
    with Bar("slow", "round") as bar:
        bar.start(4, 1)
        for status in ("ok", "error", "error"):
            bar.advance(status)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("quick: 5 of 5 pairs, in 0:")
    assert [line.rpartition(",")[0] for line in lines[1:]] == [
        "slow: 1 of 4 rounds",
        "slow: 2 of 4 rounds",
        "slow: 3 of 4 rounds, 1 error",
        "slow: 4 of 4 rounds, 2 error",
        "slow: 4 of 4 rounds, 2 error",
    ]
    assert lines[2].endswith(" left")


def test_threads_lose_no_count(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("toy", "round") as bar:
        bar.start(4000, 0)
        threads = [threading.Thread(target=lambda: [bar.advance("ok") for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capsys.readouterr().err.startswith("toy: 4,000 of 4,000 rounds, ")
