"""The rounds of one sample in one protocol: what each round is asked, given what came before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fashionedit.eval_harness.editing import Role, Status
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.samples import SampleSource

from .records import (
    FailedAttempt,
    ImageRef,
    InputImage,
    OutputImage,
    RoundOutcome,
    RoundRecord,
    RunIdentity,
    record_key,
    round_seed,
)

Ended = RoundRecord | FailedAttempt
"""How a round ended: committed, or to be tried again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One round to do: everything that its answer may depend on, and the key that names it.

    Args:
        base: The image to edit: an earlier round's, None for the draft.
        images: Role and digest of what the editor is shown, in order.
    """

    key: str
    sample: str
    protocol: str
    round: int
    instruction: str
    images: tuple[tuple[Role, str], ...]
    base: OutputImage | None
    seed: int
    params: dict[str, Any]
    state: Any


class Chain:
    """One sample in one protocol, standing at its last good image.

    Rounds are taken in order: `step(k)` says what round k is asked, `take(record)` moves on. A round without an image
    (refused, failed, never run) leaves the chain where it stands: the next one starts from the last good image.

    Args:
        repeat: Which repetition of the run, from 0 on: it decides the seeds, and through them the keys.
    """

    def __init__(
        self, identity: RunIdentity, source: SampleSource, sample: str, protocol: str, repeat: int = 0
    ) -> None:
        digests = source.digests(sample)
        self.sample = sample
        self.repeat = repeat
        self.protocol = PROTOCOLS[protocol]
        self.rounds = self.protocol.rounds(identity.rounds)
        self.draft = digests.draft
        self.draft_size = digests.draft_size
        self.last_good: OutputImage | None = None
        self._state: Any = None
        self._identity = identity
        self._references = digests.references
        self._descriptions = source.facts(sample).descriptions

    def step(self, round: int) -> Step:
        """Returns what this round is asked, from where the chain stands."""
        identity, protocol = self._identity, self.protocol
        shown = {"base": self.standing[0]}
        if protocol.shows_reference:
            shown["reference"] = self._references[round - 1]
        images = tuple((role, shown[role]) for role in protocol.roles)
        instruction = protocol.instruction(self._descriptions[round - 1])
        seed = round_seed(identity.seed, self.sample, protocol.name, round, self.repeat)
        key = record_key(
            editor=identity.editor.fingerprint,
            protocol_version=identity.protocol_version,
            protocol=protocol.name,
            sample=self.sample,
            round=round,
            instruction=instruction,
            images=images,
            params=identity.params,
            seed=seed,
            size_policy=identity.size_policy,
            state=self._state,
        )
        return Step(
            key=key,
            sample=self.sample,
            protocol=protocol.name,
            round=round,
            instruction=instruction,
            images=images,
            base=self.last_good,
            seed=seed,
            params=identity.params,
            state=self._state,
        )

    @property
    def standing(self) -> tuple[str, tuple[int, int]]:
        """Digest and size (width, height) of the last good image."""
        good = self.last_good
        return (good.digest, good.size) if good is not None else (self.draft, self.draft_size)

    def take(self, ended: Ended | None) -> None:
        """Moves on to the round's image and state if it has one."""
        if isinstance(ended, RoundRecord) and ended.status is Status.OK:
            self.last_good = ended.output
            self._state = ended.state


def chains(identity: RunIdentity, source: SampleSource, repeat: int = 0) -> Iterator[Chain]:
    """Yields the chains of a run, protocol after protocol, samples in the source's order.

    Args:
        repeat: Which repetition of the run. Only what is edited is repeated: the draft is the draft.
    """
    for protocol in identity.protocols:
        if repeat == 0 or PROTOCOLS[protocol].edits:
            for sample in source.ids:
                yield Chain(identity, source, sample, protocol, repeat)


def draft_record(chain: Chain, step: Step) -> RoundRecord:
    """Returns the record of round 0, for which nobody is asked: the dataset's own draft, not copied."""
    size = chain.draft_size
    return RoundRecord(
        key=step.key,
        sample=step.sample,
        protocol=step.protocol,
        round=step.round,
        status=Status.OK,
        instruction=step.instruction,
        inputs=(InputImage(role="base", digest=chain.draft, size=size),),
        output=OutputImage(digest=chain.draft, size=size, path=None, returned_size=size),
        seed=step.seed,
        params=step.params,
        attempts=0,
    )


def round_outcome(step: Step, current: ImageRef, ended: Ended | None) -> RoundOutcome:
    """Returns what a round came to.

    Args:
        current: The last good image after this round.
        ended: None where the round was never run.
    """
    return RoundOutcome(
        sample=step.sample,
        protocol=step.protocol,
        round=step.round,
        status=ended.status if ended else None,
        current=current,
        own=ended is not None and ended.status is Status.OK,
        instruction=step.instruction,
        message=ended.message if ended else "",
        seconds=ended.seconds if ended else None,
        cost_usd=ended.cost_usd if ended else None,
        attempts=ended.attempts if ended else 0,
    )
