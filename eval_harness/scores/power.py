"""How small a difference a table can show."""

from __future__ import annotations

from .student import student_quantile

SIGNIFICANCE = 0.05
POWER = 0.8


def detectable_difference(standard_error: float | None, clusters: int) -> float | None:
    """Returns the smallest true difference that a two-sided test at α = 0.05 finds in 80 % of repetitions.

    (t₁₋α⸝₂ + t_power) · SE, both quantiles with G - 1 degrees of freedom (Bloom, Evaluation Review 19, 1995).

    Args:
        standard_error: Of the paired difference, clustered; None, or 0 where no sample differs, gives None.
        clusters: G, the number of clusters.

    >>> round(detectable_difference(1.0, 400), 3)
    2.808
    """
    if not standard_error:
        return None
    freedom = clusters - 1
    return (student_quantile(1 - SIGNIFICANCE / 2, freedom) + student_quantile(POWER, freedom)) * standard_error
