"""Runs the stage `generate` with a tiny pipeline and, where told to, ends its own process with SIGKILL.

Usage: killed_generate.py PIPELINE PHOTOS STORE COUNTER MOMENT AFTER; MOMENT is `make`, `files`, `batches` or `records`,
and it is deadly once AFTER drafts were begun, or AFTER such files have become visible, in this process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from toy_drafts import write_photos

from fashionedit.builders.generate import DiffusersDrafts, DraftRequest, DraftResult, generate
from fashionedit.builders.stage_items import Pair
from fashionedit.builders.stage_store import StageStore
from fashionedit.files import append_line

PHOTOS = 10
BATCH = 3


class CountingDrafts(DiffusersDrafts):
    """Writes the id of every draft that it begins into a file."""

    def __init__(self, pipeline: Path, counter: Path, begun: Callable[[], None] = lambda: None) -> None:
        super().__init__(str(pipeline), steps=1, batch_size=BATCH)
        self._counter, self._begun = counter, begun

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        for request in requests:
            append_line(self._counter, request.id)
            self._begun()
        return super().make(requests)


def run(maker: CountingDrafts, photos: Path, out: Path) -> list[Pair]:
    return list(generate(write_photos(photos, PHOTOS), maker, StageStore(out)))


def die(pipeline: Path, photos: Path, out: Path, counter: Path, moment: str, after: int) -> None:
    seen: Counter[str] = Counter()
    replace = Path.replace

    def happened(kind: str) -> None:
        if kind == moment and seen[kind] >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        seen[kind] += 1

    def watched(path: Path, target: Path) -> Path:
        answer = replace(path, target)
        if Path(target).is_relative_to(out):
            happened(Path(target).relative_to(out).parts[0])
        return answer

    Path.replace = watched  # type: ignore[method-assign]  # in this process alone: it sees each file appear
    run(CountingDrafts(pipeline, counter, lambda: happened("make")), photos, out)


if __name__ == "__main__":
    die(*map(Path, sys.argv[1:5]), sys.argv[5], int(sys.argv[6]))  # type: ignore[misc]
