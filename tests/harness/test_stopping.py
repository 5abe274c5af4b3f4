"""How a run ends early: a failure that all rounds share, Ctrl-C, SIGTERM, sys.exit, a folder that is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_editors import ToyEditor, tint
from toy_runs import records, sessions
from toy_samples import ToySource

from fashionedit.errors import UnknownNameError
from fashionedit.eval_harness.editing import EditRequest, EditResult, Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.running.runner import RunInterrupted, run
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.worker_pool import CommonFailureError
from fashionedit.types import Sample


def failing(status: Status, every: int = 1) -> ToyEditor:
    count = iter(range(10**6))

    def edit(request: EditRequest) -> Any:
        return tint(request) if next(count) % every else EditResult.failed(status, f"it is {status}", cost_usd=0.01)

    return ToyEditor(edit)


@pytest.mark.parametrize("status", [Status.REFUSED, Status.NO_IMAGE, Status.INVALID_IMAGE])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_a_failure_that_all_rounds_share_is_not_paid_for_by_all(
    status: Status, concurrency: int, tmp_path: Path
) -> None:
    editor = failing(status)
    options: dict[str, Any] = {"protocols": ["vanilla"], "concurrency": concurrency}
    with pytest.raises(
        CommonFailureError, match=rf"first 8 rounds .* {status} .*\$0\.0800 .*--keep-going.*--retry {status}"
    ):
        run(editor, ToySource(20), tmp_path, **options)
    assert len(editor.requests) == len(records(tmp_path)) == 8
    with pytest.raises(CommonFailureError, match="first 8 rounds"):
        run(editor, ToySource(20), tmp_path, **options)
    assert len(editor.requests) == 16  # a session counts its own outcomes alone, and gets further
    assert run(editor, ToySource(20), tmp_path, keep_going=True, **options).statuses == {status: 60}
    good = ToyEditor()
    assert run(good, ToySource(20), tmp_path, retry=[str(status)], **options).statuses == {Status.OK: 60}
    assert (
        sum(path.read_text().count(f'"{status}"') for path in tmp_path.glob("errors/*.json")) == 20
    )  # the first rounds'


def test_a_service_that_turns_bad_or_well_between_two_sessions_is_seen(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(12), tmp_path / "bad", protocols=["vanilla"], limit=4)
    for out in ("bad", "well"):
        with pytest.raises(CommonFailureError, match="first 8 rounds"):
            run(failing(Status.REFUSED), ToySource(12), tmp_path / out, protocols=["vanilla"])
    summary = run(ToyEditor(), ToySource(12), tmp_path / "well", protocols=["vanilla"])
    assert (summary.edits, summary.statuses) == (28, {Status.OK: 28, Status.REFUSED: 8})


class PlainReferences(ToySource):
    """Every reference is a piece of plain cloth."""

    def sample(self, id: str) -> Sample:
        sample = super().sample(id)
        plain = [replace(one, reference=Image.new("RGB", one.reference.size, "navy")) for one in sample.differences]
        return replace(sample, differences=tuple(plain))


def test_pictures_of_one_colour_alone_stop_the_run(tmp_path: Path) -> None:
    black = ToyEditor(lambda request: Image.new("RGB", request.base.size))
    words = "first 8 rounds all ended the same way: ok with a picture of one colour.*or start anew in another folder"
    with pytest.raises(CommonFailureError, match=words):
        run(black, ToySource(12), tmp_path / "black", protocols=["vanilla"])
    assert len(black.requests) == 8
    going = run(black, ToySource(12), tmp_path / "black", protocols=["vanilla"], keep_going=True)
    assert going.statuses == {Status.OK: 36}


def test_a_picture_of_one_colour_now_and_then_or_of_a_reference_is_no_failure(tmp_path: Path) -> None:
    def sometimes(request: EditRequest) -> Image.Image:
        return Image.new("RGB", request.base.size) if request.round == 1 and request.seed % 2 else tint(request)

    assert run(ToyEditor(sometimes), ToySource(12), tmp_path / "now", protocols=["vanilla"]).unfinished == 0
    assert run(resolve_editor("return-reference"), PlainReferences(12), tmp_path / "plain").unfinished == 0


def test_what_fails_now_and_then_or_in_a_small_set_goes_on(tmp_path: Path) -> None:
    assert run(failing(Status.REFUSED, 7), ToySource(9), tmp_path / "a", protocols=["vanilla"]).unfinished == 0
    assert run(failing(Status.REFUSED), ToySource(2), tmp_path / "b", protocols=["vanilla"]).statuses == {
        Status.REFUSED: 6
    }


def test_as_many_as_may_be_under_way_are_asked_before_the_first_is_known_to_be_of_use(tmp_path: Path) -> None:
    editor = failing(Status.NO_IMAGE)
    with pytest.raises(CommonFailureError, match="first 16 rounds"):
        run(editor, ToySource(40), tmp_path, protocols=["vanilla"], concurrency=16)
    assert len(editor.requests) == 16


@pytest.mark.parametrize("status", ["ok", "timeout", "nonsense"])
def test_only_a_final_failure_can_be_asked_for_again(status: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="choose refused, no_image, invalid_image"):
        run(ToyEditor(), ToySource(1), tmp_path / "run", retry=[status])
    assert not (tmp_path / "run").exists()


class Exiting(ToyEditor):
    """Leaves the program in the place of the second round."""

    def edit(self, request: EditRequest) -> EditResult:
        if request.round == 2:
            sys.exit("out of ideas")
        return super().edit(request)


class ExitingTogether(Exiting):
    batch_size = 4

    def edit_many(self, requests: list[EditRequest]) -> list[EditResult]:
        return [self.edit(request) for request in requests]


class ExitingAsync(Exiting):
    async def edit_async(self, request: EditRequest) -> EditResult:
        return self.edit(request)


@pytest.mark.parametrize("kind", [Exiting, ExitingTogether, ExitingAsync])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_editor_that_leaves_the_program_fails_that_edit_alone(
    kind: type[ToyEditor], concurrency: int, tmp_path: Path
) -> None:
    summary = run(kind(), ToySource(4), tmp_path, protocols=["vanilla"], concurrency=concurrency, timeout=20)
    assert summary.statuses == {Status.OK: 8, Status.ERROR: 4}
    assert "out of ideas" in summary.examples[Status.ERROR]


@pytest.mark.parametrize("name", ["records", "images", "errors"])
def test_on_a_folder_that_can_not_be_written_no_call_is_made(name: str, tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path, limit=1, stop=lambda: True)
    (tmp_path / name).rmdir()
    (tmp_path / name).write_text("")
    editor = ToyEditor()
    with pytest.raises(OSError, match=name):
        run(editor, ToySource(1), tmp_path)
    assert not editor.requests


SLOW = """
import os, time
from fashionedit.eval_harness.editing import EditorInfo, EditResult

class Slow:
    def describe(self):
        return EditorInfo("slow", "slow 1", at_once=4, usd_per_edit=0.5)

    def edit(self, request):
        with open("asked", "a") as file:
            file.write("x")
        deadline = time.monotonic() + 120
        while not (request.round == 1 and os.path.exists("go")) and time.monotonic() < deadline:
            time.sleep(0.02)
        return EditResult.ok(request.base.rotate(90), cost_usd=0.1)
"""


@contextmanager
def command(folder: Path) -> Iterator[subprocess.Popen[str]]:
    (folder / "slow.py").write_text(SLOW)
    script = "import sys; from fashionedit.cli import main; main(sys.argv[1:])"
    arguments = ["run", "slow.py:Slow", "--data", "synthetic:4", "--out", "run", "--quiet", "--protocol", "vanilla"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def await_asked(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        if (folder / "asked").exists() and len((folder / "asked").read_text()) >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the edits never began")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("twice", [False, True])
def test_one_signal_keeps_what_is_under_way_and_a_second_ends_at_once(
    twice: bool, number: signal.Signals, tmp_path: Path
) -> None:
    with command(tmp_path) as process:
        if twice:
            (tmp_path / "go").touch()  # ends the first rounds; the second take two minutes
        await_asked(tmp_path, 8 if twice else 4, process)
        process.send_signal(number)
        assert process.stderr is not None
        assert "stopping; calls under way are waited for and kept" in process.stderr.readline()
        if twice:
            process.send_signal(number)
        (tmp_path / "go").touch()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "4 of 12 rounds done: 4 ok" in out
    assert len(records(tmp_path / "run")) == 4
    spent = CostTracker(tmp_path / "run" / "ledger.jsonl").spent
    if twice:
        assert "stopped at once; 4 calls were under way and not kept, and may have been paid for" in err
        assert spent == pytest.approx(4 * 0.1 + 4 * 0.5)
    else:
        end = sessions(tmp_path / "run")[-1]
        assert (end["event"], end["ended"], end["edits"]) == ("end", "interrupted", 4)
        assert spent == pytest.approx(0.4)


def test_a_second_ctrl_c_in_this_process_gives_the_prompt_back_at_once(tmp_path: Path) -> None:
    go, told = threading.Event(), list[str]()

    class Pressing(ToyEditor):
        def edit(self, request: EditRequest) -> EditResult:
            if request.round == 2:
                os.kill(os.getpid(), signal.SIGINT)
                while not told:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)
                go.wait(120)
            return super().edit(request)

    began = time.monotonic()
    with pytest.raises(RunInterrupted) as stopped:
        run(Pressing(), ToySource(1), tmp_path, protocols=["vanilla"], timeout=300, tell=told.append)
    assert time.monotonic() - began < 60
    go.set()
    assert (stopped.value.at_once, stopped.value.under_way) == (True, 1)
    assert len(records(tmp_path)) == 1
    assert told[0].startswith("stopping; calls under way are waited for and kept")
