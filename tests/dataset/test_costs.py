"""Prices of tokens, and the ledger of what was paid."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fashionedit.errors import BudgetSpentError, InvalidDataError
from fashionedit.runtime.costs import PRICES, CostTracker, Price, parse_price, price_of, read_prices


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_call_that_could_exceed_the_limit_is_refused_before_it_is_made() -> None:
    costs = CostTracker(limit=1.0, before=lambda: 0.4)
    entry = costs.reserve(0.5)
    with pytest.raises(
        BudgetSpentError, match=r"\$0\.4000 of the budget of \$1\.00 is spent, and the next call may cost \$0\.2000"
    ):
        costs.reserve(0.2)
    costs.charge(entry, 0.1)
    costs.reserve(0.2)
    assert costs.spent == pytest.approx(0.5)


def test_without_a_limit_money_is_only_counted() -> None:
    costs = CostTracker()
    assert costs.charge(costs.reserve(1e6), 2.5) == costs.spent == 2.5


def test_a_cost_that_nobody_tells_counts_as_the_most_that_it_could_be(tmp_path: Path) -> None:
    costs = CostTracker(tmp_path / "ledger.jsonl")
    for told in (None, float("nan")):
        costs.charge(costs.reserve(0.25), told)
    costs.charge(costs.reserve(0.25), 0.0)
    assert costs.spent == CostTracker(tmp_path / "ledger.jsonl").spent == 0.5


def test_the_ledger_is_written_before_the_call_and_only_ever_grows(tmp_path: Path) -> None:
    path = tmp_path / "work" / "ledger.jsonl"
    costs = CostTracker(path, before=lambda: 1.5)
    assert not path.exists()
    entry = costs.reserve(0.25, "generate")
    before = path.read_bytes()
    assert lines(path)[0] == {"before": 1.5}
    assert (lines(path)[1]["reserve"], lines(path)[1]["for"]) == (0.25, "generate")
    costs.charge(entry, 0.04)
    assert path.read_bytes().startswith(before)
    again = CostTracker(path, before=lambda: pytest.fail("the ledger says it"))
    assert again.spent == pytest.approx(1.54)


def test_a_call_without_a_price_counts_as_soon_as_one_is_stated(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = CostTracker(path)
    for cost in (None, None, 0.0):  # the last one was answered with an error, and is free
        first.charge(first.reserve(None, "generate"), cost)
    first.reserve(None, "generate")  # its process is killed
    first.charge(first.reserve(0.01, "analyse"), 0.01)
    assert first.spent == pytest.approx(0.01)
    later = CostTracker(path, limit=0.695)
    assert later.spent == pytest.approx(0.01)
    later.charge(later.reserve(0.17, "generate"), None)
    assert later.spent == pytest.approx(0.01 + 4 * 0.17)
    with pytest.raises(BudgetSpentError, match=r"\$0\.6900 of the budget"):
        later.reserve(0.01, "analyse")
    again = CostTracker(path)
    again.price("generate", 0.02)
    assert again.spent == pytest.approx(0.01 + 4 * 0.17)  # never lowered by a lower price


def test_what_is_free_has_no_ledger(tmp_path: Path) -> None:
    costs = CostTracker(tmp_path / "ledger.jsonl")
    costs.charge(costs.reserve(0.0), 0.0)
    costs.charge(costs.reserve(0.0), None)
    assert not list(tmp_path.iterdir())
    costs.charge(costs.reserve(0.0), 0.5)  # nobody knew a price, and the service tells one
    assert CostTracker(tmp_path / "ledger.jsonl").spent == 0.5


KILLED = """
import os, signal, sys
from pathlib import Path
from fashionedit.runtime.costs import CostTracker
costs = CostTracker(Path(sys.argv[1]), limit=1.0)
costs.charge(costs.reserve(0.3), 0.1)
costs.reserve(0.3)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_call_that_a_killed_process_was_making_counts_in_full_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for kills in (1, 2):
        done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert CostTracker(path).spent == pytest.approx(0.4 * kills)
    with pytest.raises(BudgetSpentError, match=r"\$0\.8000 of the budget"):
        CostTracker(path, limit=1.0).reserve(0.3)


def test_many_threads_never_reserve_more_than_the_limit(tmp_path: Path) -> None:
    costs = CostTracker(tmp_path / "ledger.jsonl", limit=1.0)

    def call(_: int) -> bool:
        try:
            entry = costs.reserve(0.03)
        except BudgetSpentError:
            return False
        costs.charge(entry, 0.03)
        return True

    with ThreadPoolExecutor(16) as pool:
        made = sum(pool.map(call, range(200)))
    assert made == 33
    assert costs.spent == CostTracker(tmp_path / "ledger.jsonl").spent == pytest.approx(0.99)


SPENDING = """
import sys
from pathlib import Path
from fashionedit.errors import BudgetSpentError
from fashionedit.runtime.costs import CostTracker
costs = CostTracker(Path(sys.argv[1]), limit=1.0)
made = 0
for number in range(60):
    try:
        entry = costs.reserve(0.02)
    except BudgetSpentError:
        break
    costs.charge(entry, 0.01)
    made += 1
print(made)
"""


def test_one_budget_holds_for_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    script = [sys.executable, "-c", SPENDING, str(path)]
    running = [subprocess.Popen(script, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    made = [int(process.communicate(timeout=60)[0]) for process in running]
    assert 94 <= sum(made) <= 99  # the last reservation needs two cents, and others may be open beside it
    assert CostTracker(path).spent == pytest.approx(sum(made) / 100)
    assert sum("before" in line for line in lines(path)) == 1


def test_a_line_that_a_full_disk_cut_short_is_closed_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    costs = CostTracker(path)
    costs.charge(costs.reserve(0.25), 0.25)
    with path.open("a") as file:
        file.write('{"id": "x-1", "rese')
    costs = CostTracker(path)
    costs.charge(costs.reserve(0.25), 0.25)
    assert CostTracker(path).spent == 0.5


@pytest.mark.parametrize("line", ['{"id": "a", "reserve": -1}', '{"charge": 1e999, "id": "a"}', '{"before": "much"}'])
def test_a_ledger_that_can_not_be_understood_is_one_sentence(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InvalidDataError, match="no entry of a ledger"):
        CostTracker(path)


def test_where_the_ledger_can_not_be_written_nothing_is_reserved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    costs = CostTracker(tmp_path / "file" / "ledger.jsonl")
    with pytest.raises(OSError, match="file"):
        costs.reserve(0.1)
    assert costs.spent == 0


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_an_amount_that_is_none_is_refused(amount: float) -> None:
    with pytest.raises(InvalidDataError, match="give an amount in USD from 0 on"):
        CostTracker(limit=amount)


def test_every_price_has_its_source_and_its_day() -> None:
    for name, price in PRICES.items():
        assert price.source.startswith("https://"), name
        assert datetime.date(2026, 1, 1) <= datetime.date.fromisoformat(str(price.as_of)) <= datetime.date.today()
        assert price.input < price.output
        assert price.cached is not None
        assert price.cached < price.input


def test_tokens_cost_what_the_page_says() -> None:
    # gpt-4.1-mini: $0.40 input, $0.10 cached input, $1.60 output per million
    usd = PRICES["gpt-4.1-mini"].cost(input_tokens=3_000_000, cached_tokens=1_000_000, output_tokens=500_000)
    assert usd == pytest.approx(2 * 0.40 + 0.10 + 0.5 * 1.60)


def test_image_tokens_cost_other_than_text_where_the_page_says_so() -> None:
    # gpt-image-1-mini: $2.00 text, $2.50 images, $8.00 images out
    usd = PRICES["gpt-image-1-mini"].cost(input_tokens=1_000_000, image_tokens=400_000, output_tokens=100_000)
    assert usd == pytest.approx(0.6 * 2.00 + 0.4 * 2.50 + 0.1 * 8.00)
    assert PRICES["gpt-4o"].cost(input_tokens=10, image_tokens=10, output_tokens=0) == pytest.approx(10 * 2.5 / 1e6)


def test_a_snapshot_costs_what_its_model_costs() -> None:
    assert price_of("gpt-4.1-mini-2025-04-14") == PRICES["gpt-4.1-mini"]
    assert price_of("gpt-4.1-mini-long") is None
    assert price_of("Qwen/Qwen3-VL-8B") is None


def test_the_prices_of_the_user_come_first() -> None:
    own = {"gpt-4.1-mini": Price(1.0, 2.0), "*": Price(3.0, 4.0)}
    assert price_of("gpt-4.1-mini", own) == Price(1.0, 2.0)
    assert price_of("gpt-4.1-mini-2025-04-14", own) == Price(1.0, 2.0)
    assert price_of("gpt-4.1", own) == Price(3.0, 4.0)
    assert price_of("mine", own) == Price(3.0, 4.0)


def test_more_cached_or_image_tokens_than_were_sent_cost_nothing_more() -> None:
    price = Price(1.0, 0.0, cached=0.5, image=2.0)
    assert price.cost(input_tokens=100, cached_tokens=500, output_tokens=0) == pytest.approx(50e-6)
    assert price.cost(input_tokens=100, cached_tokens=60, image_tokens=90, output_tokens=0) == pytest.approx(110e-6)


def test_a_price_on_the_command_line() -> None:
    assert parse_price("input=0.4, output=1.6") == Price(0.4, 1.6)
    assert parse_price("output=1.6,cached=0.1,input=0.4,image=0.5") == Price(0.4, 1.6, cached=0.1, image=0.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no price"),
        ("0.4", "is no price"),
        ("input=0.4", "lacks output"),
        ("cached=1", "lacks input and output"),
        ("input=cheap,output=1", "'input=cheap' is no price"),
        ("input=1,input=2,output=1", "'input=2' is no price"),
        ("input=1,output=2,tax=3", "'tax=3' is no price"),
        ("input=-1,output=2", "from 0 on"),
        ("input=nan,output=2", "from 0 on"),
    ],
)
def test_a_text_that_is_no_price_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        parse_price(text)


def test_a_file_of_prices(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"mine": {"input": 1, "output": 2.5, "source": "a contract"}}')
    assert read_prices(path) == {"mine": Price(1.0, 2.5, source="a contract")}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "write"),
        ("[]", "write"),
        ('{"mine": {"input": 1}}', r"mine\.output: Field required"),
        ('{"mine": {"input": "1", "output": 2}}', r"mine\.input"),
        ('{"mine": {"input": -1, "output": 2}}', "mine: the price of input is -1"),
        ('{"mine": {"input": 1, "output": 2, "tax": 3}}', r"mine\.tax"),
        ('{"mine": {"input": 1e9, "output": 2}}', "from 0 on"),
    ],
)
def test_a_file_that_holds_no_prices_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(InvalidDataError, match=sentence):
        read_prices(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"none\.json can't be read"):
        read_prices(tmp_path / "none.json")
