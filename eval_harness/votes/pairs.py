"""The pairs that are voted on: for each sample what two runs, or two rounds of one, had come to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

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
    """Two results for one sample, and what was wanted.

    Args:
        voted: What a vote says of it.
        wishes: What was to be seen after the rounds, in words, round by round.
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
        """Returns the digest of what is shown besides the results."""
        return self.question[original_shown]

    def image(self, side: SideName) -> ImageRef:
        """Returns one of the results."""
        return self.first if side == "first" else self.second


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is shown of a pair, decoded; the references are those of the wishes, in their order."""

    draft: Image.Image
    references: tuple[Image.Image, ...]
    original: Image.Image
    first: Image.Image
    second: Image.Image


@dataclass(frozen=True, slots=True)
class SideChoice:
    """Which protocol and round of a run is shown; None leaves the choice to what both runs have."""

    protocol: str | None = None
    round: int | None = None


class PairList:
    """The pairs of two runs in the order of a seed, and the way to their pictures.

    Args:
        runs: The run folders; the same one twice for two rounds or two protocols of one.
        source: The dataset of both.
        first, second: What is compared. Where a protocol is not named, every protocol that both runs have makes pairs;
            where a round is not, the last one that both have.
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
        self.titles = tuple(run.identity.editor.name for run in runs)
        self._runs = tuple(runs)
        self._outcomes: dict[int, dict[tuple[str, str, int], RoundOutcome]] = {}
        choice = first or SideChoice()
        contests = _contests(self._runs, choice, second or choice)
        pairs = [pair for sides in contests for pair in self._pairs(*sides)]
        if not pairs:
            raise InvalidDataError(
                "no sample has been run in both; finish the runs, or choose another protocol or round"
            )
        self.pairs = tuple(sorted(pairs, key=self._place))

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

    def _place(self, pair: Pair) -> bytes:
        return self._draw("order", "", pair)

    def _draw(self, purpose: str, voter: str, pair: Pair) -> bytes:
        sides = [[*side.place] for side in (pair.voted.first, pair.voted.second)]
        text = canonical_json([purpose, self.seed, voter, pair.sample, sides], name="a pair")
        return hashlib.sha256(text.encode()).digest()

    def _pairs(self, first: tuple[int, str, int], second: tuple[int, str, int]) -> list[Pair]:
        found = []
        for sample in self.source.ids:
            outcomes = [self._outcome(*side, sample) for side in (first, second)]
            if any(outcome is None or outcome.status is None for outcome in outcomes):
                self.not_run += 1
                continue
            sides = [
                self._side(place, outcome)
                for place, outcome in zip((first, second), outcomes, strict=True)
                if outcome is not None
            ]
            images = [outcome.current for outcome in outcomes if outcome is not None]
            rounds = max(first[2], second[2])
            found.append(
                Pair(
                    VotedPair(manifest=self.source.manifest_hash, sample=sample, first=sides[0], second=sides[1]),
                    self.source.facts(sample).descriptions[:rounds],
                    self._question(sample, rounds),
                    *images,
                )
            )
        return found

    def _side(self, place: tuple[int, str, int], outcome: RoundOutcome) -> Side:
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

    def _outcome(self, run: int, protocol: str, round: int, sample: str) -> RoundOutcome | None:
        if run not in self._outcomes:
            same = next((at for at in self._outcomes if self._runs[at].path == self._runs[run].path), None)
            self._outcomes[run] = (
                self._outcomes[same]
                if same is not None
                else {
                    (outcome.protocol, outcome.sample, outcome.round): outcome
                    for outcome in self._runs[run].outcomes(self.source)
                }
            )
        return self._outcomes[run].get((protocol, sample, round))


def _contests(
    runs: Sequence[RunFolder], first: SideChoice, second: SideChoice
) -> list[tuple[tuple[int, str, int], tuple[int, str, int]]]:
    """Returns what is compared with what: place of the run, protocol and round, of both sides."""
    identities = [run.identity for run in runs]
    have = [[name for name in identity.protocols if PROTOCOLS[name].edits] for identity in identities]
    shared = [name for name in have[0] if name in have[1]]
    if first.protocol is None and second.protocol is None:
        protocols = [(name, name) for name in shared]
        if not protocols:
            names = " and ".join(", ".join(one) or "none" for one in have)
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
    contests = [((0, one, rounds[0]), (1, other, rounds[1])) for one, other in protocols]
    if run_digest(identities[0]) == run_digest(identities[1]) and runs[0].path.resolve() == runs[1].path.resolve():
        contests = [sides for sides in contests if sides[0][1:] != sides[1][1:]]
        if not contests:
            raise InvalidDataError(
                f"both sides are {runs[0].path}, in the same protocol and round; give two runs, or name two rounds "
                "(--round, --round-b) or two protocols (--protocol, --protocol-b)"
            )
    return contests
