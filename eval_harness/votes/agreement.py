"""Statistics of the votes: who wins, whether voters agree, and which metric would have predicted the votes.

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
"""The name in tables of all voters of a kind together."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of the first of two outcomes, where neither counts half.

    Args:
        yes, half, no: Counts of the first outcome, of neither, of the second.
        garments: The number of clusters.
        share: (yes + half / 2) / n, 0..1.
        low, high: The ends of its 95 % interval; None with fewer than two garments.
        p: The two-sided p-value of the hypothesis that the share is one half.
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
        """The number of all outcomes."""
        return self.yes + self.half + self.no


def share_of(scores: Sequence[float], garments: Sequence[Hashable]) -> Share:
    """Returns the share of scores of 1, where 0 is the opposite and 0.5 neither.

    The share is (1 + yes - no) / 2, so its interval is that of a paired difference of shares: Tango's score interval
    with the effective number of samples, which has a width where all agree, and counts ties for what they are.

    >>> wins = share_of([1.0] * 12 + [0.5] * 4 + [0.0] * 4, range(20))
    >>> wins.share, round(wins.low, 3), round(wins.high, 3)
    (0.7, 0.504, 0.839)
    """
    yes, no = [float(score > 0.5) for score in scores], [float(score < 0.5) for score in scores]
    difference = paired_difference(yes, no, garments, hit=1.0)
    return Share(
        yes=round(sum(yes)),
        half=len(scores) - round(sum(yes) + sum(no)),
        no=round(sum(no)),
        garments=len(set(garments)),
        share=(1 + difference.mean) / 2,
        low=None if difference.low is None else (1 + difference.low) / 2,
        high=None if difference.high is None else (1 + difference.high) / 2,
        p=difference.p,
    )


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two voters.

    Args:
        n, garments: The number of pairs and of garments.
        agreement: The share of the pairs on which they agree, 0..1.
        kappa: None where both always gave the same answer, so that chance alone explains the agreement.
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
        np.array([[float(said == answer) for answer in answers] for said in voter]) for voter in (first, second)
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
    """The share of votes for the first row of a contest, by one voter, or by all voters of a kind together."""

    contest: Contest
    voter: str
    kind: VoterKind
    voters: int
    pairs: int
    wins: Share


@dataclass(frozen=True, slots=True)
class VoterFacts:
    """The habits of a voter.

    Args:
        showings: The number of answers.
        left: The share of answers that prefer the left of two different pictures, without ties.
        flipped: The share of the pairs that a model saw in both orders and answered differently; None for people.
        unanswered: The number of showings without an answer from a model.
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
    """The agreement of two voters on the pairs that both were asked about."""

    first: str
    second: str
    kappa: Kappa


@dataclass(frozen=True, slots=True)
class Prediction:
    """The share of pairs in which the preferred row has the higher score of a metric; equal scores count half.

    It covers the pairs of all contests that were not ties, and so the same pairs for every metric.
    """

    voters: str
    metric: str
    share: Share


@dataclass(frozen=True, slots=True)
class VoteReport:
    """The statistics of the votes about some results; places in `contests` and metrics are those of the results."""

    ballots: Ballots
    wins: tuple[WinRate, ...]
    voters: tuple[VoterFacts, ...]
    agreements: tuple[Agreement, ...]
    predictions: tuple[Prediction, ...]


def vote_report(votes: Iterable[Vote], results: Results) -> VoteReport:
    """Returns the statistics of the votes about the rows of the results."""
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
    contests = sorted(
        {verdict.contest for verdict in verdicts},
        key=lambda contest: (contest.first, contest.second, contest.original_shown),
    )
    for contest in contests:
        for kind, everybody in KINDS.items():
            of_kind = [verdict for verdict in verdicts if verdict.contest == contest and verdict.voter[1] == kind]
            voters = [voter for voter in labels if any(verdict.voter == voter for verdict in of_kind)]
            groups = [
                (labels[voter], 1, [verdict for verdict in of_kind if verdict.voter == voter]) for voter in voters
            ]
            if len(voters) > 1:
                groups.insert(0, (everybody, len(voters), of_kind))
            for name, count, group in groups:
                scores = [_SCORES[verdict.answer] for verdict in group]
                share = share_of(scores, [garments[verdict.place] for verdict in group])
                yield WinRate(contest, name, kind, count, len({verdict.place for verdict in group}), share)


def _voters(
    ballots: Ballots, labels: dict[VoterKey, str], garments: Sequence[str], results: Results
) -> Iterator[VoterFacts]:
    places = {sample.id: place for place, sample in enumerate(results.samples)}
    for voter, label in labels.items():
        votes = [vote for vote in ballots.votes if voter_key(vote) == voter and not vote.pair.alike]
        choices = [vote for vote in votes if vote.choice in ("left", "right")]
        left = [float(vote.choice == "left") for vote in choices]
        clusters = [garments[places[vote.pair.sample]] for vote in choices]
        both = [verdict for verdict in ballots.verdicts if verdict.voter == voter and verdict.asked]
        yield VoterFacts(
            voter=label,
            kind=voter[1],
            showings=sum(vote.answer is not None for vote in votes),
            ties=sum(vote.answer == "tie" for vote in votes),
            left=share_of(left, clusters) if left else None,
            flipped=sum(verdict.flipped for verdict in both) / len(both) if voter[1] == "model" and both else None,
            unanswered=sum(vote.answer is None for vote in votes),
        )


def _agreements(
    verdicts: Sequence[Verdict], labels: dict[VoterKey, str], garments: Sequence[str]
) -> Iterator[Agreement]:
    answers_of: dict[VoterKey, _Answers] = defaultdict(dict)
    for verdict in verdicts:
        if verdict.asked:
            answers_of[verdict.voter][verdict.contest, verdict.place] = verdict.answer
    voters = [(labels[voter], voter[1], answers_of[voter]) for voter in labels if voter in answers_of]
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
    """Returns, for each pair, the answer that has more votes than any other, else a tie."""
    majority: _Answers = {}
    for key in dict.fromkeys(key for voter in voters for key in voter):
        counted = Counter(voter[key] for voter in voters if key in voter).most_common(2)
        majority[key] = "tie" if len(counted) > 1 and counted[0][1] == counted[1][1] else counted[0][0]
    return majority


def _predictions(verdicts: Sequence[Verdict], results: Results, garments: Sequence[str]) -> Iterator[Prediction]:
    for kind, everybody in KINDS.items():
        decided = [verdict for verdict in verdicts if verdict.voter[1] == kind and verdict.answer != "tie"]
        clusters = [garments[verdict.place] for verdict in decided]
        for metric in results.metrics if decided else ():
            values = [_shown_scores(results, row, metric.id) for row in range(len(results.rows))]
            scores = []
            for verdict in decided:
                difference = (
                    values[verdict.contest.first][verdict.place] - values[verdict.contest.second][verdict.place]
                )
                preferred = difference if verdict.answer == "first" else -difference
                scores.append(1.0 if preferred > 0 else 0.0 if preferred < 0 else 0.5)
            yield Prediction(everybody, metric.id, share_of(scores, clusters))


def _shown_scores(results: Results, row: int, id: str) -> Sequence[float]:
    """Returns the scores of the pictures that voters saw: the last good ones, whether their rounds went well or not."""
    metric = results.metric(id)
    values = results.row_samples[row].values[metric.of or metric.id]
    if metric.threshold is None:
        return values
    return [float(hit) for hit in hits(values, metric.threshold, metric.scale)]
