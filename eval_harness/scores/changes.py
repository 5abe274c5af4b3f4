"""What each round did to each sample, named by the pixels that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.keys import canonical_json
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.types import Box

from .stored_scores import Pair


@dataclass(frozen=True, slots=True)
class Change:
    """One round of one sample that ended `ok`: pixel digests of the pictures, and the box of the difference.

    Args:
        image: What the round came to.
        before: What it began with: the last good image of the rounds before, or the draft.
        reference: What `bug` shows in this round; the same in `vanilla`, where nobody sees it.
    """

    sample: str
    round: int
    image: str
    before: str
    draft: str
    original: str
    reference: str
    box: Box

    def pair(self, measure: str) -> Pair:
        """Returns the name under which the value of a measure is stored: the picture, and all that it is held to."""
        if measure == "drift":
            return self.image, self.draft
        parts = {
            "inside": (self.original,),
            "outside": (self.before,),
            "outside_similarity": (self.before,),
            "leak": (self.before, self.reference),
        }
        return self.image, digest_of(measure, *parts[measure], list(self.box.box_2d))


def digest_of(*parts: object) -> str:
    """Returns 64 hex digits that stand for the parts, which must be plain values."""
    return hashlib.sha256(canonical_json(list(parts), name="a change").encode()).hexdigest()


def changes_of(
    outcomes: Mapping[int, Mapping[str, RoundOutcome]], source: SampleSource
) -> Iterator[tuple[int, str, Change]]:
    """Yields round, sample and change of every round that made an image; round 0 makes none.

    Args:
        outcomes: Of one method in one protocol: round → sample id → outcome.
    """
    before = {id: source.digests(id).draft for id in source.ids}
    for round, found in sorted(outcomes.items()):
        for id, outcome in found.items():
            if round and outcome.status is Status.OK:
                digests = source.digests(id)
                yield (
                    round,
                    id,
                    Change(
                        sample=id,
                        round=round,
                        image=outcome.current.digest,
                        before=before[id],
                        draft=digests.draft,
                        original=digests.original,
                        reference=digests.references[round - 1],
                        box=source.facts(id).boxes[round - 1],
                    ),
                )
            before[id] = outcome.current.digest
