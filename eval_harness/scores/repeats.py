"""A run that was made several times over: its rows, with the headline of each repetition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource

from .aggregation import Method, rows_of
from .result_models import Row, RowSamples
from .scoring import Scores

ByRound = dict[int, dict[str, RoundOutcome]]
"""Outcomes of one method in one protocol: round → sample id → outcome."""


def grouped(outcomes: Iterable[RoundOutcome]) -> dict[str, ByRound]:
    """Returns the outcomes by protocol, round and sample."""
    groups: dict[str, ByRound] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.protocol, {}).setdefault(outcome.round, {})[outcome.sample] = outcome
    return groups


def with_repeats(
    rows: Iterable[tuple[Row, RowSamples]],
    others: Sequence[Mapping[int, Mapping[str, RoundOutcome]]],
    method: Method,
    source: SampleSource,
    scores: Scores,
) -> Iterator[tuple[Row, RowSamples]]:
    """Yields the rows of the first repetition with the headlines of all, its own first.

    Args:
        others: The outcomes of the other repetitions in the same protocol; without any the rows stay as they are.
    """
    plain = replace(method, extent="none")
    again = [
        {row.round: row.scores for row, _ in rows_of(plain, "", "", outcomes, source, scores)} for outcomes in others
    ]
    for row, samples in rows:
        repeats = {
            id: (score.mean, *(one[row.round][id].mean for one in again)) for id, score in row.scores.items() if again
        }
        yield row.model_copy(update={"repeats": repeats}), samples
