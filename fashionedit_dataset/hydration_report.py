"""What hydration found: which samples could be filled in, and why the others could not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .photographs import Photographs

PROBLEMS = {
    "missing": "photograph missing",
    "unreadable": "photograph can't be read",
    "different": "photograph different",
    "decoded differently": "the right file, but this machine decodes it to other pixels",
    "no caption": "no caption",
    "caption different": "caption different",
    "crops different": "crops were not cut from the photograph by the box",
}
"""Why a sample can't be filled in, and how a sentence puts it."""

_NAMED = 3  # ids in a sentence


@dataclass(frozen=True)
class HydrationReport:
    """What was found.

    Args:
        wanted: Samples in the annotations form.
        filled: Those whose photograph, caption and crops are all as they were.
        problems: By kind (`PROBLEMS`), the ids of the others.
        re_encoded: Photographs in other files than the published ones, with the same pixels: these are filled in.
        without: By column (`sketches`, `examples`), the ids of samples that had some and have none now.
        manifest_hashes: Of what was written, by split and of both; empty where nothing was.
        published: The same of the set that the annotations form was made from.
    """

    wanted: int
    filled: int
    problems: Mapping[str, tuple[str, ...]]
    re_encoded: tuple[str, ...] = ()
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    manifest_hashes: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether what was written is the set that was published, to the pixel and the letter."""
        return bool(self.manifest_hashes) and dict(self.manifest_hashes) == dict(self.published)

    def sentences(self) -> list[str]:
        """Returns what a person should know, a line each."""
        lines = [f"{self.filled:,} of {self.wanted:,} samples are filled in"]
        lines += [f"{PROBLEMS[kind]}: {len(ids):,} ({name_some(ids)})" for kind, ids in self.problems.items()]
        if self.re_encoded:
            lines.append(f"another file with the same pixels: {len(self.re_encoded):,}")
        for column, ids in self.without.items():
            lines.append(f"left without {column}: {len(ids):,} ({name_some(ids)})")
        if self.identical:
            lines.append("the set is the published one: equal manifest hash")
        elif self.manifest_hashes:
            lines.append("the set is not the published one: its manifest hash is another")
        return lines

    def to_json(self) -> str:
        """Returns the report as JSON."""
        values = {
            "wanted": self.wanted,
            "filled": self.filled,
            "identical": self.identical,
            "problems": {kind: list(ids) for kind, ids in self.problems.items()},
            "re_encoded": list(self.re_encoded),
            "without": {column: list(ids) for column, ids in self.without.items()},
            "manifest_hashes": dict(self.manifest_hashes),
            "published": dict(self.published),
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def name_some(ids: Sequence[str]) -> str:
    """Returns the first names of a list."""
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")


def refusal(report: HydrationReport, photographs: Photographs) -> str:
    """Returns the one sentence that says why nothing is written."""
    reasons = "; ".join(f"{PROBLEMS[kind]}: {len(ids):,} ({name_some(ids)})" for kind, ids in report.problems.items())
    if "no caption" in report.problems and photographs.captions_file is None:
        reasons += f"; no captions.json, metadata.jsonl or CSV file with captions lies in {photographs.folder}"
    advice = (
        "complete the photographs, or leave those samples out with --partial"
        if report.filled
        else "check that these are the photographs that the annotations were made from"
    )
    return f"{report.wanted - report.filled:,} of {report.wanted:,} samples can't be filled in: {reasons}; {advice}"
