"""What the page's script asks of the server and is sent, without a browser; and what begins, shows and serves it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from board_toys import official_encoder
from json_service import JsonService
from judge_service import completion, write_cards, write_runs
from PIL import Image
from scored_toys import toy_embedder
from studio_toys import Painter, Waiting, make_studio, picture

from fashionedit.builders.generate.drafting import DraftRequest, DraftResult
from fashionedit.errors import (
    EditorError,
    InvalidDataError,
    InvalidImageError,
    MissingExtraError,
    ServiceError,
    UnknownNameError,
)
from fashionedit.eval_harness.editing import EditResult, Status
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scored_run import Scoring
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.images import EncodedImage, pixel_digest, png_bytes, read_image
from fashionedit.metrics.registry import PAPER_METRICS, load_metrics
from fashionedit.studio import server
from fashionedit.studio.assistant import Assistant
from fashionedit.studio.generators import MakerWords, load_generator
from fashionedit.studio.page import StudioPage, studio_panel
from fashionedit.studio.runs_page import RunsPage, runs_panel
from fashionedit.studio.server import serve, studio_app
from fashionedit.studio.storyboard import to_storyboard
from fashionedit.studio.turns import CancelledError, LaterSource, Studio

NOT_OF_ONE_KIND = {"error": "this page does not match its server's version; reload the page"}


def url(image: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(png_bytes(image)).decode()}"


class Script:
    """Asks what the page's script asks: one method for each of the server's functions."""

    def __init__(self, studio: Studio, assistant: Assistant | None = None) -> None:
        panel = studio_panel(StudioPage(studio, assistant))
        self._ask: dict[str, Callable[[Any], Any]] = {function.__name__: function for function in panel.server_fns}

    def __call__(self, name: str, **given: Any) -> Any:
        return self._ask[name](given)


def test_a_session_is_told_with_the_pictures_that_the_browser_lacks(tmp_path: Path) -> None:
    ask = Script(make_studio(tmp_path, Painter()))
    begun = ask("start", picture=url(picture("green")))
    (digest,) = begun["pictures"]
    asked = {"id": begun["id"], "turn": 1, "editor": "other", "words": "a hood", "have": [digest], "ticket": "t"}
    found = ask("edit", **asked, picture=url(picture("blue")), kind="example")
    second = found["turns"][1]
    assert (second["parent"], second["words"], second["kind"], second["status"]) == (1, "a hood", "example", "ok")
    assert set(found["pictures"]) == {second["image"], second["reference"]}
    assert set(ask("open", id=begun["id"])["pictures"]) == {digest, *found["pictures"]}
    told = ask("mark", id=begun["id"], turn=2, accepted=True, rating=4)["turns"][1]
    assert (told["accepted"], told["rating"]) == (True, 4)
    (session,) = ask("begin", ids=[begun["id"], "x" * 32, 7])["sessions"]
    assert (session["id"], session["turns"]) == (begun["id"], 2)
    assert ask("cancel", id=begun["id"], ticket="t") == {"cancelled": False}  # it has ended


def test_the_part_of_a_picture_that_is_shown_is_cut_here(tmp_path: Path) -> None:
    painter, data = Painter(), write_cards(tmp_path / "cards", 2)
    ask = Script(make_studio(tmp_path, painter, samples=data))
    begun = ask("start", picture=url(picture("green")))
    asked = {"id": begun["id"], "turn": 1, "editor": "other", "words": "a hood", "kind": "detail"}
    (digest,) = begun["pictures"]
    ask("edit", **asked, picture={"digest": digest, "box": [0, 0, 500, 1000]})
    ask("edit", **asked, picture={"sample": data.ids[0]})
    one, two = (request.references[0] for request in painter.requests)
    assert one.size == (300, 150)
    assert pixel_digest(two) == pixel_digest(data.sample(data.ids[0]).original)
    for wrong in ({"digest": "0" * 64}, {"sample": "nobody"}, {}):
        assert ask("edit", **asked, picture=wrong) == NOT_OF_ONE_KIND
    assert ask("sample", sample="nobody") == NOT_OF_ONE_KIND
    assert len(painter.requests) == 2


def test_samples_are_found_by_their_words_page_by_page_and_scored_as_they_are_shown(tmp_path: Path) -> None:
    data = write_cards(tmp_path / "cards", 2)
    metrics = load_metrics(["psnr"], None)
    ask = Script(make_studio(tmp_path, Painter(), samples=data, metrics=metrics))
    assert [one["id"] for one in ask("samples")["samples"]] == list(data.ids)
    assert [one["id"] for one in ask("samples", text=data.ids[1].upper())["samples"]] == [data.ids[1]]
    assert ask("samples", text="no such garment") == {"samples": [], "more": False}
    begun = ask("start", sample=data.ids[0])
    assert begun["sample"] == data.ids[0]
    ((score,),) = ask("scores", id=begun["id"])["scores"].values()
    assert score["label"] == "PSNR"
    assert score["value"].endswith(" dB")
    assert Script(make_studio(tmp_path / "none"))("samples") == {"samples": [], "more": False}


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("start", {"picture": "https://example.com/a.png"}, "the picture did not arrive; choose it again"),
        ("start", {"picture": "data:image/png;base64,%%%"}, "the picture did not arrive whole; choose it again"),
        ("start", {"picture": "data:image/png;base64," + "A" * 45_000_000}, "the picture has more than 32 MiB"),
        ("start", {"words": "  "}, "there are no words"),
        ("open", {"id": "nobody"}, "no session has this id"),
        ("open", {}, "this page does not match its server's version"),
        ("mark", {"accepted": "yes"}, "this page does not match its server's version"),
        ("edit", {"turn": "x"}, "this page does not match its server's version"),
        ("assist", {"turn": 1}, "this page does not match its server's version"),
    ],
)
def test_what_can_not_be_done_is_a_sentence(name: str, given: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    ask = Script(make_studio(tmp_path, Painter()))
    begun = ask("start", picture=url(picture()))
    own = {"id": begun["id"]} if name not in ("start", "open") else {}
    assert ask(name, **own, **given)["error"].startswith(sentence)


def test_files_to_save(tmp_path: Path) -> None:
    ask = Script(make_studio(tmp_path))
    begun = ask("start", words="a navy shirt with short sleeves", generator="drawn")
    asked = {"id": begun["id"], "editor": "drawn"}
    for turn, words in enumerate(("make the sleeves long", "make the collar white", "a red hem"), 1):
        ask("edit", **asked, turn=turn, words=words)
    told = ask("differences", id=begun["id"], turn=4)["differences"]
    assert [one["words"] for one in told] == ["make the sleeves long", "make the collar white", "a red hem"]
    for form, name, start in (
        ("picture", "design.png", b"\x89PNG"),
        ("storyboard", "storyboard.html", b"<!doctype html>"),
        ("zip", "session.zip", b"PK"),
    ):
        saved = ask("download", id=begun["id"], turn=4, form=form)
        assert saved["name"] == name
        assert base64.b64decode(saved["data"]).startswith(start)
    first, last = (
        read_image(base64.b64decode(ask("download", id=begun["id"], turn=turn, form="picture")["data"]))
        for turn in (1, 4)
    )
    assert pixel_digest(first) != pixel_digest(last)
    refused = ask("download", id=begun["id"], turn=4, form="gif")["error"]
    assert refused == "a session is not saved as 'gif'; choose picture, storyboard, sample or zip"
    saved = ask("download", id=begun["id"], turn=4, form="sample", differences=told)
    assert (saved["name"], base64.b64decode(saved["data"])[:2]) == ("sample.zip", b"PK")
    preview = ask("preview", **asked, turn=4, words="a blue belt")
    assert [image["role"] for image in preview["images"]] == ["base"]
    assert preview["instruction"].endswith("a blue belt")


def test_the_assistant_answers_with_proposals_and_needs_a_picture_of_what_is_wanted(tmp_path: Path) -> None:
    precise = {"instruction": "Make the collar red.", "box_2d": [100, 300, 250, 700]}
    with JsonService(lambda asked: completion(json.dumps(precise))) as service:
        service.path = "/v1"
        assistant = Assistant("openai:toy", tmp_path / "s", base_url=service.url)
        ask = Script(make_studio(tmp_path / "s"), assistant)
        begun = ask("start", words="a navy shirt")
        (found,) = ask("assist", id=begun["id"], turn=1, words="the neck thing, warmer")["proposals"]
        assert found["words"] == "Make the collar red."
        answer = ask("assist", id=begun["id"], turn=1, wanted=True)
        assert answer == {"error": "Upload a picture of what you want first, as an example."}
        precise["instruction"] = "  "
        answer = ask("assist", id=begun["id"], turn=1, words="warmer")
        assert answer["error"] == "The assistant gave no answer that can be used: its instruction is empty."


def test_a_storyboard_says_what_was_shown_and_why_there_is_no_design(tmp_path: Path) -> None:
    refusing = Painter(lambda request: EditResult.failed(Status.REFUSED, "not <this>"))
    studio = make_studio(tmp_path, refusing)
    session = studio.start_picture(png_bytes(picture("green")))
    session = studio.edit(session, 1, "other", "a hood", picture("blue"), "sketch")
    page = to_storyboard(session, 2)
    assert "<p>No design: not &lt;this&gt;</p>" in page
    assert "<span>shown as sketch</span>" in page
    assert page.count("<img") == 2  # the beginning, and what was shown


class Maker:
    """Answers every request as it was told to."""

    batch_size, highest_cost = 1, 0.5

    def __init__(self, result: DraftResult) -> None:
        self.result, self.requests = result, list[DraftRequest]()

    def describe(self) -> dict[str, Any]:
        return {}

    def make(self, requests: Any) -> list[DraftResult]:
        self.requests += requests
        return [self.result]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_maker_of_drafts_begins_designs(encoded: bool, tmp_path: Path) -> None:
    image = picture("teal")
    maker = Maker(DraftResult(EncodedImage.of(image) if encoded else image, seconds=1.5, cost=0.25))
    studio = make_studio(tmp_path)
    studio.generators["maker"] = MakerWords(maker)
    session = studio.start_words("a teal dress", "maker", seed=3)
    assert maker.requests == [DraftRequest("design", "a teal dress", 3)]
    assert pixel_digest(session.image(1)) == pixel_digest(image)
    assert session.turn(1).outcome.cost_usd == 0.25


def test_a_draft_that_is_not_made_begins_no_session_and_says_why(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    studio.generators["refuses"] = MakerWords(Maker(DraftResult(reason="refused", detail="the words are not liked")))
    studio.generators["stops"] = MakerWords(Maker(DraftResult(stop=ServiceError("no key"))))
    with pytest.raises(EditorError, match="the words are not liked"):
        studio.start_words("a teal dress", "refuses")
    with pytest.raises(ServiceError, match="no key"):
        studio.start_words("a teal dress", "stops")
    assert not list(tmp_path.glob("*/session.json"))


def test_finished_drafts_begin_nothing(tmp_path: Path) -> None:
    picture().save(tmp_path / "p0.png")
    with pytest.raises(InvalidDataError, match="has finished drafts and makes none from words"):
        load_generator(f"folder:{tmp_path}")


def test_a_session_has_the_design_that_stands_and_no_other(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, Painter(needs_reference=True))
    session = studio.start_picture(png_bytes(picture()))
    with pytest.raises(EditorError, match="other needs a picture; show one, or choose another editor"):
        studio.request(session, 1, "other", "a hood")
    with pytest.raises(EditorError, match="painter sees the answer, which no design has"):
        make_studio(tmp_path / "b", Painter(privileged=True))


def test_a_report_that_can_not_be_made_is_a_sentence_in_its_tab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [RunFolder.open(path) for path in write_runs(tmp_path, 2, protocols=("bug",))]
    source = write_cards(tmp_path / "again" / "cards", 2)
    _, metrics = Scoring(metrics=("psnr",)).load()
    for run in runs:
        write_results(build_results(run, source, None, metrics=metrics, measures=False), run.path / "results.json")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("fashionedit.studio.runs_page.write_report", full)
    page = RunsPage(runs, source)
    (ready,) = runs_panel(page).server_fns
    assert ready({}) == {"error": "the disk is full"}
    page.close()


def built(studio: Studio, **tabs: Any) -> gr.Blocks:
    """Returns the app; without an event loop that runs, Gradio would open one and leave it so."""

    async def build() -> gr.Blocks:
        return studio_app(studio, **tabs)

    return asyncio.run(build())


def test_scored_runs_are_a_tab_beside_the_design(tmp_path: Path) -> None:
    page = SimpleNamespace(path=tmp_path, ready=dict)
    app = built(make_studio(tmp_path / "sessions"), runs=page)
    tabs = [block.label for block in app.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == ["Design", "Runs"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what Gradio leaves open then
def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = built(make_studio(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidDataError, match=f"port {port} on 127.0.0.1 can't be used: .*; give another --port$"):
            serve(app, port=port, wait=False)
        monkeypatch.setattr(server, "_PORTS", range(port, port + 1))
        with pytest.raises(InvalidDataError, match=f"no port from {port} to {port} is free on 127.0.0.1"):
            serve(app, wait=False)


def test_gradio_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match="gradio is not installed"):
        studio_app(make_studio(tmp_path))


def test_an_upload_is_shown_without_its_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x9286] = "secret place"
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG", exif=exif)
    shown = Script(make_studio(tmp_path))(
        "start", picture=f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    )
    (sent,) = shown["pictures"].values()
    assert b"secret" not in base64.b64decode(sent.partition(",")[2])


def test_an_edit_that_waits_for_its_place_can_be_cancelled(tmp_path: Path) -> None:
    slow, cancel = Waiting(), threading.Event()
    studio = make_studio(tmp_path, slow)
    first, second = (studio.start_picture(png_bytes(picture())) for _ in range(2))
    edits = [threading.Thread(target=studio.edit, args=(first, 1, "other", "a hood"))]
    edits[0].start()
    assert slow.began.wait(60)
    threading.Timer(0.2, cancel.set).start()
    with pytest.raises(CancelledError, match="the design is as it was"):
        studio.edit(second, 1, "other", "a hood", cancel=cancel)
    slow.go.set()
    edits[0].join(30)
    assert [len(studio.store.open(session.id).turns) for session in (first, second)] == [2, 1]


def test_samples_are_opened_when_the_first_person_asks_for_them(tmp_path: Path) -> None:
    opened: list[Path] = []

    def cards() -> Any:
        opened.append(tmp_path / "cards")
        return write_cards(opened[-1], 2)

    ask = Script(make_studio(tmp_path / "s", samples=LaterSource(cards)))
    assert ask("begin")["samples"] is True
    assert not opened
    assert len(ask("samples")["samples"]) == len(ask("samples")["samples"]) == 2
    assert len(opened) == 1


def test_a_picture_that_is_too_large_and_a_generator_that_is_none(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    with pytest.raises(InvalidImageError, match="the picture has 33 MiB; give one of at most 32 MiB"):
        studio.start_picture(bytes(33 * 2**20))
    with pytest.raises(UnknownNameError, match="no generator is called 'crayons'; choose drawn"):
        studio.start_words("a shirt", "crayons")


def test_of_a_share_the_page_says_whether_the_design_counts(tmp_path: Path) -> None:
    metrics = load_metrics(PAPER_METRICS, toy_embedder(official_encoder()))
    data = write_cards(tmp_path / "cards", 2)
    ask = Script(make_studio(tmp_path / "s", Painter(), samples=data, metrics=metrics))
    begun = ask("start", sample=data.ids[0])
    ask("edit", id=begun["id"], turn=1, editor="other", words="a hood")
    told = ask("scores", id=begun["id"])["scores"]["2"]
    assert [score["label"] for score in told] == ["CLIP", "CLIP*", "PSNR"]
    assert {told[1]["value"], told[1]["draft"]} <= {"yes", "no"}
    elsewhere = Script(make_studio(tmp_path / "other", samples=write_cards(tmp_path / "others", 2), metrics=metrics))
    assert elsewhere("scores", id=elsewhere("start", picture=url(picture()))["id"]) == {"scores": {}}
