from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.prices import PRICES, Price, cost_of, parse_price, price_of, read_prices


def test_every_price_has_its_source_and_its_day() -> None:
    for name, price in PRICES.items():
        assert price.source.startswith("https://"), name
        assert datetime.date(2026, 1, 1) <= datetime.date.fromisoformat(str(price.as_of)) <= datetime.date.today()
        assert price.input < price.output
        assert price.cached is not None
        assert price.cached < price.input


def test_tokens_cost_what_the_page_says() -> None:
    # gpt-4.1-mini: $0.40 input, $0.10 cached input, $1.60 output per million
    usd = cost_of("gpt-4.1-mini", input_tokens=3_000_000, cached_tokens=1_000_000, output_tokens=500_000)
    assert usd == pytest.approx(2 * 0.40 + 0.10 + 0.5 * 1.60)


def test_image_tokens_cost_other_than_text_where_the_page_says_so() -> None:
    # gpt-image-1-mini: $2.00 text, $2.50 images, $8.00 images out
    usd = cost_of("gpt-image-1-mini", input_tokens=1_000_000, image_tokens=400_000, output_tokens=100_000)
    assert usd == pytest.approx(0.6 * 2.00 + 0.4 * 2.50 + 0.1 * 8.00)
    assert cost_of("gpt-4o", input_tokens=10, image_tokens=10, output_tokens=0) == pytest.approx(10 * 2.5 / 1e6)


def test_a_snapshot_costs_what_its_model_costs() -> None:
    assert price_of("gpt-4.1-mini-2025-04-14") == PRICES["gpt-4.1-mini"]
    assert price_of("gpt-4.1-mini-long") is None
    assert price_of("Qwen/Qwen3-VL-8B") is None
    assert cost_of("Qwen/Qwen3-VL-8B", input_tokens=1, output_tokens=1) is None


def test_the_prices_of_the_user_come_first() -> None:
    own = {"gpt-4.1-mini": Price(1.0, 2.0), "*": Price(3.0, 4.0)}
    assert price_of("gpt-4.1-mini", own) == Price(1.0, 2.0)
    assert price_of("gpt-4.1-mini-2025-04-14", own) == Price(1.0, 2.0)
    assert price_of("gpt-4.1", own) == Price(3.0, 4.0)
    assert cost_of("mine", input_tokens=10**6, output_tokens=0, prices=own) == 3.0


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
        ('{"mine": {"input": -1, "output": 2}}', r"mine\.input"),
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
