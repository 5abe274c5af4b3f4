"""From photographs to samples: how many came into each stage, how many went on, and why the others did not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fashionedit.runtime.tables import markdown_rows

from .stage_store import StageRecord

FUNNEL_FILE = "funnel.json"


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One stage.

    Args:
        name: What went on is called so: photos, drafts, kept, analysed, samples.
        came: How many came in.
        kept: How many went on.
        dropped: How many were left out for good, by reason.
        failed: How many the next run tries again, by reason.
    """

    name: str
    came: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_records(
        cls, name: str, came: Iterable[str], kept: Iterable[str], records: Iterable[StageRecord]
    ) -> FunnelStep:
        """Returns the step of a stage whose records say what became of each photograph.

        Args:
            name: The step's name.
            came: The ids that came in.
            kept: Those that went on.
            records: Of the stage; those of other photographs are passed over.
        """
        left_out = set(came) - (gone_on := set(kept))
        reasons: dict[str, Counter[str]] = {"dropped": Counter(), "failed": Counter()}
        for record in records:
            if record.id in left_out and record.status != "kept":
                reasons[record.status][record.reason or "no reason given"] += 1
        return cls(
            name, len(left_out) + len(gone_on), len(gone_on), _sorted(reasons["dropped"]), _sorted(reasons["failed"])
        )


@dataclass(frozen=True, slots=True)
class Funnel:
    """All steps, in the order of the stages."""

    steps: tuple[FunnelStep, ...]

    @property
    def failed(self) -> int:
        """How many photographs the next run tries again, over all stages."""
        return sum(sum(step.failed.values()) for step in self.steps)

    def to_json(self) -> str:
        """Returns the funnel as JSON, the same for the same counts."""
        steps = [
            {
                "name": step.name,
                "came": step.came,
                "kept": step.kept,
                "dropped": dict(step.dropped),
                "failed": dict(step.failed),
            }
            for step in self.steps
        ]
        return json.dumps({"steps": steps}, indent=1, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """Returns the funnel as lines for a console."""
        names = max(len(step.name) for step in self.steps)
        numbers = max(len(f"{step.came:,}") for step in self.steps)
        lines = []
        for step in self.steps:
            numbers_in = f"{step.name:{names}}  {step.came:>{numbers},} → {step.kept:>{numbers},}"
            lines.append(f"{numbers_in}   {_reasons(step)}".rstrip())
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """Returns the funnel as a table for a dataset card."""
        rows = [[step.name, f"{step.came:,}", f"{step.kept:,}", _reasons(step)] for step in self.steps]
        return "\n".join(markdown_rows(["stage", "in", "out", "left out"], rows, words=4))


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _reasons(step: FunnelStep) -> str:
    dropped = [f"{reason}: {count:,}" for reason, count in step.dropped.items()]
    failed = [f"{reason}: {count:,} (to be tried again)" for reason, count in step.failed.items()]
    return "; ".join(dropped + failed)
