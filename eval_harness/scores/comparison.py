"""Which of several systems is better: paired differences on the same samples, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.protocols import PROTOCOLS

from .intervals import SIGNIFICANCE, PairedDifference, holm, metric_difference
from .primary_scores import BREAKDOWNS, groups, row_primary_scores, unfinished
from .result_models import Results

BASELINES = ("draft", "flat-grey", "faded-draft", "return-reference", "paste-reference", "oracle")
"""The rows of every table that a run can be compared with, by name."""


@dataclass(frozen=True, slots=True)
class System:
    """A run, or a row that every table has, with its places in the table.

    Args:
        rows: The index in `Results.rows` by protocol and round.
        always: The index of the one row that stands for it in every protocol and round, as that of the draft does.
    """

    label: str
    rows: dict[tuple[str, int], int]
    always: int | None = None

    def row(self, protocol: str, round: int) -> int | None:
        """Returns the index of its row there, None where it has none."""
        return self.rows.get((protocol, round), self.always)


def systems(results: Results, named: Sequence[int | str]) -> list[System]:
    """Returns the systems in the order named; where two have one label, both say which they are."""
    found = [_system(results, one) for one in named]
    labels = [one.label for one in found]
    return [
        replace(one, label=f"{one.label} ({place})") if labels.count(one.label) > 1 else one
        for place, one in enumerate(found, start=1)
    ]


def _system(results: Results, named: int | str) -> System:
    if isinstance(named, str) and named not in BASELINES:
        raise UnknownNameError(f"no baseline is called {named!r}; choose {', '.join(BASELINES)}")
    rows = {}
    for place, row in enumerate(results.rows):
        if row.kind == "floor" if named == "draft" else row.kind == "trivial" and row.editor == named:
            return System(row.method, {}, place)
        if row.run == named or (row.editor == named and row.kind in ("baseline", "ceiling")):
            rows[row.protocol, row.round] = place
    if not rows:
        if isinstance(named, int):
            raise InvalidDataError(f"run {named} has no rows in these results; score the run again")
        raise InvalidDataError(f"{named} has no rows in these results; compare with another of {', '.join(BASELINES)}")
    return System(results.rows[next(iter(rows.values()))].method, rows)


_DECISIVE = 5


@dataclass(frozen=True, slots=True)
class Decisive:
    """One of the samples that a difference comes from, with both scores, and the first minus the second."""

    sample: str
    first: float
    second: float
    difference: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two methods, in one protocol after one round, by one metric.

    Args:
        by, value: The kind of samples, where the contrast is about one kind alone; empty for all.
        n, garments: Over how many samples and garments.
        means: The two primary scores over these samples.
        failed: In how many of these samples the two did not end `ok`.
        difference: First minus second.
        corrected: p after Holm; None outside the family of last rounds, where p stands uncorrected.
        wins, losses: In how many samples the first is higher, and in how many the second.
        decisive: The samples that contribute most to the difference, largest first; where all contribute the same, as
            with the starred metric, those that lie furthest apart in the similarity behind it.
    """

    first: str
    second: str
    protocol: str
    round: int
    by: str
    value: str
    metric: str
    n: int
    garments: int
    means: tuple[float, float]
    failed: tuple[int, int]
    ranked: tuple[bool, bool]
    difference: PairedDifference
    corrected: float | None
    wins: int
    losses: int
    decisive: tuple[Decisive, ...]

    @property
    def verdict(self) -> str:
        """`higher` or `lower` where the data tell the two apart, else `tie`; after correction where there is one.

        `unranked` where one of them failed too often to be ranked by this metric.
        """
        if not all(self.ranked):
            return "unranked"
        p = self.corrected if self.corrected is not None else self.difference.p
        if p is None or p >= SIGNIFICANCE:
            return "tie"
        return "higher" if self.difference.mean > 0 else "lower"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every pair of methods, compared.

    Args:
        family: Which tests were corrected together, in words.
        last: The contrasts of the last round: the family.
        rounds: Those of earlier rounds; exploratory.
        breakdowns: Those of the last round for one kind of samples; exploratory.
        order: For each protocol and metric the labels from high to low, in ranks: neighbours that tie share one. Two of
            a rank need not tie where others stand between them. Who has no rank by the metric is left out.
    """

    systems: tuple[str, ...]
    family: str
    last: tuple[Contrast, ...]
    rounds: tuple[Contrast, ...]
    breakdowns: tuple[Contrast, ...]
    order: dict[tuple[str, str], tuple[tuple[str, ...], ...]]


def compare(results: Results, named: Sequence[int | str]) -> Comparison:
    """Returns the comparison of each with each, in the protocols that both have, up to the last round that both have.

    Holm's correction goes over all tests of last rounds: pairs × protocols × metrics. What is shown for earlier rounds
    and for kinds of samples is not corrected and explores.

    Args:
        results: Of one run, or merged: what `merge` refuses can't be compared.
        named: Indices of `Results.runs`, or names from `BASELINES`.

    Raises:
        UnknownNameError: A name is no baseline.
        InvalidDataError: There are fewer than two, one has no rows here, or two have no protocol in common.
    """
    if len(named) < 2:
        raise InvalidDataError(
            f"{len(named)} given, and a comparison needs two; name two runs, or a run and one of {', '.join(BASELINES)}"
        )
    if unfinished(results):
        raise InvalidDataError(
            "a run is unfinished: its rounds are over other samples than those of what it is compared with; finish it "
            "with the same run command and score it again, or compare its first N samples: fashionedit score --limit N"
        )
    found = systems(results, named)
    last: list[Contrast] = []
    rounds: list[Contrast] = []
    breakdowns: list[Contrast] = []
    for pair in combinations(found, 2):
        shared = _shared(*pair)
        for protocol, round in shared:
            ends = (protocol, round + 1) not in shared
            for contrast in _contrasts(results, pair, (protocol, round), kinds=ends):
                (breakdowns if contrast.by else last if ends else rounds).append(contrast)
    last = _corrected(last)
    labels = [one.label for one in found]
    return Comparison(
        tuple(labels), _family(last, results), tuple(last), tuple(rounds), tuple(breakdowns), _orders(last, labels)
    )


def _shared(first: System, second: System) -> list[tuple[str, int]]:
    places = [place for place in {**first.rows, **second.rows} if None not in (first.row(*place), second.row(*place))]
    if not places:
        raise InvalidDataError(
            f"{first.label} and {second.label} have no protocol in common; compare runs that share one"
        )
    return sorted(places, key=_placed)


def _placed(place: tuple[str, int]) -> tuple[int, int]:
    return list(PROTOCOLS).index(place[0]), place[1]


def _contrasts(
    results: Results, pair: tuple[System, System], place: tuple[str, int], *, kinds: bool
) -> Iterator[Contrast]:
    rows = [row for one in pair if (row := one.row(*place)) is not None]
    samples = {("", ""): list(range(len(results.samples)))}
    if kinds:
        samples |= {(by, value): at for by in BREAKDOWNS for value, at in groups(results, by).items()}
    for metric in results.metrics:
        behind = [results.row_samples[row].values[metric.of or metric.id] for row in rows]
        values = [row_primary_scores(results, row, metric) for row in rows]
        for kind, at in samples.items():
            first, second = ([column[one] for one in at] for column in values)
            garments = [results.samples[one].garment for one in at]
            yield Contrast(
                first=pair[0].label,
                second=pair[1].label,
                protocol=place[0],
                round=place[1],
                by=kind[0],
                value=kind[1],
                metric=metric.id,
                n=len(at),
                garments=len(set(garments)),
                means=(math.fsum(first) / len(at), math.fsum(second) / len(at)),
                failed=(_failed(results, rows[0], at), _failed(results, rows[1], at)),
                ranked=(results.rows[rows[0]].is_ranked(metric), results.rows[rows[1]].is_ranked(metric)),
                difference=metric_difference(metric, first, second, garments),
                corrected=None,
                wins=sum(mine > theirs for mine, theirs in zip(first, second, strict=True)),
                losses=sum(mine < theirs for mine, theirs in zip(first, second, strict=True)),
                decisive=tuple(_decisive(results, values, behind, at)),
            )


def _failed(results: Results, row: int, at: Sequence[int]) -> int:
    return sum(results.row_samples[row].status[place] != Status.OK for place in at)


def _decisive(
    results: Results, values: Sequence[Sequence[float]], scores_behind: Sequence[Sequence[float]], at: Sequence[int]
) -> Iterator[Decisive]:
    first, second = values
    differences = {one: first[one] - second[one] for one in at}
    sign = -1 if math.fsum(differences.values()) < 0 else 1
    behind = {one: scores_behind[0][one] - scores_behind[1][one] for one in at}
    order = sorted(at, key=lambda one: (-sign * differences[one], -sign * behind[one], one))
    for one in order[:_DECISIVE]:
        if sign * differences[one] > 0:
            yield Decisive(results.samples[one].id, first[one], second[one], differences[one])


def _corrected(contrasts: Sequence[Contrast]) -> list[Contrast]:
    values = iter(holm([one.difference.p for one in contrasts if one.difference.p is not None]))
    return [replace(one, corrected=None if one.difference.p is None else next(values)) for one in contrasts]


def _family(last: Sequence[Contrast], results: Results) -> str:
    pairs = len({(one.first, one.second) for one in last})
    places = sorted({(one.protocol, one.round) for one in last}, key=_placed)
    protocols = ", ".join(f"{protocol} round {round}" for protocol, round in places)
    metrics = ", ".join(metric.label for metric in results.metrics)
    tests = f"{len(last)} test{'s' if len(last) != 1 else ''}"
    return f"{tests} of last rounds ({pairs} pair{'s' if pairs != 1 else ''}; {protocols}; {metrics})"


def _orders(last: Sequence[Contrast], labels: Sequence[str]) -> dict[tuple[str, str], tuple[tuple[str, ...], ...]]:
    orders = {}
    in_order = sorted(last, key=lambda one: _placed((one.protocol, one.round)))
    for protocol, metric in dict.fromkeys((one.protocol, one.metric) for one in in_order):
        chosen = [one for one in last if (one.protocol, one.metric) == (protocol, metric)]
        means = {
            label: mean
            for one in chosen
            for label, mean, ranked in zip((one.first, one.second), one.means, one.ranked, strict=True)
            if ranked
        }
        ties = {frozenset((one.first, one.second)) for one in chosen if one.verdict == "tie"}
        ranks: list[tuple[str, ...]] = []
        for label in sorted((label for label in labels if label in means), key=lambda label: -means[label]):
            if ranks and frozenset((ranks[-1][-1], label)) in ties:
                ranks[-1] = (*ranks[-1], label)
            else:
                ranks.append((label,))
        orders[protocol, metric] = tuple(ranks)
    return orders
