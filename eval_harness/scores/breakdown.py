"""The rows of a table for one kind of sample at a time: by gender, category or view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from fashionedit.errors import UnknownNameError
from fashionedit.eval_harness.editing import Status

from .aggregation import NOT_RUN
from .headlines import headline_values
from .intervals import mean_interval, share_interval
from .result_models import MeasureValue, Metric, Results
from .statistics import clustered_standard_error

By = Literal["gender", "category", "view"]

BREAKDOWNS: tuple[By, ...] = get_args(By)
"""What results can be broken down by."""

FEWEST_GARMENTS = 6
"""With fewer in a kind, an interval says nothing: the errors of so few clusters are themselves mostly chance."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One row of a table, for the samples of one value.

    Args:
        by: `gender`, `category` or `view`.
        value: Which one, as the dataset writes it.
        row: The index in `Results.rows`.
        n: How many samples have it.
        garments: How many garments they show.
        failed: In how many of them the round did not end `ok`.
        scores: The headline of each metric over them, by metric id.
    """

    by: str
    value: str
    row: int
    n: int
    garments: int
    failed: int
    scores: dict[str, MeasureValue]


def breakdown(results: Results, by: str) -> tuple[Breakdown, ...]:
    """Returns every row of the table for every value, the values in alphabetical order.

    Samples without a value are left out.

    Args:
        by: `gender`, `category` or `view`.

    Raises:
        UnknownNameError: `by` is something else.
    """
    found = groups(results, by)
    counted = [
        [row.supplied or status != NOT_RUN for status in samples.status]
        for row, samples in zip(results.rows, results.row_samples, strict=True)
    ]
    values = {
        (row, metric.id): headline_values(results, row, metric)
        for row in range(len(results.rows))
        for metric in results.metrics
    }
    parts = []
    for value, of_value in found.items():
        for row, counts in enumerate(counted):
            places = [place for place in of_value if counts[place]]
            if not places:
                continue
            garments = [results.samples[place].garment for place in places]
            scores = {
                metric.id: _score(metric, [values[row, metric.id][place] for place in places], garments)
                for metric in results.metrics
            }
            failed = sum(results.row_samples[row].status[place] != Status.OK for place in places)
            parts.append(Breakdown(by, value, row, len(places), len(set(garments)), failed, scores))
    return tuple(parts)


def groups(results: Results, by: str) -> dict[str, list[int]]:
    """Returns for each value, in alphabetical order, the places in `Results.samples` of the samples that have it.

    Raises:
        UnknownNameError: `by` is not `gender`, `category` or `view`.
    """
    if by not in BREAKDOWNS:
        raise UnknownNameError(f"results can't be broken down by {by!r}; choose {', '.join(BREAKDOWNS)}")
    found: dict[str, list[int]] = {}
    for place, sample in enumerate(results.samples):
        if value := getattr(sample, by):
            found.setdefault(value, []).append(place)
    return dict(sorted(found.items()))


def _score(metric: Metric, values: Sequence[float], garments: Sequence[str]) -> MeasureValue:
    mean = math.fsum(values) / len(values)
    error = clustered_standard_error(values, garments)
    if metric.is_share:
        share = share_interval([value / 100 for value in values], garments)
        ends = None if share is None else (100 * share[0], 100 * share[1])
    else:
        ends = mean_interval(mean, error, len(set(garments)), metric.limits)
    low, high = ends if ends is not None else (None, None)
    return MeasureValue(mean=mean, standard_error=error, low=low, high=high, n=len(values))
