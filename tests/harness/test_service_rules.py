"""What every editor of a service keeps to: no redirect, one limit, errors in a 200, pictures in any spelling."""

from __future__ import annotations

import base64
import gzip
import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
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

from fashionedit.errors import ServiceError
from fashionedit.eval_harness import Status
from fashionedit.eval_harness.editing import EditResult
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.runtime import http_clients

REQUEST = edit_request(reference=None)
EDITORS: dict[str, tuple[str, bool]] = {
    "openai": ("openai:toy", True),
    "responses": ("openai-responses:toy", True),
    "own server": ("{url}/edit", False),
    "provider": ("hf:hf-inference/org/editor", True),
}
WRAPPED: dict[str, Callable[[str], dict[str, Any]]] = {
    "openai": lambda text: {"data": [{"b64_json": text}]},
    "responses": lambda text: {"output": [{"type": "image_generation_call", "result": text}]},
    "own server": lambda text: {"image": text},
    "provider": lambda text: {"data": [{"b64_json": text}]},
}


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield
    huggingface_hub.close_session()


@contextmanager
def service_of(reply: Callable[[Asked], Reply]) -> Iterator[JsonService]:
    def answer(asked: Asked) -> Reply:
        return reply(asked) if asked.method == "POST" else Reply(404)

    with JsonService(answer) as service:
        yield service


def edited(name: str, service: JsonService, timeout: float = 20) -> EditResult:
    spec, has_base = EDITORS[name]
    settings = EditorSettings(timeout=timeout, base_url=f"{service.url}/v1" if has_base else None)
    editor = resolve_editor(spec.format(url=service.url), settings)
    try:
        result: EditResult = editor.edit(REQUEST)  # type: ignore[call-arg]  # none of them is privileged
        return result
    finally:
        getattr(editor, "close", lambda: None)()


@pytest.mark.parametrize("name", ["openai", "responses", "own server"])  # a provider's are in test_hf_inference.py
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_ends_in_its_status(name: str, fault: str) -> None:
    def good(data: bytes) -> Reply:
        return as_json(WRAPPED[name](as_base64(data)) if data else {})

    with service_of(lambda asked: faults(good)[fault]) as service:
        assert_fault(fault, lambda: edited(name, service, 2 if fault == "hang" else 20), service)


@pytest.mark.parametrize("name", EDITORS)
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_ends_the_run_and_nothing_is_sent_on(name: str, status: int) -> None:
    with (
        JsonService(lambda asked: as_json(WRAPPED[name](as_base64(PICTURE)))) as elsewhere,
        service_of(lambda asked: Reply(status, b"", {"Location": f"{elsewhere.url}/steal"})) as service,
    ):
        with pytest.raises(ServiceError) as caught:
            edited(name, service)
        assert service.url in str(caught.value)
        assert f"it points to {elsewhere.url}/steal" in str(caught.value)
        assert not elsewhere.asked
        assert len(service.posts()) == 1


@pytest.mark.parametrize("name", EDITORS)
def test_a_packed_answer_is_read_up_to_the_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_clients, "MOST_ANSWER_BYTES", 2**20)
    bomb = gzip.compress(b" " * 2**26)
    with service_of(lambda asked: Reply(200, bomb, {"Content-Encoding": "gzip"})) as service:
        result = edited(name, service)
    assert result.status is Status.INVALID_IMAGE
    assert "above 1 MiB" in result.message


@pytest.mark.parametrize("name", EDITORS)
@pytest.mark.parametrize(
    ("body", "status", "retry"),
    [
        ({"error": {"message": "Provider returned error", "code": 429}}, Status.ERROR, True),
        ({"error": {"message": "Upstream error", "code": 502}}, Status.ERROR, True),
        ({"error": "CUDA out of memory"}, Status.ERROR, True),
        ({"error": {"message": "no", "code": "moderation_blocked"}}, Status.REFUSED, False),
        ({"error": {"message": "Unknown parameter: 'moderation'", "code": "unknown_parameter"}}, Status.ERROR, False),
    ],
)
def test_an_error_in_a_200_is_that_error(name: str, body: dict[str, Any], status: Status, retry: bool) -> None:
    with service_of(lambda asked: as_json(body)) as service:
        result = edited(name, service)
    assert (result.status, result.retry) == (status, retry), result.message


@pytest.mark.parametrize("name", EDITORS)
def test_a_final_error_in_a_200_ends_the_run(name: str) -> None:
    body = {"error": {"message": "Insufficient credits", "code": 402}}
    with service_of(lambda asked: as_json(body)) as service, pytest.raises(ServiceError, match="Insufficient credits"):
        edited(name, service)


@pytest.mark.parametrize("name", EDITORS)
@pytest.mark.parametrize("way", ["line breaks", "url-safe", "data URL", "link", "packed"])
def test_a_picture_is_read_in_each_spelling(name: str, way: str) -> None:
    text = as_base64(PICTURE)

    def reply(asked: Asked) -> Reply:
        spelling = {
            "line breaks": "\n".join(textwrap.wrap(text, 60)),
            "url-safe": base64.urlsafe_b64encode(base64.b64decode(text)).decode().rstrip("="),
            "data URL": f"data:image/png;base64,{text}",
            "link": f"{service.url}/out.png",
            "packed": text,
        }[way]
        if asked.path == "/out.png":
            return Reply(200, base64.b64decode(text))
        body = json.dumps(WRAPPED[name](spelling)).encode()
        return Reply(200, gzip.compress(body), {"Content-Encoding": "gzip"}) if way == "packed" else Reply(200, body)

    def answer(asked: Asked) -> Reply:
        return reply(asked) if asked.method == "POST" or asked.path == "/out.png" else Reply(404)

    with JsonService(answer) as service:
        result = edited(name, service)
    assert result.image is not None, result.message
    assert result.image.tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize("name", EDITORS)
def test_a_link_to_a_file_is_no_picture(name: str) -> None:
    with service_of(lambda asked: as_json(WRAPPED[name]("file:///etc/hostname"))) as service:
        result = edited(name, service)
    assert result.status is Status.INVALID_IMAGE
    assert "file:///etc/hostname" in result.message
