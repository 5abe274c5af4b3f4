"""Money: what may be spent, what is spent, and what is promised to calls under way."""

from __future__ import annotations

import math
from threading import Lock

from fashionedit.errors import BudgetSpentError, InvalidDataError


class Budget:
    """Stops before a call that could exceed the limit; safe to use from several threads.

    Args:
        limit: USD for all runs of a build together; None has no limit.
        spent: USD that earlier runs have spent.

    Raises:
        InvalidDataError: An amount is negative or no number.
    """

    def __init__(self, limit: float | None = None, spent: float = 0.0) -> None:
        for name, value in (("limit", limit), ("spent", spent)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidDataError(f"the budget's {name} is {value}; give an amount in USD from 0 on")
        self.limit = limit
        self._spent = spent
        self._promised = 0.0
        self._lock = Lock()

    @property
    def spent(self) -> float:
        """USD spent, earlier runs included."""
        return self._spent

    def promise(self, estimate: float) -> None:
        """Sets aside what a call may cost at most, USD.

        Raises:
            BudgetSpentError: With what is spent and promised already, it could exceed the limit.
        """
        with self._lock:
            if self.limit is not None and self._spent + self._promised + estimate > self.limit:
                raise BudgetSpentError(
                    f"{usd(self._spent)} of the budget of {usd(self.limit)} is spent, and the next call may cost "
                    f"{usd(estimate)}; give a higher --budget, and the same command continues"
                )
            self._promised += estimate

    def settle(self, estimate: float, cost: float) -> None:
        """Puts what the call has cost in the place of what was promised for it."""
        with self._lock:
            self._promised = max(0.0, self._promised - estimate)
            self._spent += cost


def usd(amount: float) -> str:
    """Returns the amount with as many digits as a small one needs: $0.0250, $12.50."""
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}"
