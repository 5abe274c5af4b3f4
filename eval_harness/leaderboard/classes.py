"""The scores of a bundle by class: category, gender, view."""

from __future__ import annotations

from collections.abc import Iterator

from fashionedit.eval_harness.scores.result_models import Results, Row, Score

from .board_models import ClassScore, Value
from .rebuilding import rebuilt_rows

CLASSES = ("category", "gender", "view")

UNKNOWN = "–"


def value_of(score: Score) -> Value:
    """Returns the primary score with its interval."""
    return Value(mean=score.mean, low=score.low, high=score.high)


def class_scores(results: Results, rows: list[Row]) -> dict[int, tuple[ClassScore, ...]]:
    """Returns the scores over each class of samples, for each of the rows by its index in the list.

    Args:
        rows: Some of the results' own.
    """
    places = [results.rows.index(row) for row in rows]
    needed = [place for place, row in enumerate(results.rows) if place in places or row.kind in ("floor", "ceiling")]
    fewer = results.model_copy(
        update={
            "rows": tuple(results.rows[place] for place in needed),
            "row_samples": tuple(results.row_samples[place] for place in needed),
        }
    )
    found: dict[int, list[ClassScore]] = {number: [] for number in range(len(rows))}
    for by, value, ids, garments in _groups(results):
        made = [rebuilt for _, rebuilt in rebuilt_rows(fewer, ids)]
        for number, place in enumerate(places):
            row = made[needed.index(place)]
            scores = {metric: value_of(score) for metric, score in row.scores.items()}
            found[number].append(ClassScore(by=by, value=value, n=len(ids), garments=garments, scores=scores))
    return {number: tuple(scores) for number, scores in found.items()}


def _groups(results: Results) -> Iterator[tuple[str, str, set[str], int]]:
    for by in CLASSES:
        values = sorted({getattr(sample, by) or UNKNOWN for sample in results.samples})
        if len(values) < 2:
            continue  # one class is the whole
        for value in values:
            members = [sample for sample in results.samples if (getattr(sample, by) or UNKNOWN) == value]
            yield by, value, {sample.id for sample in members}, len({sample.garment for sample in members})
