"""Edits side by side: never more than allowed, in the order of the rounds, with the results of one after the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from image_service import ImageService
from PIL import Image
from toy_editors import ToyEditor, tint
from toy_runs import failures, kept
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.running.runner import run


class Watched(ToyEditor):
    """Counts how many of its edits are under way, and notes when each began and ended.

    No edit ends before `awaited` have been under way at once.
    """

    def __init__(self, awaited: int = 1, **info: Any) -> None:
        super().__init__(tint)
        self.info = EditorInfo("toy", "toy 1", **info)
        self.awaited = awaited
        self.most = self.now = 0
        self.events: list[tuple[str, str, int]] = []
        self.lock = threading.Condition()

    def edit(self, request: EditRequest) -> EditResult:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.events.append(("begin", request.instruction, request.round))
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.most >= self.awaited, timeout=30)
        result = super().edit(request)
        with self.lock:
            self.now -= 1
            self.events.append(("end", request.instruction, request.round))
        return result


def test_never_more_than_allowed_and_the_same_results(tmp_path: Path) -> None:
    one, many = Watched(), Watched(5)
    run(one, ToySource(6), tmp_path / "one")
    summary = run(many, ToySource(6), tmp_path / "many", concurrency=5)
    assert (one.most, many.most) == (1, 5)
    assert summary.statuses == {Status.OK: 36}
    assert kept(tmp_path / "one") == kept(tmp_path / "many")


def test_a_service_sees_no_more_calls_than_allowed(tmp_path: Path) -> None:
    with ImageService() as service:
        for concurrency in (1, 8):
            service.most_at_once, service.await_calls = 0, concurrency
            editor = resolve_editor(f"{service.url}/edit")
            run(editor, ToySource(8), tmp_path / str(concurrency), protocols=["vanilla"], concurrency=concurrency)
            assert service.most_at_once == concurrency
        assert len(service.calls) == 48
    assert kept(tmp_path / "1") == kept(tmp_path / "8")


def test_rounds_of_a_sample_follow_one_another_and_wait_for_no_other_sample(tmp_path: Path) -> None:
    slow = threading.Event()

    class Slow(Watched):
        def edit(self, request: EditRequest) -> EditResult:
            if request.instruction.endswith("Detail 1 of toy 0."):
                slow.wait(30)
            elif request.round == 3:
                slow.set()  # another sample came to its end while the first round of this one was under way
            return super().edit(request)

    editor = Slow()
    run(editor, ToySource(4), tmp_path, protocols=["vanilla"], concurrency=2)
    assert slow.is_set()
    for number in range(4):
        mine = [(kind, round) for kind, words, round in editor.events if words.endswith(f"of toy {number}.")]
        assert mine == [(kind, round) for round in (1, 2, 3) for kind in ("begin", "end")]


def test_an_editor_says_how_many_edits_it_allows_at_once(tmp_path: Path) -> None:
    editor = Watched(3, at_once=3, most_at_once=4)
    run(editor, ToySource(4), tmp_path / "default")
    assert editor.most == 3
    with pytest.raises(InvalidDataError, match=r"allows 4 concurrent edits, not 5; run with --concurrency 4 or less"):
        run(editor, ToySource(1), tmp_path / "more", concurrency=5)
    assert not (tmp_path / "more").exists()


class Together(ToyEditor):
    """Takes several requests in one call."""

    batch_size = 4

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.batches: list[list[EditRequest]] = []
        self.fails = fails

    def edit_many(self, requests: Sequence[EditRequest]) -> list[EditResult]:
        self.batches.append(list(requests))
        if self.fails:
            raise RuntimeError("together it does not work")
        return [self.edit(request) for request in requests]


def test_requests_of_several_samples_go_together(tmp_path: Path) -> None:
    editor = Together()
    run(editor, ToySource(6), tmp_path / "many", protocols=["vanilla"])
    assert [len(batch) for batch in editor.batches] == [4, 2, 4, 2, 4, 2]
    for batch in editor.batches:
        assert len({request.round for request in batch}) == 1
    run(ToyEditor(), ToySource(6), tmp_path / "one", protocols=["vanilla"])
    assert kept(tmp_path / "one") == kept(tmp_path / "many")
    smaller = Together()
    run(smaller, ToySource(6), tmp_path / "two", protocols=["vanilla"], batch=2)
    assert {len(batch) for batch in smaller.batches} == {2}


def test_a_batch_that_fails_is_asked_for_one_by_one(tmp_path: Path) -> None:
    editor = Together(fails=True)
    summary = run(editor, ToySource(3), tmp_path, protocols=["vanilla"], rounds=1)
    assert summary.statuses == {Status.OK: 3}
    assert [len(batch) for batch in editor.batches] == [3]
    assert len(editor.requests) == 3
    assert ["together it does not work" in failure["message"] for failure in failures(tmp_path)] == [True] * 3


def test_an_async_editor_is_awaited_side_by_side(tmp_path: Path) -> None:
    threads: set[int] = set()

    class Awaited(ToyEditor):
        now = most = 0

        async def edit_async(self, request: EditRequest) -> EditResult:
            Awaited.now += 1
            Awaited.most = max(Awaited.most, Awaited.now)
            threads.add(threading.get_ident())
            async with asyncio.timeout(30):
                while Awaited.most < 4:
                    await asyncio.sleep(0.001)
            Awaited.now -= 1
            return EditResult.ok(tint(request))

    run(Awaited(), ToySource(4), tmp_path / "many", concurrency=4)
    assert Awaited.most == 4
    assert len(threads) == 1
    run(ToyEditor(), ToySource(4), tmp_path / "one")
    assert kept(tmp_path / "one") == kept(tmp_path / "many")


def test_an_editor_is_closed_when_the_run_is_over(tmp_path: Path) -> None:
    class Closing(ToyEditor):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    editor = Closing()
    run(editor, ToySource(1), tmp_path / "run")
    assert editor.closed == 1
    broken = Closing(lambda request: None)
    with pytest.raises(TypeError):
        run(broken, ToySource(1), tmp_path / "broken")
    assert broken.closed == 1


def test_requests_and_images_of_other_threads_do_not_mix(tmp_path: Path) -> None:
    def own(request: EditRequest) -> Image.Image:
        image = request.base
        before = image.tobytes()
        time.sleep(0.001)
        assert image.tobytes() == before
        return tint(request)

    summary = run(ToyEditor(own), ToySource(8), tmp_path, concurrency=8)
    assert summary.statuses == {Status.OK: 48}
