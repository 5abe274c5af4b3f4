"""How `run`, `score` and `report` grow from 100 to 1,000 to 10,000 samples: seconds and memory of each command.

    python benchmarks/scale.py [--samples 100,1000,10000] [--commands run,score] [--size 144x192] [--encoder]
        [--keep OUT]

Each sample has pictures of its own, an editor that changes one corner makes six edits of it (two protocols, three
rounds), and PSNR scores them and all baselines; with `--encoder` a tiny CLIP with random weights does so too. The
drafts of 1,000 samples are too large for the image cache to keep from one protocol to the next, as real ones are.
What is measured is this package, not a model. Every command is a process of its own. A further sample may take 15 %
more time and memory on the way to the largest set than on the way to the middle one. Exits with 1 if one takes more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

MOST_GROWTH = 1.15
COMMANDS = ("run", "resume", "score", "report")


def edit(image: Any, instruction: str, reference: Any = None) -> Any:
    """Returns the image with another corner, so that no two edits of a sample are the same picture."""
    edited = image.copy()
    edited.paste((len(instruction) % 256, sum(instruction.encode()) % 256, 99), (0, 0, image.width // 3, 9))
    return edited


def write_data(out: Path, samples: int, size: tuple[int, int]) -> None:
    """Writes a FashionEdit folder of pictures that have nothing in common but their size."""
    import numpy as np
    from PIL import Image

    from fashionedit import Box, Difference, Sample, write_folder
    from fashionedit.images import crop

    boxes = (Box(50, 50, 300, 400), Box(350, 450, 600, 900), Box(650, 100, 950, 700))

    def drawn() -> Iterator[Sample]:
        for number in range(samples):
            random = np.random.default_rng(number)
            coarse = [Image.fromarray(random.integers(0, 256, (6, 4, 3), dtype=np.uint8)) for _ in range(2)]
            original, draft = (image.resize(size, Image.Resampling.BICUBIC) for image in coarse)
            differences = [
                Difference(f"Part {place} of garment {number}.", box, crop(original, box))
                for place, box in enumerate(boxes)
            ]
            yield Sample(f"drawn-{number:06d}", "A coat.", draft, original, tuple(differences), category="Coats")

    write_folder(out, {"validation": drawn()}, control_set=True, renderer="benchmarks/scale.py")


def write_encoder(out: Path) -> None:
    """Writes a CLIP of two tiny layers with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {**shape, "patch_size": 16, "image_size": 32}
    config = transformers.CLIPConfig(vision_config=vision, text_config=shape, projection_dim=32)
    transformers.CLIPModel(config).save_pretrained(out)
    square = {"height": 32, "width": 32}
    transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square).save_pretrained(out)


def apart(function: Callable[..., None], *arguments: Any) -> None:
    """Calls a function in a process of its own: a child's peak of memory starts at what its parent holds."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{function.__name__} failed")


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of wall and of CPU, and the most memory at one time, MB."""

    wall: float
    cpu: float
    megabytes: float


def measured(arguments: list[str], cache: Path) -> Cost:
    """Runs `fashionedit` with these arguments in a process of its own; its output is shown if it fails."""
    # one thread: two that wait for each other over a model of two layers cost five times the processor's time
    environment = {**os.environ, "FASHIONEDIT_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "fashionedit", *arguments],
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)],
        )
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - start
        if status:
            output.seek(0)
            sys.exit(f"fashionedit {' '.join(arguments)} failed:\n{output.read().decode('utf-8', 'replace')[-4000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime, _megabytes(used))


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def costs(
    folder: Path, samples: int, size: tuple[int, int], scored_by: list[str], wanted: list[str]
) -> dict[str, Cost]:
    """Returns what each wanted command took on a set of so many samples."""
    data, out, cache = folder / f"data-{samples}", folder / f"run-{samples}", folder / f"cache-{samples}"
    apart(write_data, data, samples, size)
    editor = f"{Path(__file__).resolve()}:edit"
    run = ["run", editor, "--data", str(data), "--out", str(out), "--version", "1"]
    commands = {
        "run": run,
        "resume": run,
        "score": ["score", str(out), *scored_by],
        "report": ["report", str(out), "--out", str(folder / f"page-{samples}")],
    }
    found = {}
    for name in wanted:
        found[name] = measured(commands[name], cache)
        cost = found[name]
        print(
            f"{samples:6,} samples {name:7} {cost.wall:8.1f} s, CPU {cost.cpu:8.1f} s "
            f"({1000 * cost.cpu / samples:7.2f} ms a sample), {cost.megabytes:6.0f} MB",
            flush=True,
        )
    return found


def main() -> int:
    """Measures every size, and shows how the largest step compares with the one before it."""
    from targets import exit_code, show_target

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", default="100,1000,10000")
    parser.add_argument("--commands", default=",".join(COMMANDS), help="which of them, in their order")
    parser.add_argument("--size", default="144x192", help="width and height of the pictures")
    parser.add_argument("--encoder", action="store_true", help="score with a tiny CLIP too")
    parser.add_argument("--keep", type=Path, help="work in this new folder, and leave it")
    options = parser.parse_args()
    sizes = [int(number) for number in options.samples.split(",")]
    width, height = map(int, options.size.split("x"))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="fashionedit-scale-"))
    try:
        scored_by = ["--metric", "psnr"]
        if options.encoder:
            apart(write_encoder, folder / "encoder")
            scored_by = ["--encoder", f"clip:{folder / 'encoder'}"]
        wanted = [name for name in COMMANDS if name in options.commands.split(",")]
        found = {samples: costs(folder, samples, (width, height), scored_by, wanted) for samples in sizes}
    finally:
        if options.keep is None:
            shutil.rmtree(folder)
    if len(sizes) > 2:
        small, middle, large = sizes[-3:]
        for name in wanted:
            for what, unit, field in (("time", "ms CPU", "cpu"), ("memory", "KB", "megabytes")):
                few, some, many = (getattr(found[samples][name], field) for samples in (small, middle, large))
                before, after = (1000 * (some - few) / (middle - small), 1000 * (many - some) / (large - middle))
                print(f"{name:7} {what:6} a further sample: {before:.3g} {unit}, then {after:.3g} {unit}")
                if name in ("run", "score", "report"):
                    show_target(f"{name}: growth of {what} a sample", after / max(before, 1e-9), at_most=MOST_GROWTH)
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
