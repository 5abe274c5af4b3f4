from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from images_server import USAGE, ImagesServer, drawn

from fashionedit.builders.generate.drafting import DraftRequest, DraftResult, draft_seed
from fashionedit.builders.generate.openai_drafts import OpenAIDrafts
from fashionedit.builders.generate.stage import generate
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore, spent
from fashionedit.errors import BudgetSpentError, InvalidDataError, ServiceError
from fashionedit.images import pixel_digest
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.worker_pool import CommonFailureError

pytestmark = pytest.mark.usefixtures("openai_key")


def one(server: ImagesServer, caption: str = "a dress", **settings: Any) -> DraftResult:
    with closing(maker(server, **settings)) as drafts:
        (result,) = drafts.make([DraftRequest("a", caption, 7)])
    return result


def maker(server: ImagesServer, **settings: Any) -> OpenAIDrafts:
    settings = {"max_retries": 2, "timeout": 30.0} | settings
    return OpenAIDrafts("toy-image", base_url=server.url, **settings)


def photos(captions: Sequence[str]) -> list[Photo]:
    return [Photo(f"p{number:02}", Path("unread.jpg"), caption=text) for number, text in enumerate(captions)]


def run(server: ImagesServer, captions: Sequence[str], store: StageStore, **settings: Any) -> list[Any]:
    own = {name: settings.pop(name) for name in ("budget", "retry", "keep_going") if name in settings}
    return generate(photos(captions), maker(server, **settings), store, **own)


def test_a_draft_is_what_the_server_drew() -> None:
    with ImagesServer() as server:
        result = one(server, quality="high", extra_body={"background": "opaque"}, cost_of=lambda usage: 0.04)
    assert result.image is not None
    assert pixel_digest(result.image) == pixel_digest(drawn("a dress"))
    assert result.cost == 0.04
    assert result.provenance["usage"]["output_tokens"] == USAGE["output_tokens"]
    assert result.effective["quality"] == "high"
    assert result.effective["output_format"] == "png"
    (body,) = server.bodies
    assert body == {
        "model": "toy-image",
        "prompt": "a dress",
        "n": 1,
        "size": "1024x1024",
        "quality": "high",
        "background": "opaque",
    }


@pytest.mark.parametrize("way", ["link", "data url", "wrapped", "url-safe"])
def test_a_draft_comes_in_whichever_way_services_send_pictures(way: str) -> None:
    with ImagesServer(default=(way,)) as server:
        result = one(server)
    assert result.image is not None, result.detail
    assert pixel_digest(result.image) == pixel_digest(drawn("a dress"))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (USAGE, 0.04),
        ({"input_tokens": None, "output_tokens": None, "total_tokens": 0}, None),
        ({"prompt_tokens": 10, "completion_tokens": 1000}, 0.04),
        ({"input_tokens": "many", "output_tokens": []}, None),
        (["nothing"], None),
        (None, None),
    ],
)
def test_a_draft_costs_what_its_usage_says_and_no_shape_of_it_costs_a_draft(usage: object, cost: float | None) -> None:
    with ImagesServer(usage=usage) as server:
        assert one(server).cost is None  # nobody says what tokens cost
        counts = one(server, cost_of=lambda counts: counts["output_tokens"] * 4e-5 if counts else None)
    assert counts.image is not None
    assert counts.cost == (None if cost is None else pytest.approx(cost))


def test_the_seed_is_sent_where_it_is_wanted() -> None:
    with ImagesServer() as server:
        result = one(server, send_seed=True)
    assert server.bodies[0]["seed"] == 7
    assert result.image is not None
    assert pixel_digest(result.image) == pixel_digest(drawn("a dress", 7))


@pytest.mark.parametrize("fault", ["429", "429 soon", "500", "reset"])
def test_the_stage_asks_again_after(fault: str, store: StageStore) -> None:
    with ImagesServer(script={"b": [fault, fault, "ok"]}) as server:
        assert len(run(server, ["a", "b"], store, concurrency=1)) == 2
        assert server.calls == {"a": 1, "b": 3}


def test_a_server_that_says_when_is_not_asked_before(store: StageStore) -> None:
    with ImagesServer(default=("429 soon", "ok")) as server:
        start = time.monotonic()
        assert len(run(server, ["a dress"], store)) == 1
        assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize(
    ("fault", "reason", "retry"),
    [
        ("429", "rate limited", True),
        ("500", "server error", True),
        ("malformed", "malformed answer", True),
        ("html", "malformed answer", True),
        ("empty", "malformed answer", True),
        ("error 429 in a 200", "rate limited", True),
        ("error text in a 200", "server error", True),
        ("hang", "timeout", True),
        ("moderated", "refused", False),
        ("too long", "caption not accepted", False),
        ("bad base64", "draft not readable", False),
        ("file link", "draft not readable", False),
        ("no image", "draft not readable", False),
    ],
)
def test_a_fault_has_its_reason_and_only_some_are_tried_again_by_the_next_run(
    fault: str, reason: str, retry: bool
) -> None:
    with ImagesServer(default=(fault,)) as server:
        result = one(server, timeout=4.0 if fault == "hang" else 30.0)
        assert server.calls["a dress"] == 1
    assert (result.reason, result.retry, result.image) == (reason, retry, None)
    assert result.detail
    assert retry or not result.again


def test_a_draft_whose_link_cannot_be_opened_is_paid_again_with_consent_only(store: StageStore) -> None:
    with ImagesServer(default=("dead link",)) as server:
        for _ in range(2):
            assert run(server, ["a dress"], store) == []
            assert server.calls.total() == 1
        (record,) = store.records()
        assert (record.status, record.reason) == ("dropped", "draft not fetched")
        assert "can't be opened" in str(record.detail)
        server.default = ("ok",)
        assert len(run(server, ["a dress"], store, retry=("draft_not_fetched",))) == 1
        assert server.calls.total() == 2


def test_a_connection_lost_after_an_answer_is_a_failure_and_one_never_had_is_the_end() -> None:
    with ImagesServer(script={"b": ["reset"]}) as server, closing(maker(server, max_retries=0)) as working:
        assert working.make([DraftRequest("a", "a", 1)])[0].image is not None
        assert working.make([DraftRequest("b", "b", 1)])[0].reason == "no connection"
    with closing(OpenAIDrafts("toy-image", base_url="http://127.0.0.1:9/v1", max_retries=0)) as drafts:
        (result,) = drafts.make([DraftRequest("a", "a", 1)])
    assert str(result.stop).startswith("the connection to 127.0.0.1 broke (")
    assert str(result.stop).endswith("; check base_url and the network")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("quota", "no quota left"),
        ("no money", "no quota left"),
        ("no model", "does not have the model toy-image"),
        ("bad key", "set OPENAI_API_KEY to a valid one"),
        ("bad size", "Invalid size"),
        ("error 402 in a 200", "no quota left"),
    ],
)
def test_what_no_further_call_can_mend_stops_the_stage(fault: str, sentence: str, store: StageStore) -> None:
    with ImagesServer(script={"b": [fault]}) as server:
        with pytest.raises(ServiceError, match=sentence):
            run(server, ["a", "b", "c", "d", "e"], store, max_retries=0, concurrency=3)
        asked = dict(server.calls)
        paid = [f"p{'abcde'.index(caption):02}" for caption in sorted(asked) if caption != "b"]
        assert [record.id for record in store.records()] == paid  # what was paid for beside it is kept
        server.script.clear()
        assert len(run(server, ["a", "b", "c", "d", "e"], store)) == 5
        assert server.calls == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 1}


def test_the_key_is_written_nowhere(openai_key: str, store: StageStore) -> None:
    with ImagesServer(script={"b": ["echo"]}) as server, pytest.raises(ServiceError, match=r"who is \[key\]") as caught:
        run(server, ["a", "b"], store, concurrency=1)
    assert openai_key not in str(caught.value)
    assert all(openai_key.encode() not in path.read_bytes() for path in store.folder.rglob("*") if path.is_file())


def test_without_a_key_openai_is_not_asked_and_another_service_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with ImagesServer() as server:
        assert one(server).image is not None
    with pytest.raises(ServiceError, match="there is no key; set OPENAI_API_KEY"):
        OpenAIDrafts("toy-image").make([DraftRequest("a", "a", 1)])


def test_calls_run_side_by_side_and_no_more_than_allowed(store: StageStore) -> None:
    with ImagesServer() as server:
        server.await_calls = 4
        pairs = run(server, [f"caption {number}" for number in range(12)], store, concurrency=4)
    assert [pair.id for pair in pairs] == [f"p{number:02}" for number in range(12)]
    assert server.most_at_once == 4


def test_records_say_what_was_asked_and_what_it_cost(store: StageStore) -> None:
    budget = CostTracker()
    with ImagesServer(script={"b": ["moderated"], "c": ["black"], "d": ["500"]}) as server:
        run(server, ["a", "b", "c", "d"], store, cost_of=lambda usage: 0.25, budget=budget, max_retries=0)
    told = {record.id: (record.status, record.reason, record.data["usd"]) for record in store.records()}
    assert told == {
        "p00": ("kept", None, 0.25),
        "p01": ("dropped", "refused", 0.0),
        "p02": ("dropped", "black image", 0.25),
        "p03": ("failed", "server error", 0.0),
    }
    assert spent(store) == budget.spent == 0.5
    data = json.loads(next(store.folder.glob("records/*/p00.json")).read_text())["data"]
    assert data["size"] == [64, 96]
    assert data["seed"] == draft_seed(0, "p00")
    assert data["batch"] == 1
    assert data["seconds"] > 0


def test_a_budget_is_never_exceeded_and_the_same_command_continues(store: StageStore) -> None:
    captions = [f"caption {number}" for number in range(10)]
    priced = {"cost_of": lambda usage: 0.2, "highest_cost": 0.3, "concurrency": 4}
    budget = CostTracker(limit=1.0)
    with ImagesServer() as server:
        with pytest.raises(BudgetSpentError):
            run(server, captions, store, budget=budget, **priced)
        assert budget.spent == spent(store) <= 1.0
        assert server.calls.total() == len(list(store.records())) == 4  # 0.8 is spent, and the next may cost 0.3
        rest = CostTracker(limit=5.0, before=lambda: spent(store))
        assert len(run(server, captions, store, budget=rest, **priced)) == 10
        assert server.calls.total() == 10
        assert rest.spent == pytest.approx(2.0)


def test_money_of_failed_tries_is_not_forgotten(store: StageStore) -> None:
    with ImagesServer(default=("empty", "empty", "ok")) as server:
        for _ in range(3):
            pairs = run(server, ["a"], store, cost_of=lambda usage: 0.25)
    assert len(pairs) == 1
    assert spent(store) == 0.75


def test_a_limited_budget_wants_to_know_the_price(store: StageStore) -> None:
    with ImagesServer() as server, pytest.raises(InvalidDataError, match="what a draft may cost is not known"):
        run(server, ["a"], store, budget=CostTracker(limit=1.0))
    assert not server.calls


def test_an_unknown_price_counts_as_the_highest(store: StageStore) -> None:
    budget = CostTracker(limit=1.0)
    with ImagesServer() as server:
        run(server, ["a"], store, budget=budget, highest_cost=0.3, cost_of=lambda usage: None)
    assert budget.spent == pytest.approx(0.3)


def test_the_description_names_the_host_and_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:secret@images.example:8443/v1?key=secret")
    told = OpenAIDrafts("toy-image", size="auto").describe()
    assert told["host"] == "images.example"
    assert "secret" not in json.dumps(told)


@pytest.mark.parametrize(
    "settings",
    [
        {"concurrency": 0},
        {"max_retries": -1},
        {"timeout": 0},
        {"extra_body": {"prompt": "b"}},
        {"extra_body": {"x": object()}},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidDataError):
        OpenAIDrafts("toy-image", **settings)


@pytest.mark.parametrize("told", [True, False])
def test_drafts_that_were_made_before_a_price_was_stated_count_at_it(tmp_path: Path, told: bool) -> None:
    store, ledger = StageStore(tmp_path), tmp_path / "ledger.jsonl"
    with ImagesServer(script={"a": ["ok"] if told else ["reset", "ok"]}) as server:
        run(server, ["a", "b"], store, budget=CostTracker(ledger), concurrency=1, max_retries=1)
        paid = 2 if told else 3  # a call that was lost may have been paid for
        budget = CostTracker(ledger, limit=(paid + 1) * 0.17)
        with pytest.raises(BudgetSpentError, match="of the budget"):
            run(server, ["a", "b", "c", "d"], store, budget=budget, highest_cost=0.17, concurrency=1)
        assert server.calls.total() == paid + 1
    assert budget.spent == pytest.approx((paid + 1) * 0.17)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_dead_service_ends_after_twenty_drafts(store: StageStore, concurrency: int) -> None:
    with ImagesServer(script={"first": ["ok"]}, default=("500",)) as server:
        captions = ["first", *(f"caption {number}" for number in range(200))]
        with pytest.raises(ServiceError, match=r"20 drafts in a row had no answer.*500"):
            run(server, captions, store, max_retries=0, concurrency=concurrency)
        late = 0 if concurrency == 1 else 19  # failures that were counted before the first answer was on disk
        assert 21 <= server.calls.total() <= 20 + concurrency + late


def test_drafts_that_are_all_one_colour_are_not_all_paid_for(tmp_path: Path) -> None:
    store, captions = StageStore(tmp_path), [f"caption {number}" for number in range(30)]
    money: dict[str, Any] = {"cost_of": lambda usage: 0.25, "highest_cost": 0.5}
    with ImagesServer(default=("black",)) as server:
        for session in (1, 2):  # each counts its own outcomes alone
            sentence = rf"first 8 drafts .*: black image.*\${2 * session}\.00 .*--keep-going"
            with pytest.raises(CommonFailureError, match=sentence):
                run(server, captions, store, budget=CostTracker(tmp_path / "ledger.jsonl"), **money)
            assert server.calls.total() == len(list(store.records())) == session * 8
    with ImagesServer() as server:
        budget = CostTracker(tmp_path / "ledger.jsonl")
        assert len(run(server, captions, store, budget=budget, retry=["black_image"], **money)) == 30
        assert server.calls.total() == 30
        assert budget.spent == 46 * 0.25  # what was replaced is not forgotten
    assert len(list(store.folder.glob("superseded/*/*.json"))) == 16
    assert spent(store) == 30 * 0.25


def test_a_call_that_was_answered_with_an_error_costs_nothing_and_a_lost_one_its_most(tmp_path: Path) -> None:
    money: dict[str, Any] = {"cost_of": lambda usage: 0.25, "highest_cost": 0.5, "max_retries": 0}
    for fault, cost in (("500", 0.0), ("moderated", 0.0), ("reset", 0.5), ("no image", 0.25)):
        budget = CostTracker(tmp_path / fault / "ledger.jsonl")
        with ImagesServer(script={"b": [fault]}) as server:
            run(server, ["a", "b"], StageStore(tmp_path / fault), budget=budget, concurrency=1, **money)
        assert budget.spent == 0.25 + cost, fault
    gone = OpenAIDrafts("toy-image", base_url="http://127.0.0.1:9/v1", **money)
    budget = CostTracker()
    with pytest.raises(ServiceError):
        generate(photos(["a"]), gone, StageStore(tmp_path / "gone"), budget=budget)
    assert budget.spent == 0
