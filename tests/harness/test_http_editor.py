"""One's own server as an editor, over real connections."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from json_service import PICTURE, Asked, JsonService, Reply, as_base64, as_json, edit_request
from PIL import Image, ImageOps
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError, ServiceError
from fashionedit.eval_harness import Status, run
from fashionedit.eval_harness.editing import UNDECLARED, EditRequest, EditResult
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor

EXAMPLE = Path(__file__).parents[2] / "examples" / "edit_server.py"
REQUEST = edit_request()


def edited(service: JsonService, request: EditRequest = REQUEST) -> EditResult:
    editor = resolve_editor(service.url)
    try:
        return editor.edit(request)
    finally:
        editor.close()


def described(reply: Reply, version: str = "1"):
    return lambda asked: as_json({"name": "mine", "version": version}) if asked.method == "GET" else reply


def test_the_example_server_edits_three_rounds_of_both_protocols(tmp_path: Path) -> None:
    server = subprocess.Popen([sys.executable, EXAMPLE, "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdout is not None
    try:
        url = server.stdout.readline().decode().strip()
        editor = resolve_editor(url)
        source = ToySource(2)
        summary = run(editor, source, tmp_path / "run")
        first = source.sample("toy-00")
        result = editor.edit(edit_request(base=first.draft, reference=None))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    assert summary.statuses == {Status.OK: 12}
    assert editor.describe().name == "mirror"
    assert result.image is not None
    assert result.image.tobytes() == ImageOps.mirror(first.draft).tobytes()
    editor.close()


def test_the_request_holds_all_that_the_contract_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASHIONEDIT_HTTP_TOKEN", "very-secret")
    answer = {"image": as_base64(PICTURE), "params": {"steps": 4}, "model_version": "m2", "usage": {"images": 1}}
    with JsonService(described(as_json({**answer, "cost_usd": 0.25, "state": {"turn": 2}}))) as service:
        editor = resolve_editor(f"http:{service.url}/edit?size=2", EditorSettings(state="conversation"))
        result = editor.edit(edit_request(round=2, params={"steps": 4}, state={"turn": 1}))
        asked = service.posts()[0]
        editor.close()
    assert asked.path == "/edit?size=2"
    assert asked.headers["Authorization"] == "Bearer very-secret"
    assert asked.json() == {
        "request_id": "an-id",
        "protocol": "bug",
        "round": 2,
        "instruction": "Change it.",
        "images": [{"role": role, "image": as_base64(PICTURE)} for role in ("base", "reference")],
        "seed": 5,
        "params": {"steps": 4},
        "state": {"turn": 1},
    }
    assert (result.status, result.params, result.model_version) == (Status.OK, {"steps": 4}, "m2")
    assert (result.usage, result.cost_usd, result.state) == ({"images": 1}, 0.25, {"turn": 2})


def test_state_is_carried_only_where_the_run_is_a_conversation() -> None:
    with JsonService(described(as_json({"image": as_base64(PICTURE), "state": 1}))) as service:
        result = edited(service, edit_request(round=2, state=1))
        assert service.posts()[0].json()["state"] is None
    assert result.state is None


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_an_answer_that_holds_for_every_request_ends_the_run(status: int) -> None:
    with (
        JsonService(described(as_json({"message": "not for you"}, status))) as service,
        pytest.raises(ServiceError, match="not for you"),
    ):
        edited(service)


def test_the_server_may_say_the_status_itself() -> None:
    with JsonService(described(as_json({"status": "error", "message": "warming up", "retry": True}))) as service:
        result = edited(service)
    assert (result.status, result.message, result.retry) == (Status.ERROR, "warming up", True)


def test_connections_are_kept_open_and_shared_by_threads() -> None:
    with JsonService(described(as_json({"image": as_base64(PICTURE)}))) as service:
        editor = resolve_editor(service.url)
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(editor.edit, [REQUEST] * 24))
        editor.close()
        assert all(result.status is Status.OK for result in results)
        assert len({asked.peer for asked in service.posts()}) <= 4


def test_more_than_a_thousand_open_files_are_in_nobodys_way() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2_000 if hard == resource.RLIM_INFINITY else min(2_000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    opened = []
    try:
        with JsonService(described(as_json({"image": as_base64(PICTURE)}))) as service:
            opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
            editor = resolve_editor(service.url)
            assert [editor.edit(REQUEST).status for _ in range(3)] == [Status.OK] * 3
            editor.close()
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    with JsonService(described(Reply(200, as_json({"image": as_base64(PICTURE)}).body, {"Connection": "close"}))) as s:
        editor = resolve_editor(s.url)
        assert [editor.edit(REQUEST).status for _ in range(3)] == [Status.OK] * 3
        editor.close()


def test_the_fingerprint_is_the_declared_version() -> None:
    def version(reply: Reply, settings: EditorSettings | None = None) -> str:
        with JsonService(lambda asked: reply) as service:
            editor = resolve_editor(service.url, settings)
            editor.close()
            return editor.describe().fingerprint.replace(service.url, "")

    one = as_json({"name": "mine", "version": "1"})
    assert version(one) == version(one) != version(as_json({"name": "mine", "version": "2"}))
    assert version(Reply(501)).startswith(UNDECLARED)
    assert version(Reply(200, b"<html>")).startswith(UNDECLARED)
    declared = EditorSettings(version="7")
    assert version(Reply(404), declared) == version(Reply(404), declared)
    assert "version 7" in version(one, declared)


def test_a_server_says_whether_it_takes_a_reference() -> None:
    def answer(asked: Asked) -> Reply:
        return as_json({"name": "mine", "version": "1", "takes_reference": False})

    with JsonService(answer) as service:
        editor = resolve_editor(service.url)
        editor.close()
    assert editor.describe().takes_reference is False


def test_an_address_without_a_server_is_one_sentence() -> None:
    with JsonService(lambda asked: Reply()) as service:
        url = service.url
    with pytest.raises(ServiceError, match=r"nothing answers at .*; start the server"):
        resolve_editor(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http:host", "no address"),
        ("http://", "no address"),
        ("https://a b/", "no address"),
        ("http://host:99999/", "no address"),
        ("http://me:word@127.0.0.1/", "holds a password"),
    ],
)
def test_an_address_that_is_none_is_one_sentence(url: str, words: str) -> None:
    with pytest.raises(InvalidDataError, match=words):
        resolve_editor(url)


def test_a_token_that_the_server_repeats_is_not_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASHIONEDIT_HTTP_TOKEN", "very-secret")
    with JsonService(described(as_json({"message": "very-secret is wrong"}, 500))) as service:
        result = edited(service)
    assert "very-secret" not in result.message


def test_a_picture_of_too_many_pixels_is_invalid() -> None:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    with JsonService(described(as_json({"image": as_base64(buffer.getvalue())}))) as service:
        result = edited(service)
    assert result.status is Status.INVALID_IMAGE


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"error": {"message": "the model is cold"}}, Status.ERROR, "the model is cold"),
        ({"status": "refused", "error": {"message": "not this one"}}, Status.REFUSED, "not this one"),
        ({"status": "fine"}, Status.ERROR, "status: Input should be"),
        ({"usage": {"input_tokens": -1}, "image": "aGk="}, Status.ERROR, "usage.input_tokens"),
        ({"usage": {"input_tokens": None}}, Status.NO_IMAGE, "without an image"),
    ],
)
def test_what_an_answer_says_in_the_place_of_an_image_is_told(
    answer: dict[str, object], status: Status, words: str
) -> None:
    with JsonService(described(as_json(answer))) as service:
        result = edited(service)
    assert (result.status, words in result.message) == (status, True), result.message
