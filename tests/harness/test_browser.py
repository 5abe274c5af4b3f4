"""The page in a real headless Chromium."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from scored_toys import BOXES, DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.scores.results import build_results, merge

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
SIZE = (240, 360)
TALL = 24000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@dataclass
class Written:
    """The same five samples and two runs as one file, and as one to pass on."""

    source: ScoredSource
    file: Path
    publishable: Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Two editors (one in both protocols), one refusal, hostile text wherever anybody else writes."""
    folder = tmp_path_factory.mktemp("report")
    source = ScoredSource(
        [
            *(drawn_sample(number, size=SIZE) for number in range(4)),
            drawn_sample(4, size=SIZE, description=HOSTILE, annotation=HOSTILE, category=HOSTILE),
        ]
    )

    def refuses(sample, protocol, round):
        if (sample.id, protocol, round) == ("card-02", "bug", 2):
            return Status.REFUSED
        return stepped(sample, min(round, 2 if sample.id == "card-00" else 3))

    runs = [
        DrawnRun(folder / "a", source, refuses, name="stepper", message=HOSTILE),
        DrawnRun(folder / "b", source, lambda sample, *_: sample.draft, name="idler", protocols=("bug",)),
    ]
    results = merge([build_results(run, source, toy_embedder()) for run in runs])
    pages = [write_report(results, runs, source, folder / f"{name}.html", publishable=name == "p") for name in "fp"]
    return Written(source, *pages)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty samples in a folder."""
    folder = tmp_path_factory.mktemp("large")
    source = ScoredSource([drawn_sample(number) for number in range(60)])
    run = DrawnRun(folder / "run", source, protocols=("bug",))
    results = build_results(run, source, toy_embedder(), measures=False)
    return write_report(results, [run], source, folder / "report")


@dataclass
class Seen:
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def until(page: Page, holds: str, seconds: float = 30) -> None:
    """Waits for an expression to hold; Playwright's own waiting needs `eval`, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(holds):
        assert time.monotonic() < end, f"{holds} never held"
        page.wait_for_timeout(50)


def until_drawn(page: Page, count: int = 5) -> None:
    until(page, f"document.querySelectorAll('.sample.drawn').length >= {count}")
    until(page, "[...document.images].every(one => one.complete)")


class Opener:
    """Opens pages, each in a context of its own, and notes what they ask for and complain about."""

    def __init__(self, browser: Browser) -> None:
        self._browser, self._contexts, self.seen = browser, [], Seen()

    def __call__(self, path: Path, *, width: int = 1280, height: int = 900, script: str = "", **options: Any) -> Page:
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.on("console", lambda message: self.seen.problems.append(message.text))
        page.on("pageerror", lambda error: self.seen.problems.append(str(error)))
        page.on("request", lambda request: self.seen.requests.append(request.url))
        page.goto(path.as_uri())
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def opening(browser: Browser) -> Iterator[Opener]:
    opener = Opener(browser)
    yield opener
    opener.close()
    assert opener.seen.problems == []


@pytest.fixture
def page(opening: Opener, written: Written) -> Page:
    return opening(written.file)


@pytest.fixture
def tall(opening: Opener, written: Written) -> Page:
    """So high that all five samples are drawn."""
    page = opening(written.file, height=TALL)
    until_drawn(page)
    return page


def expect_shown(page: Page, *ids: str) -> None:
    expect(page.locator(".sample:visible h3")).to_have_text(ids)


def choose(page: Page, name: str, keys: str) -> None:
    """Sets a control with the keyboard alone."""
    page.locator(f".tools [name={name}]").focus()
    for key in keys.split():
        page.keyboard.press(key)


def test_one_file_asks_for_nothing_else(page: Page, opening: Opener, written: Written) -> None:
    page.mouse.wheel(0, 5000)
    page.wait_for_timeout(200)
    assert [url for url in opening.seen.requests if not url.startswith("blob:")] == [written.file.as_uri()]


def test_a_folder_loads_the_samples_that_come_near(large: Path, opening: Opener) -> None:
    page = opening(large)
    page.locator("#samples").scroll_into_view_if_needed()
    until_drawn(page, 1)
    base = large.parent.as_uri()
    asked = [url.removeprefix(f"{base}/") for url in opening.seen.requests if not url.startswith("blob:")]
    assert asked[:2] == ["index.html", "data/index.js"]
    loaded = [one for one in asked if one.startswith("data/samples/")]
    assert {*asked[2:]} == {*loaded}
    assert "data/samples/00000.js" in loaded
    assert len(loaded) < 20
    page.locator("[data-id=card-59]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-id=card-59].drawn img")
    assert f"{base}/data/samples/00059.js" in opening.seen.requests
    until(page, "!document.querySelector('[data-id=card-00]').classList.contains('drawn')")
    page.locator(".tools [name=search]").fill("card 33 with")
    page.wait_for_selector("[data-id=card-33].drawn")
    expect_shown(page, "card-33")
    assert opening.seen.requests.count(f"{base}/data/texts.js") == 1


def test_every_picture_decodes_and_has_a_text(tall: Page) -> None:
    images = tall.locator(".list img")
    # Draft, original, two or three rounds by three strips, three references.
    assert images.count() == 5 * (2 + 3 * 3 + 3)
    assert min(images.evaluate_all("all => all.map(one => one.naturalWidth)")) > 0
    assert tall.locator("img:not([alt]), img[alt='']").count() == 0


def test_boards_run_from_draft_to_original_with_words_and_references(tall: Page, written: Written) -> None:
    board = tall.locator("[data-id=card-01] .board")
    lefts = [board.locator(place).bounding_box()["x"] for place in (".side.draft", ".side.original")]
    for strip in board.locator(".strip").all():
        cells = strip.locator(".cell").evaluate_all("all => all.map(one => one.getBoundingClientRect().left)")
        assert [lefts[0], *cells, lefts[1]] == sorted({lefts[0], *cells, lefts[1]})
    assert board.locator(".strip h4").all_inner_texts() == ["stepper text", "stepper text+image", "idler text+image"]
    heads = board.locator(".head")
    assert heads.locator("h4").all_inner_texts() == ["Round 1", "Round 2", "Round 3"]
    for number, one in enumerate(written.source.sample("card-01").differences):
        assert heads.nth(number).locator("p").inner_text() == one.description
        assert (
            heads.nth(number)
            .locator(".reference img")
            .get_attribute("alt")
            .startswith(f"Reference of round {number + 1}")
        )


def test_boxes_lie_over_what_they_mark(tall: Page) -> None:
    original = tall.locator("[data-id=card-01] .side.original")
    picture = original.locator("img").bounding_box()
    for number, box in enumerate(BOXES, 1):
        drawn = original.locator(f'rect.box[data-number="{number}"]').bounding_box()
        assert drawn["x"] == pytest.approx(picture["x"] + box.xmin / 1000 * picture["width"], abs=2.5)
        assert drawn["y"] == pytest.approx(picture["y"] + box.ymin / 1000 * picture["height"], abs=2.5)
        assert drawn["width"] == pytest.approx((box.xmax - box.xmin) / 1000 * picture["width"], abs=4)
        assert drawn["height"] == pytest.approx((box.ymax - box.ymin) / 1000 * picture["height"], abs=4)
    rounds = tall.locator("[data-id=card-01] .strip").first.locator(".cell")
    assert [rounds.nth(place).locator("rect.box").get_attribute("data-number") for place in range(3)] == ["1", "2", "3"]


def test_a_change_map_marks_what_a_round_changed_and_nothing_else(tall: Page, written: Written) -> None:
    strip = tall.locator("[data-id=card-01] .strip").first
    until(tall, "[...document.querySelectorAll('canvas.map')].every(one => one.title)")
    for number in range(3):
        canvas = strip.locator("canvas.map").nth(number)
        width, height, pixels = canvas.evaluate(
            "one => [one.width, one.height, [...one.getContext('2d').getImageData(0, 0, one.width, one.height).data]]"
        )
        colours = np.array(pixels, dtype=float).reshape(height, width, 4)
        red = colours[..., 0] - colours[..., 1] > 60
        left, top, right, bottom = BOXES[number].pixels(width, height)
        assert red[top + 1 : bottom - 1, left + 1 : right - 1].mean() > 0.1
        red[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = False
        assert not red.any()
        assert re.fullmatch(r"About [\d.]+ % changed", canvas.get_attribute("title"))
    idle = tall.locator("[data-id=card-01] .strip").nth(2).locator("canvas.map")
    assert idle.evaluate_all("all => all.map(one => one.title)") == ["Nothing to see changed"] * 3


def test_filters_work_by_keyboard(page: Page) -> None:
    page.locator("[data-id=card-00]").scroll_into_view_if_needed()
    until_drawn(page, 1)
    choose(page, "method", "ArrowDown ArrowDown")
    expect(page.locator(".count")).to_have_text("5 of 5 samples, 5 strips")
    expect(page.locator(".sample.drawn .strip:visible h4").first).to_have_text("idler text+image")
    choose(page, "method", "ArrowUp ArrowUp")
    choose(page, "prompt", "ArrowDown")
    expect(page.locator(".sample.drawn .strip:visible h4").first).to_have_text("stepper text")
    choose(page, "prompt", "ArrowUp")
    choose(page, "status", "ArrowDown")
    expect(page.locator(".tools [name=status]")).to_have_value("any failure")
    expect_shown(page, "card-02")
    expect(page.locator(".strip:visible h4")).to_have_text(["stepper text+image"])


def test_garment_filter_search_and_a_combination_without_any_match(page: Page) -> None:
    page.locator("[name=category]").select_option("Cards")
    expect_shown(page, "card-02", "card-03")
    page.locator("[name=category]").select_option("Sheets")
    expect_shown(page, "card-00", "card-01")
    page.locator("[name=search]").fill("shape CARD-01")
    expect_shown(page, "card-01")
    page.locator("[name=status]").select_option("refused")
    expect_shown(page)
    expect(page.locator(".empty")).to_be_visible()


ORDERS = """(kind) => {
    const index = JSON.parse(document.getElementById('index').textContent);
    return [...document.querySelectorAll('.sample:not([hidden])')].map(one => {
        const brief = index.samples[Number(one.dataset.place)];
        const last = brief.values.map(rounds => rounds.at(-1)[0]);
        const mean = last.reduce((sum, value) => sum + value, 0) / last.length;
        if (kind === 'different') return Math.max(...last) - Math.min(...last);
        return kind === 'improved' ? mean - brief.draft[0] : mean;
    });
}"""


def test_sorting_by_worst_best_most_improved_and_most_different(page: Page) -> None:
    choose(page, "order", "ArrowDown")
    worst = page.evaluate(ORDERS, "worst")
    assert worst == sorted(worst)
    assert len(set(worst)) > 3
    for kind in ("best", "improved", "different"):
        page.locator("[name=order]").select_option(f"{kind} 0")
        values = page.evaluate(ORDERS, kind)
        assert values == sorted(values, reverse=True)
        assert len(set(values)) > 3
    page.locator("[name=order]").select_option("id")
    expect_shown(page, *(f"card-{number:02}" for number in range(5)))


def test_single_keys_move_toggle_choose_and_help(page: Page) -> None:
    page.locator("#samples").focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    first, second = page.locator("[data-id=card-01]"), page.locator("[data-id=card-02]")
    expect(first).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.wait_for_selector("[data-id=card-01] .boxes:visible")
    page.keyboard.press("b")
    expect(page.locator(".boxes:visible")).to_have_count(0)
    page.keyboard.press("c")
    expect(page.locator("body.changes")).to_have_count(1)
    expect(first).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".sample.chosen h3")).to_have_text(["card-01"])
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    page.locator("[name=keys]").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.help")).to_be_hidden()
    first.focus()
    page.keyboard.press("j")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()


def test_pictures_are_enlarged_and_compared_by_keyboard(page: Page) -> None:
    page.locator("[data-id=card-00]").focus()
    page.wait_for_selector("[data-id=card-00].drawn")
    page.keyboard.press("Enter")
    viewer = page.locator("dialog.viewer")
    expect(viewer.locator("figcaption")).to_have_text(["Draft", "Round 1"])
    page.keyboard.press("ArrowRight")
    expect(viewer.locator("figcaption")).to_have_text(["Round 1", "Round 2"])
    expect(viewer.locator(".told")).to_contain_text("Shape 2 of card 0 is round.")
    for mode, pictures in (("slider", 2), ("flicker", 2), ("all", 5), ("change", 0), ("side", 2)):
        viewer.locator(f"[name=mode][value={mode}]").check()
        until(page, "[...document.querySelectorAll('.stage img')].every(one => one.naturalWidth)")
        expect(viewer.locator(".stage img")).to_have_count(pictures)
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()


def test_a_failure_is_marked(tall: Page) -> None:
    failed = tall.locator(".cell.failed")
    assert failed.count() == 1
    assert failed.locator(".badge").inner_text() == "refused"
    assert "last good picture" in failed.locator(".frame img").get_attribute("alt")


def test_hostile_text_is_not_executed(tall: Page) -> None:
    assert tall.title() == "FashionEdit: drawn validation"
    assert tall.locator("img:not([src^='blob:'])").count() == 0
    assert tall.locator(".brief p").filter(has_text="<img src=x").count() == 3
    assert tall.locator(".cell.failed .message").inner_text() == HOSTILE
    tall.locator("[data-id=card-04] .enlarge").nth(1).click()
    expect(tall.locator(".viewer .told")).to_contain_text(HOSTILE)
    assert tall.title() == "FashionEdit: drawn validation"


@pytest.mark.parametrize("width", [320, 400, 768, 1280, 1920])
def test_no_width_scrolls_sideways(opening: Opener, written: Written, width: int) -> None:
    page = opening(written.file, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("[data-id=card-01]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-id=card-01].drawn")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("scheme", "width", "does"),
    [
        ("light", 1280, ""),
        ("dark", 1280, "document.querySelector('[data-id=card-02] .enlarge').click()"),
        ("dark", 400, "document.querySelector('[name=pick]').click()"),
        ("light", 400, "document.querySelector('[name=help]').click()"),
    ],
)
def test_axe_finds_no_violation(opening: Opener, written: Written, scheme: Any, width: int, does: str) -> None:
    page = opening(written.file, width=width, height=TALL, color_scheme=scheme)
    until_drawn(page)
    page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
    page.evaluate(f"() => {{ {does} }}")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found] == []


def test_dark_and_light_follow_the_system_or_the_choice(opening: Opener, written: Written) -> None:
    page = opening(written.file, color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator("[name=theme]").select_option("dark")
    dark = page.evaluate(paper)
    assert light != dark
    page.locator("[name=theme]").select_option("")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(paper) == dark


def test_print_draws_all_that_is_shown_before_it_prints(opening: Opener, written: Written) -> None:
    drawn = "[...document.querySelectorAll('.sample.drawn')]"
    whole = "one => [...one.querySelectorAll('img')].every(image => image.naturalWidth)"
    page = opening(written.file, script=f"window.print = () => {{ window.printed = {drawn}.map({whole}); }}")
    page.locator(".tools [name=print]").click()
    until(page, "window.printed")
    assert page.evaluate("window.printed") == [True] * 5


def test_the_browsers_own_print_says_that_some_samples_are_missing(page: Page, tall: Page) -> None:
    for shown_page, says in ((page, True), (tall, False)):
        shown_page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        shown_page.emulate_media(media="print")
        expect(shown_page.locator(".partly")).to_be_visible(visible=says)


def test_print_shows_pictures_and_no_tools(tall: Page, tmp_path: Path) -> None:
    tall.emulate_media(media="print", color_scheme="dark")
    expect(tall.locator(".tools")).to_be_hidden()
    assert tall.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(tall.locator(".strip:visible")).to_have_count(15)
    tall.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().count(b"/Subtype /Image") >= 10


def exported(page: Page) -> bytes:
    with page.expect_download() as waiting:
        page.locator(".figure-bar [name=png]").click()
    assert waiting.value.suggested_filename == "figure.png"
    return Path(waiting.value.path()).read_bytes()


def nearest(pixels: np.ndarray, wanted: Any) -> float:
    """How near the nearest pixel of the figure comes to a colour, levels."""
    return float(np.abs(pixels.astype(int) - np.array(wanted)).max(axis=-1).min())


def test_chosen_samples_become_a_figure(tall: Page, written: Written) -> None:
    for id in ("card-01", "card-03"):
        tall.locator(f"[data-id={id}] [name=pick]").check()
    expect(tall.locator(".figure-bar output")).to_have_text("2 samples chosen")
    tall.locator(".figure-bar [name=figure-round]").select_option("1")
    figure = Image.open(io.BytesIO(exported(tall))).convert("RGB")
    pixels = np.asarray(figure)
    left, right = pixels[:, : figure.width * 4 // 10], pixels[:, figure.width * 4 // 10 :]
    centres = [((box.xmin + box.xmax) / 2000, (box.ymin + box.ymax) / 2000) for box in BOXES]
    for id in ("card-01", "card-03"):
        sample = written.source.sample(id)
        for number, (x, y) in enumerate(centres):
            place = (int(x * SIZE[0]), int(y * SIZE[1]))
            assert nearest(left, sample.original.getpixel(place)) <= 12
            assert nearest(left, sample.draft.getpixel(place)) <= 12
            # After round 1 the results have the first shape right and the others not.
            assert nearest(right, (sample.draft if number else sample.original).getpixel(place)) <= 12
    tall.locator(".figure-bar [name=none]").click()
    expect(tall.locator(".figure-bar")).to_be_hidden()
    expect(tall.locator("[data-id=card-01] [name=pick]")).to_be_focused()


def test_a_page_to_pass_on_says_what_it_leaves_out_where_it_would_stand(opening: Opener, written: Written) -> None:
    page = opening(written.publishable, height=TALL)
    until_drawn(page)
    sample = page.locator("[data-id=card-01]")
    assert sample.locator(".side.original").inner_text().split("\n")[-1] == "Original left out: not ours to pass on"
    assert sample.locator(".side.original img, .reference img").count() == 0
    assert sample.locator(".head .withheld").all_inner_texts() == ["Reference left out: part of the original"] * 3
    assert sample.locator(".annotation").inner_text() == "Caption left out: not ours to pass on"
    assert sample.locator(".side.draft img").count() == 1
    sample.locator("[name=pick]").check()
    figure = Image.open(io.BytesIO(exported(page))).convert("RGB")
    assert nearest(np.asarray(figure), (238, 234, 226)) == 0  # the ground of a place that is left out


def test_tables_of_long_names_and_side_effects_fit_a_small_laptop(browser: Browser, tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, size=SIZE) for number in range(3)])
    name = "some-org/an-editor-whose-name-goes-on-and-on-as-those-of-checkpoints-do-at-step-120000"
    run = DrawnRun(tmp_path / "run", source, name=name)
    results = build_results(run, source, toy_embedder())
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(write_report(results, [run], source, tmp_path / "page.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    too_wide = "[...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    assert page.evaluate(too_wide) == 0
    heights = "[...document.querySelectorAll('table.scores tbody tr.editor')].map((row) => row.clientHeight)"
    first, second, *_ = page.evaluate(heights)
    assert second <= first  # a name that is not repeated takes no room
    page.close()


def test_a_legend_explains_what_is_drawn_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, size=SIZE) for number in range(3)])
    told = []
    for protocols in (("bug",), ("vanilla", "bug")):
        run = DrawnRun(tmp_path / "-".join(protocols), source, protocols=protocols)
        results = build_results(run, source, toy_embedder())
        page = browser.new_page()
        page.goto(write_report(results, [run], source, tmp_path / f"{len(protocols)}.html").as_uri())
        hints = page.evaluate("[...document.querySelectorAll('.hint')].map((one) => one.textContent).join(' ')")
        assert ("Hollow marks" in hints) is (page.locator("circle.hollow").count() > 0) is (len(protocols) == 2)
        assert ("Solid line" in hints) is (page.locator(".forest line.ceiling").count() > 0)
        assert ("Dotted line" in hints) is (page.locator(".forest line.floor").count() > 0)
        assert ("Arrows" in hints) is (page.locator(".forest path.beyond").count() > 0)
        assert ("Bold" in hints) is (page.locator(".forest .value.best").count() > 0)
        told.append(hints)
        page.close()
    assert told[0] != told[1]
