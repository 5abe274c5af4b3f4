"""The values that a headline is the mean of, sample by sample, from what `results.json` holds."""

from __future__ import annotations

from collections.abc import Sequence

from fashionedit.eval_harness.editing import Status

from .result_models import Metric, Results


def rounded(value: float) -> float:
    """Returns a mean, an error or an end of an interval as `results.json` has it: with six decimals of its unit."""
    return round(value, 6)


def hits(values: Sequence[float], threshold: float, scale: float) -> list[bool]:
    """Returns for each value whether it is strictly above the threshold.

    They are not rounded, here or in `results.json`: the metric module decides on the same numbers, and whoever counts
    again from the file finds the same share.

    Args:
        values: In the metric's unit.
        threshold: As a cosine.
        scale: From a cosine to the unit.

    >>> hits([90.0, 100 * 0.9000000000000001], 0.9, 100)
    [False, True]
    """
    least = threshold * scale
    return [value > least for value in values]


def headlines(metric: Metric, values: Sequence[float], drafts: Sequence[float], ok: Sequence[bool]) -> list[float]:
    """Returns one value per sample, in the metric's unit, whose mean is the headline.

    A sample whose round did not end `ok` is a miss for the starred metric (0, where a hit is 100), and has the lower
    of the draft's and the last good image's score for the others.

    Args:
        values: Of the last good images; cosines in their unit for the starred metric too.
        drafts: The same of the drafts.
        ok: Whether the round ended so.
    """
    if metric.threshold is not None:
        found = hits(values, metric.threshold, metric.scale)
        return [100.0 if hit and good else 0.0 for hit, good in zip(found, ok, strict=True)]
    return [value if good else min(value, draft) for value, draft, good in zip(values, drafts, ok, strict=True)]


def unfinished(results: Results) -> bool:
    """Returns whether a run had not asked for every sample in every round when it was scored."""
    return any(row.requested != len(results.samples) for row in results.rows)


def headline_values(results: Results, row: int, metric: Metric) -> list[float]:
    """Returns `headlines` of one row from the stored scores, in the order of `Results.samples`.

    Args:
        row: The index in `Results.rows`.
    """
    samples = results.row_samples[row]
    stored = results.metrics[0].id if metric.is_share else metric.id
    floor = next(index for index, one in enumerate(results.rows) if one.kind == "floor")
    return headlines(
        metric,
        samples.values[stored],
        results.row_samples[floor].values[stored],
        [status == Status.OK for status in samples.status],
    )
