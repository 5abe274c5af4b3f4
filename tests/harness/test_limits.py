"""What a run may ask of its editor: retries, time, money, samples; and how it ends when something is over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from image_service import ImageService
from toy_editors import ToyEditor, refusing, tint
from toy_runs import failures, records
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError, ServiceError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.eval_harness.running.run_stats import next_step, summary_lines
from fashionedit.eval_harness.running.runner import run
from fashionedit.runtime.worker_pool import LONGEST_BACKOFF, pause_before


class Failing(ToyEditor):
    """Fails the first times that it is asked for a round, then edits."""

    def __init__(self, times: int, failure: EditResult | Exception, **info: Any) -> None:
        super().__init__()
        self.info = EditorInfo("toy", "toy 1", **info)
        self.times, self.failure = times, failure
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def edit(self, request: EditRequest) -> EditResult:
        with self.lock:
            self.asked[request.request_id] += 1
            fails = self.asked[request.request_id] <= self.times
        if not fails:
            return EditResult.ok(tint(request), cost_usd=0.5)
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure


BUSY = EditResult.failed(Status.ERROR, "busy", retry=True, cost_usd=0.25)


@pytest.mark.parametrize("failure", [BUSY, TimeoutError("slow"), ConnectionResetError("gone")])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_what_may_pass_is_asked_again_and_every_attempt_stays_visible(
    failure: Any, concurrency: int, tmp_path: Path
) -> None:
    editor = Failing(2, failure)
    summary = run(editor, ToySource(2), tmp_path, protocols=["bug"], concurrency=concurrency, backoff=0.01)
    assert summary.statuses == {Status.OK: 6}
    assert (summary.edits, summary.retries) == (18, 12)
    assert {record.attempts for record in records(tmp_path)} == {3}
    assert len(failures(tmp_path)) == 12
    assert "12 retries" in "\n".join(summary_lines(summary))


def test_after_the_last_retry_the_round_stays_to_be_done(tmp_path: Path) -> None:
    editor = Failing(5, BUSY)
    first = run(editor, ToySource(1), tmp_path, protocols=["bug"], rounds=1, retries=2, backoff=0.01)
    assert first.statuses == {Status.ERROR: 1}
    assert first.edits == 3
    assert "the same command continues" in next_step(first)
    second = run(editor, ToySource(1), tmp_path, protocols=["bug"], rounds=1, retries=2, backoff=0.01)
    assert second.statuses == {Status.OK: 1}
    assert records(tmp_path)[0].attempts == 6  # those of both sessions
    assert len(failures(tmp_path)) == 5


def test_what_would_not_pass_is_asked_once(tmp_path: Path) -> None:
    for number, (failure, retries) in enumerate(
        [(EditResult.failed(Status.ERROR, "no"), 4), (ValueError("a bug of its own"), 4), (BUSY, 0)]
    ):
        out = tmp_path / str(number)
        summary = run(
            Failing(9, failure), ToySource(1), out, protocols=["bug"], rounds=1, retries=retries, backoff=0.01
        )
        assert (summary.edits, summary.statuses) == (1, {Status.ERROR: 1})


def test_a_refusal_is_asked_about_again_only_where_that_is_wanted(tmp_path: Path) -> None:
    run(ToyEditor(refusing([2])), ToySource(1), tmp_path, protocols=["bug"])
    willing = ToyEditor()
    again = run(willing, ToySource(1), tmp_path, protocols=["bug"])
    assert (len(willing.requests), again.statuses) == (0, {Status.OK: 2, Status.REFUSED: 1})
    asked = run(willing, ToySource(1), tmp_path, protocols=["bug"], retry=["refused"])
    assert asked.statuses == {Status.OK: 3}
    assert [request.round for request in willing.requests] == [2, 3]  # round 3 has another input now
    assert [failure["status"] for failure in failures(tmp_path)] == ["refused"]
    run(ToyEditor(refusing([1])), ToySource(1), tmp_path / "still", protocols=["bug"])
    still = ToyEditor(refusing([1]))
    unchanged = run(still, ToySource(1), tmp_path / "still", protocols=["bug"], retry=["refused"])
    assert unchanged.statuses == {Status.OK: 2, Status.REFUSED: 1}
    assert len(still.requests) == 1


def test_retry_after_is_kept_by_everybody(tmp_path: Path) -> None:
    with ImageService(["429 with Retry-After"]) as service:
        start = time.monotonic()
        editor = resolve_editor(f"{service.url}/edit")
        summary = run(editor, ToySource(2), tmp_path, protocols=["vanilla"], rounds=1, concurrency=1, backoff=0.01)
        took = time.monotonic() - start
    assert summary.statuses == {Status.OK: 2}
    assert len(service.calls) == 3
    assert took > 0.95  # the service asked for one second


def test_a_service_that_asks_for_a_long_pause_ends_the_run(tmp_path: Path) -> None:
    reply = ServiceReply(429, {"retry-after": "7200"})
    busy = EditResult.failed(Status.ERROR, "busy", retry=True, reply=reply)
    with pytest.raises(ServiceError, match=r"wants a pause of 2\.0 hours; run the same command again then"):
        run(Failing(9, busy), ToySource(2), tmp_path, protocols=["bug"], concurrency=2, backoff=0.01)


@pytest.mark.parametrize("fault", ["500", "503", "reset", "html", "429"])
def test_faults_of_a_real_service_pass(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-this-test")
    with ImageService([fault, fault]) as service:
        editor = resolve_editor("openai:model", EditorSettings(base_url=service.openai))
        summary = run(editor, ToySource(1), tmp_path, concurrency=2, backoff=0.01)
    assert summary.statuses == {Status.OK: 6}
    assert summary.retries == 2


@pytest.fixture
def hanging() -> Iterator[Callable[[str], ToyEditor]]:
    """An editor that never answers where the instruction ends with these words."""
    release = threading.Event()

    def edit(ending: str, request: EditRequest) -> Any:
        if request.instruction.endswith(ending):
            release.wait(30)
        return tint(request)

    yield lambda ending: ToyEditor(partial(edit, ending))
    release.set()


HASTE: dict[str, Any] = {"protocols": ["vanilla"], "concurrency": 2, "retries": 0}


def test_an_edit_that_hangs_is_given_up_and_another_takes_its_place(
    hanging: Callable[[str], ToyEditor], tmp_path: Path
) -> None:
    summary = run(hanging("Detail 1 of toy 0."), ToySource(3), tmp_path, timeout=5, **HASTE)
    assert summary.statuses == {Status.OK: 8, Status.TIMEOUT: 1}
    assert [failure["status"] for failure in failures(tmp_path)] == ["timeout"]
    assert len(records(tmp_path)) == 8  # the answer that came too late is not kept


def test_as_many_hanging_edits_as_may_be_under_way_end_the_run(
    hanging: Callable[[str], ToyEditor], tmp_path: Path
) -> None:
    with pytest.raises(ServiceError, match=r"2 calls never came back .*longer timeout"):
        run(hanging(""), ToySource(9), tmp_path, timeout=0.1, **HASTE)
    assert not records(tmp_path)


def test_an_async_edit_that_takes_too_long_is_cancelled(tmp_path: Path) -> None:
    cancelled = []

    class Slow(ToyEditor):
        async def edit_async(self, request: EditRequest) -> EditResult:
            try:
                await asyncio.sleep(30 if request.round == 1 else 0)
            except asyncio.CancelledError:
                cancelled.append(request.round)
                raise
            return EditResult.ok(tint(request))

    summary = run(Slow(), ToySource(1), tmp_path, protocols=["bug"], concurrency=2, timeout=3, retries=1, backoff=0.01)
    assert summary.statuses == {Status.OK: 2, Status.TIMEOUT: 1}
    assert cancelled == [1, 1]


def test_a_budget_holds_over_all_sessions(tmp_path: Path) -> None:
    editor = Failing(0, BUSY, usd_per_edit=0.5)
    first = run(editor, ToySource(4), tmp_path / "b", protocols=["bug"], budget=2.6, concurrency=2)
    assert first.statuses == {Status.OK: 5}
    assert "$2.50 of the budget of $2.60 is spent" in first.stopped
    assert "higher --budget" in first.stopped
    assert first.cost_usd == 2.5
    second = run(editor, ToySource(4), tmp_path / "b", protocols=["bug"], budget=2.6)
    assert (second.edits, second.statuses) == (0, {Status.OK: 5})
    third = run(editor, ToySource(4), tmp_path / "b", protocols=["bug"], budget=100)
    assert third.statuses == {Status.OK: 12}
    assert third.cost_usd == 6.0
    retried = run(Failing(1, BUSY, usd_per_edit=0.5), ToySource(1), tmp_path / "r", protocols=["bug"], backoff=0.01)
    assert retried.cost_usd == 3 * 0.75  # what failed attempts have cost counts


def test_a_budget_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"does not say what an edit costs, .*give --price"):
        run(ToyEditor(), ToySource(1), tmp_path, budget=1.0)
    run(Failing(0, BUSY, usd_per_edit=0.0), ToySource(1), tmp_path, budget=10.0)


def test_the_first_samples_are_reached_and_the_others_stay_to_be_done(tmp_path: Path) -> None:
    first = run(ToyEditor(), ToySource(5), tmp_path, protocols=["bug"], limit=2)
    assert first.statuses == {Status.OK: 6}
    assert first.unfinished == 9
    second = run(ToyEditor(), ToySource(5), tmp_path, protocols=["bug"])
    assert (second.edits, second.statuses) == (9, {Status.OK: 15})


@pytest.mark.parametrize("concurrency", [1, 4])
def test_twenty_failures_in_a_row_end_the_run(concurrency: int, tmp_path: Path) -> None:
    gone = Failing(99, EditResult.failed(Status.ERROR, "connection refused", retry=True))
    with pytest.raises(ServiceError, match=r"20 rounds in a row had no answer.*connection refused"):
        run(gone, ToySource(40), tmp_path, protocols=["vanilla"], concurrency=concurrency, retries=0)
    assert 20 <= sum(gone.asked.values()) <= 20 + concurrency


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_quota_that_is_used_up_ends_the_run_with_a_sentence(
    concurrency: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-this-test")
    script = [None] * 4 + ["quota"] * 99
    with ImageService(script) as service:
        editor = resolve_editor("openai:model", EditorSettings(base_url=service.openai))
        with pytest.raises(ServiceError, match="no quota left"):
            run(editor, ToySource(30), tmp_path / "run", protocols=["vanilla"], concurrency=concurrency)
    assert len(records(tmp_path / "run")) == 4
    assert len(service.calls) <= 4 + concurrency
    with ImageService() as service:
        editor = resolve_editor("openai:model", EditorSettings(base_url=service.openai))
        summary = run(editor, ToySource(30), tmp_path / "run", protocols=["vanilla"], concurrency=8)
    assert summary.statuses == {Status.OK: 90}
    assert len(service.calls) == 86


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"concurrency": 0}, "concurrency is 0; give a whole number from 1 on"),
        ({"retries": -1}, "retries is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"timeout": 0.0}, "timeout is 0; give a number of seconds above 0"),
        ({"budget": -1.0}, "budget is -1.0"),
        ({"backoff": float("nan")}, "backoff is nan"),
        ({"budget": "5"}, "budget is '5'; give a number from 0 on"),
        ({"limit": 1.5}, "limit is 1.5; give a whole number from 1 on"),
        ({"concurrency": "4"}, "concurrency is '4'; give a whole number"),
        ({"rounds": "3"}, "a run of '3' rounds was asked for"),
        ({"repeats": 1.0}, "repeats is 1.0; a run is made 1 to"),
        ({"seed": "a"}, "seed is 'a'; give a whole number"),
    ],
)
def test_numbers_out_of_range_are_one_sentence(arguments: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=words.replace(".", r"\.")):
        run(ToyEditor(), ToySource(1), tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_a_text_is_one_name(tmp_path: Path) -> None:
    assert run(ToyEditor(), ToySource(1), tmp_path, protocols="bug", retry="refused").statuses == {Status.OK: 3}
    with pytest.raises(UnknownNameError, match="no protocol is called 'vanila'"):
        run(ToyEditor(), ToySource(1), tmp_path, protocols="vanila")
    with pytest.raises(UnknownNameError, match="no final status is called 'refuse'"):
        run(ToyEditor(), ToySource(1), tmp_path, retry="refuse")


def test_pauses_double_up_to_a_minute() -> None:
    for retry in range(1, 12):
        whole = min(LONGEST_BACKOFF, 2.0 ** (retry - 1))
        assert all(whole / 2 <= pause_before(retry, 1.0) <= whole for _ in range(20))


def test_the_command_tells_of_retries_money_and_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fashionedit.cli import main

    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-this-test")
    with ImageService(["503"]) as service:
        arguments = ["run", "openai:model", "--base-url", service.openai, "--data", "synthetic:1", "--quiet"]
        arguments += ["--out", str(tmp_path / "run"), "--price", "input=1,output=100", "--protocol", "vanilla"]
        main([*arguments, "--budget", "0.32", "--concurrency", "1"])
        first = capsys.readouterr()
        main([*arguments, "--concurrency", "2"])
    second = capsys.readouterr()
    assert "0.32" in first.err
    assert "higher --budget" in first.err
    assert "not reached" in first.out
    assert "3 of 3 rounds done: 3 ok" in second.out
    assert "next: fashionedit score" in second.err
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--option", "api_key=abc"])
    assert stopped.value.code == 2
    assert "looks like a secret" in capsys.readouterr().err
