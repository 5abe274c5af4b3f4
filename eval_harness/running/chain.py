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
from .sessions import timestamp

Ended = RoundRecord | FailedAttempt
"""How a round ended: committed, or to be tried again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One round to do: everything that its answer may depend on, and the key that names it.

    `images` has role and digest of what the editor is shown, in order. `base` is the image to edit: an earlier round's,
    None for the draft.
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

    def record(self, status: Status, **fields: Any) -> RoundRecord:
        """Returns the record of this round; `fields` has what the step does not say."""
        fields |= {"instruction": self.instruction, "seed": self.seed, "params": self.params}
        return RoundRecord(**self._names, status=status, **fields)

    def failure(self, status: Status, **fields: Any) -> FailedAttempt:
        """Returns an attempt at this round that ended now, without a result."""
        return FailedAttempt(**self._names, status=status, time=timestamp(), **fields)

    @property
    def _names(self) -> dict[str, Any]:
        return {"key": self.key, "sample": self.sample, "protocol": self.protocol, "round": self.round}


class Chain:
    """One sample in one protocol, standing at its last good image.

    Rounds are taken in order: `step(k)` says what round k is asked, `take(record)` moves on. A round without an image
    (refused, failed, never run) leaves the chain where it stands: the next one starts from the last good image.
    `repeat`, from 0 on, is the repetition of the run: it decides the seeds, and through them the keys.
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
        self.draft_size = source.sizes(sample).draft
        self.last_good: OutputImage | None = None
        self._state: Any = None
        self._identity = identity
        self._references = digests.crops
        self._descriptions = source.facts(sample).descriptions

    def step(self, round: int) -> Step:
        """Returns what this round is asked, from where the chain stands."""
        identity, protocol = self._identity, self.protocol
        shown = {"base": self.standing[0]}
        if protocol.shows_reference:
            shown["reference"] = self._references[round - 1]
        asked: dict[str, Any] = {
            "sample": self.sample,
            "protocol": protocol.name,
            "round": round,
            "instruction": protocol.instruction(self._descriptions[round - 1]),
            "images": tuple((role, shown[role]) for role in protocol.roles),
            "seed": round_seed(identity.seed, self.sample, protocol.name, round, self.repeat),
            "params": identity.params,
            "state": self._state,
        }
        key = record_key(
            **asked,
            editor=identity.editor.fingerprint,
            protocol_version=identity.protocol_version,
            size_policy=identity.size_policy,
        )
        return Step(key=key, base=self.last_good, **asked)

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
    """Yields the chains of one repetition of a run, protocol after protocol, samples in the source's order.

    Only what is edited is repeated: the draft is the draft.
    """
    for protocol in identity.protocols:
        if repeat == 0 or PROTOCOLS[protocol].edits:
            for sample in source.ids:
                yield Chain(identity, source, sample, protocol, repeat)


def draft_record(chain: Chain, step: Step) -> RoundRecord:
    """Returns the record of round 0, for which nobody is asked: the dataset's own draft, not copied."""
    size = chain.draft_size
    output = OutputImage(digest=chain.draft, size=size, path=None, returned_size=size)
    base = InputImage(role="base", digest=chain.draft, size=size)
    return step.record(Status.OK, inputs=(base,), output=output, attempts=0)


def round_outcome(step: Step, current: ImageRef, ended: Ended | None) -> RoundOutcome:
    """Returns what a round came to; `current` is the last good image after it, `ended` None if it was never run."""
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
