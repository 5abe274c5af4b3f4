"""Runs the stage `generate` with a tiny pipeline and, where told to, ends its own process with SIGKILL.

Usage: killed_generate.py PIPELINE PHOTOS STORE COUNTER WHERE AFTER; see `Dying`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dying import Dying
from toy_drafts import write_photos

from fashionedit.builders.generate.diffusers_drafts import DiffusersDrafts
from fashionedit.builders.generate.drafting import DraftRequest, DraftResult
from fashionedit.builders.generate.stage import generate
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.files import append_line

PHOTOS = 10
BATCH = 3


class CountingDrafts(DiffusersDrafts):
    """Writes the id of every draft that it begins into a file."""

    def __init__(self, pipeline: Path, counter: Path) -> None:
        super().__init__(str(pipeline), steps=1, batch_size=BATCH)
        self._counter = counter

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        for request in requests:
            append_line(self._counter, request.id)
        return super().make(requests)


def run(maker: CountingDrafts, photos: Path, out: Path) -> list[Photo]:
    return generate(write_photos(photos, PHOTOS), maker, StageStore(out))


if __name__ == "__main__":
    pipeline, photos, out, counter = map(Path, sys.argv[1:5])
    Dying(out, counter, sys.argv[5], int(sys.argv[6]))
    run(CountingDrafts(pipeline, counter), photos, out)
