"""What Ray workers bring, and what the process that feeds them can do.

    python benchmarks/ray_engine.py [--rounds 5] [--only ratios|feed] [--samples 24]

1. Ratios: edits, drafts and scoring that compute on the CPU, by one worker and by two, in turns. The workers have
   started before the clock does, and compute with one thread each, so that two of them have twice the means of one. Two
   must be 1.7 times as fast; the machine needs two free cores and a little of a third for the driver.
2. Feed: an editor that returns a picture of 1024 × 1536 at once, so that the driver is what limits. CPU seconds of the
   driver, requests and bytes a second, and for how many workers one core of it suffices whose edits take 0.2, 1 and
   10 s.

Exits with 1 if a ratio is below its bar.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from harness import benchmark
from PIL import Image

from fashionedit.builders.generate.drafting import DraftRequest, DraftResult
from fashionedit.builders.generate.ray_drafts import DraftReplica, RayDrafts
from fashionedit.builders.generate.stage import generate
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.data import FashionEditFolder
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult
from fashionedit.eval_harness.running.remote_calls import on_engine
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scored_run import Scoring, write_scores
from fashionedit.images import crop
from fashionedit.runtime.progress import Bar
from fashionedit.runtime.ray_engine import RayEngine, connected
from fashionedit.runtime.ray_replica import versions

BAR = 1.7
EDIT, DRAFT = 0.3, 0.3  # CPU seconds that one takes
SIZE, LARGE = (384, 576), (1024, 1536)
FED = 48  # samples of the second part


def burn(seconds: float) -> None:
    """Computes for so many CPU seconds."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Burning:
    """Marks the picture after `seconds` of the CPU."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def describe(self) -> EditorInfo:
        """Returns who this is."""
        return EditorInfo("burning", f"burning 1 {self.seconds}")

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the picture with a mark in it."""
        burn(self.seconds)
        image = request.base.copy()
        tone = request.seed % 199
        image.paste((tone, 255 - tone, 90), (8 * request.round, 8, 60 + 8 * request.round, 200))
        return EditResult.ok(image)


class Repeating(Burning):
    """Changes one pixel, at once."""

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the picture with one pixel changed."""
        image = request.base
        image.putpixel((request.round, request.seed % 99), (request.seed % 251, request.round, 7))
        return EditResult.ok(image)


class BurningDrafts:
    """Makes a picture of two colours after some seconds of the CPU."""

    batch_size, highest_cost = 1, 0.0

    def describe(self) -> dict[str, Any]:
        """Returns who this is."""
        return {"kind": "burning"}

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns the drafts."""
        made = []
        for request in requests:
            burn(DRAFT)
            tone = hashlib.sha256(request.caption.encode()).digest()
            image = Image.new("RGB", SIZE, tuple(tone[:3]))
            image.paste(tuple(tone[3:6]), (20, 20, 200, 300))
            made.append(DraftResult(image))
        return made


def replica(places: Mapping[str, str]) -> DraftReplica:
    return DraftReplica(BurningDrafts(), places)


def edits(folder: Path, source: FashionEditFolder, workers: int) -> float:
    """Returns the seconds that a run takes in so many workers."""
    editor = on_engine(Burning(EDIT), RayEngine(workers=workers))
    start = time.monotonic()
    summary = run(editor, source, folder / "run", protocols=["vanilla"], rounds=1)
    seconds = time.monotonic() - start
    assert summary.statuses == {"ok": len(source.ids)}, summary.statuses
    return seconds


def drafts(folder: Path, source: FashionEditFolder, workers: int) -> float:
    """Returns the seconds that drafts take."""
    photos = []
    for id in source.ids:
        path = folder / f"{id}.png"
        crop(source.original(id), source.facts(id).boxes[0]).save(path)
        photos.append(Photo(path.stem, path, caption=f"garment {id}"))
    maker = RayDrafts(RayEngine(workers=workers), replica, what="burning drafts")
    maker.describe()  # starts the workers
    start = time.monotonic()
    pairs = generate(photos, maker, StageStore(folder / "generate"))
    seconds = time.monotonic() - start
    assert len(pairs) == len(photos)
    return seconds


def scoring(folder: Path, source: FashionEditFolder, workers: int, *, ready: Path) -> float:
    """Returns the seconds that a run takes to be scored, nothing of it known."""
    shutil.copytree(ready, folder / "run")
    os.environ["FASHIONEDIT_CACHE"] = str(folder / "cache")
    with Scoring(encoder="offline").loaded(RayEngine(workers=workers)) as (embedder, metrics):
        start = time.monotonic()
        write_scores(RunFolder.open(folder / "run"), source, embedder, partial(Bar, hidden=True), metrics=metrics)
        return time.monotonic() - start


def ratios(folder: Path, rounds: int, samples: int) -> bool:
    """Prints what two workers are to one; returns whether all are fast enough."""
    source = benchmark(folder / "data", samples, SIZE)
    ready = folder / "ready"
    run(Burning(0.0), source, ready)
    parts: dict[str, Callable[..., float]] = {
        "edits": edits,
        "drafts": drafts,
        "scoring": partial(scoring, ready=ready),
    }
    good = True
    for name, part in parts.items():
        taken: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds):
            for workers in (1, 2) if number % 2 else (2, 1):
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    taken[workers].append(part(Path(place), source, workers))
        one, two = (statistics.median(taken[workers]) for workers in (1, 2))
        ratio = statistics.median(a / b for a, b in zip(taken[1], taken[2], strict=True))
        good = good and ratio >= BAR
        print(f"{name:8} one worker {one:6.2f} s   two {two:6.2f} s   {ratio:.2f}× (bar {BAR}×)", flush=True)
    return good


def feed(folder: Path, rounds: int) -> None:
    """Prints what the driver can feed."""
    source = benchmark(folder / "large", FED, LARGE)
    cpu, rate, volume = [], [], []
    for number in range(rounds):
        out = folder / f"fed-{number}"
        editor = on_engine(Repeating(0.0), RayEngine(workers=2))
        start, used = time.monotonic(), time.process_time()
        summary = run(editor, source, out, protocols=["vanilla"])
        seconds, spent = time.monotonic() - start, time.process_time() - used
        written = sum(path.stat().st_size for path in out.glob("images/*/*"))
        cpu.append(spent / summary.edits)
        rate.append(summary.edits / seconds)
        volume.append(2 * written / seconds / 1e6)  # what comes back goes to the next round
        shutil.rmtree(out)
    each = statistics.median(cpu)
    print(f"driver: {1000 * each:.1f} ms of the CPU a request of {LARGE[0]} × {LARGE[1]}", flush=True)
    print(
        f"here, with two workers on the same machine: {statistics.median(rate):.1f} requests/s, "
        f"{statistics.median(volume):.0f} MB/s to and from the workers"
    )
    for seconds in (0.2, 1.0, 10.0):
        print(f"one core of the driver feeds {seconds / each:6.0f} workers whose edits take {seconds:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["ratios", "feed"])
    parser.add_argument("--samples", type=int, default=24)
    options = parser.parse_args()
    packages = versions()
    print(
        f"Python {packages['python']}, Ray {packages['packages']['ray']}, {packages['cpus']} CPUs, "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    good = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = "1"
        stack.enter_context(connected(RayEngine(workers=2)))
        if options.only != "feed":
            good = ratios(folder, options.rounds, options.samples)
        if options.only != "ratios":
            feed(folder, options.rounds)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
