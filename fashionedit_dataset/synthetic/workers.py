"""Worker processes: each renders every n-th sample, and the samples come back in order.

They are started as `python -m fashionedit.synthetic.workers` and spoken to through their pipes. A pool of
`multiprocessing` would import the caller's script again, and could not be used from a daemonic process, which is
what `datasets` makes of its `num_proc`.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from fashionedit.types import Sample

MOST_WORKERS = 8


def default_workers() -> int:
    """Returns one per processor that this process may use, `MOST_WORKERS` at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_WORKERS)


def rendered(count: int, seed: int, split: str, processes: int) -> Iterator[Sample]:
    """Yields the samples 0..count - 1 in order, rendered by that many processes.

    What a worker that died leaves undone is rendered in this process, so that a bug shows its own traceback.
    """
    crew: list[subprocess.Popen[bytes] | None] = []
    try:
        for first in range(processes):
            crew.append(_start(first, count, processes, seed, split))
        for index in range(count):
            place = index % processes
            worker = crew[place]
            sample = None if worker is None else _received(worker)
            if sample is None:
                if worker is not None:
                    crew[place] = None
                    _stop(worker)
                from .samples import synthetic_sample

                sample = synthetic_sample(index, seed=seed, split=split)
            yield sample
    finally:
        for worker in crew:
            if worker is not None:
                _stop(worker)


def _start(first: int, count: int, step: int, seed: int, split: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "fashionedit.synthetic.workers", *map(str, (first, count, step, seed)), split]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)


def _received(worker: subprocess.Popen[bytes]) -> Sample | None:
    if worker.stdout is None:
        return None
    try:
        sample: Sample = pickle.load(worker.stdout)  # from a child of this very process, running our own code
    except (EOFError, pickle.UnpicklingError):
        return None
    return sample


def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    if worker.stdout is not None:
        worker.stdout.close()
    worker.wait()


def main(arguments: list[str], out: IO[bytes]) -> None:
    """Writes every step-th sample, pickled, until there are no more or nobody reads."""
    from .samples import synthetic_sample

    # An interrupt is for the reader, which then kills its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
