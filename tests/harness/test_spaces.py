"""A real Gradio app as an editor, alone and behind a server that breaks its answers."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from json_service import Asked, JsonService, Reply, as_json, edit_request
from PIL import Image, ImageOps
from toy_samples import ToySource

from fashionedit.errors import EditorError, InvalidDataError, MissingExtraError, ServiceError
from fashionedit.eval_harness import Status, run
from fashionedit.eval_harness.editing import UNDECLARED, EditRequest
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor

Open = Callable[..., Any]
BASE = Image.new("RGB", (20, 30), (200, 20, 20))
BASE.paste((20, 200, 20), (0, 0, 10, 30))


def asked(instruction: str = "Change it.", **further: Any) -> EditRequest:
    return edit_request(base=BASE, instruction=instruction, **further)


@pytest.fixture
def space(app: str, opened: Open) -> Open:
    """Opens the app as an editor, or another address."""

    def open_space(*, at: str = app, timeout: float = 120, version: str | None = None, **options: object) -> Any:
        options = {"api_name": "edit", **options}
        return opened(f"space:{at}", EditorSettings(timeout=timeout, version=version, options=options))

    return open_space


def test_a_space_edits_three_rounds_of_both_protocols(space: Open, tmp_path: Path) -> None:
    editor = space()
    summary = run(editor, ToySource(1), tmp_path / "run")
    assert summary.statuses == {Status.OK: 6}, summary.examples


def test_the_guess_is_recorded(space: Open) -> None:
    editor = space()
    result = editor.edit(asked())
    assert result.status is Status.OK, result.message
    assert result.image is not None
    assert result.image.tobytes() == ImageOps.mirror(BASE).tobytes()
    guess = {"image": "{base}", "prompt": "{instruction}", "reference": "{reference}", "seed": "{seed}"}
    assert result.params == {"inputs": guess}
    assert editor.describe().takes_reference is True


@pytest.mark.parametrize(
    "inputs",
    [
        '{"image": "{base}", "prompt": "Do: {instruction}", "reference": "{reference}", "seed": "{seed}"}',
        '["{base}", "Do: {instruction}", "{reference}", "{seed}"]',
        {"image": "{base}", "prompt": "Do: {instruction}", "reference": None, "seed": 7},
    ],
)
def test_a_mapping_is_by_name_or_by_place(space: Open, inputs: object) -> None:
    editor = space(inputs=inputs)
    result = editor.edit(asked(params={"steps": 9}))
    assert result.status is Status.OK, result.message
    assert result.params == {"steps": 9}
    assert editor.describe().takes_reference is not isinstance(inputs, dict)


def test_what_the_app_is_told_is_what_the_mapping_says(space: Open) -> None:
    from gradio_client import Client

    editor = space(
        inputs='{"image": "{base}", "prompt": "Do: {instruction}", "reference": "{reference}", "seed": "{seed}"}'
    )
    told: list[object] = []
    submit = Client.submit

    def noting(self, *args, **named):
        job = submit(self, *args, **named)
        told.append(job)
        return job

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "submit", noting)
        editor.edit(asked(params={"steps": 9}))
        editor.edit(asked("Alone.", reference=None))
    assert [job.result()[1] for job in told] == ["Do: Change it. True 5 9", "Do: Alone. False 5 3"]


def test_a_gallery_takes_both_and_gives_its_first(space: Open) -> None:
    inputs = {"param_0": [{"image": "{base}", "caption": None}, {"image": "{reference}", "caption": None}]}
    endpoint = space()._client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/gallery"]
    names = [item["parameter_name"] for item in endpoint["parameters"]]
    editor = space(api_name="/gallery", inputs={names[0]: inputs["param_0"], names[1]: "{instruction}"})
    results = [editor.edit(asked()), editor.edit(asked("Alone.", reference=None))]
    for result in results:
        assert result.status is Status.OK, result.message
        assert result.image is not None
        assert result.image.tobytes() == ImageOps.mirror(BASE).tobytes()


def test_a_space_with_one_image_takes_part_in_vanilla_alone(space: Open) -> None:
    editor = space(api_name="alone")
    result = editor.edit(asked("Alone.", reference=None))
    assert editor.describe().takes_reference is False
    assert result.status is Status.OK, result.message


@pytest.mark.parametrize(
    ("instruction", "status", "words"),
    [
        ("refusal", Status.REFUSED, "Blocked by the safety system."),
        ("broken", Status.ERROR, "CUDA out of memory"),
        ("empty", Status.NO_IMAGE, "without an image"),
        ("truncated", Status.INVALID_IMAGE, "the answer's image"),
        ("other size", Status.OK, ""),
        ("alpha", Status.OK, ""),
    ],
)
def test_each_answer_of_the_app_ends_in_its_status(space: Open, instruction: str, status: Status, words: str) -> None:
    editor = space()
    result = editor.edit(asked(instruction))
    assert result.status is status, result.message
    assert words in result.message
    if instruction == "other size":
        assert result.size == (7, 9)
    if instruction == "alpha":
        assert result.image is not None
        assert result.image.getpixel((0, 0)) == (255, 255, 255)


def test_spent_quota_ends_the_run(space: Open) -> None:
    editor = space()
    with pytest.raises(ServiceError, match="exceeded your GPU quota"):
        editor.edit(asked("quota"))


@pytest.mark.parametrize(
    "component",
    [
        "image",
        "gallery",
        "imageslider",
        "imageeditor",
        "sketchpad",
        "paint",
        "imagemask",
        "annotatedimage",
        "file",
        "downloadbutton",
    ],
)
def test_the_edited_picture_is_taken_from_each_output_component_of_gradio(space: Open, component: str) -> None:
    editor = space(api_name=f"out-{component}")
    result = editor.edit(asked("Invert it.", reference=None))
    assert result.image is not None, result.message
    assert result.image.tobytes() == ImageOps.invert(BASE).tobytes()


def test_layers_and_texts_with_files_are_inputs_too(space: Open) -> None:
    editor = space(api_name="layers")
    result = editor.edit(asked("Invert it.", reference=None))
    assert result.image is not None, result.message
    assert result.image.tobytes() == ImageOps.invert(BASE).tobytes()


@pytest.mark.parametrize(
    ("name", "given", "sent"), [("small", 17, 20), ("small", 25, 25), ("wide", 2**31 - 1, 2**31 - 1)]
)
def test_a_seed_goes_into_the_range_that_its_input_allows(space: Open, name: str, given: int, sent: int) -> None:
    editor = space(api_name=f"seed-{name}")
    result = editor.edit(asked("Go.", reference=None, seed=given))
    assert result.status is Status.OK, result.message
    assert result.params.get("seed", given) == (given if sent is None else sent)


def test_a_redirect_ends_the_run_and_no_picture_is_sent_on(app: str, space: Open) -> None:
    with JsonService(lambda asked: as_json(["stolen.png"])) as elsewhere:

        def forwarded(asked: Asked) -> Reply:
            if asked.method == "POST":
                return Reply(307, b"", {"Location": f"{elsewhere.url}{asked.path}"})
            with urllib.request.urlopen(f"{app}{asked.path}", timeout=60) as answer:
                return Reply(answer.status, answer.read(), {"Content-Type": answer.headers["Content-Type"]})

        with JsonService(forwarded) as service:
            editor = space(at=service.url)
            with pytest.raises(ServiceError, match="it points to"):
                editor.edit(asked())
        assert not elsewhere.asked


def test_a_hang_is_a_timeout(space: Open) -> None:
    editor = space(timeout=4)
    result = editor.edit(asked("hang"))
    assert (result.status, result.retry) == (Status.TIMEOUT, True)


@pytest.mark.parametrize(
    ("reply", "retry"),
    [
        (as_json({"detail": "slow down"}, 429, Retry_After="7"), True),
        (as_json({"detail": "slow down"}, 429), True),
        (as_json({"detail": "oops"}, 500), True),
        (as_json({"detail": "full"}, 503), True),
        (Reply(200, b"<html>hello</html>", {"Content-Type": "text/html"}), True),
        (Reply(200, b'{"event_id": "1"}', reset=True), True),
    ],
    ids=["429 with Retry-After", "429", "500", "503", "html", "reset"],
)
def test_each_fault_on_the_way_is_an_error_that_may_pass(app: str, space: Open, reply: Reply, retry: bool) -> None:
    def forwarded(asked: Asked) -> Reply:
        if asked.path.endswith("/queue/join"):
            return reply
        if asked.path.endswith("/heartbeat") or "/heartbeat/" in asked.path:
            return Reply(404)
        request = urllib.request.Request(f"{app}{asked.path}", data=asked.body or None, method=asked.method)
        request.add_header("Content-Type", asked.headers.get("content-type", asked.headers.get("Content-Type", "")))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Reply(answer.status, answer.read(), {"Content-Type": answer.headers["Content-Type"]})
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.read())

    with JsonService(forwarded) as service:
        editor = space(at=service.url)
        result = editor.edit(asked())
        assert sum(one.path.endswith("/queue/join") for one in service.asked) == 1
    assert (result.status, result.retry) == (Status.ERROR, retry), result.message
    if "Retry-After" in reply.headers:
        assert result.reply is not None
        assert (result.reply.status, result.reply.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_name": "draw"}, "has no /draw; it has /edit, /gallery, /alone, /words, /out-image"),
        ({"api_name": None}, "more than one endpoint that edits; give --option api_name=NAME"),
        ({"api_name": "words"}, "prompt: Textbox|text: Textbox|param_0: Textbox"),
        ({"inputs": "{"}, "no JSON"),
        ({"inputs": 3}, "is a int; write a dict"),
        ({"inputs": {"picture": "{base}"}}, "names 'picture'; .* has image: Image, prompt: Textbox"),
        ({"inputs": {"image": "{base}"}}, "input 'prompt' has no default"),
        ({"inputs": ["", "", "", 5]}, "does not say where {base} goes"),
        ({"inputs": [1, 2, 3, 4, 5, 6]}, "lists 6 values"),
        ({"output": "last"}, "give the number of an output"),
        ({"seed": 3}, "no option 'seed'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_one_sentence(space: Open, options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidDataError, match=words):
        space(**options)


def test_a_param_that_is_no_free_input_ends_the_run(space: Open) -> None:
    editor = space()
    for name in ("guidance", "prompt"):
        with pytest.raises(EditorError, match=r"is no free input of .* steps: Slider"):
            editor.edit(asked(params={name: 3}))


def test_a_url_declares_its_version(app: str, space: Open) -> None:
    editor = space()
    assert editor.describe().fingerprint.startswith(UNDECLARED)
    declared = space(version="3")
    assert json.dumps("{base}") in declared.describe().fingerprint
    assert declared.describe() == declared.describe()


def test_an_address_without_an_app_is_one_sentence() -> None:
    with JsonService(lambda asked: Reply(404)) as service:
        url = service.url
        with pytest.raises(ServiceError, match="can't be reached as a Gradio app"):
            resolve_editor(f"space:{url}")
    with pytest.raises(ServiceError, match="can't be reached as a Gradio app"):
        resolve_editor(f"space:{url}")
    with pytest.raises(ServiceError, match="can't be reached as a Gradio app"):
        resolve_editor("space:owner/name")


def test_the_saved_token_is_not_sent_to_a_url(app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_forthistest")
    seen: list[Asked] = []

    def noted(asked: Asked) -> Reply:
        seen.append(asked)
        return Reply(404)

    with JsonService(noted) as service, pytest.raises(ServiceError):
        resolve_editor(f"space:{service.url}")
    assert seen
    assert not any("hf_forthistest" in value for asked in seen for value in asked.headers.values())


def test_a_space_on_the_hub_is_known_by_its_revision_and_given_the_token(
    app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub(asked: Asked) -> Reply:
        if asked.path.endswith("/runtime"):
            return as_json({"stage": "RUNNING", "hardware": {"current": "cpu", "requested": "cpu"}, "gcTimeout": 1})
        return as_json({"id": "owner/name", "sha": "abc123", "host": app, "private": False, "tags": [], "likes": 0})

    monkeypatch.setenv("HF_TOKEN", "hf_forthistest")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with JsonService(hub) as service:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", service.url)
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", service.url)
        editor = resolve_editor("space:owner/name", EditorSettings(options={"api_name": "edit"}))
        info = editor.describe()
        result = editor.edit(asked())
        huggingface_hub.close_session()
        assert "Bearer hf_forthistest" in [one.headers.get("authorization") for one in service.asked]
    assert info.name == "space owner/name"
    assert "abc123" in info.fingerprint
    assert result.status is Status.OK, result.message


def test_without_the_client_the_pip_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio_client", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gradio_client>=[\d.]+'$"):
        resolve_editor("space:owner/name")
