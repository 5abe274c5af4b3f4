"""Gives `fashionedit build` with the given arguments and, where told to, kills the process in one of its stages.

Usage: killed_build.py STAGE AFTER ARGUMENT... The process ends by SIGKILL when the stage has done AFTER of its steps: a
step is a record that is about to be committed or was just committed, the split list, a row of the dataset, or its last
file. STAGE `never` lets it live.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from fashionedit import folder
from fashionedit.builders import work_folder
from fashionedit.builders.stage_store import StageStore
from fashionedit.cli import main
from fashionedit.parquet import ShardWriter


class Dying:
    """Counts the steps of one stage, and dies at the last one."""

    def __init__(self, stage: str, after: int) -> None:
        self.stage = stage
        self.left = after

    def step(self, stage: str) -> None:
        if stage == self.stage:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, stage_of: Callable[..., str]) -> None:
        """Makes a step before and one after each call of the method."""
        call = getattr(owner, name)

        def stepping(*arguments: Any, **named: Any) -> Any:
            self.step(stage_of(*arguments))
            found = call(*arguments, **named)
            self.step(stage_of(*arguments))
            return found

        setattr(owner, name, stepping)


if __name__ == "__main__":
    dying = Dying(sys.argv[1], int(sys.argv[2]))
    dying.around(StageStore, "commit", lambda store, record: store.folder.name)
    dying.around(work_folder.WorkFolder, "keep_split", lambda folder, split: "split")
    dying.around(ShardWriter, "write", lambda writer, row: "shards")
    dying.around(folder, "write_atomically", lambda path, data: "last files")
    main(sys.argv[3:])
