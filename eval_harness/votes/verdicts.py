"""Each voter's verdict on each pair, computed from the votes, and the rows of scored results that the pair shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.result_models import Results

from .votes import Answer, Vote, VoterKind, other, run_digest, voter_key

VoterKey = tuple[str, VoterKind, str]


@dataclass(frozen=True, slots=True)
class Contest:
    """Two rows of results against each other.

    Args:
        first, second: The indices of the rows; the first one stands first in the results.
        original_shown: Whether the voters saw the original.
    """

    first: int
    second: int
    original_shown: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """One voter's verdict on one pair.

    Args:
        place: The sample's index in the results.
        answer: Which row is better, `first` or `second` of the contest, or `tie`.
        asked: Whether the voter was asked; a pair of equal pictures is a tie without a question.
        flipped: Whether a model's answer changed with the order of the two, which makes it a tie.
    """

    voter: VoterKey
    contest: Contest
    place: int
    answer: Answer
    asked: bool = True
    flipped: bool = False


@dataclass(frozen=True, slots=True)
class Ballots:
    """All votes about the rows of some results.

    Args:
        verdicts: One for each voter and pair.
        votes: The votes that they were computed from.
        elsewhere: The number of votes about other runs or samples.
        outdated: The number of votes about pictures that the runs no longer have.
        incomplete: The number of pairs that a model did not answer in each order.
    """

    verdicts: tuple[Verdict, ...]
    votes: tuple[Vote, ...]
    elsewhere: int = 0
    outdated: int = 0
    incomplete: int = 0


def count_votes(votes: Iterable[Vote], results: Results) -> Ballots:
    """Returns every voter's verdicts on the pairs of the results' rows.

    Where a person answered twice, the later answer counts. A model needs an answer in each of the two orders; where
    they name different pictures, or one of them is a tie, it is a tie.
    """
    rows = _Rows(results)
    by_pair: dict[tuple[VoterKey, Contest, int], list[tuple[Vote, Answer | None]]] = defaultdict(list)
    counts: Counter[str] = Counter()
    used = []
    for vote in votes:
        contest, swapped = rows.contest(vote)
        place = rows.places.get(vote.pair.sample)
        if contest is None or place is None or vote.pair.manifest != results.dataset.manifest:
            counts["elsewhere"] += 1
        elif not rows.has(contest, swapped, place, vote):
            counts["outdated"] += 1
        else:
            answer = vote.answer
            if swapped and (answer == "first" or answer == "second"):
                answer = other(answer)
            by_pair[voter_key(vote), contest, place].append((vote, answer))
            used.append(vote)
    verdicts = []
    for (voter, contest, place), answers in by_pair.items():
        verdict = _verdict(voter, contest, place, answers)
        if verdict is None:
            counts["incomplete"] += 1
        else:
            verdicts.append(verdict)
    return Ballots(tuple(verdicts), tuple(used), counts["elsewhere"], counts["outdated"], counts["incomplete"])


def _verdict(
    voter: VoterKey, contest: Contest, place: int, answers: Sequence[tuple[Vote, Answer | None]]
) -> Verdict | None:
    if answers[0][0].pair.alike:
        return Verdict(voter, contest, place, "tie", asked=False)
    if voter[1] == "person":
        return Verdict(voter, contest, place, answers[-1][1] or "tie")
    by_order: dict[str, Answer] = {}  # what was left, by its picture: a pair may be named in either order
    for vote, answer in answers:
        if answer is not None:
            by_order.setdefault(vote.pair.side(vote.left).digest, answer)
    if len(by_order) < 2:
        return None
    answer, swapped = by_order.values()
    flipped = answer != swapped
    return Verdict(voter, contest, place, "tie" if flipped else answer, flipped=flipped)


class _Rows:
    """The rows of results as votes name them."""

    def __init__(self, results: Results) -> None:
        digests = [run_digest(run) for run in results.runs]
        self._rows = {
            (digests[row.run], row.protocol, row.round): place
            for place, row in enumerate(results.rows)
            if row.run is not None and PROTOCOLS[row.protocol].edits
        }
        self._shown = [samples.digests for samples in results.row_samples]
        self.places = {sample.id: place for place, sample in enumerate(results.samples)}

    def contest(self, vote: Vote) -> tuple[Contest | None, bool]:
        """Returns the contest of a vote, and whether the vote's first side is the contest's second."""
        first, second = (self._rows.get(side.place) for side in (vote.pair.first, vote.pair.second))
        if first is None or second is None or first == second:
            return None, False
        return Contest(min(first, second), max(first, second), vote.original_shown), first > second

    def has(self, contest: Contest, swapped: bool, place: int, vote: Vote) -> bool:
        """Returns whether the rows still have the pictures that were voted on; results of old versions don't say."""
        sides = (vote.pair.second, vote.pair.first) if swapped else (vote.pair.first, vote.pair.second)
        return all(
            not self._shown[row] or self._shown[row][place] == side.digest
            for row, side in zip((contest.first, contest.second), sides, strict=True)
        )
