"""How fast a FashionEdit folder is read, next to raw pyarrow and `imagefolder`, before any picture is decoded.

    python benchmarks/data.py [--samples 1000] [--rounds 5] [--folder FOLDER]

Samples of real size: the original a JPEG of 750 × 1101, the draft a PNG of 1024 × 1024, three crops as PNG, each with
noise of its own. They are made once and kept in the folder (by default below the system's temporary one). Each round
makes every kind of read once, ours and pyarrow's in turn, in an order that alternates; ratios are of CPU time and
taken within a round, so that a busy machine slows both sides. Exits with 1 if one of ours takes more than 15 % longer.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from targets import exit_code, show_target

import fashionedit
from fashionedit.folder import FashionEditFolder
from fashionedit.images import EncodedImage, crop
from fashionedit.rows import EncodedSample, RowImages, SampleFacts
from fashionedit.schema import COLUMNS, IMAGE_COLUMNS

MOST = 1.15
ORIGINAL, DRAFT = (750, 1101), (1024, 1024)
SHUFFLED = 200  # rows that are read in a random order
TEXTS = [column for column in COLUMNS if column not in IMAGE_COLUMNS]


def pictures(count: int) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """Yields originals and drafts: drawn garments, with grain that makes each file as large as a photograph's."""
    drawn = list(fashionedit.open_data("synthetic:8"))
    grain = np.random.default_rng(0).normal(0, 4, (2048, 2048, 3)).astype(np.float32)

    def real(image: Image.Image, size: tuple[int, int], number: int) -> Image.Image:
        pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
        left, top = (number * 37) % (2048 - size[0]), (number * 61) % (2048 - size[1])
        noise = grain[top : top + size[1], left : left + size[0]]
        return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))

    for number in range(count):
        sample = drawn[number % len(drawn)]
        name = f"WOMEN-Dresses-id_{number:08d}-01_1_front"
        yield name, real(sample.original, ORIGINAL, number), real(sample.draft, DRAFT, number + 1)


def write_sets(folder: Path, count: int) -> None:
    """Writes the same samples as a FashionEdit folder and as an image folder."""
    plain = folder / "imagefolder"
    plain.mkdir(parents=True)
    lines = []
    facts = SampleFacts.of_sample(next(iter(fashionedit.open_data("synthetic:8"))))

    def rows() -> Iterator[EncodedSample]:
        for name, original, draft in pictures(count):
            path = plain / f"{name}.jpg"
            original.save(path, quality=92)
            kept = EncodedImage.from_file(path, name=name)[0]
            encoded = EncodedImage.of(draft)
            (plain / f"{name}.png").write_bytes(encoded.data)
            crops = tuple(EncodedImage.of(crop(original, box)) for box in facts.boxes)
            lines.append({"original_file_name": path.name, "draft_file_name": f"{name}.png", "annotation": "A dress."})
            own = SampleFacts(name, "A dress with long sleeves.", facts.descriptions, facts.boxes, category="Dresses")
            yield EncodedSample(own, RowImages(kept, encoded, crops))

    fashionedit.write_folder(folder / "fashionedit", {"train": rows()})
    (plain / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def undecoded(rows: Any) -> Any:
    """Returns a stream of `datasets` whose pictures stay bytes."""
    for column, kind in rows.features.items():
        if isinstance(kind, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
        elif column in IMAGE_COLUMNS:
            rows = rows.cast_column(column, datasets.Sequence(datasets.Image(decode=False)))
    return rows


def image_bytes(row: dict[str, Any]) -> int:
    """Returns how many bytes of pictures a row has; a picture that is only named is read."""
    total = 0
    for value in row.values():
        for cell in value if isinstance(value, list) else [value]:
            if isinstance(cell, dict) and "bytes" in cell:
                total += len(cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes())
    return total


class Raw:
    """What somebody writes with pyarrow alone: row groups read as they are needed, the last two kept."""

    def __init__(self, folder: Path) -> None:
        self.files = [pq.ParquetFile(path, memory_map=False) for path in sorted(folder.glob("data/train-*.parquet"))]
        self.places = [
            (number, group, row)
            for number, file in enumerate(self.files)
            for group in range(file.num_row_groups)
            for row in range(file.metadata.row_group(group).num_rows)
        ]
        self._kept: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def row(self, place: int) -> dict[str, Any]:
        """Returns a row, its pictures as bytes."""
        number, group, offset = self.places[place]
        table = self._kept.pop((number, group), None)
        if table is None:
            table = self.files[number].read_row_group(group)
        self._kept[number, group] = table
        while len(self._kept) > 2:
            self._kept.popitem(last=False)
        found: dict[str, Any] = table.slice(offset, 1).to_pylist()[0]
        return found

    def texts(self) -> list[dict[str, Any]]:
        """Returns all rows without their pictures."""
        return [row for file in self.files for row in file.read(columns=TEXTS).to_pylist()]


def reads(folder: Path, count: int, cache: Path) -> dict[str, dict[str, Callable[[], object]]]:
    """Returns the reads, by what is read and by whom."""
    ours, plain = folder / "fashionedit", folder / "imagefolder"
    prepared = fashionedit.load(ours, split="train", cache_dir=cache).with_format("arrow")
    as_folder = datasets.load_dataset("imagefolder", data_dir=str(plain), split="train", cache_dir=cache)
    as_folder = as_folder.with_format("arrow")
    opened, raw = FashionEditFolder(ours, "train"), Raw(ours)
    places = random.Random(0).sample(range(count), min(SHUFFLED, count))
    stream = undecoded(fashionedit.load(ours, split="train", streaming=True))
    folder_stream = undecoded(datasets.load_dataset("imagefolder", data_dir=str(plain), split="train", streaming=True))
    texts = fashionedit.load(ours, split="train", streaming=True, columns=TEXTS)
    return {
        "first sample": {
            "pyarrow": lambda: image_bytes(Raw(ours).row(0)),
            "open_folder": lambda: image_bytes((folder := FashionEditFolder(ours, "train")).row(folder.ids[0])),
            "streaming": lambda: image_bytes(next(iter(stream))),
        },
        "sequential": {
            "pyarrow": lambda: sum(image_bytes(raw.row(place)) for place in range(count)),
            "open_folder": lambda: sum(image_bytes(opened.row(key)) for key in opened.ids),
            "load_dataset": lambda: sum(image_bytes(table.to_pylist()[0]) for table in prepared),
            "imagefolder": lambda: sum(image_bytes(table.to_pylist()[0]) for table in as_folder),
        },
        "shuffled": {
            "pyarrow": lambda: sum(image_bytes(raw.row(place)) for place in places),
            "open_folder": lambda: sum(image_bytes(opened.row(opened.ids[place])) for place in places),
            "load_dataset": lambda: sum(image_bytes(prepared[place].to_pylist()[0]) for place in places),
            "imagefolder": lambda: sum(image_bytes(as_folder[place].to_pylist()[0]) for place in places),
        },
        "texts alone": {
            "pyarrow": lambda: len(Raw(ours).texts()),
            "open_folder": lambda: facts_of(FashionEditFolder(ours, "train")),
            "streaming": lambda: len(list(texts)),
        },
        "streaming": {
            "pyarrow": lambda: sum(
                image_bytes(row)
                for file in Raw(ours).files
                for part in file.iter_batches(8)
                for row in part.to_pylist()
            ),
            "streaming": lambda: sum(map(image_bytes, stream)),
            "imagefolder": lambda: sum(map(image_bytes, folder_stream)),
        },
    }


def facts_of(folder: FashionEditFolder) -> list[SampleFacts]:
    """Returns the texts of all samples."""
    return [folder.facts(key) for key in folder.ids]


def timed(read: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    read()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> int:
    """Measures all reads in turn, round after round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fashionedit-bench-data")
    options = parser.parse_args()
    datasets.disable_progress_bars()
    folder, cache = options.folder / str(options.samples), options.folder / f"cache-{options.samples}"
    if not (folder / "imagefolder" / "metadata.jsonl").is_file():
        write_sets(folder, options.samples)
    size = sum(path.stat().st_size for path in (folder / "fashionedit").rglob("*.parquet"))
    print(f"{options.samples:,} samples, {size / 1e9:.2f} GB of Parquet, medians of {options.rounds} rounds")
    kinds = reads(folder, options.samples, cache)
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number in range(options.rounds):
        for kind, readers in kinds.items():
            names = list(readers)
            for name in [*names[number % len(names) :], *names[: number % len(names)]]:
                times.setdefault((kind, name), []).append(timed(readers[name]))
    for (kind, name), found in sorted(times.items(), key=lambda item: list(kinds).index(item[0][0])):
        wall, cpu = (statistics.median(seconds[part] for seconds in found) for part in (0, 1))
        print(f"{kind:13} {name:13} {wall:8.3f} s, CPU {cpu:8.3f} s")
    for kind, readers in kinds.items():
        for name in readers:
            if name in ("open_folder", "load_dataset", "streaming"):
                both = zip(times[kind, "pyarrow"], times[kind, name], strict=True)
                ratio = statistics.median(own[1] / raw[1] for raw, own in both)
                show_target(f"{kind}, {name} against pyarrow, CPU", ratio, at_most=MOST, unit="×")
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
