"""The values that a table's scores are means of, sample by sample, and their means for one kind of sample at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from numpy.typing import ArrayLike

from fashionedit.errors import UnknownNameError
from fashionedit.eval_harness.editing import Status
from fashionedit.metrics.similarity import above

from .intervals import Interval, clustered_standard_error, mean_interval, share_interval
from .result_models import MeasureValue, Metric, Results

NOT_RUN = "not_run"
"""The status of a round that has no record. Of imported images it is a failure; a run that has not come to it is
unfinished, and its row is over the samples that were asked in this round."""


def rounded(value: float) -> float:
    """Returns a mean, an error or an end of an interval as `results.json` has it: with six decimals of its unit."""
    return round(value, 6)


def hits(values: ArrayLike, threshold: float, scale: float) -> list[bool]:
    """Returns for each value whether it is strictly above the threshold.

    They are not rounded, here or in `results.json`: whoever counts again from the file finds the same share.

    Args:
        values: In the metric's unit.
        threshold: As a cosine; `scale` brings it to the unit.

    >>> hits([90.0, 100 * 0.9000000000000001], 0.9, 100)
    [False, True]
    """
    found: list[bool] = above(values, threshold * scale).tolist()
    return found


def primary_scores(metric: Metric, values: Sequence[float], drafts: Sequence[float], ok: Sequence[bool]) -> list[float]:
    """Returns one value per sample, in the metric's unit, whose mean is the primary score.

    A sample whose round did not end `ok` is a miss for the starred metric (0, where a hit is 100), and has the lower
    of the draft's and the last good image's score for the others. `values` are those of the last good images: cosines
    in their unit for the starred metric too.
    """
    if metric.threshold is not None:
        found = hits(values, metric.threshold, metric.scale)
        return [100.0 if hit and good else 0.0 for hit, good in zip(found, ok, strict=True)]
    return [value if good else min(value, draft) for value, draft, good in zip(values, drafts, ok, strict=True)]


def unfinished(results: Results) -> bool:
    """Returns whether a run had not asked for every sample in every round when it was scored."""
    return any(row.requested != len(results.samples) for row in results.rows)


def row_primary_scores(results: Results, row: int, metric: Metric) -> list[float]:
    """Returns `primary_scores` of the row of this index from the stored scores, in the order of `Results.samples`."""
    samples = results.row_samples[row]
    stored = metric.of or metric.id
    floor = next(index for index, one in enumerate(results.rows) if one.kind == "floor")
    return primary_scores(
        metric,
        samples.values[stored],
        results.row_samples[floor].values[stored],
        [status == Status.OK for status in samples.status],
    )


By = Literal["gender", "category", "view"]

BREAKDOWNS: tuple[By, ...] = get_args(By)
"""What results can be broken down by."""

FEWEST_GARMENTS = 6
"""With fewer in a kind, an interval says nothing: the errors of so few clusters are themselves mostly chance."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One row of a table, for the `n` samples of one value.

    Args:
        row: The index in `Results.rows`.
        garments: How many garments they show.
        failed: In how many of them the round did not end `ok`.
        scores: The primary score of each metric over them, by metric id.
    """

    by: str
    value: str
    row: int
    n: int
    garments: int
    failed: int
    scores: dict[str, MeasureValue]


def last_rounds(results: Results) -> list[int]:
    """Returns the indices of the rows after the last round, in the order of the table: one for each chain of rounds."""
    last: dict[tuple[int | None, str, str, str], int] = {}
    for index, row in enumerate(results.rows):
        chain = (row.run, row.method, row.protocol, row.prompt)
        if chain not in last or row.round > results.rows[last[chain]].round:
            last[chain] = index
    return sorted(last.values())


def breakdowns(results: Results, rows: Collection[int]) -> dict[By, tuple[Breakdown, ...]]:
    """Returns these rows by gender, category and view, as far as they tell at least two groups of samples apart."""
    return {by: breakdown(results, by, rows) for by in BREAKDOWNS if len(groups(results, by)) > 1}


def breakdown(results: Results, by: str, rows: Collection[int] | None = None) -> tuple[Breakdown, ...]:
    """Returns the rows of these indices (all by default) for every value, the values in alphabetical order.

    Samples without a value, and those that an unfinished run has not come to, are left out.

    Raises:
        UnknownNameError: `by` is not `gender`, `category` or `view`.
    """
    indices = range(len(results.rows)) if rows is None else sorted(rows)
    values = {
        (row, metric.id): row_primary_scores(results, row, metric) for row in indices for metric in results.metrics
    }
    parts = []
    for value, of_value in groups(results, by).items():
        for index in indices:
            row, samples = results.rows[index], results.row_samples[index]
            places = [place for place in of_value if row.supplied or samples.status[place] != NOT_RUN]
            if not places:
                continue
            garments = [results.samples[place].garment for place in places]
            scores = {
                metric.id: _score(metric, [values[index, metric.id][place] for place in places], garments)
                for metric in results.metrics
            }
            failed = sum(samples.status[place] != Status.OK for place in places)
            parts.append(Breakdown(by, value, index, len(places), len(set(garments)), failed, scores))
    return tuple(parts)


def groups(results: Results, by: str) -> dict[str, list[int]]:
    """Returns for each value, in alphabetical order, the places in `Results.samples` of the samples that have it."""
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
    low, high = metric_interval(metric, mean, error, values, garments) or (None, None)
    return MeasureValue(mean=mean, standard_error=error, low=low, high=high, n=len(values))


def metric_interval(
    metric: Metric, mean: float, error: float | None, values: Sequence[float], garments: Sequence[str]
) -> Interval | None:
    """Returns the interval of the mean of primary scores; None where there is none."""
    if not metric.is_share:
        return mean_interval(mean, error, len(set(garments)), metric.range)
    share = share_interval([value / 100 for value in values], garments)
    return None if share is None else (100 * share[0], 100 * share[1])
