"""What a mean is worth where samples share garments: standard errors, intervals, paired tests, Student's t."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .result_models import Metric


def clustered_standard_error(values: Sequence[float], clusters: Sequence[Hashable]) -> float | None:
    """Returns the cluster-robust standard error of the mean, in the unit of the values; None for fewer than 2 clusters.

    With n values in G clusters and the residuals e = x - mean(x):

        SE² = G / (G - 1) · Σ_g (Σ_{i in g} e_i)² / n²

    This is the sandwich estimator for a regression on a constant (Liang & Zeger, Biometrika 73, 1986) with the CR1
    factor G/(G-1) · (n-1)/(n-k), k = 1 (Cameron & Miller, Journal of Human Resources 50, 2015, equations 11-12). Where
    every sample is a cluster of its own it is s/√n exactly. It trusts the number of clusters to be large; with a
    handful it is too small.

    >>> clustered_standard_error([1.0, 3.0, 2.0, 6.0], ["a", "a", "b", "b"])
    1.0
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values have {len(clusters)} clusters; give one cluster per value")
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite; a standard error needs finite numbers")
    membership, count = _membership(tuple(clusters))
    if count < 2:
        return None
    sums = np.bincount(membership, weights=numbers - numbers.mean(), minlength=count)
    return math.sqrt(count / (count - 1) * float(sums @ sums)) / len(numbers)


@lru_cache(maxsize=8)  # one table asks for the same clusters some hundred times
def _membership(clusters: tuple[Hashable, ...]) -> tuple[NDArray[np.intp], int]:
    """Returns the number of each value's cluster, counted from 0 in the order of their appearance, and their count."""
    index: dict[Hashable, int] = {}
    membership = np.array([index.setdefault(cluster, len(index)) for cluster in clusters], dtype=np.intp)
    return membership, len(index)


_TINY = 1e-300


def two_sided_p(t: float, freedom: float) -> float:
    """Returns the probability that |T| is at least |t|, 0..1, for T of Student's t with ν degrees of freedom.

    It is the regularised incomplete beta function I_x(ν/2, 1/2) at x = ν / (ν + t²) (Abramowitz & Stegun, Handbook of
    Mathematical Functions, 26.7.1 with 26.5.27).

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


CONFIDENCE = 0.95
"""The share of all samplings whose interval covers the true value; the level of every interval in tables and pages."""

LEVEL = f"{100 * CONFIDENCE:g} %"
"""`CONFIDENCE` in words."""

INTERVALS = (
    f"{LEVEL}, clustered by garment: Student's t for means and their paired differences; for shares Wilson's and for "
    "their paired differences Tango's score interval, with the effective number of samples"
)
"""Which methods are used, in words. `benchmarks/coverage.py` measures what they cover, and what the others would."""

Interval = tuple[float, float]


def mean_interval(
    mean: float, standard_error: float | None, clusters: int, limits: Interval = (-math.inf, math.inf)
) -> Interval | None:
    """Returns the interval mean ± t · SE, t with G - 1 degrees of freedom; None where there is no standard error.

    Source: Cameron & Miller, Journal of Human Resources 50, 2015, section VI.D: with few clusters the t distribution
    with G - 1 degrees of freedom instead of the normal one.

    Args:
        clusters: G, the number of clusters.
        limits: What a value can be at least and at most; no end lies beyond.

    >>> low, high = mean_interval(80.0, 1.0, 400)
    >>> round(low, 3), round(high, 3)
    (78.034, 81.966)
    """
    if standard_error is None:
        return None
    half = student_quantile((1 + CONFIDENCE) / 2, clusters - 1) * standard_error
    return max(mean - half, limits[0]), min(mean + half, limits[1])


def share_interval(hits: Sequence[float], clusters: Sequence[Hashable]) -> Interval | None:
    """Returns Wilson's score interval of a share, 0..1, with the effective number of samples; None for one cluster.

    With p the share, m the effective number of samples and t as in `mean_interval`, the ends are

        (p + t²/2m ± t √(p(1-p)/m + t²/4m²)) / (1 + t²/m),   m = p(1-p) / SE² · G/(G-1), at most n

    (Wilson, Journal of the American Statistical Association 22, 1927; the effective number as in Korn & Graubard,
    Survey Methodology 24, 1998). Where each sample is a cluster of its own m is n. A share of 0 or 1 has no standard
    error that says anything; m is then what is left if garments were all alike within, n² / Σ n_g² (Kish, Survey
    Sampling, 1965), the fewest that these clusters can mean.

    >>> low, high = share_interval([1.0] * 8 + [0.0] * 92, range(100))
    >>> round(low, 4), round(high, 4)
    (0.0408, 0.1511)
    """
    error = clustered_standard_error(hits, clusters)
    if error is None:
        return None
    n, groups = len(hits), len(set(clusters))
    share = math.fsum(hits) / n
    if error > 0 and 0 < share < 1:
        effective = min(share * (1 - share) / error**2 * groups / (groups - 1), n)
    else:
        effective = n / kish_design_effect(clusters)
    t = student_quantile((1 + CONFIDENCE) / 2, groups - 1)
    weight = t * t / effective
    middle = share + weight / 2
    half = math.sqrt(weight * share * (1 - share) + weight * weight / 4)
    return max((middle - half) / (1 + weight), 0.0), min((middle + half) / (1 + weight), 1.0)


def kish_design_effect(clusters: Sequence[Hashable]) -> float:
    """Returns Σ n_g² / n: by how much n samples count less if all samples of a cluster are alike (Kish, 1965).

    >>> kish_design_effect(["a", "a", "b", "b"])
    2.0
    """
    return sum(size * size for size in Counter(clusters).values()) / len(clusters)


SIGNIFICANCE = 0.05
POWER = 0.8


def detectable_difference(standard_error: float | None, clusters: int) -> float | None:
    """Returns the smallest true difference that a two-sided test at α = 0.05 finds in 80 % of repetitions.

    (t₁₋α⸝₂ + t_power) · SE, both quantiles with G - 1 degrees of freedom (Bloom, Evaluation Review 19, 1995).

    >>> round(detectable_difference(1.0, 400), 3)
    2.808
    """
    if not standard_error:
        return None
    freedom = clusters - 1
    return (student_quantile(1 - SIGNIFICANCE / 2, freedom) + student_quantile(POWER, freedom)) * standard_error


_QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean of the samples' differences, first minus second, in the unit of the values.

    Args:
        standard_error: Clustered by garment; None with fewer than two garments.
        low, high: The ends of the 95 % interval: the differences that the test of `p` does not reject at 0.05. None
            where the samples show no spread to make one of: fewer than two garments, or every sample differs by the
            same amount.
        p: Of the hypothesis that the true mean difference is 0, two-sided; 1 where no sample differs, None where there
            is no interval and some do.
        detectable: The smallest true difference that would be found in 80 % of repetitions; None where it can't be
            given.
    """

    mean: float
    standard_error: float | None
    low: float | None
    high: float | None
    p: float | None
    detectable: float | None


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    hit: float | None = None,
    span: float = math.inf,
) -> PairedDifference:
    """Returns how much higher the first values are than the second, pair by pair.

    Interval and p come from one test, so that they never contradict each other. Means have Student's t with the
    clustered standard error and G - 1 degrees of freedom (Cameron & Miller, Journal of Human Resources 50, 2015,
    section VI.D). Shares have the score test of `share_difference_z` with the effective number of samples.

    Args:
        hit: For shares, the value of a hit, where a miss is 0. None means a share of hits of 1 or of 100 where the
            values are 0 and that number alone, else a mean.
        span: How far two values can be apart at most; the ends of the interval of a mean are cut there.

    >>> found = paired_difference([3.0, 5.0, 4.0, 8.0], [2.0, 2.0, 2.0, 2.0], ["a", "b", "c", "d"])
    >>> found.mean, round(found.p, 4), round(found.low, 2), round(found.high, 2)
    (3.0, 0.0691, -0.44, 6.44)
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values are paired with {len(second)}; give two of one length")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    mean = float(differences.mean())
    groups = len(set(clusters))
    error = clustered_standard_error(differences.tolist(), clusters)
    if hit is None:
        hit = next((one for one in (1.0, 100.0) if {0.0, one} == {0.0, *first, *second}), None)
    ends: Interval | None = None
    p = None if differences.any() else 1.0
    if error is not None and hit is not None:
        ends, p = _by_score(differences / hit, clusters)
        ends = (hit * ends[0], hit * ends[1])
    elif error is not None and error > 1e-12 * float(np.abs(differences).max()):
        low, high = mean_interval(mean, error, groups) or (mean, mean)
        ends, p = (max(low, -span), min(high, span)), two_sided_p(mean / error, groups - 1)
    return PairedDifference(
        mean=mean,
        standard_error=error,
        low=None if ends is None else ends[0],
        high=None if ends is None else ends[1],
        p=p,
        detectable=detectable_difference(error, groups),
    )


def metric_difference(
    metric: Metric, first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable]
) -> PairedDifference:
    """Returns `paired_difference` of primary scores of this metric, within what it can be."""
    low, high = metric.range
    return paired_difference(first, second, clusters, hit=high if metric.is_share else None, span=high - low)


def _by_score(differences: NDArray[np.float64], clusters: Sequence[Hashable]) -> tuple[Interval, float]:
    """Returns the interval and the p of a difference of shares; each sample differs by -1, 0 or 1."""
    n = len(differences)
    wins, losses = float((differences > 0).mean()), float((differences < 0).mean())
    spread = float(differences.std(ddof=1)) / math.sqrt(n)
    error = clustered_standard_error(differences.tolist(), clusters)
    # Garments whose samples differ less among themselves than chance would have it do not make more samples of them.
    effect = max((error / spread) ** 2, 1.0) if error is not None and spread else kish_design_effect(clusters)

    def z(difference: float) -> float:
        return share_difference_z(wins, losses, difference, n / effect)

    low = _crossing(z, _QUANTILE, -1.0, wins - losses)
    high = _crossing(z, -_QUANTILE, wins - losses, 1.0)
    return (low, high), math.erfc(abs(z(0.0)) / math.sqrt(2))


def share_difference_z(wins: float, losses: float, difference: float, n: float) -> float:
    """Returns the score statistic of the hypothesis that two paired shares differ by this much; normal under it.

    With w and l the shares of pairs in which only the first, or only the second, is a hit, and d the hypothesis:

        z = (w - l - d) / √((2q + d - d²) / n)
        q = (√(B² - 8C) - B) / 4,   B = -w - l + (2 - w + l)d,   C = -l·d(1 - d)

    where q is the likeliest share of losses under the hypothesis (Tango, Statistics in Medicine 17, 1998). For d = 0 it
    is McNemar's statistic. Unlike a standard error it does not vanish where no pair differs.

    Args:
        wins, losses: 0..1.
        difference: -1..1, the true difference of the shares under the hypothesis.
        n: The number of pairs, or the effective number where pairs are clustered.

    >>> round(share_difference_z(0.09, 0.01, 0.0, 100), 4)
    2.5298
    """
    b = -wins - losses + (2 - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    q = (math.sqrt(max(b * b - 8 * c, 0.0)) - b) / 4
    variance = (2 * max(q, -difference, 0.0) + difference - difference * difference) / n
    distance = wins - losses - difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _crossing(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Returns where a falling function crosses the level, by bisection; the nearer end where it does not."""
    if falling(low) <= level:
        return low
    if falling(high) >= level:
        return high
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return middle
        low, high = (middle, high) if falling(middle) > level else (low, middle)


def holm(values: Sequence[float]) -> list[float]:
    """Returns the p-values corrected for their number by Holm's step-down procedure, in the same order.

    The k-th smallest of m is multiplied by m - k + 1, made no smaller than the one before, and cut at 1: the chance of
    any false finding in the family stays below the level whatever the dependence (Holm, Scandinavian Journal of
    Statistics 6, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(values)
    reached = 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        reached = max(reached, min((len(values) - place) * values[index], 1.0))
        corrected[index] = reached
    return corrected
