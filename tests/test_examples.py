"""The examples, run as a reader would run them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "photo_benchmark.py"
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "clothing_photos"


def own_photographs(folder: Path) -> Path:
    """Pictures with a garment's outline, texture, uneven light and noise, two of each label."""
    folder.mkdir()
    rows = []
    for index, label in enumerate(
        ("Dress", "Dress", "Blazer", "Blazer", "Longsleeve", "Longsleeve", "Outwear", "Outwear")
    ):
        chance = np.random.default_rng(index)
        light = np.asarray(
            Image.fromarray(chance.integers(90, 200, (5, 4, 3), dtype=np.uint8)).resize(
                (400, 533), Image.Resampling.BICUBIC
            )
        )
        shape = Image.new("L", (400, 533))
        shape.paste(255, (110 - 4 * index, 60, 290 + 4 * index, 480))
        cloth = chance.integers(30, 220, 3) + chance.normal(0, 14, light.shape)
        picture = np.where(np.asarray(shape)[..., None] > 0, 0.75 * cloth + 0.25 * light, light)
        name = f"{label.lower()}{index}.jpg"
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / name, quality=90)
        rows.append({"file": name, "label": label})
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "label"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def real_photographs(folder: Path) -> Path:
    """The first three photographs of each label."""
    folder.mkdir()
    with (PHOTOGRAPHS / "index.csv").open(newline="") as file:
        found = sorted(csv.DictReader(file), key=lambda row: row["label"])
    rows = [row for _, rows in groupby(found, key=lambda row: row["label"]) for row in islice(rows, 3)]
    for row in rows:
        shutil.copyfile(PHOTOGRAPHS / row["file"], folder / row["file"])
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.slow
def test_photographs_become_a_benchmark_with_floor_leaks_and_ceiling(tmp_path: Path) -> None:
    make = real_photographs if PHOTOGRAPHS.is_dir() else own_photographs
    photographs = make(tmp_path / "photographs")
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(photographs), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Paste the reference" in done.stdout
    assert (out / "report.html").stat().st_size > 100_000
    psnr: dict[str, list[float]] = {}
    for name in ("identity", "paste-reference", "oracle"):
        results = json.loads((out / name / "results.json").read_text())
        assert results["dataset"]["mean_box_area"] <= 15
        rows = [row for row in results["rows"] if row["editor"] == name and row["protocol"] == "bug"]
        psnr[name] = [row["scores"]["psnr"]["mean"] for row in sorted(rows, key=lambda row: row["round"])]
    assert len(psnr["identity"]) == 3
    for low, middle, high in zip(psnr["identity"], psnr["paste-reference"], psnr["oracle"], strict=True):
        assert low < middle < high


def test_own_photographs_serve_where_no_others_are(tmp_path: Path) -> None:
    sys.path.insert(0, str(EXAMPLE.parent))
    try:
        import photo_benchmark
    finally:
        sys.path.pop(0)
    folder = own_photographs(tmp_path / "photographs")
    assert photo_benchmark.write_source(folder, tmp_path / "source") == 8
    lines = [json.loads(line) for line in (tmp_path / "source" / "metadata.jsonl").read_text().splitlines()]
    assert all(line["draft"] != line["original"] for line in lines)
    assert {line["category"] for line in lines} == set(photo_benchmark.BOXES)
    area = np.mean([box.area for rule in photo_benchmark.BOXES.values() for _, box in rule])
    assert area <= 0.15
