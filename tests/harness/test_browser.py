"""The page in a real headless Chromium."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from scored_toys import BOXES, DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.merging import merge
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.results import build_results

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import MISSING, chromium, find_chromium

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five samples, two editors (one in both protocols), one refusal, hostile text wherever anybody else writes."""
    folder = tmp_path_factory.mktemp("report")
    source = ScoredSource(
        [
            *(drawn_sample(number, size=(240, 360)) for number in range(4)),
            drawn_sample(4, size=(240, 360), description=HOSTILE, annotation=HOSTILE, category=HOSTILE),
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
    write_report(results, runs, source, folder / "report.html")
    return folder / "report.html"


@dataclass
class Seen:
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(browser: Browser, report: Path, seen: Seen) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: seen.problems.append(message.text))
    opened.on("pageerror", lambda error: seen.problems.append(str(error)))
    opened.on("request", lambda request: seen.requests.append(request.url))
    opened.goto(report.as_uri())
    opened.wait_for_function("[...document.images].every(one => one.complete)")
    yield opened
    context.close()


def shown(page: Page) -> list[str]:
    return page.locator(".sample:visible").evaluate_all("all => all.map(one => one.dataset.id)")


def choose(page: Page, name: str, keys: str) -> None:
    """Sets a control with the keyboard alone."""
    page.locator(f"[name={name}]").focus()
    for key in keys.split():
        page.keyboard.press(key)


def test_opens_without_errors_and_without_a_network(page: Page, seen: Seen, report: Path) -> None:
    assert seen.problems == []
    assert [url for url in seen.requests if not url.startswith("blob:")] == [report.as_uri()]


def test_every_picture_decodes_and_has_a_text(page: Page) -> None:
    widths = page.evaluate("[...document.querySelectorAll('img[data-key]')].map(one => one.naturalWidth)")
    assert len(widths) == 5 * (3 * 5 + 2 * 3)
    assert min(widths) > 0
    assert page.locator("img:not([alt]), img[alt='']").count() == 0


def test_strips_run_from_draft_to_original(page: Page) -> None:
    assert page.locator(".strip").count() == 5 * 3
    first = page.locator(".strip").first
    assert first.locator(".title").all_inner_texts() == ["Draft", "Round 1", "Round 2", "Round 3", "Original"]
    lefts = first.locator(".cell").evaluate_all("all => all.map(one => one.getBoundingClientRect().left)")
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == 5


def test_boxes_lie_over_what_they_mark(page: Page) -> None:
    cell = page.locator(".strip").first.locator(".cell.original")
    picture = cell.locator("img").bounding_box()
    for number, box in enumerate(BOXES, 1):
        drawn = cell.locator(f'rect.box[data-number="{number}"]').bounding_box()
        assert drawn["x"] == pytest.approx(picture["x"] + box.xmin / 1000 * picture["width"], abs=2.5)
        assert drawn["y"] == pytest.approx(picture["y"] + box.ymin / 1000 * picture["height"], abs=2.5)
        assert drawn["width"] == pytest.approx((box.xmax - box.xmin) / 1000 * picture["width"], abs=4)
        assert drawn["height"] == pytest.approx((box.ymax - box.ymin) / 1000 * picture["height"], abs=4)
    rounds = page.locator(".strip").first.locator(".cell.round")
    assert [rounds.nth(place).locator("rect.box").get_attribute("data-number") for place in range(3)] == ["1", "2", "3"]


def test_boxes_can_be_hidden(page: Page) -> None:
    assert page.locator(".boxes").first.is_visible()
    choose(page, "boxes", "Space")
    assert page.locator(".boxes:visible").count() == 0


def test_filters_work_by_keyboard(page: Page) -> None:
    choose(page, "method", "ArrowDown ArrowDown")
    assert page.locator(".strip:visible h4").all_inner_texts() == ["idler text+image"] * 5
    choose(page, "method", "ArrowUp ArrowUp")
    choose(page, "prompt", "ArrowDown")
    assert page.locator(".strip:visible h4").all_inner_texts() == ["stepper text"] * 5
    assert page.locator(".count").inner_text() == "5 of 5 samples, 5 strips"
    choose(page, "prompt", "ArrowUp")
    choose(page, "failed", "Space")
    assert shown(page) == ["card-02"]


def test_category_filter_and_a_combination_without_any_match(page: Page) -> None:
    page.locator("[name=category]").select_option("Cards")
    assert shown(page) == ["card-02", "card-03"]
    page.locator("[name=category]").select_option("Sheets")
    assert shown(page) == ["card-00", "card-01"]
    page.locator("[name=failed]").check()
    assert shown(page) == []
    assert page.locator(".empty").is_visible()


def test_sorting_works_by_keyboard(page: Page) -> None:
    choose(page, "method", "ArrowDown")
    choose(page, "order", "ArrowDown")
    values = """all => all.map(one => {
        const finals = [...one.querySelectorAll('.strip:not([hidden])')].map(strip => JSON.parse(strip.dataset.final));
        return finals.reduce((sum, final) => sum + final.cosine, 0) / finals.length;
    })"""
    worst = page.locator(".sample:visible").evaluate_all(values)
    assert worst == sorted(worst)
    assert shown(page)[0] == "card-00"
    choose(page, "order", "ArrowDown")
    best = page.locator(".sample:visible").evaluate_all(values)
    assert best == sorted(worst, reverse=True)
    choose(page, "order", "Home")
    assert shown(page) == sorted(shown(page))


def test_pictures_can_be_enlarged_and_closed_by_keyboard(page: Page) -> None:
    page.locator(".frame").nth(2).focus()
    page.keyboard.press("Enter")
    viewer = page.locator(".viewer")
    assert viewer.is_visible()
    assert viewer.locator("img").count() == 3
    page.wait_for_function("[...document.querySelectorAll('.viewer img')].every(one => one.naturalWidth)")
    page.keyboard.press("Escape")
    assert not viewer.is_visible()


def test_a_failure_is_marked(page: Page) -> None:
    failed = page.locator(".cell.failed")
    assert failed.count() == 1
    assert failed.locator(".badge").inner_text() == "refused"
    assert "last good image" in failed.locator(".frame img").get_attribute("alt")


def test_hostile_text_is_not_executed(page: Page) -> None:
    assert page.title() == "FashionEdit: drawn validation"
    assert page.locator("img:not([data-key])").count() == 0
    assert page.locator(".brief p").filter(has_text="<img src=x").count() == 9
    assert page.locator(".cell.failed .message").inner_text() == HOSTILE


@pytest.mark.parametrize("width", [320, 400, 768, 1280, 1920])
def test_no_width_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    right = "all => Math.max(...all.map(one => one.getBoundingClientRect().right))"
    assert page.locator("main *:visible:not(svg *)").evaluate_all(right) <= width + 1


def test_dark_and_light_have_readable_text(page: Page) -> None:
    contrast = """() => {
        const light = (text) => {
            const parts = text.match(/[0-9.]+/g).slice(0, 3).map(one => one / 255);
            const [r, g, b] = parts.map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const paper = light(getComputedStyle(document.body).backgroundColor);
        return ["body", ".lead", ".brand"].map(name => {
            const ink = light(getComputedStyle(document.querySelector(name)).color);
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        });
    }"""
    papers = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert min(page.evaluate(contrast)) >= 4.5
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers[0] != papers[1]


def test_print_shows_all_pictures_and_no_tools(page: Page, tmp_path: Path) -> None:
    page.emulate_media(media="print")
    assert not page.locator(".tools").is_visible()
    assert page.locator(".strip:visible").count() == 15
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().count(b"/Subtype /Image") >= 10


def test_a_missing_chromium_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, browser: Browser, tmp_path: Path
) -> None:
    class Own:
        class chromium:
            executable_path = str(tmp_path / "nothing")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FASHIONEDIT_CHROMIUM", raising=False)
    assert find_chromium(Own) is None
    assert "playwright install chromium" in MISSING
    monkeypatch.setenv("FASHIONEDIT_CHROMIUM", "/somewhere/chromium")
    assert find_chromium(Own) == Path("/somewhere/chromium")
