"""Student's t distribution: its tail and its quantiles, for tests and intervals without SciPy."""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300


def two_sided_p(t: float, freedom: float) -> float:
    """Returns the probability that |T| is at least |t|, 0..1, for T of Student's t distribution.

    It is the regularised incomplete beta function I_x(ν/2, 1/2) at x = ν / (ν + t²) (Abramowitz & Stegun, Handbook of
    Mathematical Functions, 26.7.1 with 26.5.27).

    Args:
        freedom: ν, the degrees of freedom, above 0.

    Raises:
        ValueError: `freedom` is not above 0, or `t` is NaN.

    >>> round(two_sided_p(2.0, 10), 6)
    0.073388
    """
    if not freedom > 0 or math.isnan(t):
        raise ValueError(f"t is {t} with {freedom} degrees of freedom; give a number, and more than 0 degrees")
    if math.isinf(t):
        return 0.0
    rest = t * t / (freedom + t * t)  # 1 - x, which a subtraction would leave without digits where t is small
    return _incomplete_beta(freedom / (freedom + t * t), rest, freedom / 2, 0.5)


@lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: float) -> float:
    """Returns the t that Student's t distribution stays below with this probability, by bisection.

    Args:
        probability: Between 0 and 1, both excluded.
        freedom: The degrees of freedom, above 0.

    Raises:
        ValueError: An argument is out of its range.

    >>> round(student_quantile(0.975, 10), 6)
    2.228139
    """
    if not 0 < probability < 1:
        raise ValueError(f"the probability is {probability}; give one between 0 and 1")
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    tails = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > tails:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > tails else (low, middle)
    return high


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    # The fraction converges fast only on this side of the mode; the other side is its mirror.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(rest, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Returns the continued fraction of the incomplete beta function (Abramowitz & Stegun, 26.5.8), by Lentz' rule."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / _not_zero(1 + numerator * d)
            c = _not_zero(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
