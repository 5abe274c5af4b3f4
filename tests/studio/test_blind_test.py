"""The blind A/B page: what it asks and keeps, and the page itself in a real headless Chromium."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from judge_service import write_cards, write_runs
from loopback import free_port
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.votes.pairs import PairList, SideChoice
from fashionedit.eval_harness.votes.votes import VoteFolder
from fashionedit.studio.blind_test import BlindTest, blind_test_app, blind_test_panel

PAIRS = 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_runs(tmp_path_factory.mktemp("blind"), PAIRS, protocols=("bug",))


@pytest.fixture(scope="module")
def pairs(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> PairList:
    source = write_cards(tmp_path_factory.mktemp("same") / "cards", PAIRS)
    return PairList([RunFolder.open(path) for path in runs], source)


@pytest.fixture
def folder(tmp_path: Path) -> VoteFolder:
    return VoteFolder(tmp_path / "votes")


def picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def side_of(url: str) -> str:
    """Returns whose result a picture is, which only the test can tell: `white` is the first run."""
    return "first" if picture(url).convert("RGB").getpixel((3, 3))[0] > 128 else "second"


def answers(folder: VoteFolder, voter: str) -> list[str | None]:
    return [vote.answer for vote in folder.votes() if vote.voter.name == voter]


def test_a_vote_says_whose_picture_was_chosen_wherever_it_was_shown(pairs: PairList, folder: VoteFolder) -> None:
    test = BlindTest(pairs, folder)
    turn = test.begin("Ada")
    wanted, lefts = [], []
    for number in range(PAIRS):
        assert (turn["done"], turn["total"]) == (number, PAIRS)
        choice = ("left", "tie", "right")[number % 3]
        lefts.append(side_of(turn["left"]))
        assert side_of(turn["right"]) != lefts[-1]
        wanted.append("tie" if choice == "tie" else side_of(turn[choice]))
        turn = test.vote("Ada", turn["pair"], choice, 2.5)
    assert turn["pair"] is None
    assert answers(folder, "Ada") == wanted
    votes = folder.votes()
    assert [vote.left for vote in votes] == lefts
    assert {*lefts} == {"first", "second"}
    assert {(vote.seconds, vote.original_shown, vote.voter.kind) for vote in votes} == {(2.5, False, "person")}


def test_it_goes_on_where_the_voter_was_and_voters_are_apart(pairs: PairList, folder: VoteFolder) -> None:
    test = BlindTest(pairs, folder)
    first = test.begin("Ada")
    second = test.vote("Ada", first["pair"], "left")
    again = BlindTest(pairs, VoteFolder(folder.path)).begin(
        " Ada "
    )  # the page was loaded again, the server started again
    assert again == second
    other = test.begin("Bob")
    assert (other["done"], other["pair"], again["done"]) == (0, first["pair"], 1)
    test.vote("Bob", other["pair"], "tie")
    assert test.undo("Bob")["done"] == 0
    assert test.begin("Ada")["done"] == 1


def test_undo_takes_the_last_vote_back_and_shows_its_pair_again(pairs: PairList, folder: VoteFolder) -> None:
    test = BlindTest(pairs, folder)
    turns = [test.begin("Ada")]
    for choice in ("left", "right", "tie"):
        turns.append(test.vote("Ada", turns[-1]["pair"], choice))
    assert test.undo("Ada") == turns[2]
    assert test.undo("Ada") == turns[1]
    assert test.vote("Ada", turns[1]["pair"], "tie") == turns[2]
    assert test.undo("Ada") == turns[1]  # the last one given, not the last one of the order
    test.undo("Ada")
    assert test.undo("Ada") == turns[0]
    assert folder.votes() == []


def test_a_key_that_is_pressed_twice_makes_one_vote(pairs: PairList, folder: VoteFolder) -> None:
    test = BlindTest(pairs, folder)
    place = test.begin("Ada")["pair"]
    after = test.vote("Ada", place, "left")
    assert test.vote("Ada", place, "right") == after
    assert len(folder.votes()) == 1


def test_what_no_page_sends_is_refused(pairs: PairList, folder: VoteFolder) -> None:
    test = BlindTest(pairs, folder)
    for pair, choice in ((0, "both"), (PAIRS, "left"), (-1, "left"), ("0", "left"), (True, "left"), (None, "left")):
        with pytest.raises(InvalidDataError, match="reload the page"):
            test.vote("Ada", pair, choice)  # type: ignore[arg-type]  # this is what is tested
    with pytest.raises(InvalidDataError, match="the voter's name"):
        test.begin("  ")
    assert folder.votes() == []
    test.vote("Ada", 0, "left", float("nan"))
    test.vote("Ada", 1, "left", -3)
    assert [vote.seconds for vote in folder.votes()] == [None, None]


def test_two_times_the_same_picture_is_a_tie_that_nobody_is_asked_about(tmp_path: Path) -> None:
    (run, _) = write_runs(tmp_path, 4, alike=True)
    folders = [RunFolder.open(run)] * 2
    source = write_cards(tmp_path / "again", 4)
    same = PairList(folders, source, SideChoice("bug"), SideChoice("vanilla"))
    folder = VoteFolder(tmp_path / "votes")
    turn = BlindTest(same, folder).begin("Ada")
    assert (turn["pair"], turn["done"], answers(folder, "Ada")) == (None, 4, ["tie"] * 4)
    assert BlindTest(same, folder).undo("Ada")["done"] == 4


def test_a_damaged_picture_costs_its_own_pair(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, 3, protocols=("bug",))
    pairs = PairList([RunFolder.open(path) for path in runs], write_cards(tmp_path / "again", 3))
    digest = pairs.pairs[0].first.digest
    image = runs[0] / "images" / digest[:2] / f"{digest}.png"
    Image.new("RGB", (60, 80)).save(image)
    folder = VoteFolder(tmp_path / "votes")
    test = BlindTest(pairs, folder)
    with pytest.warns(UserWarning, match="the pair is left out"):
        turn = test.begin("Ada")
    assert (turn["pair"], turn["total"]) == (1, 2)


def test_the_browser_is_told_nothing_but_pixels(pairs: PairList, folder: VoteFolder, runs: list[Path]) -> None:
    turn = BlindTest(pairs, folder).begin("Ada")
    assert turn["original"] is None
    words = re.sub(r"data:image/webp;base64,[\w+/=]+", "", json.dumps(turn))
    told = [*(str(path) for path in runs), "white", "black", "first", "second", pairs.pairs[0].voted.first.digest]
    assert not [word for word in told if word in words]
    for side in ("left", "right", "draft"):
        image = picture(turn[side])
        assert {*image.info} <= {"loop", "background", "timestamp", "duration"}
    shown = BlindTest(pairs, folder, show_original=True).begin("Ada")
    assert shown["original"].startswith("data:image/webp")


# The page


@contextmanager
def served(test: BlindTest) -> Iterator[str]:
    """Yields the address of the page."""
    app = blind_test_app(test)
    port = free_port()
    app.launch(server_name="127.0.0.1", server_port=port, quiet=True, prevent_thread_lock=True, footer_links=[])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def opening(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page in a context of its own, and checks at the end that it complained of nothing."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def opened(url: str, *, width: int = 1280, height: int = 800, **options: Any) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        page.wait_for_selector(".blind")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def begin(page: Page, name: str) -> None:
    page.fill(".blind input", name)
    page.keyboard.press("Enter")
    page.wait_for_selector(".blind .test:not([hidden])")


def until(page: Page, done: int) -> None:
    page.wait_for_function(
        "done => document.querySelector('.blind .said').textContent.startsWith(done)", arg=_said(done)
    )


def _said(done: int) -> str:
    return "All pairs" if done == PAIRS else f"Pair {done + 1} of"


def shown_on(page: Page, place: str) -> str:
    return side_of(str(page.get_attribute(f".blind .{place} img", "src")))


@pytest.mark.browser
def test_twenty_pairs_by_keyboard_with_undo_and_a_reload(
    pairs: PairList, folder: VoteFolder, opening: Callable[..., Page]
) -> None:
    with served(BlindTest(pairs, folder)) as url:
        page = opening(url)
        page.keyboard.press("ArrowLeft")  # before there is anything to vote on
        begin(page, "Ada")
        wanted = []
        for number in range(PAIRS):
            until(page, number)
            if number == 7:
                page.reload()
                page.wait_for_selector(".blind .test:not([hidden])")
            until(page, number)
            if number == 12:
                page.keyboard.press("ArrowRight")
                until(page, number + 1)
                page.keyboard.press("u" if folder.votes() else "Backspace")
                until(page, number)
            key, place = (("ArrowLeft", "left"), ("ArrowRight", "right"), ("=", None))[number % 3]
            wanted.append("tie" if place is None else shown_on(page, place))
            page.keyboard.press(key)
        page.wait_for_selector(".blind .end:not([hidden])")
        expect(page.locator(".blind .end")).to_contain_text(f"{PAIRS} of {PAIRS}")
        assert answers(folder, "Ada") == wanted
        page.keyboard.press("Backspace")
        until(page, PAIRS - 1)
        assert answers(folder, "Ada") == wanted[:-1]
        (seconds,) = {vote.seconds is not None and 0 <= vote.seconds < 60 for vote in folder.votes()}
        assert seconds


@pytest.mark.browser
def test_two_people_at_once_on_a_laptop_and_on_a_phone_by_touch(
    pairs: PairList, folder: VoteFolder, opening: Callable[..., Page]
) -> None:
    with served(BlindTest(pairs, folder, show_original=True)) as url:
        laptop, phone = opening(url), opening(url, width=390, height=844, has_touch=True, is_mobile=True)
        begin(laptop, "Ada")
        begin(phone, "Bob")
        assert phone.evaluate("document.documentElement.scrollWidth") == 390
        wanted: dict[str, list[str]] = {"Ada": [], "Bob": []}
        for number in range(4):
            until(laptop, number)
            until(phone, number)
            choice = ("left", "right")[number % 2]
            wanted["Ada"].append(shown_on(laptop, choice))
            wanted["Bob"].append(shown_on(phone, choice))
            laptop.keyboard.press("ArrowLeft" if choice == "left" else "ArrowRight")
            phone.tap(f".blind [data-choice={choice}]")
        until(laptop, 4)
        until(phone, 4)
        assert {name: answers(folder, name) for name in wanted} == wanted
        phone.tap(".blind .test .undo")
        until(phone, 3)
        assert (len(answers(folder, "Bob")), len(answers(folder, "Ada"))) == (3, 4)
        boxes = [phone.locator(f".blind [data-choice={choice}]").bounding_box() for choice in ("left", "tie", "right")]
        assert all(box is not None and box["height"] >= 44 for box in boxes)
        phone.tap(".blind .picture.left")  # a closer look is no vote
        phone.wait_for_selector(".blind .closer[open]")
        phone.tap(".blind .closer .other")
        expect(phone.locator(".blind .closer .which")).to_have_text("Right result")
        phone.tap(".blind .closer .close")
        assert len(answers(folder, "Bob")) == 3
        assert {vote.original_shown for vote in folder.votes()} == {True}


@pytest.mark.browser
def test_axe_finds_nothing_serious(pairs: PairList, folder: VoteFolder, opening: Callable[..., Page]) -> None:
    with served(BlindTest(pairs, folder, limit=1)) as url:
        for width, theme in ((1280, "light"), (390, "dark")):
            page = opening(f"{url}/?__theme={theme}", width=width)
            assert _serious(page) == []
            begin(page, theme)
            assert _serious(page) == []
            page.click(".blind .picture.left")
            assert _serious(page) == []
            page.keyboard.press("Escape")
            page.keyboard.press("=")
            page.wait_for_selector(".blind .end:not([hidden])")
            assert _serious(page) == []


def _serious(page: Page) -> list[Any]:
    found = Axe().run(page, context=".blind").response["violations"]
    bad = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in bad]


@pytest.mark.browser
def test_a_server_that_is_gone_is_said_and_loses_nothing(
    pairs: PairList, folder: VoteFolder, opening: Callable[..., Page]
) -> None:
    with served(BlindTest(pairs, folder)) as url:
        page, gone = opening(url), False
        # Chromium may let the next request pass after interception starts, so it starts before the page is loaded.
        page.route("**/component_server/**", lambda route: route.abort() if gone else route.continue_())
        page.reload()
        begin(page, "x" * 60)
        page.keyboard.press("ArrowLeft")
        until(page, 1)
        gone = True
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector(".blind .error:not(:empty)")
        expect(page.locator(".blind .error")).to_contain_text("reload the page")
        assert len(folder.votes()) == 1
        gone = False
        page.keyboard.press("ArrowLeft")
        until(page, 2)
        expect(page.locator(".blind .error")).to_be_empty()
        assert len(folder.votes()) == 2


def test_what_the_page_would_not_send_is_answered_with_a_sentence(pairs: PairList, folder: VoteFolder) -> None:
    ask = {function.__name__: function for function in blind_test_panel(BlindTest(pairs, folder)).server_fns}
    assert "error" not in ask["begin"]({"voter": "Ada"})
    for given in ({}, None, {"voter": "Ada", "pair": "none"}):
        assert ask["vote"](given) == {"error": "this page does not match its server's version; reload the page"}
    assert "name" in ask["begin"]({"voter": " "})["error"]
    assert not folder.votes()
