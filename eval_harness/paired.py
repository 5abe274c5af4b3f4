"""The difference between two methods on the same samples, and what it is worth."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from .intervals import mean_interval
from .power import detectable_difference
from .statistics import clustered_standard_error
from .student import two_sided_p

__all__ = ["PairedDifference", "holm", "paired_difference"]


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
    belongs to, so the two never disagree where there are more than five garments (Cameron & Miller, Journal of Human
    Resources 50, 2015, section VI.D). p is never below 2^(1-G), the smallest value of a test that flips the signs of
    whole garments (Fisher's randomisation test): a difference that is the same in three garments is no proof, though
    its standard error is 0.

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
        p=1.0 if not differences.any() else _p(mean, error, groups),
        detectable=detectable_difference(error, groups),
    )


def _p(mean: float, error: float | None, groups: int) -> float | None:
    if error is None:
        return None
    found = two_sided_p(mean / error, groups - 1) if error > 0 else 0.0
    return max(found, 2.0 ** (1 - groups))


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
