"""The synthetic set as a folder in the cache: rendered once for each renderer, size, seed and split."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from .manifest import MANIFEST_FILE
from .places import cache_folder
from .types import Sample
from .writing import write_folder

Progress = Callable[[int, int], None]
"""Called with the samples done and the samples in all."""

_NOTE = """\
Rendered by the code of fashionedit, which is under Apache-2.0; no photograph was used."""


def renderer_key() -> str:
    """Returns 16 hex digits that change with whatever may change a rendered pixel: our renderer, Pillow, numpy."""
    import numpy as np
    import PIL

    from .synthetic import RENDERER_VERSION

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

    Args:
        samples: In each split, from 1.
        splits: `train`, `validation`, or both.
        seed: Of the pictures.
        workers: Processes that render; as many as there are processors by default.
        progress: Called after each sample that is rendered.
    """
    home = cache_folder() / "synthetic"
    name = f"{renderer_key()}-{samples}-{seed}-{'+'.join(splits)}"
    folder = home / name
    if (folder / MANIFEST_FILE).is_file():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with (home / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / MANIFEST_FILE).is_file():
            return folder
        write_synthetic(folder, samples, splits, seed=seed, workers=workers, progress=progress)
    return folder


def write_synthetic(
    out: Path | str,
    samples: int,
    splits: tuple[str, ...],
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Renders the synthetic set into the new FashionEdit folder `out`; arguments as in `synthetic_folder`.

    Raises:
        InvalidDataError: `out` holds files already.
    """
    from .synthetic import RENDERER_VERSION

    counter = _Counter(samples * len(splits), progress)
    write_folder(
        Path(out),
        {split: counter.count(_render(samples, seed, split, workers)) for split in splits},
        name="synthetic",
        licence="apache-2.0",
        licence_note=_NOTE,
        control_set=True,
        renderer=RENDERER_VERSION,
    )


def _render(samples: int, seed: int, split: str, workers: int | None) -> Iterator[Sample]:
    from .synthetic import synthetic_samples

    yield from synthetic_samples(samples, seed=seed, split=split, workers=workers)


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress

    def count(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            yield sample
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
