"""95 % intervals of a mean and of a share, where several samples show the same garment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from .statistics import clustered_standard_error
from .student import student_quantile

CONFIDENCE = 0.95

INTERVALS = (
    "95 %, clustered by garment: Student's t for means and their paired differences; for shares Wilson's and for their "
    "paired differences Tango's score interval, with the effective number of samples"
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
        standard_error: `clustered_standard_error` of the values.
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

    Args:
        hits: 0 or 1 per sample.
        clusters: The cluster of each sample, in the same order.

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
