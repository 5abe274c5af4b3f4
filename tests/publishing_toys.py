"""A small full set whose pictures can be told apart when resized and encoded anew, and the photographs it is of."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fashionedit.folder import write_folder
from fashionedit.images import EncodedImage, crop
from fashionedit.rows import EncodedSample, RowImages, SampleFacts
from fashionedit.types import Box

SHARED_PHOTOS = Path(__file__).parents[1].parent / "shared" / "data" / "clothing_photos"
BOXES = (Box(100, 100, 400, 500), Box(450, 50, 700, 600), Box(600, 300, 1000, 1000))


def picture(seed: int, width: int = 240, height: int = 320) -> Image.Image:
    """Returns soft blots of colour with a few hard edges: as distinct from the next seed's as photographs are."""
    chance = np.random.default_rng(seed)
    blots = Image.fromarray(chance.integers(0, 256, (7, 5, 3), dtype=np.uint8)).resize((width, height), 3)
    pixels = np.asarray(blots).copy()
    for _ in range(4):
        top, left = int(chance.integers(0, height - 40)), int(chance.integers(0, width - 40))
        pixels[top : top + 40, left : left + 40] = chance.integers(0, 256, 3, dtype=np.uint8)
    return Image.fromarray(pixels)


def photographs(count: int) -> list[Image.Image]:
    """Returns real photographs where the checkout has some beside it, else drawn ones."""
    found = sorted(SHARED_PHOTOS.rglob("*.jpg"))[:count] if SHARED_PHOTOS.is_dir() else []
    if len(found) == count:
        return [Image.open(path).convert("RGB") for path in found]
    return [picture(seed) for seed in range(count)]


def encode(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def identity(number: int) -> str:
    return f"WOMEN-Dresses-id_{number // 2:08d}-01_{number % 2}_front"


def caption(number: int) -> str:
    words = ("short", "long", "medium", "three-quarter", "cap")
    return (
        f"The upper clothing has {words[number % 5]} sleeves, cotton fabric and pattern number {number}. The neckline "
        f"of it is v-shape {number}, and there is a naïve “belt” on her waist."
    )


def sample(
    number: int,
    *,
    original: Image.Image | None = None,
    draft: bytes | None = None,
    descriptions: Sequence[str] | None = None,
    sketches: bool = False,
    examples: Sequence[int] = (),
) -> EncodedSample:
    """Returns one row: the photograph as JPEG, the draft as PNG."""
    data = encode(original or picture(number), quality=92)
    encoded = EncodedImage.read(data, name="a toy")
    image = Image.open(io.BytesIO(data)).convert("RGB")
    crops = [crop(image, box) for box in BOXES]
    facts = SampleFacts(
        id=identity(number),
        annotation=caption(number),
        descriptions=tuple(descriptions or (f"a collar of kind {k} and number {number}" for k in range(3))),
        boxes=BOXES,
        clip_score=85.5 + number,
        gender="WOMEN",
        category="Dresses",
        garment_id=f"{number // 2:08d}",
        view="front",
    )
    images = RowImages(
        encoded,
        EncodedImage.read(draft or encode(picture(1000 + number, 256, 256), "PNG"), name="a toy draft"),
        tuple(map(EncodedImage.of, crops)),
        tuple(EncodedImage.of(toy_sketch(piece)) for piece in crops) if sketches else (),
        tuple(EncodedImage.read(encode(picture(other), quality=92), name="a toy") for other in examples),
    )
    return EncodedSample(facts, images)


def toy_sketch(piece: Image.Image) -> Image.Image:
    """Returns something made of the crop that is the same each time."""
    return piece.convert("L").point(lambda level: 255 if level > 128 else 0).convert("RGB")


def write_full(folder: Path, rows: Sequence[EncodedSample] | None = None, **options: object) -> Path:
    """Writes the full set: the first two thirds are `train`."""
    rows = list(rows or map(sample, range(6)))
    cut = len(rows) * 2 // 3
    write_folder(folder, {"train": rows[:cut], "validation": rows[cut:]}, **options)
    return folder


def write_photographs(folder: Path, numbers: Sequence[int] = tuple(range(6))) -> Path:
    """Writes what a user has: photographs two folders deep, captions.json, and a mask that is no photograph of ours."""
    inner = folder / "images" / "images"
    inner.mkdir(parents=True)
    (folder / "segm").mkdir()
    for number in numbers:
        (inner / f"{identity(number)}.jpg").write_bytes(encode(picture(number), quality=92))
        (folder / "segm" / f"{identity(number)}_segm.png").write_bytes(encode(Image.new("L", (9, 9)), "PNG"))
    texts = {f"{identity(number)}.jpg": caption(number) for number in numbers}
    (folder / "captions.json").write_text(json.dumps(texts), encoding="utf-8")
    return folder


def photograph(folder: Path, number: int) -> Path:
    return folder / "images" / "images" / f"{identity(number)}.jpg"


def image_folder(folder: Path, count: int = 2, width: int = 48, height: int = 64) -> Path:
    """Writes tiny samples as somebody would bring them."""
    folder.mkdir()
    lines = []
    for index in range(count):
        for kind in ("original", "draft"):
            Image.effect_noise((width + index, height), 40 + index).convert("RGB").save(folder / f"{kind}{index}.png")
        boxes = ([0, 0, 300, 300], [300, 300, 600, 600], [600, 600, 900, 900])
        lines.append(
            {
                "original": f"original{index}.png",
                "draft": f"draft{index}.png",
                "annotation": "A garment.",
                "differences": [{"description": f"Part {k}.", "box_2d": box} for k, box in enumerate(boxes)],
            }
        )
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def python(
    *arguments: str, environment: Mapping[str, str], home: Path, code: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m fashionedit ARGUMENTS`, or `code`, in a process that knows nothing but this Hub and this home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "FASHIONEDIT_"))}
    own = {
        "HF_HOME": str(home / "hf"),
        "FASHIONEDIT_CACHE": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    command = ["-c", code] if code is not None else ["-m", "fashionedit", *arguments]
    return subprocess.run(
        [sys.executable, *command],
        env={**kept, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
