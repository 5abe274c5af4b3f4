from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lmm_pairs import asked_about, make_pairs, outcomes, toy_analyst
from lmm_server import Call, Fault, LmmServer, differences_of, serving

from fashionedit.builders.analyse.batch_state import BatchStates
from fashionedit.builders.analyse.batches import analyse_in_batches
from fashionedit.builders.analyse.conversation import spent_usd
from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.photo import Analysed, Pair
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import BudgetSpentError, InvalidDataError, ServiceError
from fashionedit.runtime.budget import Budget

COUNT = 7


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    return make_pairs(tmp_path / "pairs", COUNT)


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    return StageStore(tmp_path / "analyse")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-toy-0123456789abcdef")


def batched(server: LmmServer, pairs: list[Pair], store: StageStore, **options: Any) -> list[Analysed]:
    settings = {name: options.pop(name) for name in ("api", "max_repairs", "max_output_tokens") if name in options}
    waits = {"poll_seconds": 0.0, "sleep": lambda seconds: None}
    return list(analyse_in_batches(pairs, toy_analyst(server.url, **settings), store, **{**waits, **options}))


def reasons(store: StageStore) -> dict[str, tuple[str, str | None]]:
    return {record.id: (record.status, record.reason) for record in store.records()}


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_batches_give_what_single_calls_give_for_half_the_price(
    pairs: list[Pair], store: StageStore, tmp_path: Path, api: Any
) -> None:
    broken = asked_about(pairs[2])

    def script(call: Call) -> Fault | None:
        return Fault(text="none") if call.photo == broken and call.turn == 0 else None

    seen: list[tuple[int, int]] = []
    with serving(script, polls=3) as server:
        results = batched(server, pairs, store, api=api, max_requests=3, progress=lambda *at: seen.append(at))
        assert [sample.pair for sample in results] == pairs
        assert len(server.batches) == 3 + 1  # 3 + 3 + 1 pairs, then the repair
        assert server.deleted == {batch["input_file_id"] for batch in server.batches.values()}  # with their images
        assert seen[0] == (0, COUNT)
        assert seen[-1] == (COUNT, COUNT)
        assert batched(server, pairs, store, api=api) == results
        assert len(server.batches) == 4

        direct = StageStore(tmp_path / "direct")
        assert list(analyse(pairs, toy_analyst(server.url, api=api), direct)) == results
    assert spent_usd(store) == pytest.approx(spent_usd(direct) / 2)
    found, expected = outcomes(store), outcomes(direct)
    for records in (found, expected):
        for record in records.values():
            record["data"].pop("usd")
            for turn in record["data"]["turns"]:
                turn.pop("batch")
                turn.pop("usd")
    assert found == expected


def test_files_stay_below_the_limit_of_bytes(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        batched(server, pairs, store, max_bytes=40_000)
        sizes = [len(server.files[batch["input_file_id"]]) for batch in server.batches.values()]
    assert len(sizes) > 1
    assert max(sizes) <= 40_000
    with serving() as server:
        small = StageStore(store.folder / "small")
        assert batched(server, pairs, small, max_bytes=500) == []
        assert not server.requests
    assert set(reasons(small).values()) == {("failed", "request too large")}


def test_either_way_continues_the_other(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        list(analyse(pairs[:3], toy_analyst(server.url), store))
        assert len(batched(server, pairs, store)) == COUNT
        assert server.calls == COUNT
        assert len(list(analyse(pairs, toy_analyst(server.url), store))) == COUNT
        assert server.calls == COUNT


@pytest.mark.parametrize(("status", "reason"), [("expired", "batch expired"), ("cancelled", "batch cancelled")])
def test_a_batch_that_ended_early_keeps_what_it_answered(
    pairs: list[Pair], store: StageStore, status: str, reason: str
) -> None:
    with serving() as server:
        server.ends = {"status": status, "left": 2}
        assert len(batched(server, pairs, store)) == COUNT - 2
        assert [found for found in reasons(store).values() if found[0] == "failed"] == [("failed", reason)] * 2
        assert len(server.batches) == 1
        server.ends = {}
        assert len(batched(server, pairs, store)) == COUNT
        assert server.calls == COUNT


def test_refusals_and_errors_of_single_requests(pairs: list[Pair], store: StageStore) -> None:
    faults = {
        asked_about(pairs[0]): Fault(refusal="No."),
        asked_about(pairs[1]): Fault.error(400, "content_filter", "Filtered."),
        asked_about(pairs[2]): Fault.error(500, "server_error"),
        asked_about(pairs[3]): Fault.error(400, "invalid_image", "Too small."),
    }
    with serving(lambda call: faults.get(call.photo)) as server:
        assert [sample.pair for sample in batched(server, pairs, store)] == pairs[4:]
    assert list(reasons(store).values())[:4] == [
        ("dropped", "refused"),
        ("dropped", "refused"),
        ("failed", "server error"),
        ("failed", "request rejected"),
    ]


def test_a_gone_model_is_said_so_once_all_that_came_back_is_committed(pairs: list[Pair], store: StageStore) -> None:
    gone = Fault.error(404, "model_not_found", "The model `gpt-4.1-mini` does not exist")
    with serving(lambda call: gone if call.photo == asked_about(pairs[0]) else None) as server:
        with pytest.raises(ServiceError, match="name another with --model"):
            batched(server, pairs, store)
        assert sum(status == "kept" for status, _ in reasons(store).values()) == COUNT - 1


def test_a_batch_that_is_not_taken(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        server.ends = {"errors": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]}
        with pytest.raises(ServiceError, match=r"took none of 1 batches \(Enqueued token limit reached\)"):
            batched(server, pairs, store)
        server.ends = {"errors": [{"code": "model_not_found", "message": "gpt-4.1-mini is gone"}]}
        with pytest.raises(ServiceError, match="name another with --model"):
            batched(server, pairs, store)
        assert not BatchStates(store).open()
        server.ends = {}
        assert len(batched(server, pairs, store)) == COUNT
        assert server.calls == COUNT


def test_batches_that_do_not_fit_in_yet_are_sent_again(pairs: list[Pair], store: StageStore) -> None:
    class Crowded(LmmServer):
        def look_at(self, identity: str) -> dict[str, Any] | None:
            self.ends = {}
            if identity in ("batch-0001", "batch-0002"):
                self.ends = {"errors": [{"code": "token_limit_exceeded", "message": "no room"}]}
            return super().look_at(identity)

    server = Crowded()
    server.start()
    try:
        assert len(batched(server, pairs, store, max_requests=3)) == COUNT
        assert server.calls == COUNT
        assert len(server.batches) == 3 + 2
    finally:
        server.close()


def test_a_submission_whose_answer_was_lost_is_found_again(pairs: list[Pair], store: StageStore) -> None:
    lost = iter([Fault(behaviour="drop")])
    with serving() as server:
        server.batch_script = lambda request: next(lost, None) if request == "POST /v1/batches" else None
        assert len(batched(server, pairs, store)) == COUNT
        assert len(server.batches) == 1


def test_a_batch_is_found_among_those_of_others(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        for number in range(130):  # more than a page
            server.create_batch({"endpoint": "/v1/x", "input_file_id": f"f{number}", "completion_window": "24h"})
        server.batch_script = lambda request: Fault(401) if request == "GET /v1/batches/batch-0130" else None
        with pytest.raises(ServiceError, match="OPENAI_API_KEY"):
            batched(server, pairs, store)
        (state,) = BatchStates(store).open()
        BatchStates(store).save(state.model_copy(update={"status": "prepared", "batch_id": None}))
        for number in range(130):
            server.create_batch({"endpoint": "/v1/x", "input_file_id": f"g{number}", "completion_window": "24h"})
        server.batch_script = lambda request: None
        assert len(batched(server, pairs, store)) == COUNT
        assert len(server.batches) == 130 + 1 + 130


@pytest.mark.parametrize("request_", ["POST /v1/files", "POST /v1/batches", "GET /v1/batches/batch-0000"])
def test_a_service_that_fails_is_one_sentence_and_the_next_run_goes_on(
    pairs: list[Pair], store: StageStore, request_: str
) -> None:
    with serving() as server:
        server.batch_script = lambda request: Fault.error(500, "server_error") if request == request_ else None
        with pytest.raises(ServiceError, match="the same command continues"):
            batched(server, pairs, store)
        server.batch_script = lambda request: None
        assert len(batched(server, pairs, store)) == COUNT
        assert (server.calls, len(server.batches)) == (COUNT, 1)


def test_a_batch_of_another_account_is_said_so(pairs: list[Pair], store: StageStore) -> None:
    with serving(polls=2) as server, pytest.raises(KeyboardInterrupt):
        batched(server, pairs, store, sleep=lambda seconds: (_ for _ in ()).throw(KeyboardInterrupt))
    with serving() as other, pytest.raises(ServiceError, match="knows no batch batch-0000, which was submitted to"):
        batched(other, pairs, store)


def test_a_service_without_batches_is_said_so(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        server.batch_script = lambda request: Fault(404, body={"error": {"message": "Not Found"}})
        with pytest.raises(ServiceError, match="knows no such address"):
            batched(server, pairs, store)


def test_the_budget_holds_what_is_not_sure_to_fit(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        budget = Budget(0.002)
        with pytest.raises(BudgetSpentError):
            batched(server, pairs, store, budget=budget, max_output_tokens=500)
        assert 0 < budget.spent <= 0.002
        assert spent_usd(store) == pytest.approx(budget.spent)
        assert 0 < server.calls < COUNT
        more = Budget(1.0, spent=budget.spent)
        assert len(batched(server, pairs, store, budget=more, max_output_tokens=500)) == COUNT
        assert server.calls == COUNT
        assert more.spent == pytest.approx(spent_usd(store))
    empty = StageStore(store.folder / "empty")
    with serving() as server, pytest.raises(BudgetSpentError):
        batched(server, pairs, empty, budget=Budget(0.0))
    assert not server.batches


def test_ctrl_c_leaves_the_batches_under_way_for_the_next_run(pairs: list[Pair], store: StageStore) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with serving(polls=3) as server:
        with pytest.raises(KeyboardInterrupt):
            batched(server, pairs, store, sleep=interrupted)
        assert len(BatchStates(store).open()) == 1
        budget = Budget(1.0)
        assert len(batched(server, pairs, store, budget=budget)) == COUNT
        assert len(server.batches) == 1
        assert budget.spent == pytest.approx(spent_usd(store))


def test_a_batch_of_other_settings_is_left_alone(pairs: list[Pair], store: StageStore) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with serving(polls=2) as server:
        with pytest.raises(KeyboardInterrupt):
            batched(server, pairs, store, sleep=interrupted)
        assert len(batched(server, pairs, store, max_output_tokens=1000)) == COUNT
        assert (server.calls, len(BatchStates(store).open())) == (COUNT, 1)


def test_a_file_that_is_gone_fails_its_pair_alone(pairs: list[Pair], store: StageStore) -> None:
    pairs[0].draft.unlink()
    with serving() as server:
        assert [sample.pair for sample in batched(server, pairs, store)] == pairs[1:]
    assert reasons(store)[pairs[0].photo.id] == ("failed", "image not readable")


def test_unusable_answers_are_dropped_after_the_last_repair(pairs: list[Pair], store: StageStore) -> None:
    with serving(lambda call: Fault(text="nothing")) as server:
        assert batched(server, pairs, store, max_repairs=1) == []
        assert len(server.batches) == 2
    assert set(reasons(store).values()) == {("dropped", "no three valid differences")}


def test_damaged_lines_count_as_not_answered(pairs: list[Pair], store: StageStore) -> None:
    class Torn(LmmServer):
        def look_at(self, identity: str) -> dict[str, Any] | None:
            batch = super().look_at(identity)
            if batch and batch["status"] == "completed":
                name = batch["output_file_id"]
                lines = self.files[name].splitlines()
                lines[0], lines[1] = b"{torn", lines[1].replace(b'"choices"', b'"chances"')
                self.files[name] = b"\n".join([*lines, b"", lines[-1]])  # the last one comes twice
            return batch

    server = Torn()
    server.start()
    try:
        assert len(batched(server, pairs, store)) == COUNT - 2
    finally:
        server.close()
    assert list(reasons(store).values())[:2] == [("failed", "not answered"), ("failed", "malformed answer")]


def test_a_damaged_state_is_named_before_anything_is_sent(pairs: list[Pair], store: StageStore) -> None:
    folder = store.folder / "batches"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{")
    with serving() as server:
        with pytest.raises(InvalidDataError, match="what is submitted is paid for"):
            batched(server, pairs, store)
        assert not server.requests


@pytest.mark.parametrize("change", [{"max_requests": 0}, {"max_bytes": 0}, {"poll_seconds": -1.0}])
def test_limits_out_of_range_are_refused(pairs: list[Pair], store: StageStore, change: dict[str, Any]) -> None:
    run: Callable[..., Any] = analyse_in_batches
    with pytest.raises(InvalidDataError, match="at least 1"):
        run(pairs, toy_analyst("http://127.0.0.1:1/v1"), store, **change)


def test_answers_are_those_of_the_pair(pairs: list[Pair], store: StageStore) -> None:
    with serving() as server:
        for sample in batched(server, pairs, store, max_requests=2):
            said = [entry["description"] for entry in differences_of(asked_about(sample.pair))]
            assert [text for text, _ in sample.differences] == said
