"""What it costs to score a finished run again and to write its page, in seconds and memory a sample.

    python benchmarks/rescoring.py [--sizes 100 1000 10000] [--rounds 5] [--against PYTHON] [--keep FOLDER]

For each size a finished run is made without an editor: tiny pictures, and the records, images and stored scores that
`run` and a first `score` write (two protocols × three rounds, 2 % refused, an encoder whose vectors are drawn).
Then `score` (records → `results.json`) and `report` (→ `report/`) run on it, each in a process of its own. Printed are
the medians of its wall clock, of the processor's time (user and system, which other work on the machine moves less) and
of its peak of resident memory (`ru_maxrss`), and what a further sample adds to each. `--against` runs the same with the
interpreter of another checkout, in turns.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from targets import exit_code, show_target

SIZE = (24, 36)
BOXES = ([50, 50, 300, 400], [350, 450, 600, 900], [650, 100, 950, 700])
TASKS = ("score", "report")
TARGET_SAMPLES, TARGET_SECONDS = 10_000, 10.0


def draw(*name: object) -> NDArray[np.uint8]:
    """Noise in the size of a picture, the same for the same name."""
    seed = hashlib.sha256(repr(name).encode()).digest()
    random = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    return random.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def make(folder: Path, count: int) -> None:
    """Writes `data` and `run` into the folder, and the scores that a first `score` leaves."""
    from fashionedit.data import open_data
    from fashionedit.eval_harness.scores import measures
    from fashionedit.folder import write_folder
    from fashionedit.images import crop
    from fashionedit.metrics import load_metrics
    from fashionedit.types import Box, Difference, Sample

    os.fsync = lambda descriptor: None  # type: ignore[assignment]  # what is made here may be made again

    def samples() -> Iterator[Sample]:
        boxes = [Box.from_box_2d(box) for box in BOXES]
        for number in range(count):
            original, draft = (Image.fromarray(draw(number, kind)) for kind in ("original", "draft"))
            differences = [
                Difference(f"Part {k} of picture {number} has another collar, of kind {number % 7}.", box, piece)
                for k, (box, piece) in enumerate((box, crop(original, box)) for box in boxes)
            ]
            yield Sample(
                id=f"WOMEN-Dresses-id_{number // 3:08d}-{number % 3:02d}_{number % 4 + 1}_front",
                annotation=f"The dress of number {number} has long sleeves, cotton fabric and floral patterns.",
                draft=draft,
                original=original,
                differences=tuple(differences),
                gender=("WOMEN", "MEN")[number % 9 == 0],
                category=("Dresses", "Pants", "Shirts", "Jackets")[number % 4],
                garment_id=f"{number // 3:08d}",
                view=("front", "side", "back")[number % 3],
            )

    write_folder(folder / "data", {"validation": samples()}, name="drawn", control_set=True)
    source = open_data(folder / "data")
    write_records(folder / "run", source)

    class Cheap(type(load_embedder().encoder)):  # type: ignore[misc]  # the encoder's names with drawn vectors
        def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
            return np.zeros((3, 1, 1), dtype=np.float32)

        def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            rows = np.random.default_rng(len(batch)).normal(size=(len(batch), self.dimension))
            return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def drawn(pairs: Sequence[Any], *, low: float, high: float) -> list[float]:
        return [low + (high - low) * share(a.digest, b.digest) for a, b in pairs]

    def measured(asked: Sequence[Any], pictures: Any, embedder: Any, store: Any) -> None:
        for one in asked:
            for id in one.measures:
                low, high = max(measures.measure_limits(id)[0], 0.0), min(measures.measure_limits(id)[1], 60.0)
                store.add(id, [(one.change, low + (high - low) * share(id, *one.change.pair(id)))])

    embedder = load_embedder()
    embedder.encoder.__class__ = Cheap
    metrics = load_metrics(("clip", "clip_star", "psnr"), embedder)
    for metric in metrics:
        for one in (metric, metric.control):
            if one is not None and one.of is None:
                low, high = (0.75, 1.0) if metric.needs_encoder else (8.0, 14.0)
                one.score = partial(drawn, low=low, high=high)  # type: ignore[method-assign]  # scores that cost nothing
    from fashionedit.eval_harness.scores import scoring

    scoring.measure = measured  # type: ignore[attr-defined]  # measures that cost nothing
    score(folder / "run", folder / "data", embedder, metrics)
    for name in ("results.json", "timing.json"):
        (folder / "run" / name).unlink()


def share(*names: str) -> float:
    """A number from 0 to 1 that the names decide."""
    return int.from_bytes(hashlib.sha256("".join(names).encode()).digest()[:6], "big") / 2**48


def write_records(path: Path, source: Any) -> None:
    """Writes the records and images of a run of the default protocols, by the writer that `run` uses."""
    from fashionedit.eval_harness.editing import EditorInfo, Status
    from fashionedit.eval_harness.running.calls import finished_image
    from fashionedit.eval_harness.running.chain import chains
    from fashionedit.eval_harness.running.identity import run_identity
    from fashionedit.eval_harness.running.records import InputImage
    from fashionedit.eval_harness.running.run_folder import RunFolder

    identity = run_identity(EditorInfo("drawn-editor", "drawn-editor 1"), source)
    with RunFolder.create_or_open(path, identity) as run:
        for chain in chains(identity, source):
            for round in chain.rounds:
                step = chain.step(round)
                told: dict[str, Any] = {
                    "inputs": tuple(InputImage(role=role, digest=digest, size=SIZE) for role, digest in step.images),
                    "model_version": "drawn-2026",
                    "usage": {"input_tokens": 400 + round, "output_tokens": 1_056},
                    "cost_usd": 0.042,
                    "seconds": round + share(step.key),
                }
                if share("refused", step.key) < 0.02:
                    record, image = step.record(Status.REFUSED, message="The request was refused.", **told), None
                else:
                    image, output = finished_image(Image.fromarray(draw(step.key)), None)
                    record = step.record(Status.OK, output=output, **told)
                run.commit(record, image)
                chain.take(record)
        run.session({"event": "start", "time": "2026-11-28T00:00:00+00:00", "data": str(source.path)})


def load_embedder() -> Any:
    """The offline encoder, whose weights come from a package."""
    from fashionedit.metrics import Embedder, load_encoder

    return Embedder(load_encoder("offline"))


def score(run: Path, data: Path, embedder: Any, metrics: Any) -> None:
    """Scores as the command does, without the page."""
    from fashionedit.data import open_data
    from fashionedit.eval_harness.running.run_folder import RunFolder
    from fashionedit.eval_harness.scored_run import write_scores
    from fashionedit.runtime.progress import Bar

    write_scores(RunFolder.open(run), open_data(data), embedder, partial(Bar, hidden=True), metrics=metrics)


def task(name: str, folder: Path) -> None:
    """Does what one of the measured processes does."""
    from fashionedit.data import open_data
    from fashionedit.metrics import load_metrics

    if name == "make":
        make(folder, int(sys.argv[4]))
    elif name == "score":
        embedder = load_embedder()
        score(folder / "run", folder / "data", embedder, load_metrics(("clip", "clip_star", "psnr"), embedder))
    elif name == "report":
        from fashionedit.eval_harness.report import write_report
        from fashionedit.eval_harness.running.run_folder import RunFolder
        from fashionedit.eval_harness.scores.results import read_results

        results = read_results(folder / "run" / "results.json")
        run, source = RunFolder.open(folder / "run"), open_data(folder / "data")
        write_report(results, [run], source, folder / "run" / "report", form="folder")


Figures = tuple[float, float, float]
"""Wall clock (s), processor's time (s), peak of resident memory (MB)."""


def measure(python: str, name: str, folder: Path, *more: str) -> Figures:
    """Returns the figures of one task in a process of its own."""
    start = time.perf_counter()
    # Modules are compiled once, as on a user's machine, and not in each process.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen([python, __file__, "--task", name, str(folder), *more], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{name} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measured(
    pythons: Mapping[str, str], folder: Path, rounds: int, tasks: Sequence[str]
) -> dict[tuple[str, str], Figures]:
    """Returns the medians of each task with each interpreter, which take turns."""
    found: dict[tuple[str, str], list[Figures]] = {}
    for _ in range(rounds):
        for name in tasks:
            for label, python in pythons.items():
                found.setdefault((label, name), []).append(measure(python, name, folder))
    return {key: tuple(map(statistics.median, zip(*values, strict=True))) for key, values in found.items()}


def main() -> None:
    """Prints a line for each size, task and interpreter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000], help="Numbers of samples.")
    parser.add_argument("--rounds", type=int, default=5, help="How often each is measured.")
    parser.add_argument("--against", metavar="PYTHON", help="Interpreter of another checkout's environment.")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS, help="What is measured.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Make the runs here, and use those that are there.")
    given = parser.parse_args()
    pythons = {"this": sys.executable} | ({"other": given.against} if given.against else {})
    before: dict[tuple[str, str], tuple[int, Figures]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = given.keep or Path(temporary)
        for count in given.sizes:
            folder = home / str(count)
            if not (folder / "made").exists():
                seconds, _, _ = measure(sys.executable, "make", folder, str(count))
                (folder / "made").touch()
                print(f"{count:,} samples made in {seconds:.0f} s", file=sys.stderr)
            measure(sys.executable, "score", folder)  # what earlier versions did not keep is kept now
            for (label, name), figures in measured(pythons, folder, given.rounds, given.tasks).items():
                wall, seconds, megabytes = figures
                line = f"{count:>7,} {name:7} {label:6} {wall:8.2f} s {seconds:8.2f} s CPU {megabytes:7.0f} MB"
                if (label, name) in before:
                    smaller, (_, less, fewer) = before[label, name]
                    further = count - smaller
                    line += f"   {1000 * (seconds - less) / further:8.2f} ms CPU"
                    line += f" {1024 * (megabytes - fewer) / further:7.1f} KB a further sample"
                before[label, name] = count, figures
                print(line, flush=True)
                if (label, name, count) == ("this", "score", TARGET_SAMPLES):
                    show_target(f"scoring {count:,} samples again", seconds, at_most=TARGET_SECONDS, unit="s CPU")
    sys.exit(exit_code())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        task(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
