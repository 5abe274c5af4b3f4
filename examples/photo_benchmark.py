"""Make a small FashionEdit benchmark out of a folder of garment photographs, and see its floor, leaks and ceiling.

    python examples/photo_benchmark.py PHOTOS OUT [--encoder offline]

PHOTOS holds pictures and an `index.csv` with the columns `file` and `label` (Dress, Blazer, Outwear, Longsleeve).
Each photograph becomes an original. Its draft is its nearest other photograph of the same label by the encoder: what a
generator that knows only the kind of garment might give. Three boxes follow `BOXES`, a rule by label alone, fixed
before anything was scored: neck, front, and hem or sleeve, where these garments have them when photographed upright.
OUT gets `source/` (an image folder with metadata.jsonl), `data/` (the packed set), a folder per run, and `report.html`.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import crop, read_image
from fashionedit.types import Box

BOXES: dict[str, tuple[tuple[str, Box], ...]] = {
    "Blazer": (
        ("collar and lapels", Box(120, 330, 430, 670)),
        ("front with its buttons", Box(430, 330, 720, 660)),
        ("sleeve on the left", Box(250, 60, 800, 300)),
    ),
    "Dress": (
        ("neckline", Box(60, 300, 280, 700)),
        ("waist", Box(300, 290, 560, 710)),
        ("skirt and hem", Box(640, 250, 930, 750)),
    ),
    "Longsleeve": (
        ("neckline", Box(130, 320, 380, 680)),
        ("front", Box(380, 300, 680, 700)),
        ("sleeve on the left", Box(350, 60, 800, 270)),
    ),
    "Outwear": (
        ("collar", Box(60, 320, 330, 680)),
        ("front closure", Box(330, 330, 680, 670)),
        ("pocket on the left", Box(560, 120, 850, 330)),
    ),
}
EDITORS = ("identity", "return-reference", "paste-reference", "oracle")
_COLOURS = {
    "black": (28, 28, 30),
    "dark grey": (75, 75, 78),
    "grey": (130, 130, 130),
    "light grey": (190, 190, 190),
    "white": (240, 240, 238),
    "cream": (228, 214, 184),
    "beige": (190, 160, 125),
    "brown": (105, 70, 45),
    "red": (200, 30, 40),
    "dark red": (120, 20, 35),
    "pink": (225, 95, 130),
    "orange": (225, 120, 40),
    "yellow": (225, 185, 50),
    "olive": (110, 110, 65),
    "green": (45, 140, 90),
    "mint": (130, 190, 165),
    "light blue": (150, 180, 215),
    "blue": (40, 70, 190),
    "navy": (30, 35, 75),
    "purple": (120, 45, 130),
}


def colour_name(image: Image.Image) -> str:
    """Returns the plain colour word nearest to the median pixel of the picture's middle."""
    pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : max(3 * height // 4, 1), width // 4 : max(3 * width // 4, 1)].reshape(-1, 3)
    median = np.median(middle, axis=0)
    return min(_COLOURS, key=lambda name: float(np.sum((median - np.array(_COLOURS[name])) ** 2)))


def nearest_of_the_same_label(vectors: np.ndarray, labels: list[str]) -> list[int]:
    """Returns for each picture the index of its nearest other one (cosine) with the same label."""
    cosines = vectors @ vectors.T
    same = np.array(labels)[:, None] == np.array(labels)[None, :]
    cosines[~same] = -np.inf
    np.fill_diagonal(cosines, -np.inf)
    alone = [label for label, row in zip(labels, cosines, strict=True) if not np.isfinite(row).any()]
    if alone:
        raise InvalidDataError(
            f"only one photograph has the label {alone[0]}; a draft needs a second one of that label"
        )
    return [int(index) for index in cosines.argmax(axis=1)]


def write_source(photos: Path, source: Path, encoder: str = "offline") -> int:
    """Writes the image folder that `fashionedit pack` takes; returns the number of samples."""
    from fashionedit.metrics import Embedder, EmbeddingCache, load_encoder

    with (photos / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files, labels = [row["file"] for row in rows], [row["label"] for row in rows]
    if unknown := sorted(set(labels) - set(BOXES)):
        raise InvalidDataError(f"index.csv has the label {unknown[0]!r}; the rule knows {', '.join(sorted(BOXES))}")
    model = load_encoder(encoder)
    embedder = Embedder(model, cache=EmbeddingCache())
    vectors = embedder.embed([(None, lambda name=name: read_image(photos / name)) for name in files])
    drafts = nearest_of_the_same_label(vectors, labels)
    (source / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for name, label, draft in zip(files, labels, drafts, strict=True):
        shutil.copyfile(photos / name, source / "images" / name)
        original = read_image(photos / name)
        differences = [
            {"description": f"The {part}, {colour_name(crop(original, box))}.", "box_2d": list(box.box_2d)}
            for part, box in BOXES[label]
        ]
        lines.append(
            {
                "original": f"images/{name}",
                "draft": f"images/{files[draft]}",
                "annotation": f"A {label.lower()} photographed by itself.",
                "category": label,
                "differences": differences,
            }
        )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (source / "metadata.jsonl").write_text(text, encoding="utf-8")
    return len(lines)


def benchmark(photos: Path, out: Path, encoder: str = "offline") -> Path:
    """Returns the page of the whole benchmark; a packed set that is there already is used again."""
    from fashionedit.builders.pack import pack

    if not (out / "data").exists():
        write_source(photos, out / "source")
        pack(out / "source", out / "data", name=photos.name)
    return run_baselines(out / "data", out, encoder)


def run_baselines(data: Path, out: Path, encoder: str) -> Path:
    """Runs floor, leak baselines and ceiling over the packed set, prints the table, returns the page."""
    from fashionedit.cli import main

    runs = [str(out / name) for name in EDITORS]
    for name, run in zip(EDITORS, runs, strict=True):
        main(["run", name, "--data", str(data), "--out", run])
    main(["score", *runs, "--encoder", encoder])
    main(["report", *runs, "--out", str(out / "report.html")])
    return out / "report.html"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--encoder", default="offline", help="scores the runs; the drafts are always chosen offline")
    given = parser.parse_args()
    print(benchmark(given.photos, given.out, given.encoder))
