"""The difference between two methods on the same samples, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .intervals import CONFIDENCE, Interval, kish_design_effect, mean_interval
from .power import detectable_difference
from .result_models import Metric
from .statistics import clustered_standard_error
from .student import two_sided_p

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
        first, second: One number per sample, in one order.
        clusters: The cluster of each sample.
        hit: For shares, the value of a hit, where a miss is 0. None means a share of hits of 1 or of 100 where the
            values are 0 and that number alone, else a mean.
        span: How far two values can be apart at most; the ends of the interval of a mean are cut there.

    Raises:
        ValueError: The three differ in length, or a value is not finite.

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
    """Returns `paired_difference` of headlines of this metric, within what it can be."""
    low, high = metric.limits
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
