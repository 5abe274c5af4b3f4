from __future__ import annotations

import base64
import io
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from lmm_pairs import make_pairs, toy_analyst
from lmm_server import Call, Fault, LmmServer
from PIL import Image

from fashionedit.builders.analyse.analyst import PAPER, PROMPTS, Analyst, SentImages, pictures, read_prompt
from fashionedit.builders.analyse.request import answer_schema, estimate, request_body, request_tokens
from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError
from fashionedit.images import pixel_digest, read_image
from fashionedit.runtime.costs import Price
from fashionedit.runtime.failures import one_line
from fashionedit.runtime.vision_model import MAX_TEXT, Promises, image_tokens, read_reply


def test_the_default_prompt_is_the_papers_three_numbered_parts() -> None:
    assert read_prompt("paper") is PAPER
    lines = PAPER.text.splitlines()
    assert [line[:4] for line in lines[::2]] == ["# 1.", "# 2.", "# 3."]
    assert "[ymin, xmin, ymax, xmax], normalized to 0-1000" in PAPER.text
    assert "'box_2d': [0, 250, 600, 750]" in PAPER.text
    assert len(PROMPTS["reference"].text.strip().splitlines()) == 1


def test_a_prompt_of_ones_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xef\xbb\xbfName three differences as JSON.\n")
    assert read_prompt(str(path)).text == "Name three differences as JSON.\n"
    assert read_prompt(str(path)).name == "mine"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b" \n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 70_000, "shorten it"),
        (None, "choose paper or reference, or give the path"),
    ],
)
def test_what_is_no_prompt_is_refused(tmp_path: Path, data: bytes | None, sentence: str) -> None:
    path = tmp_path / "mine.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InvalidDataError, match=sentence):
        read_prompt(str(path))


def test_a_prompt_without_the_word_json_is_refused_where_services_want_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Name three differences.")
    with pytest.raises(InvalidDataError, match="does not say JSON"):
        Analyst(prompt=read_prompt(str(path)), structured="json_object")


def pair_of(folder: Path, original: Image.Image, draft: Image.Image, name: str = "photo.jpg", **save: object) -> Photo:
    original.save(folder / name, **save)
    draft.save(folder / "draft.png")
    digests = [pixel_digest(read_image(folder / file)) for file in (name, "draft.png")]
    return Photo("photo", folder / name, draft=folder / "draft.png", digest=digests[0], draft_digest=digests[1])


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_small_files_are_sent_as_they_are_and_large_ones_as_jpeg(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, noise(60, 90), noise(600, 500))
    original, draft = pictures(pair, SentImages())
    assert original.data == pair.path.read_bytes()
    assert (draft.format, draft.size) == ("jpeg", (600, 500))
    sent = Image.open(io.BytesIO(draft.data))
    exact = np.asarray(read_image(pair.draft), dtype=float)
    assert np.abs(np.asarray(sent, dtype=float) - exact).mean() < 6  # of pure noise, the worst there is
    assert original.url == f"data:image/jpeg;base64,{base64.b64encode(original.data).decode()}"


def test_exact_pixels_and_smaller_pictures_on_request(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, noise(60, 90), noise(600, 500))
    _, draft = pictures(pair, SentImages(format="png"))
    assert pixel_digest(read_image(draft.data)) == pair.draft_digest
    original, draft = pictures(pair, SentImages(max_side=64))
    assert (original.size, draft.size) == ((43, 64), (64, 53))
    assert read_image(draft.data).size == (64, 53)
    original, _ = pictures(pair, SentImages(format="jpeg", quality=50))
    assert original.data != pair.path.read_bytes()


def test_a_photograph_on_its_side_is_sent_upright(tmp_path: Path) -> None:
    lying = noise(60, 90)
    exif = Image.Exif()
    exif[0x0112] = 6
    pair = pair_of(tmp_path, lying, noise(20, 20), exif=exif)
    original, _ = pictures(pair, SentImages())
    assert (original.format, original.size) == ("png", (90, 60))


def test_a_picture_with_other_pixels_than_before_is_refused(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, noise(60, 90), noise(20, 20))
    noise(61, 90).save(pair.path)
    with pytest.raises(InvalidImageError, match=r"photo\.jpg has other pixels"):
        pictures(pair, SentImages())


@pytest.mark.parametrize("change", [{"format": "gif"}, {"quality": 0}, {"max_side": 3}])
def test_ways_of_sending_that_do_not_exist_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidDataError, match="choose"):
        SentImages(**change)  # type: ignore[arg-type]


def test_the_schema_wants_three_differences_and_nothing_else() -> None:
    schema = answer_schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["differences"]
    differences = schema["properties"]["differences"]
    assert (differences["minItems"], differences["maxItems"]) == (3, 3)
    (difference,) = schema["$defs"].values()
    assert difference["additionalProperties"] is False
    assert difference["required"] == ["description", "box_2d"]


@pytest.mark.parametrize("structured", ["json_object", "none"])
def test_requests_of_both_apis(tmp_path: Path, structured: str) -> None:
    images = pictures(pair_of(tmp_path, noise(60, 90), noise(20, 20)), SentImages())
    chat = request_body(
        Analyst(structured=structured, images=SentImages(detail="low"), max_output_tokens=None),  # type: ignore[arg-type]
        images,
        [("", "again")],
    )
    assert chat.get("response_format") == ({"type": "json_object"} if structured == "json_object" else None)
    assert "max_completion_tokens" not in chat
    assert chat["messages"][0]["content"][1]["image_url"]["detail"] == "low"
    assert chat["messages"][1] == {"role": "assistant", "content": "(nothing)"}
    responses = request_body(
        Analyst(structured=structured, api="responses", temperature=None, max_output_tokens=None),  # type: ignore[arg-type]
        images,
    )
    assert "text" not in responses or responses["text"] == {"format": {"type": "json_object"}}
    assert responses["store"] is False
    assert "temperature" not in responses
    assert [part["type"] for part in responses["input"][0]["content"]] == ["input_text", "input_image", "input_image"]


def test_answers_in_parts_are_joined_and_endless_ones_are_cut() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}, {"type": "text", "text": "b"}]
    reply = read_reply({"choices": [{"message": {"content": parts}}]}, "chat")
    assert (reply.text, reply.refusal, reply.input_tokens, reply.model) == ("ab", "no", 0, None)
    endless = {"choices": [{"message": {"content": "x" * (MAX_TEXT + 5)}}]}
    assert len(read_reply(endless, "chat").text) == MAX_TEXT
    with pytest.raises(InvalidDataError, match="none of this API"):
        read_reply({"choices": [{}]}, "chat")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, (0, 0)),
        ({"prompt_tokens": None}, (0, 0)),
        ({"input_tokens": 7, "output_tokens": 2}, (7, 2)),
        ("no", (0, 0)),
    ],
)
def test_usage_in_another_form_is_read_or_left_out(usage: object, tokens: tuple[int, int]) -> None:
    reply = read_reply({"choices": [{"message": {"content": "a"}}], "usage": usage}, "chat")
    assert (reply.input_tokens, reply.output_tokens) == tokens


def test_the_headers_of_a_real_server_are_obeyed(tmp_path: Path) -> None:
    headers = {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
    }
    times: list[float] = []

    def script(call: Call) -> Fault | None:
        times.append(time.monotonic())
        return None

    with LmmServer(script, headers=headers) as server:
        store = StageStore(tmp_path / "s")
        analyse(make_pairs(tmp_path / "p", 6), toy_analyst(server.url, concurrency=1), store)
    assert all(after - before > 0.09 for before, after in pairwise(times))


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("gpt-4.1-mini", (1024, 1024), 1659),  # 32 × 32 patches × 1.62
        ("gpt-4.1-mini", (1800, 2400), 2353),  # OpenAI's example: 1,452 patches once it is scaled down
        ("gpt-4.1-nano", (256, 256), 158),
        ("gpt-4o", (1024, 1024), 765),  # OpenAI's examples for tiles
        ("gpt-4o", (2048, 4096), 1105),
        ("gpt-4.1", (300, 300), 255),
        ("gpt-4o-mini", (512, 512), 8500),
        ("gpt-5", (512, 512), 210),
        ("gpt-5-2025-08-07", (512, 512), 210),
        ("o3", (512, 512), 225),
        ("somebody/model", (64, 64), 10),
    ],
)
def test_image_tokens_are_those_of_the_published_rules(model: str, size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(model, *size) == tokens


def test_an_estimate_adds_up() -> None:
    sizes = [((750, 1101), (1024, 1024))] * 100
    analyst = Analyst()
    found = estimate(sizes, analyst)
    each = request_tokens(analyst, sizes[0])
    assert found.calls == 100
    assert found.input_tokens == 100 * each
    assert each > image_tokens("gpt-4.1-mini", 750, 1101) + 1659
    assert found.usd == pytest.approx((found.input_tokens * 0.4 + found.output_tokens * 1.6) / 1e6)
    assert estimate(sizes, Analyst(model="mine")).usd is None
    assert estimate([], analyst).usd == 0
    small = estimate(sizes, Analyst(images=SentImages(max_side=512), structured="none"))
    assert small.input_tokens < found.input_tokens / 2


def test_a_promise_grows_with_the_dearest_request_seen() -> None:
    analyst = Analyst(prices={"*": Price(1.0, 1.0)}, model="mine", max_output_tokens=100)
    tokens = request_tokens(analyst, [(64, 64), (64, 64)])
    promises = Promises(analyst.price, analyst.max_output_tokens)
    before = promises.usd(tokens)
    assert before > (tokens + 100) / 1e6
    promises.learn(tokens, 3 * tokens)
    assert promises.usd(tokens) == pytest.approx((3 * tokens + 100) / 1e6)
    assert Promises(Analyst(model="mine").price, 100).usd(tokens) == 0


def test_keys_are_taken_out_of_what_services_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")
    said = one_line(f"bad key sk-proj-abc_DEF123456\nor very-secret {'x' * 400}")
    assert said.startswith("bad key [key] or [key] xxx")
    assert len(said) == 300


def test_a_missing_client_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'openai>=[\d.]+'$"):
        analyse(make_pairs(tmp_path / "p", 1), toy_analyst("http://127.0.0.1:1/v1"), StageStore(tmp_path / "s"))


def test_a_server_that_is_not_there_fails_the_pair(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "s")
    analyst = toy_analyst("http://127.0.0.1:9/v1", max_retries=0)
    assert analyse(make_pairs(tmp_path / "p", 1), analyst, store) == []
    (record,) = store.records()
    assert (record.status, record.reason) == ("failed", "no connection")
    assert "127.0.0.1:9" in str(record.detail)
