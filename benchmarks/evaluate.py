"""How long after the last edit the table of `fashionedit.evaluate` is there, and whether scoring slows the edits.

    python benchmarks/evaluate.py [SAMPLES [SECONDS [CONCURRENCY]]]

An editor that waits as a service does, 1 s an edit and 16 in flight, edits the synthetic set; scored with the offline
encoder. The same run without scoring beside it says how long the edits take by themselves. Exits with 1 if the table
comes more than 3 s after the last edit.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from targets import exit_code, show_target

import fashionedit
from fashionedit.eval_harness import EditorInfo, EditRequest, EditResult, run

MOST_SECONDS = 3.0


class Service:
    """Tints the image after a while, as a service answers."""

    def __init__(self, seconds: float, concurrency: int) -> None:
        self.seconds, self.concurrency = seconds, concurrency
        self.last = 0.0

    def describe(self) -> EditorInfo:
        """Returns its name."""
        return EditorInfo("waiting service", "waiting service 1", at_once=self.concurrency)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the image with another corner, after the time that a service takes."""
        time.sleep(self.seconds)
        image = request.base.copy()
        level = len(request.instruction) * request.round % 256
        image.paste((level, request.seed % 256, 99), (0, 0, image.width // 3, image.height // 3))
        self.last = time.perf_counter()
        return EditResult.ok(image)


def main(samples: int = 100, seconds: float = 1.0, concurrency: int = 16) -> int:
    """Prints the times of both runs, and returns whether the table came in time, as an exit code."""
    data = f"synthetic:{samples}"
    folder = Path(tempfile.mkdtemp(prefix="fashionedit-"))
    os.environ["FASHIONEDIT_CACHE"] = str(folder / "cache")  # embeddings of the run before would be there already
    try:
        source = fashionedit.open_data(data)
        service = Service(seconds, concurrency)
        began = time.perf_counter()
        alone = run(service, source, folder / "alone")
        edits_alone = service.last - began
        table: list[Any] = []
        service = Service(seconds, concurrency)
        began = time.perf_counter()

        def first_edit(total: Any) -> None:
            table.append(time.perf_counter())

        starts: list[float] = []
        edit = service.edit
        service.edit = lambda request: (starts.append(time.perf_counter()), edit(request))[1]  # type: ignore[method-assign]  # a wrapped method
        found = fashionedit.evaluate(service, data=data, out=folder / "beside", encoder="offline", scored=first_edit)
        page = time.perf_counter()
        print(f"{alone.edits} edits of {seconds:g} s, {concurrency} in flight; {samples} samples")
        print(f"edits alone: {edits_alone:.1f} s; with scoring beside them: {service.last - starts[0]:.1f} s")
        print(f"table {table[0] - service.last:.1f} s after the last edit; page {page - service.last:.1f} s")
        print(f"in all {page - began:.1f} s, of which {starts[0] - began:.1f} s before the first edit")
        print(found)
        show_target("from the last edit to the table", table[0] - service.last, at_most=MOST_SECONDS, unit="s")
        return exit_code()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(*(kind(text) for kind, text in zip((int, float, int), sys.argv[1:], strict=False))))
