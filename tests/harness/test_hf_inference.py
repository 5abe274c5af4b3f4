"""Inference providers as editors: the Hub's own client against servers that speak each provider's way."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference._providers import _common, wavespeed
from json_service import (
    FAULTS,
    PICTURE,
    Asked,
    JsonService,
    Reply,
    as_base64,
    as_json,
    assert_fault,
    edit_request,
    faults,
)
from PIL import Image
from toy_samples import ToySource

from fashionedit.errors import EditorError, InvalidDataError, ServiceError
from fashionedit.eval_harness import Status, run
from fashionedit.eval_harness.editing import UNDECLARED
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.images import png_bytes

BASE = Image.new("RGB", (20, 30), (200, 20, 20))
REFERENCE = Image.new("RGB", (10, 10), (20, 20, 200))
REQUEST = edit_request(base=BASE, reference=REFERENCE)
MODEL = "org/editor"
PROVIDERS = ("fal-ai", "replicate", "together", "wavespeed")


def picture_of(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


@contextmanager
def provider(
    name: str, monkeypatch: pytest.MonkeyPatch, *, fault: Reply | None = None, model: str = MODEL
) -> Iterator[JsonService]:
    """Yields a server that answers as the provider does, and that the client takes for the Hub's router."""

    def answer(asked: Asked) -> Reply:
        url = service.url
        if asked.path.endswith("/out.png"):
            return Reply(200, png_bytes(PICTURE), {"Content-Type": "image/png"})
        if asked.method == "GET" and name == "fal-ai":
            return as_json({"images": [{"url": f"{url}/out.png"}]})
        if asked.method == "GET":
            return as_json({"data": {"status": "completed", "outputs": [f"{url}/out.png"]}})
        if fault is not None:
            return fault
        return as_json(
            {
                "fal-ai": {"request_id": "1", "status": "COMPLETED", "response_url": f"{url}/x/requests/1"},
                "replicate": {"output": [f"{url}/out.png"]},
                "together": {"data": [{"b64_json": as_base64(PICTURE)}]},
                "wavespeed": {"data": {"urls": {"get": f"{url}/result"}}},
            }[name]
        )

    with JsonService(answer) as service:
        monkeypatch.setenv("HF_TOKEN", "hf_forthistest")
        monkeypatch.setattr(huggingface_hub.constants, "INFERENCE_PROXY_TEMPLATE", service.url + "/{provider}")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(wavespeed, "_POLLING_INTERVAL", 0.01)
        mapping = InferenceProviderMapping(
            provider=name, hf_model_id=model, providerId=model, status="live", task="image-to-image"
        )
        monkeypatch.setitem(_common.HARDCODED_MODEL_INFERENCE_MAPPING, name, {model: mapping})
        try:
            yield service
        finally:
            huggingface_hub.close_session()


def sent_images(name: str, body: dict[str, Any]) -> list[list[str]]:
    if name == "replicate":
        return [body["input"]["images"], body["input"]["input_images"]]
    return [body[{"fal-ai": "image_urls", "together": "reference_images", "wavespeed": "images"}[name]]]


@pytest.mark.parametrize("name", PROVIDERS)
def test_base_and_reference_travel_in_the_providers_own_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with provider(name, monkeypatch) as service:
        editor = resolve_editor(f"hf:{name}/{MODEL}")
        result = editor.edit(edit_request(base=BASE, reference=REFERENCE, params={"guidance_scale": 3}))
        asked = service.posts()[0]
    assert result.status is Status.OK, result.message
    assert result.image is not None
    assert result.image.tobytes() == PICTURE.tobytes()
    assert result.params == {"guidance_scale": 3, "seed": 5, "stitched": False}
    assert asked.headers["authorization"] == "Bearer hf_forthistest"
    assert not editor.describe().stitched
    body = asked.json()
    for urls in sent_images(name, body):
        assert [picture_of(url).tobytes() for url in urls] == [BASE.tobytes(), REFERENCE.tobytes()]
    fields = body["input"] if name == "replicate" else body
    assert (fields["prompt"], fields["seed"], fields["guidance_scale"]) == ("Change it.", 5, 3)
    for single in {"fal-ai": ["image_url"], "replicate": ["image", "input_image"]}.get(name, []):
        assert picture_of(fields[single]).tobytes() == BASE.tobytes()


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_edits_three_rounds_of_both_protocols(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider(name, monkeypatch) as service:
        summary = run(resolve_editor(f"hf:{name}/{MODEL}"), ToySource(1), tmp_path / "run")
        lengths = sorted(len(urls) for asked in service.posts() for urls in sent_images(name, asked.json())[:1])
    assert summary.statuses == {Status.OK: 6}, summary.examples
    assert lengths == [1, 1, 1, 2, 2, 2]


def test_an_inference_endpoint_is_shown_base_and_reference_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    def echo(asked: Asked) -> Reply:
        return Reply(200, base64.b64decode(asked.json()["inputs"]), {"Content-Type": "image/png"})

    try:
        with JsonService(echo) as service:
            editor = resolve_editor(f"hf:hf-inference/{MODEL}", EditorSettings(base_url=f"{service.url}/endpoint"))
            result = editor.edit(REQUEST)
            shown = Image.open(io.BytesIO(base64.b64decode(service.posts()[0].json()["inputs"])))
            summary = run(editor, ToySource(1), tmp_path / "run")
            assert {asked.path for asked in service.posts()} == {"/endpoint"}
            assert service.posts()[0].json()["parameters"] == {"prompt": "Change it."}
    finally:
        huggingface_hub.close_session()
    assert shown.size == (2 * BASE.width + 16, BASE.height)
    assert result.image is not None
    assert result.image.tobytes() == BASE.tobytes()
    assert result.params == {"stitched": True}
    assert editor.describe().stitched
    assert summary.statuses == {Status.OK: 6}, summary.examples


def test_a_model_that_takes_one_image_is_stitched_at_a_provider_that_takes_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = "org/FLUX.1-Kontext-dev"
    with provider("together", monkeypatch, model=model) as service:
        editor = resolve_editor(f"hf:together/{model}")
        assert editor.edit(REQUEST).status is Status.OK
        body = service.posts()[0].json()
    assert editor.describe().stitched
    assert "reference_images" not in body
    assert picture_of(body["image_url"]).size == (56, 30)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_ends_in_its_status(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def good(data: bytes) -> Reply:
        return as_json({"data": [{"b64_json": as_base64(data)}] if data else []})

    with provider("together", monkeypatch, fault=faults(good)[fault]) as service:
        editor = resolve_editor(f"hf:together/{MODEL}", EditorSettings(timeout=2 if fault == "hang" else 60))
        assert_fault(fault, lambda: editor.edit(REQUEST), service)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (as_json({"error": "Invalid username or password."}, 401), "set HF_TOKEN"),
        (as_json({"error": "You have exceeded your monthly included credits"}, 402), "add credit"),
        (as_json({"error": {"code": "insufficient_quota", "message": "no money left"}}, 429), "no money left"),
        (as_json({"detail": [{"type": "x", "msg": "not for you"}]}, 403), "not for you"),
        (as_json({"error": "nothing here"}, 404), "check provider"),
    ],
)
def test_an_answer_that_holds_for_every_request_ends_the_run(
    reply: Reply, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider("together", monkeypatch, fault=reply), pytest.raises(ServiceError, match=words):
        resolve_editor(f"hf:together/{MODEL}").edit(REQUEST)


def test_a_task_that_failed_for_its_content_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            return as_json({"data": {"status": "failed", "error": "flagged as sensitive"}})
        return as_json({"data": {"urls": {"get": "/result"}}})

    with provider("wavespeed", monkeypatch), JsonService(answer) as service:
        monkeypatch.setattr(huggingface_hub.constants, "INFERENCE_PROXY_TEMPLATE", service.url + "/{provider}")
        result = resolve_editor(f"hf:wavespeed/{MODEL}").edit(REQUEST)
    assert result.status is Status.REFUSED
    assert "flagged as sensitive" in result.message


def test_a_provider_or_model_that_is_not_offered_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with provider("together", monkeypatch), pytest.raises(ServiceError, match="not supported"):
        resolve_editor(f"hf:no-such-provider/{MODEL}").edit(REQUEST)


def test_offline_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with provider("together", monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        editor = resolve_editor(f"hf:together/{MODEL}")
        with pytest.raises(ServiceError, match="HF_HUB_OFFLINE is set"):
            editor.edit(REQUEST)


def test_a_param_that_the_harness_sets_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with provider("together", monkeypatch):
        editor = resolve_editor(f"hf:together/{MODEL}")
        with pytest.raises(EditorError, match="'seed' is set by the harness"):
            editor.edit(edit_request(params={"seed": 3}))


def test_without_a_token_the_run_does_not_begin() -> None:
    with pytest.raises(ServiceError, match="set HF_TOKEN"):
        resolve_editor(f"hf:fal-ai/{MODEL}")


@pytest.mark.parametrize(
    ("spec", "settings", "words"),
    [
        ("hf:org/model", EditorSettings(), "write hf:PROVIDER/ORG/MODEL"),
        (f"hf:fal-ai/{MODEL}", EditorSettings(base_url="http://127.0.0.1"), "hf:hf-inference/org/editor"),
        (f"hf:fal-ai/{MODEL}", EditorSettings(options={"images": "both"}), "choose native or stitched"),
        (f"hf:auto/{MODEL}", EditorSettings(options={"images": "native"}), "no field for several images"),
        (f"hf:fal-ai/{MODEL}", EditorSettings(options={"seed": "maybe"}), "choose true or false"),
        (f"hf:fal-ai/{MODEL}", EditorSettings(options={"seed": 1}), "choose true or false"),
        (f"hf:fal-ai/{MODEL}", EditorSettings(options={"sead": "true"}), "no option 'sead'"),
        (f"hf:fal-ai/{MODEL}", EditorSettings(state="conversation"), "no conversations"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence(spec: str, settings: EditorSettings, words: str) -> None:
    with pytest.raises(InvalidDataError, match=words):
        resolve_editor(spec, settings)


def test_the_fingerprint_says_what_changes_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint(spec: str, **options: Any) -> str:
        return resolve_editor(f"hf:{spec}/{MODEL}", EditorSettings(options=options)).describe().fingerprint

    monkeypatch.setenv("HF_TOKEN", "hf_forthistest")
    prints = [fingerprint("fal-ai"), fingerprint("fal-ai", images="stitched"), fingerprint("fal-ai", seed="false")]
    assert len({*prints, fingerprint("replicate")}) == 4
    assert fingerprint("fal-ai") == prints[0]
    assert fingerprint("auto").startswith(UNDECLARED)


def test_other_calls_of_the_hubs_client_keep_no_editors_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_tester")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in ("fal-ai", "replicate"):
        resolve_editor(f"hf:{name}/{MODEL}")
        with JsonService(lambda asked: as_json({"name": "a tester", "type": "user"})) as other:
            said = huggingface_hub.HfApi(endpoint=other.url, token="hf_tester").whoami()
        assert said["name"] == "a tester"
