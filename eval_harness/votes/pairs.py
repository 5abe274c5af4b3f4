"""The pairs that are voted on: for each sample, the results of two runs, or of two rounds of one run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import canonical_json
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import DETAIL, with_reference
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.types import Difference

from .votes import Side, SideName, VotedPair, run_digest


@dataclass(frozen=True, slots=True)
class Pair:
    """Two results for one sample, and the wishes.

    Args:
        voted: The pair as a vote names it.
        wishes: The words of each round's wish, in their order.
        question: The digest of all that is shown besides the results, without and with the original.
        first, second: The results' images.
    """

    voted: VotedPair
    wishes: tuple[str, ...]
    question: tuple[str, str] = field(repr=False)
    first: ImageRef = field(repr=False)
    second: ImageRef = field(repr=False)

    @property
    def sample(self) -> str:
        """The sample's id."""
        return self.voted.sample

    def asked(self, original_shown: bool) -> str:
        """Returns the digest of all that is shown besides the results."""
        return self.question[original_shown]

    def image(self, side: SideName) -> ImageRef:
        """Returns one of the results."""
        return self.first if side == "first" else self.second


@dataclass(frozen=True, slots=True)
class Pictures:
    """The decoded pictures of a pair; the references are those of the wishes, in their order."""

    draft: Image.Image
    references: tuple[Image.Image, ...]
    original: Image.Image
    first: Image.Image
    second: Image.Image


@dataclass(frozen=True, slots=True)
class SideChoice:
    """The protocol and the round of a run that is shown."""

    protocol: str | None = None
    round: int | None = None


_Place = tuple[int, str, int]
"""Which of the two runs, protocol, round."""


class PairList:
    """The pairs of two runs in the order of a seed, and the way to their pictures.

    Args:
        runs: The run folders; the same folder twice for two rounds or two protocols of one run.
        source: The dataset of both.
        first, second: The sides. The second takes from the first what it does not name; where neither names a
            protocol, every one that both runs have makes pairs, and where neither names a round, the last of both.
        seed: Decides the order, so that several voters judge the same pairs first.

    Raises:
        InvalidDataError: The two sides are the same, or have nothing in common.
        UnknownNameError: A protocol or round is not one of the run's.
        RunMismatchError: A run was made on other samples.
    """

    def __init__(
        self,
        runs: Sequence[RunFolder],
        source: SampleSource,
        first: SideChoice | None = None,
        second: SideChoice | None = None,
        *,
        seed: int = 0,
    ) -> None:
        kinds = {run.identity.reference for run in runs}
        self.source = with_reference(source, kinds.pop() if len(kinds) == 1 else DETAIL)
        self.seed = seed
        self.not_run = 0
        self._runs = tuple(runs)
        self._outcomes: dict[Path, dict[tuple[str, str, int], RoundOutcome]] = {}
        contests = _contests(self._runs, first or SideChoice(), second or SideChoice())
        pairs = [pair for sides in contests for pair in self._pairs(*sides)]
        if not pairs:
            raise InvalidDataError(
                "no sample has been run in both; finish the runs, or choose another protocol or round"
            )
        self.pairs = tuple(sorted(pairs, key=self._order))

    def __len__(self) -> int:
        return len(self.pairs)

    def pictures(self, pair: Pair) -> Pictures:
        """Returns the pictures of a pair, decoded.

        Raises:
            InvalidImageError: An image of a run is missing or damaged.
        """
        sample = self.source.sample(pair.sample)
        shown: Sequence[Difference] = sample.differences[: len(pair.wishes)]
        return Pictures(
            sample.draft,
            tuple(difference.reference for difference in shown),
            sample.original,
            pair.first.open(),
            pair.second.open(),
        )

    def left(self, pair: Pair, voter: str) -> SideName:
        """Returns the side that is shown to this person on the left: half of them by chance, and always the same."""
        return "first" if self._draw("left", voter, pair)[0] % 2 else "second"

    def _order(self, pair: Pair) -> bytes:
        return self._draw("order", "", pair)

    def _draw(self, purpose: str, voter: str, pair: Pair) -> bytes:
        sides = [[*side.place] for side in (pair.voted.first, pair.voted.second)]
        text = canonical_json([purpose, self.seed, voter, pair.sample, sides], name="a pair")
        return hashlib.sha256(text.encode()).digest()

    def _pairs(self, first: _Place, second: _Place) -> list[Pair]:
        pairs = []
        rounds = max(first[2], second[2])
        for sample in self.source.ids:
            results = self._outcome(first, sample), self._outcome(second, sample)
            if results[0] is None or results[1] is None:
                self.not_run += 1
                continue
            sides = {"first": self._side(first, results[0]), "second": self._side(second, results[1])}
            pairs.append(
                Pair(
                    VotedPair(manifest=self.source.manifest_hash, sample=sample, **sides),
                    self.source.facts(sample).descriptions[:rounds],
                    self._question(sample, rounds),
                    results[0].current,
                    results[1].current,
                )
            )
        return pairs

    def _side(self, place: _Place, outcome: RoundOutcome) -> Side:
        identity = self._runs[place[0]].identity
        return Side(
            run=run_digest(identity),
            editor=identity.editor.name,
            protocol=place[1],
            round=place[2],
            digest=outcome.current.digest,
            status=str(outcome.status),
        )

    def _question(self, sample: str, rounds: int) -> tuple[str, str]:
        digests = self.source.digests(sample)
        shown = [digests.draft, self.source.facts(sample).descriptions[:rounds], digests.crops[:rounds]]
        texts = [canonical_json([*shown, original], name="a question") for original in (None, digests.original)]
        without, with_original = (hashlib.sha256(text.encode()).hexdigest() for text in texts)
        return without, with_original

    def _outcome(self, place: _Place, sample: str) -> RoundOutcome | None:
        """Returns the run's outcome for a sample; None where it was not run."""
        run = self._runs[place[0]]
        if run.path not in self._outcomes:
            outcomes = run.outcomes(self.source)
            self._outcomes[run.path] = {
                (outcome.sample, outcome.protocol, outcome.round): outcome for outcome in outcomes
            }
        outcome = self._outcomes[run.path].get((sample, *place[1:]))
        return outcome if outcome is not None and outcome.status is not None else None


def _contests(runs: Sequence[RunFolder], first: SideChoice, second: SideChoice) -> list[tuple[_Place, _Place]]:
    """Returns the two sides of each contest."""
    identities = [run.identity for run in runs]
    have = [[name for name in identity.protocols if PROTOCOLS[name].edits] for identity in identities]
    shared = [name for name in have[0] if name in have[1]]
    if first.protocol is None and second.protocol is None:
        protocols = [(name, name) for name in shared]
        if not protocols:
            names = " and ".join(", ".join(protocols) or "none" for protocols in have)
            raise InvalidDataError(f"the two have no protocol in common ({names}); name one of each with --protocol-b")
    else:
        protocols = [(first.protocol or second.protocol or "", second.protocol or first.protocol or "")]
    most = min(identity.rounds for identity in identities)
    rounds = (first.round or most, second.round or first.round or most)
    for place, (identity, wanted) in enumerate(zip(identities, rounds, strict=True)):
        for pair in protocols:
            if pair[place] not in have[place]:
                raise UnknownNameError(
                    f"{runs[place].path} has no protocol {pair[place]!r}; choose {', '.join(have[place])}"
                )
        if not 1 <= wanted <= identity.rounds:
            raise UnknownNameError(f"{runs[place].path} has no round {wanted}; choose 1 to {identity.rounds}")
    contests = [((0, protocol, rounds[0]), (1, other, rounds[1])) for protocol, other in protocols]
    if run_digest(identities[0]) == run_digest(identities[1]):
        contests = [sides for sides in contests if sides[0][1:] != sides[1][1:]]
        if not contests:
            raise InvalidDataError(
                f"both sides are the run of {runs[0].path}, in one protocol and round; give two runs, or name two "
                "rounds (--round, --round-b) or two protocols (--protocol, --protocol-b)"
            )
    return contests
