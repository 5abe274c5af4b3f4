"""How far a mean over samples may be off when several samples show the same garment."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np


def clustered_standard_error(values: Sequence[float], clusters: Sequence[Hashable]) -> float | None:
    """Returns the cluster-robust standard error of the mean, in the unit of the values; None for fewer than 2 clusters.

    With n values in G clusters and the residuals e = x - mean(x):

        SE² = G / (G - 1) · Σ_g (Σ_{i in g} e_i)² / n²

    This is the sandwich estimator for a regression on a constant (Liang & Zeger, Biometrika 73, 1986) with the CR1
    factor G/(G-1) · (n-1)/(n-k), k = 1 (Cameron & Miller, Journal of Human Resources 50, 2015, equations 11-12). Where
    every sample is a cluster of its own it is s/√n exactly. It trusts the number of clusters to be large; with a
    handful it is too small.

    Args:
        values: One number per sample.
        clusters: The cluster of each sample, in the same order: here its garment.

    Raises:
        ValueError: The two differ in length, or a value is not finite.

    >>> clustered_standard_error([1.0, 3.0, 2.0, 6.0], ["a", "a", "b", "b"])
    1.0
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values have {len(clusters)} clusters; give one cluster per value")
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite; a standard error needs finite numbers")
    index: dict[Hashable, int] = {}
    membership = [index.setdefault(cluster, len(index)) for cluster in clusters]
    if len(index) < 2:
        return None
    sums = np.bincount(membership, weights=numbers - numbers.mean(), minlength=len(index))
    return math.sqrt(len(index) / (len(index) - 1) * float(sums @ sums)) / len(numbers)
