"""The board as a Space: really started, asked with Gradio's own client, and looked at in a browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys

import gradio_client
import pytest
import yaml
from board_hub import command, printed
from board_toys import open_benchmark, slight, toy_run, write_benchmark
from browser import chromium
from test_leaderboard import HOSTILE, submitted

from fashionedit.eval_harness.leaderboard import space_app
from fashionedit.runtime.hub import GRADIO

BUG, VANILLA = "text+image (bug)", "text (vanilla)"


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A Space with a board of two models, a conversation and an impostor."""
    folder = tmp_path_factory.mktemp("space")
    source = open_benchmark(write_benchmark(folder / "data"))
    for name, strength, model, info in (
        ("weak", 0.9, "some-org/weak", {}),
        ("talks", 0.3, "some-org/talks", {"state": "conversation"}),
        (HOSTILE, 0.2, None, {}),
    ):
        run = toy_run(folder / f"run-{strength}", source, slight(strength), fingerprint=str(strength), info=info)
        submitted(folder / "results", run, source, name=name if model is None else model, model=model)
    (folder / "results" / "submissions" / "some-org" / "empty" / "detail-images").mkdir(parents=True)
    (folder / "results" / "submissions" / "some-org" / "empty" / "detail-images" / "bundle.json").write_text("{}")
    printed("leaderboard", "--repo", folder / "results", "--space", folder / "space")
    return folder / "space"


@pytest.fixture(scope="module")
def address(space, tmp_path_factory):
    home = tmp_path_factory.mktemp("gradio")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(home),
        "HOME": str(home),
    }
    running = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=space,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told = []
        for line in running.stdout:
            told.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found.group()
                break
        else:
            pytest.fail("".join(told))
    finally:
        running.kill()
        running.communicate()


def test_the_folder_is_a_space_that_needs_nothing_else(space, tmp_path):
    front = yaml.safe_load((space / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (front["sdk"], front["sdk_version"], front["app_file"]) == ("gradio", GRADIO, "app.py")
    assert "some-org/fashion" in front["datasets"]
    assert sorted(path.name for path in space.iterdir()) == ["README.md", "app.py", "leaderboard.json"]
    assert "fashionedit." not in "".join(re.findall(r"^\s*(?:from|import) .*$", (space / "app.py").read_text(), re.M))
    (tmp_path / "mine.txt").write_text("x")
    results = space.parent / "results"
    done = command("leaderboard", "--repo", results, "--space", tmp_path)
    assert (done.returncode, (tmp_path / "app.py").exists()) == (2, False)
    assert "holds mine.txt, which is no file of a Space of ours" in done.stderr
    before = (space / "leaderboard.json").read_bytes()
    printed("leaderboard", "--repo", results, "--space", space)  # again, in place
    assert (space / "leaderboard.json").read_bytes() == before


def test_what_failed_too_often_stands_in_parentheses_by_the_share_that_the_board_states(space):
    board = json.loads((space / "leaderboard.json").read_text())
    assert "more than 5 % of the samples" in " ".join(space_app.ABOUT.format(most_failed=5.0).split())
    row = next(row for row in board["rows"] if (row["name"], row["protocol"]) == ("some-org/weak", "bug"))
    row["failed"] = 1

    def cells():
        found = space_app.main_table(board, BUG, "detail", space_app.SHOWN, "weak")
        return next(dict(zip(space_app.head(board), line, strict=True)) for line in found if line[1] == row["name"])

    assert board["most_failed"] == 0.05
    assert cells()["PSNR"].startswith("(")
    assert not cells()["CLIP*"].startswith("(")
    board["most_failed"] = 1 / row["n"]
    assert not cells()["PSNR"].startswith("(")


@pytest.mark.slow
def test_the_app_answers_by_every_filter(address, space):
    board = json.loads((space / "leaderboard.json").read_text())
    client = gradio_client.Client(address, verbose=False)
    shown = list(space_app.SHOWN)

    def table(*asked):
        found = client.predict(*asked, api_name="/table")["value"]
        assert found["headers"] == space_app.head(board)
        return found["data"]

    rows = table(BUG, "detail", shown, "")
    assert rows == space_app.main_table(board, BUG, "detail", shown, "")
    assert [row[1] for row in rows] == [
        "Draft (do nothing)",
        HOSTILE,
        "some-org/weak",
        "some-org/talks¶",
        "Flat grey",
        "Faded draft",
        "Return the reference",
        "Paste the reference†",
        "Oracle (the original)†",
    ]
    assert [row[0] for row in rows] == ["", 1, 2, 1, "", "", "", "", ""]
    assert rows[2][3].count(" to ") == 1
    assert [row[1] for row in table(VANILLA, "detail", shown, "WEAK")] == [
        "Draft (do nothing)",
        "some-org/weak",
        "Flat grey",
        "Faded draft",
        "Oracle (the original)†",
    ]
    quiet = table(BUG, "detail", ["community"], "")
    assert [row[1] for row in quiet] == ["Draft (do nothing)", HOSTILE, "some-org/weak", "Oracle (the original)†"]
    assert [row[1] for row in table(BUG, "detail", ["baselines"], "")] == [
        "Draft (do nothing)",
        "Flat grey",
        "Faded draft",
        "Return the reference",
        "Paste the reference†",
        "Oracle (the original)†",
    ]
    classes = client.predict(BUG, "detail", shown, "", "gender", "CLIP", api_name="/classes")["value"]
    assert classes["headers"] == ["#", "Model", "failed", "MEN (n = 4)", "WOMEN (n = 4)"]
    weak = next(row for row in board["rows"] if row["name"] == "some-org/weak" and row["protocol"] == "bug")
    mean = next(one for one in weak["classes"] if one["value"] == "MEN")["scores"]["clip"]["mean"]
    assert next(row for row in classes["data"] if row[1] == "some-org/weak")[3].startswith(f"{mean:.2f} (")
    client.close()


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_shows_the_board_and_runs_no_foreign_text(address, tmp_path):
    said = []
    with chromium() as browser:
        view = browser.new_page(viewport={"width": 1400, "height": 1000})
        view.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        view.on("pageerror", lambda error: said.append(str(error)))

        def shown(text):
            """Gradio keeps a hidden copy of each table, to measure its columns."""
            return view.get_by_text(text).locator("visible=true").first

        view.goto(address)
        shown("some-org/weak").wait_for(timeout=60_000)
        shown("<img src=x").wait_for(timeout=60_000)
        assert view.locator("img[src='x']").count() == 0
        view.get_by_label(VANILLA).check()
        shown("Return the reference").wait_for(state="hidden", timeout=60_000)
        view.get_by_role("tab", name="By class").click()
        shown("Cards (n = 4)").wait_for(timeout=60_000)
        view.get_by_role("tab", name="Left out").click()
        shown("submissions/some-org/empty/detail-images").wait_for(timeout=60_000)
        view.screenshot(path=tmp_path / "board.png")
    assert not said


def test_the_page_is_built_of_every_table(space):
    board = json.loads((space / "leaderboard.json").read_text())

    async def build():  # without an event loop that runs, Gradio would open one and leave it so
        return space_app.page(board)

    app = asyncio.run(build())
    tables = [block for block in app.blocks.values() if block.get_block_name() == "dataframe"]
    assert tables[0].headers == space_app.head(board)
    assert tables[-1].headers == ["what", "whose", "why"]
    functions = {function.api_name: function.fn for function in app.fns.values()}
    shown = functions["table"](BUG, "detail", list(space_app.SHOWN), "weak").value
    assert shown["data"] == space_app.main_table(board, BUG, "detail", space_app.SHOWN, "weak")
    (label,) = (column["label"] for column in space_app.columns(board) if column["id"] == "psnr")
    kind = board["rows"][0]["classes"][0]["by"]
    grouped = functions["classes"](BUG, "detail", list(space_app.SHOWN), "", kind, label).value
    head, lines = space_app.class_table(board, BUG, "detail", space_app.SHOWN, "", kind, label)
    assert (grouped["headers"], grouped["data"]) == (head, lines)
    assert all(" (n = " in heading for heading in head[3:])
    assert [line[0] for line in space_app.left_out(board)] == ["refused"]
