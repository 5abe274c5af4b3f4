"""A process that ends itself with SIGKILL at an exact moment in the life of an edit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from fashionedit.files import append_line


class Dying:
    """Counts edits in a file, and kills its own process where it is told to.

    Args:
        out: The run folder, whose renames are watched.
        counter: Gets a line per edit, before anything else happens.
        where: `never`, `edit`, `before` / `after` the `images` or `records` file becomes visible; or `hold`, where no
            further edit ends, so that somebody else can kill it.
        after: How many edits (for `edit`) or commits of this process come before it; for `hold` how many lines.
    """

    def __init__(self, out: Path, counter: Path, where: str = "never", after: int = 0) -> None:
        self.out, self.counter, self.where, self.after = out, counter, where, after
        self.edits = self.commits = 0
        replace = Path.replace

        def watched(path: Path, target: Path) -> Path:
            target = Path(target)
            kind = target.relative_to(out).parts[0] if target.is_relative_to(out) else ""
            self._die(f"before {kind}", self.commits)
            answer = replace(path, target)
            self._die(f"after {kind}", self.commits)
            self.commits += kind == "records"
            return answer

        Path.replace = watched  # type: ignore[method-assign]  # in this process alone: it sees each file appear

    def edit(self, line: str) -> None:
        """Notes that an edit was asked for."""
        append_line(self.counter, line)
        if self.where == "hold" and len(self.counter.read_text().splitlines()) >= self.after:
            time.sleep(600)
        self._die("edit", self.edits, exactly=True)
        self.edits += 1

    def _die(self, moment: str, count: int, *, exactly: bool = False) -> None:
        if self.where == moment and (count == self.after if exactly else count >= self.after):
            os.kill(os.getpid(), signal.SIGKILL)
