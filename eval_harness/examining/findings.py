"""What an examination of an editor found, in plain sentences."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]
"""As it should be; worth knowing; to be mended before a run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: What was looked at, such as `reference`.
        level: How it stands.
        sentence: What was found, and what to do where something is to be done.
    """

    name: str
    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about one editor.

    Args:
        editor: What it calls itself.
        calls: Requests that it was given.
        findings: In the order in which they are told.
        command: The run to start.
    """

    editor: str
    calls: int
    findings: tuple[Finding, ...]
    command: str = ""

    @property
    def ready(self) -> bool:
        """Whether no problem was found."""
        return not self._count("problem")

    @property
    def verdict(self) -> str:
        """One sentence."""
        problems, notes = self._count("problem"), self._count("note")
        if problems:
            return f"Not ready: {problems} {'problem' if problems == 1 else 'problems'}."
        return f"Ready; {notes} {'note' if notes == 1 else 'notes'} to read." if notes else "Ready."

    def to_text(self) -> str:
        """Returns the findings, one a line, the verdict, and the command."""
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [
            f"{finding.level:<8} {finding.name:<{width}}  {' '.join(finding.sentence.split())}"
            for finding in self.findings
        ]
        lead = "next" if self.ready else "once that is mended"
        return "\n".join([f"{self.editor}, {self.calls} calls", *lines, self.verdict, f"{lead}: {self.command}"])

    def to_json(self) -> str:
        """Returns the same as JSON: `editor`, `calls`, `ready`, `verdict`, `findings`, `command`."""
        told = {
            "editor": self.editor,
            "calls": self.calls,
            "ready": self.ready,
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
            "command": self.command,
        }
        return json.dumps(told, indent=2, ensure_ascii=False)

    def _count(self, level: Level) -> int:
        return sum(finding.level == level for finding in self.findings)
