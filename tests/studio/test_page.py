"""The studio's page in a real headless Chromium, on real servers."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from image_service import ImageService
from loopback import free_port
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from studio_toys import Waiting, make_studio, picture

from fashionedit.cli import main
from fashionedit.data import open_data
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.images import png_bytes
from fashionedit.metrics.registry import load_metrics
from fashionedit.studio.server import serve, studio_app

STRIP = ".work > .strip li"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, waiting: Waiting) -> Iterator[str]:
    """A studio with the drawn designer and an editor that waits."""
    data = open_data("synthetic:2")
    folder = tmp_path_factory.mktemp("studio") / "sessions"
    studio = make_studio(folder, waiting, samples=data, metrics=load_metrics(["psnr"], None))
    app = studio_app(studio)
    yield serve(app, port=free_port(), wait=False)
    waiting.go.set()
    app.close()
    studio.close()


@pytest.fixture
def opening(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page in a context of its own; checks that it complains of nothing and asks no other host."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def look(url: str) -> None:
        if re.match(r"https?:", url) and not re.match(r"http://(127\.0\.0\.1|localhost)[:/]", url):
            problems.append(f"asked for {url}")

    def opened(url: str, *, width: int = 1280, height: int = 860, **options: Any) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: look(request.url))
        page.goto(url)
        page.wait_for_selector(".studio .begin")
        expect(page.locator("[name=editor] option")).not_to_have_count(0)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def begin(page: Page, words: str) -> None:
    page.fill("#studio-first", words)
    page.keyboard.press("Enter")
    page.wait_for_selector(".studio .work:not([hidden])")
    expect(page.locator(STRIP)).to_have_count(1)


def ask(page: Page, words: str, turns: int) -> None:
    page.fill("#studio-words", words)
    page.click(".turn .main")
    expect(page.locator(STRIP)).to_have_count(turns)


def choose(page: Page, kind: str) -> None:
    page.check(f"[name=kind][value='{kind}']", force=True)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.locator(".frame").scroll_into_view_if_needed()
    box = page.locator(".frame").bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def serious(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page, context=".studio").response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:160]) for one in found if one["impact"] in ("serious", "critical")]


def upload(page: Page, press: str, name: str, data: bytes) -> None:
    with page.expect_file_chooser() as chooser:
        page.click(press)
    chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": data})


@pytest.mark.browser
def test_a_session_in_words_and_in_every_kind_of_picture(opening: Callable[..., Page], address: str) -> None:
    page = opening(address)
    assert serious(page) == []
    begin(page, "a navy shirt with short sleeves and two chest pockets")
    ask(page, "make the sleeves long, with sequins", 2)
    expect(page.locator(".answer")).to_contain_text("short → long")
    expect(page.locator(".answer")).to_contain_text("sequins")  # what it does not know is named
    choose(page, "sketch")
    drag(page, (0.3, 0.3), (0.7, 0.7))
    expect(page.locator(".preview img")).to_be_visible()
    ask(page, "make the collar white", 3)
    choose(page, "detail")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    page.fill("#studio-words", "this colour on the cuffs")
    page.click(".what")
    expect(page.locator(".sheet pre")).to_contain_text("second reference image:this colour on the cuffs")
    expect(page.locator(".sheet .images img")).to_have_count(2)
    assert serious(page) == []
    page.click(".sheet .close")
    ask(page, "this colour on the cuffs", 4)
    choose(page, "example")
    page.fill("#studio-words", "this colour on the collar")
    page.click(".turn .main")
    expect(page.locator(".studio .error")).to_contain_text("You chose to show a picture")
    upload(page, ".upload-shown", "red.png", png_bytes(picture("firebrick")))
    ask(page, "this colour on the collar", 5)
    page.click(".answer .sent")
    expect(page.locator(".sheet .images img")).to_have_count(2)
    page.click(".sheet .close")
    page.click("text=Accept")
    expect(page.locator(".strip [aria-current=true] span")).to_contain_text("✓")
    page.check("[name=map]")
    expect(page.locator(".map")).to_be_visible()
    assert serious(page) == []
    page.click(".answer .undo")  # and another way from there
    ask(page, "make the buttons red", 5)
    expect(page.locator(".others li")).to_have_count(1)


@pytest.mark.browser
def test_the_same_on_a_phone(opening: Callable[..., Page], address: str) -> None:
    page = opening(address, width=390, height=844, has_touch=True, is_mobile=True)
    begin(page, "a red dress")
    ask(page, "make it longer", 2)
    choose(page, "sketch")
    drag(page, (0.3, 0.3), (0.6, 0.5))
    ask(page, "make the sleeves short", 3)
    choose(page, "detail")
    drag(page, (0.3, 0.3), (0.6, 0.5))
    ask(page, "this colour on the hem", 4)
    choose(page, "example")
    upload(page, ".upload-shown", "green.png", png_bytes(picture("seagreen")))
    ask(page, "this colour on the sleeves", 5)
    expect(page.locator(".strip img")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []


@pytest.mark.browser
def test_the_keyboard_alone(opening: Callable[..., Page], address: str) -> None:
    """Whatever is drawn anew, the next key goes on where the last one was."""
    page = opening(address)
    words, current = page.locator("#studio-words"), page.locator(".strip [aria-current=true]")
    begin(page, "a red dress")
    expect(words).to_be_focused()
    page.keyboard.type("make it longer")
    page.keyboard.press("Enter")
    expect(page.locator(STRIP)).to_have_count(2)
    expect(words).to_be_focused()
    for name, done in (
        ("Try again", ".others li"),
        ("3 of 5", ".stars .on >> nth=2"),
        ("Accept", "[aria-pressed=true]"),
    ):
        page.get_by_role("button", name=name).press("Enter")
        expect(page.locator(done)).to_have_count(1)
        expect(page.get_by_role("button", name=name)).to_be_focused()
    page.get_by_role("button", name="Undo").press("Enter")
    expect(current).to_have_text("a red dress")  # which has nothing to undo
    expect(current).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(current).to_have_text("✓ make it longer")
    expect(current).to_be_focused()
    page.locator(".anew").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#studio-first")).to_be_focused()


@pytest.mark.browser
def test_an_upload_that_is_no_picture_and_one_that_is(opening: Callable[..., Page], address: str) -> None:
    page = opening(address)
    upload(page, ".begin .upload", "notes.png", b"not a picture")
    expect(page.locator(".studio .error")).to_contain_text("the picture")
    upload(page, ".begin .upload", "shirt.png", png_bytes(picture("teal")))
    expect(page.locator(STRIP)).to_have_count(1)
    ask(page, "a hood", 2)  # the drawn designer changes its own drawings alone, and says so
    expect(page.locator(".answer")).to_contain_text("Refused. The design is as it was.")
    expect(page.locator(".answer")).to_contain_text("not drawn by me")


@pytest.mark.browser
def test_cancel_and_two_people_at_once(opening: Callable[..., Page], address: str, waiting: Waiting) -> None:
    one, other = opening(address), opening(address)
    begin(one, "a green skirt")
    one.select_option("[name=editor]", "other")
    one.fill("#studio-words", "shorter")
    one.click(".turn .main")
    expect(one.locator(".wait")).to_be_visible()
    assert waiting.began.wait(60)
    begin(other, "a grey blazer")  # while the first one waits
    ask(other, "make the lapels black", 2)
    one.click(".wait .cancel")
    expect(one.locator(".studio .error")).to_contain_text("cancelled")
    expect(one.locator(STRIP)).to_have_count(1)
    one.reload()
    one.wait_for_selector(".earlier:not([hidden])")
    expect(one.locator(".earlier li")).to_have_count(1)
    expect(one.locator(".earlier")).to_contain_text("a green skirt")  # and not the other person's
    one.click(".earlier li button")
    expect(one.locator(STRIP)).to_have_count(1)


@pytest.mark.browser
def test_from_a_sample_with_scores_to_a_sample_of_a_benchmark(
    opening: Callable[..., Page], address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = opening(address)
    page.click(".from-sample")
    page.locator(".sample-list li button").first.click()
    expect(page.locator(".scores")).to_contain_text("PSNR")
    page.click(".anew")
    begin(page, "a navy shirt with short sleeves and two chest pockets")
    choose(page, "detail")  # from a sample that the session did not begin from
    page.select_option("[name=source]", label="A sample of the dataset …")
    page.locator(".sheet .sample-list li button").last.click()
    expect(page.locator(".sheet")).to_be_hidden()
    drag(page, (0.4, 0.4), (0.6, 0.6))
    page.fill("#studio-words", "this colour on the collar")
    page.click(".what")
    expect(page.locator(".sheet .images img")).to_have_count(2)
    page.click(".sheet .close")
    choose(page, "")
    for turn, words in enumerate(("make the sleeves long", "make the collar white", "remove the chest pockets"), 2):
        ask(page, words, turn)
    for form, name in (("picture", "design.png"), ("storyboard", "storyboard.html"), ("zip", "session.zip")):
        page.click(".menu summary")
        with page.expect_download() as download:
            page.click(f"[data-form={form}]")
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    page.click(".menu summary")
    page.click("[data-form=sample]")
    expect(page.locator(".differences li")).to_have_count(3)
    page.locator(".differences input").first.uncheck()
    page.click("text=Save the sample")
    expect(page.locator(".sheet .problem")).to_contain_text("2 turns were chosen")
    page.locator(".differences input").first.check()
    page.locator(".differences textarea").first.fill("The sleeves are long.")
    frame = page.locator(".differences .frame").first
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.6 * box["height"], steps=3)
    page.mouse.up()
    assert serious(page) == []
    with page.expect_download() as download:
        page.click("text=Save the sample")
    download.value.save_as(tmp_path / "sample.zip")
    assert (tmp_path / "storyboard.html").read_text().count("<img") == 4
    with Image.open(tmp_path / "design.png") as saved:
        assert saved.format == "PNG"
    with zipfile.ZipFile(tmp_path / "sample.zip") as archive:
        archive.extractall(tmp_path / "rows")
    main(["pack", str(tmp_path / "rows"), str(tmp_path / "set")])
    (id,) = open_data(tmp_path / "set").ids
    first = open_data(tmp_path / "set").sample(id).differences[0]
    assert first.description == "The sleeves are long."
    assert first.box.box_2d == pytest.approx((200, 100, 600, 900), abs=12)
    main(["run", "identity", "--data", str(tmp_path / "set"), "--out", str(tmp_path / "run")])
    main(["score", str(tmp_path / "run"), "--data", str(tmp_path / "set"), "--metric", "psnr"])
    assert "identity" in capsys.readouterr().out


@pytest.mark.browser
def test_a_service_edits_and_its_failure_loses_nothing(opening: Callable[..., Page], tmp_path: Path) -> None:
    with ImageService(["refused"]) as service:
        editor: Any = resolve_editor(f"{service.url}/edit", EditorSettings(version="1"))
        studio = make_studio(tmp_path / "sessions", editor)
        app = studio_app(studio)
        page = opening(serve(app, port=free_port(), wait=False))
        upload(page, ".begin .upload", "shirt.png", png_bytes(picture("teal")))
        page.select_option("[name=editor]", "other")
        ask(page, "a hood", 2)
        expect(page.locator(".answer")).to_contain_text("The design is as it was.")
        page.click(".answer .again")
        expect(page.locator(".strip img")).to_have_count(2)
        app.close()
        studio.close()


@pytest.mark.browser
def test_a_studio_killed_in_the_middle_goes_on(opening: Callable[..., Page], tmp_path: Path) -> None:
    port = str(free_port())  # another studio must not take it while this one is down

    def started() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "fashionedit", "studio", "--sessions", str(tmp_path / "sessions")]
        command += ["--port", port]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().removeprefix("Studio: ").strip()

    process, url = started()
    page = opening(url)
    begin(page, "a navy shirt")
    ask(page, "make the collar white", 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    page.fill("#studio-words", "make the cuffs white")
    page.click(".turn .main")
    expect(page.locator(".studio .error")).to_contain_text("Everything so far is saved")
    again, _ = started()
    page.goto(url)
    page.click(".earlier li button")
    expect(page.locator(STRIP)).to_have_count(2)
    ask(page, "make the cuffs white", 3)
    again.send_signal(signal.SIGINT)
    again.wait(60)
    for one in (process, again):
        assert one.stdout is not None
        one.stdout.close()


def test_other_machines_need_a_password() -> None:
    with pytest.raises(InvalidDataError, match="give --password"):
        serve(None, host="0.0.0.0")  # type: ignore[arg-type]  # refused before there is an app


@pytest.mark.browser
def test_a_password_is_asked_for_and_requests_are_bounded(tmp_path: Path, browser: Browser) -> None:
    studio = make_studio(tmp_path / "sessions")
    app = studio_app(studio)
    url = serve(app, password="correct horse", port=free_port(), wait=False)
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("input[type=password]")
    page.fill("input >> nth=0", "anybody")
    page.fill("input[type=password]", "wrong")
    page.click("button:has-text('Login')")
    expect(page.get_by_text("Incorrect Credentials")).to_be_visible()
    page.fill("input >> nth=0", "anybody")
    page.fill("input[type=password]", "correct horse")
    page.click("button:has-text('Login')")
    page.wait_for_selector(".studio .begin")
    context.close()
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=20)
    connection.putrequest("POST", "/gradio_api/component_server")
    connection.putheader("Content-Length", "99999999")
    connection.endheaders()
    assert connection.getresponse().status == 413  # before anything of it is read
    connection.close()
    app.close()
    studio.close()
