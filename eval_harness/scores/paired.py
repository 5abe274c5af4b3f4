"""The difference between two methods on the same samples, and what it is worth."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .intervals import mean_interval
from .power import detectable_difference
from .statistics import clustered_standard_error
from .student import two_sided_p

MOST_FLIPPED = 16
"""Garments that differ, up to which all flips are counted; above it Student's t is as good."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean of the samples' differences, first minus second, in the unit of the values.

    Args:
        standard_error: Clustered by garment; None with fewer than two garments.
        low, high: The ends of the 95 % interval; None where there is no standard error.
        p: Of the hypothesis that the true mean difference is 0, two-sided; 1 where no sample differs, None where there
            is no standard error and some do.
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
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable]
) -> PairedDifference:
    """Returns how much higher the first values are than the second, pair by pair.

    The test is Student's t with the clustered standard error and G - 1 degrees of freedom, the one that the interval
    belongs to (Cameron & Miller, Journal of Human Resources 50, 2015, section VI.D). Where no more than 16 garments
    differ, as with CLIP* of two methods that are nearly alike, t is too sure of itself; there p is that of Fisher's
    randomisation test, which flips the signs of whole garments in all possible ways.

    Args:
        first, second: One number per sample, in one order.
        clusters: The cluster of each sample.

    Raises:
        ValueError: The three differ in length, or a value is not finite.

    >>> found = paired_difference([3.0, 5.0, 4.0, 8.0], [2.0, 2.0, 2.0, 2.0], ["a", "b", "c", "d"])
    >>> found.mean, round(found.p, 4)
    (3.0, 0.125)
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values are paired with {len(second)}; give two of one length")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    mean = float(differences.mean())
    groups = len(set(clusters))
    error = clustered_standard_error(differences.tolist(), clusters)
    ends = mean_interval(mean, error, groups)
    return PairedDifference(
        mean=mean,
        standard_error=error,
        low=None if ends is None else ends[0],
        high=None if ends is None else ends[1],
        p=_p(differences, mean, error, clusters),
        detectable=detectable_difference(error, groups),
    )


def _p(
    differences: NDArray[np.float64], mean: float, error: float | None, clusters: Sequence[Hashable]
) -> float | None:
    if not differences.any():
        return 1.0
    if error is None:
        return None
    index: dict[Hashable, int] = {}
    membership = [index.setdefault(cluster, len(index)) for cluster in clusters]
    sums = np.bincount(membership, weights=differences)
    if np.count_nonzero(sums) <= MOST_FLIPPED:
        return sign_flip_p(sums.tolist())
    if error == 0:  # every garment moved by the same amount: no other way to sign them reaches as far, but its mirror
        return float(2.0 ** (1 - np.count_nonzero(sums)))
    return two_sided_p(mean / error, len(index) - 1)


def sign_flip_p(sums: Sequence[float]) -> float:
    """Returns the two-sided p of the hypothesis that each number is as likely to have the other sign, 0..1.

    It is the share of all 2^k ways to sign the k numbers that are not 0 whose sum is at least as far from 0 as the one
    found (Fisher, The Design of Experiments, 1935, section 21; for clusters: Canay, Romano & Shaikh, Econometrica 85,
    2017). Exact, and never below 2^(1-k).

    Args:
        sums: The sum of the differences in each cluster.

    >>> sign_flip_p([1.0, 1.0, 1.0, 0.0])
    0.25
    """
    sizes = np.abs([value for value in sums if value])
    reached = np.zeros(1)
    for size in sizes:
        reached = np.concatenate([reached + size, reached - size])
    # Sums of the same numbers in another order differ in their last digits.
    least = abs(float(np.sum(sums))) - 1e-9 * float(sizes.sum())
    return float(np.mean(np.abs(reached) >= least))


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
