"""The public check of the contract: our editors pass it, and whoever breaks a rule is told which."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from image_service import ImageService
from PIL import Image, ImageChops
from test_hf_inference import MODEL, provider
from toy_editors import ToyEditor, tint

from fashionedit.errors import EditorError, ServiceError
from fashionedit.eval_harness.diagnostics.conformance import CHECKS, TriedEditor, trial
from fashionedit.eval_harness.editing import UNDECLARED, EditorInfo, EditRequest, EditResult, Status
from fashionedit.eval_harness.editors import EDITORS, EditorSettings, resolve_editor
from fashionedit.eval_harness.running.calls import Work
from fashionedit.eval_harness.testing import ConformanceReport, assert_conforms, check_editor


def outcomes(report: ConformanceReport) -> dict[str, str]:
    return {outcome.name: outcome.status for outcome in report.outcomes}


# Our own editors


@pytest.mark.parametrize("name", EDITORS)
def test_each_built_in_editor_conforms(name: str) -> None:
    assert_conforms(name, repeatable=True)


@pytest.mark.parametrize(
    "source",
    [
        "from PIL import ImageOps\ndef edit(image, instruction, reference=None):\n    return ImageOps.mirror(image)\n",
        "def edit(request):\n    return request.base.rotate(180)\n",
        "async def edit(image, instruction, reference=None, *, seed):\n    return image.rotate(180)\n",
        "class Edit:\n    async def __call__(self, image, instruction):\n        return image\nedit = Edit()\n",
    ],
    ids=["function", "request", "async", "async-object"],
)
def test_any_function_conforms(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path])
    report = check_editor(f"{tmp_path / 'mine.py'}:edit", repeatable=True)
    assert report.conforms, str(report)
    assert outcomes(report)["at-once"] == ("passed" if "async" in source else "not applicable")


def let_meet(service: ImageService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the service answer those that are asked at once when two of them are there."""
    ask = TriedEditor.edit_at_once

    def meeting(tried: TriedEditor, works: Sequence[Work]) -> list[Any]:
        service.await_calls = 2
        return ask(tried, works)

    monkeypatch.setattr(TriedEditor, "edit_at_once", meeting)


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        ("openai:gpt-image-1", "images"),
        ("openai-responses:gpt-4.1-mini", "images"),
        ("openai-responses:gpt-4.1-mini", "conversation"),
    ],
)
def test_the_openai_editors_conform(spec: str, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-123456")
    with ImageService() as service:
        let_meet(service, monkeypatch)
        editor = resolve_editor(spec, EditorSettings(base_url=service.openai, state=state))
        report = check_editor(editor, repeatable=True)
        assert report.conforms, str(report)
        assert service.most_at_once > 1
        assert len(service.calls) <= report.calls


def test_ones_own_server_conforms(monkeypatch: pytest.MonkeyPatch) -> None:
    with ImageService() as service:
        let_meet(service, monkeypatch)
        report = check_editor(f"{service.url}/edit", repeatable=True)
        assert report.conforms, str(report)
        assert outcomes(report)["at-once"] == "passed"
        assert service.most_at_once > 1


def test_a_program_conforms(tmp_path: Path) -> None:
    (tmp_path / "edit.sh").write_text('test -z "$2" && cp "$1" "$3" || cp "$2" "$3"\n')
    report = check_editor(f"command:sh {tmp_path / 'edit.sh'} {{base}} {{reference}} {{out}}", repeatable=True)
    assert report.conforms, str(report)
    assert outcomes(report)["at-once"] == "not applicable"


@pytest.mark.parametrize("name", ["replicate", "together"])
def test_the_editor_of_each_inference_provider_conforms(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with provider(name, monkeypatch):
        report = check_editor(f"hf:{name}/{MODEL}")
    assert report.conforms, str(report)
    assert outcomes(report)["at-once"] == "passed"


def test_a_space_conforms(app: str) -> None:
    editor = resolve_editor(f"space:{app}", EditorSettings(options={"api_name": "edit"}))
    report = check_editor(editor, repeatable=True)
    assert report.conforms, str(report)
    assert outcomes(report)["at-once"] == "passed"


@pytest.mark.parametrize("spec", ["command:make {out}", "hf:auto/org/editor"])
def test_who_declares_nothing_says_the_same_each_time(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_forthistest")
    editor = resolve_editor(spec)
    assert editor.describe() == editor.describe()
    assert editor.describe().fingerprint.startswith(UNDECLARED)
    assert editor.describe() != resolve_editor(spec).describe()


def test_a_plain_function_is_taken_as_it_is() -> None:
    def edit(image: Image.Image, instruction: str) -> Image.Image:
        return image

    report = check_editor(edit)
    assert report.conforms
    assert outcomes(report)["tiny-references"] == "not applicable"
    assert str(report).startswith("edit, ")


# What breaks a rule


class Many(ToyEditor):
    """Takes three requests in one call, and gives the `part` of the answers."""

    batch_size = 3

    def __init__(self, part: slice) -> None:
        super().__init__()
        self.part = part

    def edit_many(self, requests: list[EditRequest]) -> Any:
        return [self.edit(request) for request in requests][self.part]


def told(**changes: Any) -> ToyEditor:
    editor = ToyEditor()
    editor.info = replace(editor.info, **changes)
    return editor


def broken_size(request: EditRequest) -> Any:
    if request.base.width % 2:
        raise ValueError("width must be even")
    return tint(request)


def broken_reference(request: EditRequest) -> Any:
    if request.references and min(request.references[0].size) < 16:
        raise ValueError("too small")
    return tint(request)


def broken_words(request: EditRequest) -> Any:
    request.instruction.encode("ascii")
    return tint(request)


def draws(request: EditRequest) -> Any:
    request.base.paste("red", (0, 0, 4, 4))
    return request.base


def changes_params(request: EditRequest) -> Any:
    request.params["steps"] = 4  # type: ignore[index]  # the mistake
    return tint(request)


class Random(ToyEditor):
    """Edits otherwise each time that it is asked."""

    def edit(self, request: EditRequest) -> EditResult:
        self.requests.append(request)
        return EditResult.ok(ImageChops.offset(request.base, len(self.requests)))


class Renamed(ToyEditor):
    """Has another fingerprint after each edit."""

    def describe(self) -> EditorInfo:
        return replace(self.info, fingerprint=f"toy {len(self.requests)}")


class SharesOnePlace(ToyEditor):
    """Keeps the request in a place that all threads use, and waits until every thread has put its own there."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, at_once=4)
        self.at_once = threading.Barrier(4)

    def edit(self, request: EditRequest) -> EditResult:
        self.request = request
        if threading.current_thread() is not threading.main_thread():
            self.at_once.wait(30)
        return EditResult.ok(self.request.base)


class Sulks(ToyEditor):
    """Never works again once it was given a param that it does not know."""

    sulking = False

    def edit(self, request: EditRequest) -> EditResult:
        self.sulking = self.sulking or "no_such_param" in request.params
        if self.sulking:
            return EditResult.failed(Status.ERROR, "I said no.")
        return EditResult.ok(tint(request))


class ClosesOnce(ToyEditor):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise ValueError("already closed")
        self.closed = True


def answers(answer: Any) -> ToyEditor:
    return ToyEditor(lambda request: answer)


BREAKERS = {
    "two words": (
        told(needs_reference=True, takes_reference=False),
        "describe",
        "needs a reference and takes none",
    ),
    "no name": (told(name=" "), "describe", "must give a text"),
    "no state": (told(state="memory"), "describe", "give images or conversation"),
    "none at once": (told(at_once=0), "describe", "whole number from 1"),
    "most below default": (told(at_once=4, most_at_once=2), "describe", "can't be less"),
    "negative price": (told(usd_per_edit=-1.0), "describe", "USD an edit"),
    "another each time": (Renamed(), "describe-again", "whenever it is asked"),
    "always fails": (answers(EditResult.failed(Status.ERROR, "no")), "edits", "ended with error: no"),
    "no result": (answers("a picture"), "edits", "answered with str; return an EditResult"),
    "odd sizes": (
        ToyEditor(broken_size),
        "sizes",
        "65×97 pixels (odd) (vanilla) raised ValueError in test_conformance.py",
    ),
    "tiny references": (ToyEditor(broken_reference), "tiny-references", "a reference of 8 pixels (8×8)"),
    "unicode": (ToyEditor(broken_words), "instructions", "in several scripts"),
    "draws on the base": (ToyEditor(draws), "request-unchanged", "drew on the base image"),
    "changes params": (ToyEditor(changes_params), "request-unchanged", "changed the params"),
    "another picture": (Random(), "repeats", "otherwise the second time"),
    "no JSON": (ToyEditor(lambda r: EditResult.ok(tint(r), state={1, 2})), "state", "can't be written as JSON"),
    "no conversation": (told(state="conversation"), "state", "returned no state"),
    "wrong order": (Many(slice(None, None, -1)), "batches", "in the order of the requests"),
    "one short": (Many(slice(-1)), "batches", "given 3 requests and returned list of 2"),
    "shared by threads": (SharesOnePlace(), "at-once", "share nothing"),
    "sulks": (Sulks(), "after-failure", "must leave nothing behind"),
    "closes once": (ClosesOnce(), "close", "when called twice (already closed)"),
    "no such status": (
        ToyEditor(lambda r: EditResult("done", None, "done")),  # type: ignore[arg-type]  # the mistake
        "edits",
        "give a member of Status",
    ),
    "no pixels": (ToyEditor(lambda r: EditResult.ok(Image.new("RGB", (0, 4)))), "edits", "an image that can't be used"),
    "negative cost": (ToyEditor(lambda r: EditResult.ok(tint(r), cost_usd=-1.0)), "edits", "-1.0 USD"),
    "usage is no number": (
        ToyEditor(lambda r: EditResult.ok(tint(r), usage={"tokens": "many"})),
        "edits",
        "can't be kept",
    ),
}


@pytest.mark.parametrize("name", BREAKERS)
def test_whoever_breaks_a_rule_is_told(name: str) -> None:
    editor, check, sentence = BREAKERS[name]
    report = check_editor(editor, repeatable=True)
    failed = {outcome.name: outcome.sentence for outcome in report.failed}
    assert check in failed, str(report)
    assert sentence in failed[check]


def test_the_assertion_names_every_check_that_failed() -> None:
    with pytest.raises(AssertionError, match=r"toy does not keep the contract\nsizes: a base image of 65×97") as caught:
        assert_conforms(ToyEditor(broken_size), repeatable=True)
    assert "width must be even" in str(caught.value)
    assert_conforms(ToyEditor(), repeatable=True)


def test_there_is_a_breaker_for_every_check() -> None:
    assert {check for _, check, _ in BREAKERS.values()} == set(CHECKS)


def test_repeating_is_only_asked_of_whoever_claims_it() -> None:
    report = check_editor(Random())
    assert report.conforms, str(report)
    assert outcomes(report)["repeats"] == "not applicable"


def test_an_awaited_editor_is_awaited_side_by_side() -> None:
    several = {trial("bug", size=(64 + 32 * place, 128), picture=place).request.base.tobytes() for place in range(4)}

    class Awaited(ToyEditor):
        under_way = most = 0
        closed = 0

        async def edit_async(self, request: EditRequest) -> EditResult:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            async with asyncio.timeout(30):
                while request.base.tobytes() in several and self.most < 4:
                    await asyncio.sleep(0.001)
            self.under_way -= 1
            return EditResult.ok(tint(request))

        def edit(self, request: EditRequest) -> EditResult:
            raise AssertionError("edit_async is there")

        async def close(self) -> None:
            self.closed += 1

    editor = Awaited()
    editor.info = replace(editor.info, at_once=8)
    assert_conforms(editor, repeatable=True)
    assert (editor.most, editor.closed) == (4, 2)


def test_a_service_that_refuses_to_work_ends_the_check() -> None:
    def no_key(request: EditRequest) -> Any:
        raise ServiceError("there is no key")

    with pytest.raises(ServiceError, match="there is no key"):
        check_editor(ToyEditor(no_key))


def test_what_is_no_editor_is_refused() -> None:
    with pytest.raises(EditorError, match="is no editor; give an instance"):
        check_editor(ToyEditor)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(EditorError, match="takes no image and instruction"):
        check_editor(lambda: None)
