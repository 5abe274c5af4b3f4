"""OpenAI's two ways to edit, with the official client against a service on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from image_service import USAGE, Call, ImageService, edited
from json_service import edit_request
from PIL import Image
from toy_samples import ToySource

from fashionedit.errors import EditorError, InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.eval_harness import RunFolder, run
from fashionedit.eval_harness.editing import Editor, EditRequest, EditResult, Status
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.eval_harness.running.records import RoundRecord
from fashionedit.images import pixel_digest
from fashionedit.runtime.costs import PRICES, Price

EDITORS_OPEN: list[Any] = []
EDITORS = ("openai:gpt-image-1", "openai-responses:gpt-4.1-mini")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-123456")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Ends the connections of every editor that a test has opened."""
    yield
    while EDITORS_OPEN:
        EDITORS_OPEN.pop().close()


def request(protocol: str = "bug", **details: Any) -> EditRequest:
    base = Image.effect_noise((40, 60), 50).convert("RGB")
    reference = Image.new("RGB", (12, 9), "red") if protocol == "bug" else None
    return edit_request(base=base, reference=reference, instruction="Make it blue.", seed=7, **details)


def opened(spec: str, service: ImageService, **settings: object) -> Editor:
    editor = resolve(spec, EditorSettings(base_url=service.openai, **settings))  # type: ignore[arg-type]
    assert isinstance(editor, Editor)
    return editor


def resolve(spec: str, settings: EditorSettings | None = None) -> Any:
    EDITORS_OPEN.append(resolve_editor(spec, settings))
    return EDITORS_OPEN[-1]


def asked(spec: str, service: ImageService, protocol: str = "bug", **settings: object) -> EditResult:
    return opened(spec, service, **settings).edit(request(protocol))


def records(path: Path) -> list[RoundRecord]:
    found = [RoundRecord.model_validate_json(file.read_bytes()) for file in (path / "records").glob("*/*.json")]
    return sorted(found, key=lambda record: (record.protocol, record.sample, record.round))


@pytest.mark.parametrize("spec", EDITORS)
def test_three_rounds_of_both_protocols(spec: str, tmp_path: Path) -> None:
    source = ToySource(2)
    with ImageService() as service:
        summary = run(opened(spec, service), source, tmp_path / "run")
    assert summary.statuses == {Status.OK: 12}
    for call in service.calls:
        assert len(call.images) == (1 if "second reference image" not in call.instruction else 2)
    shown = {pixel_digest(call.images[0]) for call in service.calls}
    kept = records(tmp_path / "run")
    for record in kept:
        assert record.inputs[0].digest in shown
        assert record.output is not None
        assert record.cost_usd is not None
        assert record.cost_usd > 0
        assert record.effective_params["size"] == "32x48"
    assert all("very-secret" not in file.read_text() for file in (tmp_path / "run").rglob("*.json*"))
    assert service.keys == {"Bearer sk-very-secret-123456"}


def test_images_edit_is_sent_what_the_reference_scripts_send() -> None:
    with ImageService() as service:
        asked("openai:gpt-image-1", service)
        opened("openai:gpt-image-1", service).edit(request("vanilla", params={"size": "1024x1536", "quality": "low"}))
    both, alone = service.calls
    assert both.body["fields"] == ["image[]", "image[]"]
    assert both.images[0].size == (40, 60)
    assert both.images[1].size == (12, 9)
    assert both.body["prompt"] == "Make it blue."
    assert not {"size", "quality", "seed"} & both.body.keys()
    assert alone.body["fields"] == ["image"]
    assert (alone.body["size"], alone.body["quality"]) == ("1024x1536", "low")


def test_the_image_tool_is_sent_what_the_reference_scripts_send() -> None:
    with ImageService() as service:
        result = asked("openai-responses:gpt-4.1-mini", service, options={"tool_model": "gpt-image-1"})
    (call,) = service.calls
    assert [part["type"] for part in call.body["input"][0]["content"]] == ["input_text", "input_image", "input_image"]
    assert call.body["tools"] == [{"type": "image_generation", "model": "gpt-image-1", "action": "edit"}]
    assert call.body["model"] == "gpt-4.1-mini"
    assert result.model_version == "gpt-4.1-mini-2025-04-14"
    assert result.params["revised_prompt"] == "An edit."
    assert result.usage["tool_output_tokens"] == 1500
    text, image = PRICES["gpt-4.1-mini"], PRICES["gpt-image-1"]
    expected = text.cost(input_tokens=400, output_tokens=20)
    expected += image.cost(input_tokens=1050, image_tokens=1000, output_tokens=1500)
    assert result.cost_usd == pytest.approx(expected)


def test_tokens_are_counted_and_priced_by_the_users_price_first() -> None:
    with ImageService() as service:
        result = asked("openai:my-model", service, price=Price(1.0, 2.0, image=3.0))
        unpriced = asked("openai:my-model", service)
    assert result.usage == {"input_tokens": 1050, "output_tokens": 1500, "input_image_tokens": 1000}
    assert result.cost_usd == pytest.approx((50 * 1 + 1000 * 3 + 1500 * 2) / 1e6)
    assert unpriced.cost_usd is None
    assert USAGE["input_tokens"] == 1050


@pytest.mark.parametrize(("spec", "words"), [(EDITORS[0], "holds no picture"), (EDITORS[1], "I would rather talk.")])
def test_an_answer_without_a_picture_says_what_came_in_its_place(spec: str, words: str) -> None:
    with ImageService(["empty"]) as service:
        result = asked(spec, service)
    assert result.status is Status.NO_IMAGE
    assert words in result.message


@pytest.mark.parametrize("spec", EDITORS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no key", "does not accept the key"),
        ("no model", "127.0.0.1 does not have the model"),
    ],
)
def test_what_no_further_call_would_mend_stops_the_run(spec: str, fault: str, words: str) -> None:
    with ImageService([fault]) as service, pytest.raises(ServiceError, match=words) as caught:
        asked(spec, service)
    assert "abcdefghijklmnop" not in str(caught.value)


def test_a_rejected_request_is_not_asked_again() -> None:
    with ImageService(["rejected"]) as service:
        result = asked("openai:gpt-image-1", service)
    assert (result.status, result.retry) == (Status.ERROR, False)
    assert "Invalid size" in result.message


def test_a_service_that_is_not_there_may_come_back() -> None:
    with ImageService() as service:
        editor = opened("openai:gpt-image-1", service)
    result = editor.edit(request())
    assert (result.status, result.retry) == (Status.ERROR, True)
    assert "the connection to 127.0.0.1 broke" in result.message


def test_limits_of_good_answers_are_told_too() -> None:
    with ImageService(headers={"x-ratelimit-remaining-requests": "3", "server-name": "x"}) as service:
        result = asked("openai:gpt-image-1", service)
    assert result.reply is not None
    assert dict(result.reply.headers) == {"x-ratelimit-remaining-requests": "3"}


def test_a_conversation_sends_the_image_once_and_continues_from_disk(tmp_path: Path) -> None:
    source = ToySource(1)
    settings = {"state": "conversation"}
    spec = "openai-responses:gpt-4.1-mini"
    left = 2

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    with ImageService() as service:
        first = run(opened(spec, service, **settings), source, tmp_path / "run", protocols=["bug"], stop=stop)
        second = run(opened(spec, service, **settings), source, tmp_path / "run", protocols=["bug"])
    assert (first.edits, second.edits, second.reused) == (2, 1, 2)
    sent = [[part["type"] for part in call.body["input"][0]["content"]] for call in service.calls]
    assert sent == [["input_text", "input_image", "input_image"], *[["input_text", "input_image"]] * 2]
    kept = records(tmp_path / "run")
    previous = [call.body.get("previous_response_id") for call in service.calls]
    assert previous == [None, *(record.state["previous_response_id"] for record in kept[:2])]
    # the service edits what it remembers, so the last image is that of chained images
    image = source.sample("toy-00").draft
    for call in service.calls:
        image = edited(Call("", call.instruction, (image, call.images[-1]), {}))
    assert kept[-1].output is not None
    assert kept[-1].output.digest == pixel_digest(image)
    assert RunFolder.open(tmp_path / "run").identity.editor.fingerprint != _fingerprint(spec)


def _fingerprint(spec: str, **settings: object) -> str:
    editor = resolve(spec, EditorSettings(base_url="http://127.0.0.1:9", **settings))  # type: ignore[arg-type]
    return editor.describe().fingerprint


def test_fingerprints_know_models_and_versions_and_not_addresses() -> None:
    for spec in EDITORS:
        assert _fingerprint(spec) == resolve(spec, EditorSettings()).describe().fingerprint
        assert _fingerprint(spec) != _fingerprint(spec, version="2")
        assert _fingerprint(spec) != _fingerprint(f"{spec}-x")
        json.loads(_fingerprint(spec))
    assert _fingerprint(EDITORS[1]) != _fingerprint(EDITORS[1], options={"tool_model": "gpt-image-2"})


def test_state_of_another_editor_is_refused() -> None:
    with ImageService() as service, pytest.raises(EditorError, match="names no previous_response_id"):
        opened(EDITORS[1], service, state="conversation").edit(request(state=3))


@pytest.mark.parametrize("spec", EDITORS)
def test_params_and_options_that_are_not_known_are_one_sentence(spec: str) -> None:
    with ImageService() as service, pytest.raises(EditorError, match="takes no param 'steps'; it takes size, quality"):
        opened(spec, service).edit(request(params={"steps": 3}))
    with pytest.raises(InvalidDataError, match="has no option 'colour'; its options are"):
        resolve(spec, EditorSettings(options={"colour": 1}))
    with pytest.raises(UnknownNameError, match="names no model"):
        resolve(spec.partition(":")[0] + ":", EditorSettings())
    option = "extra_body" if spec.startswith("openai:") else "extra_tool"
    with pytest.raises(InvalidDataError, match="give a JSON object"):
        resolve(spec, EditorSettings(options={option: "x"}))


def test_servers_of_ones_own_get_seed_and_further_fields() -> None:
    options = {"send_seed": True, "extra_body": {"steps": 4}}
    with ImageService() as service:
        result = asked("openai:local", service, options=options)
    assert (service.calls[0].body["seed"], service.calls[0].body["steps"]) == ("7", "4")
    assert (result.params["seed"], result.params["steps"]) == (7, 4)


def test_a_key_is_wanted_by_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    for spec in EDITORS:
        with pytest.raises(ServiceError, match="there is no key; set OPENAI_API_KEY"):
            resolve(spec)
    with ImageService() as service:
        assert asked(EDITORS[0], service).status is Status.OK
        monkeypatch.setenv("OPENAI_BASE_URL", service.openai)
        editor = resolve(EDITORS[0])
        assert isinstance(editor, Editor)
        assert editor.edit(request()).status is Status.OK


def test_a_conversation_is_of_the_responses_api_alone() -> None:
    with pytest.raises(UnknownNameError, match="use openai-responses:MODEL"):
        resolve(EDITORS[0], EditorSettings(state="conversation"))


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'openai>=[\d.]+'$"):
        resolve(EDITORS[0])
