from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fashionedit.errors import BudgetSpentError, InvalidDataError
from fashionedit.runtime.budget import Budget


def test_a_call_that_could_exceed_the_limit_is_refused_before_it_is_made() -> None:
    budget = Budget(limit=1.0, spent=0.4)
    budget.promise(0.5)
    with pytest.raises(
        BudgetSpentError, match=r"\$0\.4000 of the budget of \$1\.00 is spent, and the next call may cost \$0\.2000"
    ):
        budget.promise(0.2)
    budget.settle(0.5, 0.1)
    budget.promise(0.2)
    assert budget.spent == pytest.approx(0.5)


def test_without_a_limit_money_is_only_counted() -> None:
    budget = Budget()
    budget.promise(1e6)
    budget.settle(1e6, 2.5)
    assert budget.spent == 2.5


def test_many_threads_never_promise_more_than_the_limit() -> None:
    budget = Budget(limit=1.0)

    def call(_: int) -> bool:
        try:
            budget.promise(0.03)
        except BudgetSpentError:
            return False
        budget.settle(0.03, 0.03)
        return True

    with ThreadPoolExecutor(16) as pool:
        made = sum(pool.map(call, range(200)))
    assert made == 33
    assert budget.spent <= 1.0


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_an_amount_that_is_none_is_refused(amount: float) -> None:
    with pytest.raises(InvalidDataError, match="give an amount in USD from 0 on"):
        Budget(limit=amount)
