from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lmm_pairs import asked_about, make_pairs, toy_analyst
from lmm_server import SHAPES, Call, Fault, LmmServer, differences_of, shaped

from fashionedit.builders.analyse.analyst import PAPER, REFERENCE, Analyst
from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore, spent
from fashionedit.errors import BudgetSpentError, FashionEditError, InvalidDataError, ServiceError
from fashionedit.runtime.costs import CostTracker, Price
from fashionedit.runtime.worker_pool import FAILURES_IN_A_ROW, CommonFailureError

pytestmark = pytest.mark.usefixtures("openai_key")


@pytest.fixture
def pairs(tmp_path: Path) -> list[Photo]:
    return make_pairs(tmp_path / "pairs", 6)


def found(sample: Photo) -> list[dict[str, Any]]:
    return [{"description": text, "box_2d": [int(edge) for edge in box.box_2d]} for text, box in sample.differences]


def one_record(store: StageStore) -> Any:
    (record,) = store.records()
    return record


def once(fault: Fault, photo: str | None = None, turn: int = 0) -> Callable[[Call], Fault | None]:
    """The fault for the first call that fits, and good answers after it."""
    played = threading.Event()

    def script(call: Call) -> Fault | None:
        if played.is_set() or call.turn != turn or (photo is not None and call.photo != photo):
            return None
        played.set()
        return fault

    return script


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_pairs_come_back_in_their_order_with_three_differences(pairs: list[Photo], store: StageStore, api: Any) -> None:
    seen: list[tuple[int, int]] = []
    with LmmServer(seconds=0.02) as server:
        analyst = toy_analyst(server.url, api=api)
        results = analyse(pairs, analyst, store, progress=lambda *at: seen.append(at))
        assert [replace(sample, differences=()) for sample in results] == pairs
        assert [found(sample) for sample in results] == [differences_of(asked_about(pair)) for pair in pairs]
        assert server.calls == 6
        assert seen == [(done, 6) for done in range(1, 7)]

        again = analyse(iter(pairs), analyst, store, progress=lambda *at: seen.append(at))
        assert again == results
        assert server.calls == 6  # nothing is asked twice


def test_the_record_tells_what_was_said_by_whom_and_what_it_took(pairs: list[Photo], store: StageStore) -> None:
    with LmmServer() as server:
        analyse(pairs[:1], toy_analyst(server.url), store)
        body = server.bodies[0]
    record = one_record(store)
    turn = record.data["turns"][0]
    assert turn["reply"]["text"] == shaped(asked_about(pairs[0]))
    assert turn["reply"]["system_fingerprint"] == "fp_toy"
    assert (record.data["model"], turn["attempts"], record.data["calls"]) == ("toy-lmm-2026-11-24", 1, 1)
    read, written = turn["reply"]["input_tokens"], turn["reply"]["output_tokens"]
    assert turn["reply"]["cached_tokens"] == 128
    assert record.data["usd"] == pytest.approx(((read - 128) * 0.4 + 128 * 0.1 + written * 1.6) / 1e6)
    assert spent(store) == record.data["usd"]
    assert [image["format"] for image in record.data["images"]] == ["jpeg", "png"]
    assert body["temperature"] == 0
    assert body["model"] == "gpt-4.1-mini"
    assert body["response_format"]["json_schema"]["strict"] is True
    text, original, draft = body["messages"][0]["content"]
    assert text["text"] == PAPER.text
    assert original["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert draft["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_answer_is_read(pairs: list[Photo], store: StageStore, shape: str) -> None:
    with LmmServer(shape=shape) as server:
        (sample,) = analyse(pairs[:1], toy_analyst(server.url, structured="none", prompt=REFERENCE), store)
        assert found(sample) == differences_of(asked_about(pairs[0]))
        assert "response_format" not in server.bodies[0]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_answer_that_cannot_be_used_is_sent_back_with_its_fault(
    pairs: list[Photo], store: StageStore, api: Any
) -> None:
    wrong = differences_of("x")
    wrong[1]["box_2d"] = [900, 100, 300, 400]
    with LmmServer(once(Fault(text=json.dumps(wrong)))) as server:
        (sample,) = analyse(pairs[:1], toy_analyst(server.url, api=api), store)
        said = (server.bodies[1].get("messages") or server.bodies[1].get("input"))[1:]
    assert found(sample) == differences_of(asked_about(pairs[0]))
    assert [message["role"] for message in said] == ["assistant", "user"]
    assert said[0]["content"] == json.dumps(wrong)
    assert "900, 100, 300, 400" in said[1]["content"]
    data = one_record(store).data
    assert data["calls"] == 2
    assert data["usd"] == pytest.approx(sum(turn["usd"] for turn in data["turns"]))
    assert "difference 2" in data["turns"][0]["fault"]
    assert data["turns"][1]["fault"] is None


def test_after_the_last_repair_the_pair_is_dropped_and_all_that_was_said_is_kept(
    pairs: list[Photo], store: StageStore
) -> None:
    with LmmServer(lambda call: Fault(text=f"I see no difference ({call.turn}).")) as server:
        assert analyse(pairs[:1], toy_analyst(server.url, max_repairs=2), store) == []
        assert server.calls == 3
        record = one_record(store)
        assert (record.status, record.reason) == ("dropped", "no three valid differences")
        assert [turn["reply"]["text"] for turn in record.data["turns"]] == [
            f"I see no difference ({turn})." for turn in range(3)
        ]
        assert analyse(pairs[:1], toy_analyst(server.url, max_repairs=2), store) == []
        assert server.calls == 3  # dropped for good

        server.script = lambda call: None
        (sample,) = analyse(pairs[:1], toy_analyst(server.url, max_repairs=3), store)  # unless more repairs are allowed
        assert (server.calls, len(sample.differences)) == (4, 3)


def test_an_answer_that_was_cut_off_is_sent_back(pairs: list[Photo], store: StageStore) -> None:
    with LmmServer(once(Fault(text='{"differences": [{"descr', finish="length"))) as server:
        assert len(analyse(pairs[:1], toy_analyst(server.url), store)) == 1
    assert one_record(store).data["turns"][0]["fault"] == "the answer was cut off because it is too long"


@pytest.mark.parametrize(
    ("api", "fault"),
    [
        ("chat", Fault(refusal="I can't help with that.")),
        ("chat", Fault(text="", finish="content_filter")),
        ("chat", Fault.error(400, "content_filter", "The prompt was filtered.")),
        ("responses", Fault(refusal="I can't help with that.")),
        ("responses", Fault(text="", finish="content_filter")),
    ],
)
def test_a_refusal_is_a_result(pairs: list[Photo], store: StageStore, api: Any, fault: Fault) -> None:
    with LmmServer(lambda call: fault if call.photo == asked_about(pairs[0]) else None) as server:
        analyst = toy_analyst(server.url, api=api)
        assert [sample.id for sample in analyse(pairs[:2], analyst, store)] == [pairs[1].id]
        record = store.find(pairs[0].id, analyst.key(pairs[0].digest, pairs[0].draft_digest))
        assert record is not None
        assert (record.status, record.reason) == ("dropped", "refused")
        assert record.detail
        assert len(analyse(pairs[:2], analyst, store)) == 1
        assert server.calls == 2  # the refused one is not asked again


@pytest.mark.parametrize(
    "fault",
    [
        Fault.error(429, "rate_limit_exceeded", retry_after="0.05"),
        Fault.error(429, "rate_limit_exceeded"),
        Fault.error(500, "server_error"),
        Fault(503, body=b"<html>try later</html>"),
        Fault(200, body={"choices": []}, behaviour="truncate"),
        Fault(behaviour="reset"),
        Fault(behaviour="hang"),
    ],
    ids=["429 with retry-after", "429", "500", "503 as HTML", "truncated", "reset", "hang"],
)
def test_a_fault_in_passing_is_retried(pairs: list[Photo], store: StageStore, fault: Fault) -> None:
    with LmmServer(once(fault)) as server:
        analyst = toy_analyst(server.url, timeout=5 if fault.behaviour == "hang" else 30)
        assert len(analyse(pairs[:1], analyst, store)) == 1
        assert server.calls == 2
    assert one_record(store).data["turns"][0]["attempts"] == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.error(429, "rate_limit_exceeded", retry_after="0.01"), "rate limited"),
        (Fault.error(500, "server_error"), "server error"),
        (Fault(behaviour="reset"), "no connection"),
        (Fault(behaviour="hang"), "timeout"),
        (Fault(200, body=b"<html>Welcome to the hotel's network</html>"), "malformed answer"),
        (Fault(200, body=b'{"choices": [{"mess'), "malformed answer"),
        (Fault(200, body={"choices": [{"message": {"content": 7}}]}), "malformed answer"),
        (Fault(200, body=[1]), "malformed answer"),
        (Fault(200, body={"choices": []}), "malformed answer"),
        (Fault(200, body={"error": {"message": "upstream is down", "code": 502}}), "server error"),
        (Fault(200, body={"error": "CUDA out of memory"}), "server error"),
        (
            Fault(200, body={"choices": [{"error": {"code": 429, "message": "Provider"}, "message": {}}]}),
            "rate limited",
        ),
        (Fault.error(400, "invalid_image", "The image is too small."), "request rejected"),
        (Fault(408), "server error"),
    ],
)
def test_what_is_not_answered_fails_and_the_next_run_tries_again(
    pairs: list[Photo], store: StageStore, fault: Fault, reason: str
) -> None:
    with LmmServer(lambda call: fault) as server:
        analyst = toy_analyst(server.url, timeout=0.4 if fault.behaviour == "hang" else 30)
        assert analyse(pairs[:1], analyst, store) == []
        record = one_record(store)
        assert (record.status, record.reason) == ("failed", reason)
        assert record.detail
        assert record.data["usd"] is None
        server.script = lambda call: None
        assert len(analyse(pairs[:1], replace(analyst, timeout=30), store)) == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault.error(401, "invalid_api_key", "Incorrect API key: sk-toy-0123456789abcdef"), "set OPENAI_API_KEY"),
        (Fault.error(403, "unsupported_region", "Country not supported"), "forbids the call"),
        (Fault.error(402, "insufficient_balance", "Top up"), "no quota left"),
        (Fault.error(429, "insufficient_quota", "You exceeded your current quota"), "no quota left"),
        (
            Fault.error(404, "model_not_found", "The model `gpt-4.1-mini` does not exist or you do not have access"),
            "does not have the model gpt-4.1-mini.* name another one with --model",
        ),
        (
            Fault(400, body={"error": {"message": "The model `gpt-4.1-mini` has been deprecated", "code": None}}),
            "name another one with --model",
        ),
        (Fault.error(400, "model_decommissioned"), "name another one with --model"),
        (Fault(404, body=b"<html>nginx</html>"), "check --base-url"),
        (Fault(200, body={"error": {"message": "Insufficient credits", "code": 402}}), "no quota left"),
        (Fault(307, {"Location": "http://127.0.0.1:9/v1"}), "it points to http://127.0.0.1:9/v1"),
        (
            Fault(400, body={"error": {"message": "Unsupported value", "param": "temperature"}}),
            "give --ask temperature=none",
        ),
    ],
)
def test_a_service_that_will_not_work_at_all_stops_the_stage_in_one_sentence(
    pairs: list[Photo], store: StageStore, fault: Fault, sentence: str
) -> None:
    with LmmServer(lambda call: fault) as server:
        with pytest.raises(ServiceError, match=sentence) as caught:
            analyse(pairs, toy_analyst(server.url, concurrency=1, max_retries=3), store)
        assert server.calls == 1
    assert "sk-toy" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_key_is_written_nowhere(pairs: list[Photo], store: StageStore) -> None:
    faults = {asked_about(pairs[0]): Fault.error(400, "odd", "bad request by key sk-toy-0123456789abcdef")}
    with LmmServer(lambda call: faults.get(call.photo)) as server:
        analyse(pairs, toy_analyst(server.url), store)
        assert server.keys == {"Bearer sk-toy-0123456789abcdef"}
    written = [path.read_text() for path in store.folder.rglob("*.json")]
    assert len(written) == 6
    assert not any("0123456789abcdef" in text for text in written)


def test_without_a_key_one_sentence_says_so_and_what_is_committed_needs_none(
    pairs: list[Photo], store: StageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with LmmServer() as server:
        analyse(pairs[:2], toy_analyst(server.url), store)  # a service of one's own needs none either
        assert server.keys == {"Bearer none"}
    assert len(analyse(pairs[:2], Analyst(), store)) == 2
    with pytest.raises(ServiceError, match="there is no key; set OPENAI_API_KEY"):
        analyse(pairs, Analyst(), store)


def test_a_service_that_is_down_ends_the_stage(tmp_path: Path, store: StageStore) -> None:
    many = make_pairs(tmp_path / "many", FAILURES_IN_A_ROW + 15)
    with LmmServer(lambda call: Fault.error(500, "server_error")) as server:
        with pytest.raises(ServiceError, match="20 pairs in a row had no answer"):
            analyse(many, toy_analyst(server.url, max_retries=0), store)
        assert FAILURES_IN_A_ROW <= server.calls < len(many)


@pytest.mark.parametrize("concurrency", [3, 32])
def test_no_more_calls_are_under_way_than_allowed(tmp_path: Path, store: StageStore, concurrency: int) -> None:
    many = make_pairs(tmp_path / "many", 40)
    with LmmServer() as server:
        server.await_calls = concurrency
        assert len(analyse(many, toy_analyst(server.url, concurrency=concurrency), store)) == 40
        assert server.most_at_once == concurrency


def test_a_429_slows_everybody_down(tmp_path: Path, store: StageStore) -> None:
    many = make_pairs(tmp_path / "many", 16)
    times: list[float] = []

    def script(call: Call) -> Fault | None:
        times.append(time.monotonic())
        if call.number == 1:
            return Fault.error(429, "rate_limit_exceeded", retry_after="2")
        if call.number <= 4:
            time.sleep(1)  # asked beside the first: their answers come long after the 429
        return None

    with LmmServer(script) as server:
        assert len(analyse(many, toy_analyst(server.url, concurrency=4), store)) == 16
    early = [at for at in times if at < times[0] + 1.9]
    assert len(early) <= 4


def test_the_budget_stops_in_time(tmp_path: Path, store: StageStore) -> None:
    many = make_pairs(tmp_path / "many", 30)
    with LmmServer(seconds=0.01) as server:
        analyst = toy_analyst(server.url, max_output_tokens=500)
        budget = CostTracker(limit=0.01)
        with pytest.raises(BudgetSpentError, match="higher --budget"):
            analyse(many, analyst, store, budget=budget)
        assert 0.008 < budget.spent <= 0.01
        assert spent(store) == pytest.approx(budget.spent)
        before = server.calls
        assert before == sum(record.status == "kept" for record in store.records())
        more = CostTracker(limit=1.0, before=lambda: spent(store))
        assert len(analyse(many, analyst, store, budget=more)) == 30
        assert server.calls == 30
        assert more.spent == pytest.approx(spent(store))


def test_a_budget_wants_a_price(pairs: list[Photo], store: StageStore) -> None:
    with pytest.raises(InvalidDataError, match=r"no price of my-model is known.*--price"):
        analyse(pairs, Analyst(model="my-model"), store, budget=CostTracker(limit=1.0))
    with LmmServer() as server:
        analyst = toy_analyst(server.url, model="my-model", prices={"*": Price(1.0, 2.0)})
        assert len(analyse(pairs, analyst, store, budget=CostTracker(limit=1.0))) == 6
    with LmmServer() as server:
        free = StageStore(store.folder / "free")
        analyse(pairs[:1], toy_analyst(server.url, model="my-model"), free, budget=CostTracker())
        assert one_record(free).data["usd"] is None
        assert one_record(free).data["input_tokens"] > 1000


def test_ctrl_c_commits_what_is_under_way_and_is_passed_on(tmp_path: Path, store: StageStore) -> None:
    many = make_pairs(tmp_path / "many", 12)

    def interrupted(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with LmmServer(seconds=0.05) as server:
        with pytest.raises(KeyboardInterrupt):
            analyse(many, toy_analyst(server.url), store, progress=interrupted)
        assert server.calls == len(list(store.records())) < 12


def test_an_error_of_the_pairs_is_passed_on(pairs: list[Photo], store: StageStore) -> None:
    def broken() -> Any:
        yield pairs[0]
        raise InvalidDataError("the stage before this has stopped")

    with LmmServer() as server, pytest.raises(InvalidDataError, match="the stage before this"):
        analyse(broken(), toy_analyst(server.url), store)
    assert server.calls == 0


def test_a_file_that_changed_or_is_gone_fails_its_pair_alone(pairs: list[Photo], store: StageStore) -> None:
    pairs[0].draft.unlink()
    pairs[1].path.write_bytes(pairs[2].path.read_bytes())
    with LmmServer() as server:
        kept = analyse(pairs, toy_analyst(server.url), store)
        assert [sample.id for sample in kept] == [pair.id for pair in pairs[2:]]
        assert server.calls == 4
    failed = [record for record in store.records() if record.status == "failed"]
    assert [record.reason for record in failed] == ["image not readable"] * 2
    assert "other pixels" in str(failed[1].detail)


def test_other_settings_are_another_question(pairs: list[Photo], store: StageStore) -> None:
    with LmmServer() as server:
        for number, change in enumerate(
            [{}, {"prompt": REFERENCE}, {"model": "gpt-4o"}, {"temperature": None}, {"extra_body": {"seed": 7}}], 1
        ):
            analyse(pairs[:1], toy_analyst(server.url, **change), store)
            assert server.calls == number
        assert "temperature" not in server.bodies[3]
        assert server.bodies[4]["seed"] == 7
        same = toy_analyst(server.url, extra_body={"seed": 7}, concurrency=1, max_repairs=0, timeout=30)
        analyse(pairs[:1], same, store)
        assert server.calls == 5
    with LmmServer() as moved:
        analyse(pairs[:1], toy_analyst(moved.url, extra_body={"seed": 7}), store)
        assert moved.calls == 0  # a model that moves house is the same model


def test_half_characters_in_an_answer_are_no_trouble(pairs: list[Photo], store: StageStore) -> None:
    said = differences_of("x")
    said[0]["description"] = "Wearing a \ud800 collar"
    with LmmServer(lambda call: Fault(text=json.dumps(said, ensure_ascii=False))) as server:
        (sample,) = analyse(pairs[:1], toy_analyst(server.url), store)
        assert "collar" in sample.differences[0][0]
        assert len(analyse(pairs[:1], toy_analyst(server.url), store)) == 1


def test_a_damaged_record_is_named(pairs: list[Photo], store: StageStore) -> None:
    with LmmServer() as server:
        analyst = toy_analyst(server.url)
        analyse(pairs[:1], analyst, store)
        record = one_record(store)
        store.commit(record.model_copy(update={"data": {**record.data, "differences": [{"box_2d": []}]}}))
        with pytest.raises(InvalidDataError, match="delete it to have it made again"):
            analyse(pairs[:1], analyst, store)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": " "}, "--model"),
        ({"api": "telegraph"}, "chat or responses"),
        ({"structured": "xml"}, "json_schema"),
        ({"concurrency": 0}, "1..256"),
        ({"max_repairs": -1}, "0..10"),
        ({"temperature": 3}, "0..2"),
        ({"max_output_tokens": 3}, "at least 64"),
        ({"timeout": 0}, "more than 0"),
        ({"base_url": "example.org/v1"}, "https://"),
        ({"extra_body": {"x": object()}}, "plain JSON"),
        ({"extra_body": {"x": float("nan")}}, "plain JSON"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FashionEditError, match=sentence):
        Analyst(**changes)


def test_answers_that_are_all_of_no_use_are_not_all_paid_for(tmp_path: Path, store: StageStore) -> None:
    many = make_pairs(tmp_path / "many", 20)
    ledger = tmp_path / "ledger.jsonl"
    with LmmServer(lambda call: Fault(text="I can't help with people.")) as server:
        for session in (1, 2):  # each counts its own outcomes alone
            budget = CostTracker(ledger)
            with pytest.raises(
                CommonFailureError, match=r"first 8 pairs .*three valid differences.*\$0\.0.*--keep-going"
            ):
                analyse(many, toy_analyst(server.url), store, budget=budget)
            assert server.calls == session * 8 * 3
    before = spent(store)
    assert budget.spent == pytest.approx(before)
    with LmmServer() as server:
        found = analyse(many, toy_analyst(server.url), store, budget=budget, retry=["no_three_valid_differences"])
        assert len(list(found)) == 20
    assert budget.spent == CostTracker(ledger).spent == pytest.approx(before + spent(store))
    assert len(list(store.folder.glob("superseded/*/*.json"))) == 16


def test_going_on_is_a_word_away(tmp_path: Path, store: StageStore) -> None:
    many = make_pairs(tmp_path / "many", 12)
    with LmmServer(lambda call: Fault(refusal="no")) as server:
        assert analyse(many, toy_analyst(server.url), store, keep_going=True) == []
        assert server.calls == 12


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": None}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_an_answer_without_usage_counts_as_the_most_that_it_may_cost(
    pairs: list[Photo], store: StageStore, usage: Any
) -> None:
    body = {"choices": [{"message": {"content": shaped("a")}, "finish_reason": "stop"}], "usage": usage}
    with LmmServer(lambda call: Fault(200, body=body)) as server:
        analyst, budget = toy_analyst(server.url, max_output_tokens=1000), CostTracker()
        assert len(analyse(pairs[:2], analyst, store, budget=budget)) == 2
    assert budget.spent > 2 * 1000 * 1.6e-6  # the output alone, in full
    assert {record.data["usd"] for record in store.records()} == {None}
