"""What the votes say: who wins, whether voters agree, and which metric would have told.

All intervals are clustered by garment, and made by `scores/intervals.py`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fashionedit.eval_harness.scores.intervals import (
    clustered_standard_error,
    mean_interval,
    paired_difference,
)
from fashionedit.eval_harness.scores.primary_scores import hits
from fashionedit.eval_harness.scores.result_models import Results

from .verdicts import Ballots, Contest, Verdict, VoterKey, count_votes
from .votes import Answer, Vote, VoterKind, voter_key, voter_labels

PEOPLE, MODELS = "people", "models"
KINDS: dict[VoterKind, str] = {"person": PEOPLE, "model": MODELS}
"""How tables call all voters of a kind together."""


@dataclass(frozen=True, slots=True)
class Share:
    """How often one of two things was the case, where neither counts half.

    Args:
        yes, half, no: How often.
        garments: How many clusters.
        share: (yes + half / 2) / n, 0..1.
        low, high: The ends of its 95 % interval; None with fewer than two garments.
        p: Of the hypothesis that it is one half, two-sided.
    """

    yes: int
    half: int
    no: int
    garments: int
    share: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def n(self) -> int:
        """How many there are."""
        return self.yes + self.half + self.no


def share_of(scores: Sequence[float], garments: Sequence[Hashable]) -> Share:
    """Returns the share of scores of 1, where 0 is the opposite and 0.5 neither.

    The share is (1 + yes - no) / 2, so its interval is that of a paired difference of shares: Tango's score interval
    with the effective number of samples, which has a width where all agree, and counts ties for what they are.

    >>> found = share_of([1.0] * 12 + [0.5] * 4 + [0.0] * 4, range(20))
    >>> found.share, round(found.low, 3), round(found.high, 3)
    (0.7, 0.504, 0.839)
    """
    yes, no = [float(score > 0.5) for score in scores], [float(score < 0.5) for score in scores]
    found = paired_difference(yes, no, garments, hit=1.0)
    return Share(
        yes=round(sum(yes)),
        half=len(scores) - round(sum(yes) + sum(no)),
        no=round(sum(no)),
        garments=len(set(garments)),
        share=(1 + found.mean) / 2,
        low=None if found.low is None else (1 + found.low) / 2,
        high=None if found.high is None else (1 + found.high) / 2,
        p=found.p,
    )


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two voters.

    Args:
        n, garments: Over how many pairs and garments.
        agreement: In which share of the pairs they say the same, 0..1.
        kappa: None where both always gave one and the same answer, so that chance alone explains all.
        low, high: The ends of its 95 % interval; None where there is none.
    """

    n: int
    garments: int
    agreement: float
    kappa: float | None
    low: float | None
    high: float | None


def cohens_kappa(first: Sequence[Answer], second: Sequence[Answer], garments: Sequence[Hashable]) -> Kappa:
    """Returns the agreement of two voters beyond chance.

    κ = (p_o - p_e) / (1 - p_e), with p_o the share of pairs on which they agree and p_e the one that their answers'
    shares give by chance (Cohen, Educational and Psychological Measurement 20, 1960). Its standard error is that of the
    mean of the influences of the pairs,

        ψ_i = [(a_i - p_o)(1 - p_e) - (1 - p_o) Σ_k ((r_ik - p_k) q_k + (c_ik - q_k) p_k)] / (1 - p_e)²

    clustered by garment: where each pair is a garment of its own that is the large-sample error of Fleiss, Cohen and
    Everitt (Psychological Bulletin 72, 1969), but for the factor n/(n-1) of its square.

    >>> cohens_kappa(["first", "first", "second", "tie"], ["first", "second", "second", "tie"], "abcd").kappa
    0.6363636363636364
    """
    answers = ("first", "second", "tie")
    rows, columns = (
        np.array([[float(given == answer) for answer in answers] for given in voter]) for voter in (first, second)
    )
    agree = (rows * columns).sum(axis=1)
    p, q = rows.mean(axis=0), columns.mean(axis=0)
    observed, chance = float(agree.mean()), float(p @ q)
    groups = len(set(garments))
    if math.isclose(chance, 1.0):
        return Kappa(len(first), groups, observed, None, None, None)
    shift = ((rows - p) * q + (columns - q) * p).sum(axis=1)
    influence = ((agree - observed) * (1 - chance) - (1 - observed) * shift) / (1 - chance) ** 2
    kappa = (observed - chance) / (1 - chance)
    error = clustered_standard_error(influence.tolist(), garments)
    low, high = mean_interval(kappa, error, groups, (-1.0, 1.0)) or (None, None)
    return Kappa(len(first), groups, observed, kappa, low, high)


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often the first row of a contest was preferred, by one voter, or by all voters of a kind together."""

    contest: Contest
    voter: str
    kind: VoterKind
    voters: int
    pairs: int
    wins: Share


@dataclass(frozen=True, slots=True)
class VoterFacts:
    """How a voter votes.

    Args:
        showings: Answers given.
        left: How often the left of two different pictures was preferred, ties aside.
        flipped: Of the pairs that a model saw in both orders the share with two different answers; None for people.
        unanswered: How often a model gave no answer.
    """

    voter: str
    kind: VoterKind
    showings: int
    ties: int
    left: Share | None
    flipped: float | None
    unanswered: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two voters, over the pairs that both were asked about."""

    first: str
    second: str
    kappa: Kappa


@dataclass(frozen=True, slots=True)
class Prediction:
    """How often the row with the higher score of a metric was the preferred one; equal scores count half.

    Over the pairs that were not ties, of all contests, and so over the same ones for every metric.
    """

    voters: str
    metric: str
    share: Share


@dataclass(frozen=True, slots=True)
class VoteReport:
    """What the votes about some results say; the places in `contests` and metrics are those of the results."""

    ballots: Ballots
    wins: tuple[WinRate, ...]
    voters: tuple[VoterFacts, ...]
    agreements: tuple[Agreement, ...]
    predictions: tuple[Prediction, ...]


def vote_report(votes: Iterable[Vote], results: Results) -> VoteReport:
    """Returns what the votes say about the rows of the results."""
    ballots = count_votes(votes, results)
    labels = voter_labels(ballots.votes)
    garments = [sample.garment for sample in results.samples]
    return VoteReport(
        ballots,
        tuple(_wins(ballots.verdicts, labels, garments)),
        tuple(_voters(ballots, labels, garments, results)),
        tuple(_agreements(ballots.verdicts, labels, garments)),
        tuple(_predictions(ballots.verdicts, results, garments)),
    )


_Answers = dict[tuple[Contest, int], Answer]
_SCORES: dict[Answer, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}


def _wins(verdicts: Sequence[Verdict], labels: dict[VoterKey, str], garments: Sequence[str]) -> Iterator[WinRate]:
    contests = sorted({one.contest for one in verdicts}, key=lambda one: (one.first, one.second, one.original_shown))
    for contest in contests:
        for kind, everybody in KINDS.items():
            of_kind = [one for one in verdicts if one.contest == contest and one.voter[1] == kind]
            voters = [voter for voter in labels if any(one.voter == voter for one in of_kind)]
            groups = [(labels[voter], 1, [one for one in of_kind if one.voter == voter]) for voter in voters]
            if len(voters) > 1:
                groups.insert(0, (everybody, len(voters), of_kind))
            for name, count, group in groups:
                scores = [_SCORES[one.answer] for one in group]
                share = share_of(scores, [garments[one.place] for one in group])
                yield WinRate(contest, name, kind, count, len({one.place for one in group}), share)


def _voters(
    ballots: Ballots, labels: dict[VoterKey, str], garments: Sequence[str], results: Results
) -> Iterator[VoterFacts]:
    places = {sample.id: place for place, sample in enumerate(results.samples)}
    for voter, label in labels.items():
        votes = [vote for vote in ballots.votes if voter_key(vote) == voter and not vote.pair.alike]
        choices = [vote for vote in votes if vote.choice in ("left", "right")]
        left = [float(vote.choice == "left") for vote in choices]
        clusters = [garments[places[vote.pair.sample]] for vote in choices]
        both = [one for one in ballots.verdicts if one.voter == voter and one.asked]
        yield VoterFacts(
            voter=label,
            kind=voter[1],
            showings=sum(vote.answer is not None for vote in votes),
            ties=sum(vote.answer == "tie" for vote in votes),
            left=share_of(left, clusters) if left else None,
            flipped=sum(one.flipped for one in both) / len(both) if voter[1] == "model" and both else None,
            unanswered=sum(vote.answer is None for vote in votes),
        )


def _agreements(
    verdicts: Sequence[Verdict], labels: dict[VoterKey, str], garments: Sequence[str]
) -> Iterator[Agreement]:
    given: dict[VoterKey, _Answers] = defaultdict(dict)
    for one in verdicts:
        if one.asked:
            given[one.voter][one.contest, one.place] = one.answer
    voters = [(labels[voter], voter[1], given[voter]) for voter in labels if voter in given]
    people = [answers for _, kind, answers in voters if kind == "person"]
    pairs = list(combinations(voters, 2))
    if len(people) > 1:
        majority: tuple[str, VoterKind, _Answers] = (f"{PEOPLE} (majority)", "person", _majority(people))
        pairs += [(majority, voter) for voter in voters if voter[1] == "model"]
    for (first, _, mine), (second, _, theirs) in pairs:
        shared = [key for key in mine if key in theirs]
        if shared:
            answers = [mine[key] for key in shared], [theirs[key] for key in shared]
            yield Agreement(first, second, cohens_kappa(*answers, [garments[place] for _, place in shared]))


def _majority(voters: Sequence[_Answers]) -> _Answers:
    """Returns the answer that has more votes than any other, else a tie."""
    found: _Answers = {}
    for key in dict.fromkeys(key for voter in voters for key in voter):
        counted = Counter(voter[key] for voter in voters if key in voter).most_common(2)
        found[key] = "tie" if len(counted) > 1 and counted[0][1] == counted[1][1] else counted[0][0]
    return found


def _predictions(verdicts: Sequence[Verdict], results: Results, garments: Sequence[str]) -> Iterator[Prediction]:
    for kind, everybody in KINDS.items():
        decided = [one for one in verdicts if one.voter[1] == kind and one.answer != "tie"]
        clusters = [garments[one.place] for one in decided]
        for metric in results.metrics if decided else ():
            values = [_shown_scores(results, row, metric.id) for row in range(len(results.rows))]
            scores = []
            for one in decided:
                difference = values[one.contest.first][one.place] - values[one.contest.second][one.place]
                preferred = difference if one.answer == "first" else -difference
                scores.append(1.0 if preferred > 0 else 0.0 if preferred < 0 else 0.5)
            yield Prediction(everybody, metric.id, share_of(scores, clusters))


def _shown_scores(results: Results, row: int, id: str) -> Sequence[float]:
    """Returns the scores of the pictures that voters saw: the last good ones, whether their rounds went well or not."""
    metric = results.metric(id)
    values = results.row_samples[row].values[metric.of or metric.id]
    if metric.threshold is None:
        return values
    return [float(hit) for hit in hits(values, metric.threshold, metric.scale)]
