"""What was asked of an editor under examination, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status
from fashionedit.eval_harness.running.chain import Ended


@dataclass(frozen=True, slots=True)
class Observed:
    """One request and what came of it.

    Args:
        request: As it was before the editor had it.
        status: As a run would record it.
        message: Why there is no picture.
        seconds: Of the call.
        given: What the editor returned; None where it raised.
        image: The picture as a run would keep it.
        record: What a run would write down.
    """

    request: EditRequest
    status: Status
    message: str
    seconds: float
    given: EditResult | None = None
    image: Image.Image | None = None
    record: Ended | None = None


@dataclass(slots=True)
class Examination:
    """All that was asked and answered.

    Args:
        info: What the editor says of itself.
        control_set: Whether the sample was drawn by a program.
        samples: In the dataset.
        protocols: In which it is examined.
        params: That were asked for.
        rounds: By protocol.
        again: The first request once more.
        other_words: The first request with another instruction.
        other_reference: The first request with another reference image.
        person: A request that shows a drawn figure.
        stopped: Why no further call was made.
    """

    info: EditorInfo
    control_set: bool
    samples: int
    protocols: tuple[str, ...]
    params: Mapping[str, Any]
    rounds: dict[str, list[Observed]] = field(default_factory=dict)
    again: Observed | None = None
    other_words: Observed | None = None
    other_reference: Observed | None = None
    person: Observed | None = None
    stopped: str = ""

    @property
    def first(self) -> Observed:
        """Round 1 in the last protocol, the one with a reference where there is one."""
        return list(self.rounds.values())[-1][0]

    @property
    def all_rounds(self) -> list[Observed]:
        """The rounds of all protocols."""
        return [observed for rounds in self.rounds.values() for observed in rounds]

    @property
    def answered(self) -> list[Observed]:
        """Every request that did not end with an exception."""
        several = (self.again, self.other_words, self.other_reference, self.person)
        return [one for one in (*self.all_rounds, *several) if one is not None and one.given is not None]
