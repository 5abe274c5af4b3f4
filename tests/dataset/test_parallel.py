from __future__ import annotations

import threading
import time

import pytest

from fashionedit.parallel import map_in_order


@pytest.mark.parametrize("workers", [1, 4, None])
def test_results_come_in_the_order_of_the_items(workers):
    def slow_for_even(number):
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(map_in_order(slow_for_even, range(50), workers=workers)) == [number * number for number in range(50)]


def test_several_threads_work_at_once():
    both = threading.Barrier(2, timeout=60)
    assert list(map_in_order(lambda _: both.wait() >= 0, range(4), workers=2)) == [True] * 4


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_at_its_items_turn(workers):
    def refuse_five(number):
        if number == 5:
            raise ValueError("five")
        return number

    def items_until_five():
        yield from range(5)
        raise ValueError("five")

    for results in (
        map_in_order(refuse_five, range(50), workers=workers),
        map_in_order(lambda number: number, items_until_five(), workers=workers),
    ):
        seen: list[int] = []
        with pytest.raises(ValueError, match="five"):
            seen.extend(results)
        assert seen == [0, 1, 2, 3, 4]


def test_items_are_taken_no_faster_than_they_are_used():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_order(lambda number: number, items(), workers=2)
    assert next(results) == 0
    assert len(taken) <= 4
    results.close()
    assert len(taken) <= 4
