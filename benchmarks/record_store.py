"""What a run folder costs at a million records: seconds to write, files and bytes on disk, seconds to list and resume.

    python benchmarks/record_store.py [--records 1000000] [--pictures 0] [--threads 16] [--folder FOLDER]

The real `RunFolder` writes the real records, each with its fsync, from as many threads as a run has edits in flight.
The first `--pictures` of them have a PNG of 64 × 64 pixels, which is written and made durable before its record. Then
another `RunFolder` sweeps the folder, lists it and reads every record again, as the command does that resumes a run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION
from fashionedit.eval_harness.running.records import (
    EditorIdentity,
    InputImage,
    OutputImage,
    RoundRecord,
    RunIdentity,
    image_path,
)
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.images import pixel_digest

STEPS = 10
FOLDERS = 256
EDITS = 6  # of a sample: two protocols, three rounds


def key_of(number: int) -> str:
    """The key of a record: as evenly spread as a real one."""
    return hashlib.sha256(f"record {number}".encode()).hexdigest()


def picture(number: int) -> Image.Image:
    """A small picture that no other record has."""
    random = np.random.default_rng(number)
    return Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))


def record_of(number: int, image: Image.Image | None) -> RoundRecord:
    """A record as a run writes it; without an image of its own it names the dataset's draft, which is not copied."""
    digest = pixel_digest(image) if image is not None else key_of(-number)
    size = image.size if image is not None else (1024, 1024)
    output = OutputImage(
        digest=digest, size=size, path=image_path(digest) if image is not None else None, returned_size=size
    )
    return RoundRecord(
        key=key_of(number),
        sample=f"WOMEN-Dresses-id_{number // EDITS:08d}-01_1_front",
        protocol="bug",
        round=1 + number % 3,
        status=Status.OK,
        instruction="Please edit the first image based on the following description and the second reference image: "
        "the dress has long sleeves with a buttoned cuff, and a belt of the same fabric around the waist.",
        inputs=tuple(InputImage(role=role, digest=key_of(-1), size=(1024, 1024)) for role in ("base", "reference")),
        output=output,
        seed=number,
        seconds=1.0,
    )


def identity() -> RunIdentity:
    """The identity of a run that exists for this measurement."""
    return RunIdentity(
        protocol_version=PROTOCOL_VERSION,
        editor=EditorIdentity(name="record store", fingerprint="record store 1"),
        dataset="record store",
        split="validation",
        samples=1,
        manifest="0" * 64,
        control_set=True,
        protocols=("bug",),
        rounds=3,
    )


def write(folder: RunFolder, numbers: range, pictures: int, threads: int) -> None:
    """Commits these records."""

    def commit(number: int) -> None:
        image = picture(number) if number < pictures else None
        folder.commit(record_of(number, image), image)

    with ThreadPoolExecutor(threads) as pool:
        for start in range(numbers.start, numbers.stop, 10_000):
            list(pool.map(commit, range(start, min(start + 10_000, numbers.stop))))


def files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields every file below the folder."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files(Path(entry.path))
        else:
            yield entry


def main() -> None:
    """Writes, lists and resumes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=0, help="number of records that have a picture of their own")
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="where the run folder is made; a temporary folder by default")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="fashionedit-records-", dir=options.folder))
    try:
        step = max(1, options.records // STEPS)
        with RunFolder.create_or_open(place / "run", identity()) as folder:
            for start in range(0, options.records, step):
                numbers = range(start, min(start + step, options.records))
                wall, cpu = time.perf_counter(), time.process_time()
                write(folder, numbers, options.pictures, options.threads)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                print(
                    f"records {numbers.start:9,} to {numbers.stop:9,}: {len(numbers) / wall:7,.0f} a second, "
                    f"CPU {1000 * cpu / len(numbers):.2f} ms each",
                    flush=True,
                )
        start = time.perf_counter()
        with RunFolder.create_or_open(place / "run", identity()) as folder:
            print(f"open (sweeps what a killed process left): {time.perf_counter() - start:.1f} s")
            start = time.perf_counter()
            entries = list(files(place / "run"))
            print(f"list: {time.perf_counter() - start:.1f} s for {len(entries):,} files", end="")
            print(f", {len(entries) / FOLDERS:,.0f} in each of {FOLDERS} folders")
            start = time.perf_counter()
            taken = sum(512 * entry.stat().st_blocks for entry in entries)
            print(f"stat: {time.perf_counter() - start:.1f} s; {taken / 1e9:.2f} GB", end="")
            print(f", {taken / options.records:,.0f} bytes and {len(entries) / options.records:.2f} inodes a record")
            del entries
            wall, cpu = time.perf_counter(), time.process_time()
            for number in range(options.records):
                assert folder.record(key_of(number)) is not None
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(
                f"resume (every record read and checked): {wall:.1f} s, {1000 * cpu / options.records:.2f} ms CPU each"
            )
        start = time.perf_counter()
        shutil.rmtree(place / "run")
        print(f"delete: {time.perf_counter() - start:.1f} s")
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
