"""The synthetic set as a whole: rendered by several processes, kept as a folder in the cache.

Worker processes are started as `python -m fashionedit.synthetic.rendering` and spoken to through their pipes. A pool of
`multiprocessing` would import the caller's script again, and could not be used from a daemonic process, which is
what `datasets` makes of its `num_proc`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fashionedit.errors import InvalidDataError

from . import RENDERER_VERSION

if TYPE_CHECKING:
    from fashionedit.types import Sample

Progress = Callable[[int, int], None]
"""Called with the samples done and the samples in all."""

MOST_WORKERS = 8


def renderer_key() -> str:
    """Returns 16 hex digits that change with whatever may change a rendered pixel: our renderer, Pillow, numpy."""
    import numpy as np
    import PIL

    versions = f"{RENDERER_VERSION} pillow {PIL.__version__} numpy {np.__version__}"
    return hashlib.sha256(versions.encode()).hexdigest()[:16]


def synthetic_folder(
    samples: int,
    splits: tuple[str, ...],
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Returns the FashionEdit folder of the synthetic set, rendered now unless it was before.

    Processes that ask for the same folder at once wait for the one that renders it.
    """
    from fashionedit.folder import cached_folder

    def write(folder: Path) -> None:
        write_synthetic(folder, samples, splits, seed=seed, workers=workers, progress=progress)

    return cached_folder("synthetic", f"{renderer_key()}-{samples}-{seed}-{'+'.join(splits)}", write)


def write_synthetic(
    out: Path | str,
    samples: int,
    splits: tuple[str, ...],
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Renders the synthetic set, so many samples in each split, into the new FashionEdit folder `out`.

    Raises:
        InvalidDataError: `out` holds files already.
    """
    from fashionedit.folder import write_folder

    done = 0

    def rendered(split: str) -> Iterator[Sample]:
        nonlocal done
        for sample in synthetic_samples(samples, seed=seed, split=split, workers=workers):
            yield sample
            done += 1
            if progress is not None:
                progress(done, samples * len(splits))

    write_folder(
        Path(out),
        {split: rendered(split) for split in splits},
        name="synthetic",
        licence="apache-2.0",
        licence_note="Rendered by the code of fashionedit, which is under Apache-2.0; no photograph was used.",
        control_set=True,
        renderer=RENDERER_VERSION,
    )


def synthetic_samples(
    count: int, *, seed: int = 0, split: str = "validation", workers: int | None = None
) -> Iterator[Sample]:
    """Yields the first `count` samples in order; how many processes render them changes nothing but the time.

    Args:
        count: How many.
        seed, split: As for `synthetic_sample`.
        workers: Processes beside this one; 1 renders in this process alone, None takes one per processor, 8 at most.

    Raises:
        InvalidDataError: The count or the number of workers is too small.
        UnknownNameError: No split has this name.
    """
    from fashionedit.types import split_name

    from .samples import synthetic_sample

    if count < 0:
        raise InvalidDataError(f"count is {count}; ask for 0 samples or more")
    if workers is not None and workers < 1:
        raise InvalidDataError(f"workers is {workers}; use 1 or more, or None for one per processor")
    split = split_name(split)
    processes = min(default_workers() if workers is None else workers, max(count, 1))
    if processes == 1:
        return (synthetic_sample(index, seed=seed, split=split) for index in range(count))
    return _rendered(count, seed, split, processes)


def default_workers() -> int:
    """Returns one per processor that this process may use, `MOST_WORKERS` at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_WORKERS)


def _rendered(count: int, seed: int, split: str, processes: int) -> Iterator[Sample]:
    """Yields the samples 0..count - 1 in order.

    What a worker that died leaves undone is rendered in this process, so that a bug shows its own traceback.
    """
    from .samples import synthetic_sample

    workers: list[subprocess.Popen[bytes]] = []
    try:
        for first in range(processes):
            workers.append(_start(first, count, processes, seed, split))
        for index in range(count):
            yield _received(workers[index % processes]) or synthetic_sample(index, seed=seed, split=split)
    finally:
        for worker in workers:
            worker.kill()
            if worker.stdout is not None:
                worker.stdout.close()
            worker.wait()


def _start(first: int, count: int, step: int, seed: int, split: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", __spec__.name, *map(str, (first, count, step, seed)), split]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)


def _received(worker: subprocess.Popen[bytes]) -> Sample | None:
    """Returns the worker's next sample, None if it died."""
    assert worker.stdout is not None
    try:
        sample: Sample = pickle.load(worker.stdout)  # from a child of this very process, running our own code
    except (EOFError, pickle.UnpicklingError):
        return None
    return sample


def main(arguments: list[str], out: IO[bytes]) -> None:
    """Writes every step-th sample, pickled, until there are no more or nobody reads."""
    # An interrupt is for the reader, which then kills its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from .samples import synthetic_sample

    first, count, step, seed = (int(value) for value in arguments[:4])
    try:
        for index in range(first, count, step):
            pickle.dump(synthetic_sample(index, seed=seed, split=arguments[4]), out)
            out.flush()
    except BrokenPipeError:
        # The reader has gone; leaving without flushing keeps the interpreter from complaining once more.
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdout.buffer)
