"""Small samples of our own drawing, so that no test of the folders waits for the renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashionedit.folder import write_folder
from fashionedit.images import crop
from fashionedit.types import Box, Difference, Sample

BOXES = (Box(100, 100, 300.3, 400), Box(400, 50.5, 600, 300), Box(700, 500, 950, 1000))


def _draw(number: int, **values: Any) -> Sample:
    chance = np.random.default_rng(number)
    original = Image.fromarray(chance.integers(0, 256, (96, 64, 3), dtype=np.uint8))
    draft = Image.fromarray(chance.integers(0, 256, (80, 80, 3), dtype=np.uint8))
    differences = tuple(
        Difference(f"what box {index} of {number} shows", box, crop(original, box)) for index, box in enumerate(BOXES)
    )
    fields: dict[str, Any] = {
        "id": f"toy-{number:03d}",
        "annotation": f"Her toy number {number} has short sleeves, naïve stripes and “quotes”.",
        "draft": draft,
        "original": original,
        "differences": differences,
        "clip_score": 85.00013 + number,
        "gender": "WOMEN",
        "category": "Dresses",
        "garment_id": f"{number // 2:08d}",
        "view": "front",
    }
    return Sample(**{**fields, **values})


@pytest.fixture(scope="session")
def draw() -> Callable[..., Sample]:
    return _draw


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five samples in `validation` and three in `train`; not to be changed."""
    out = tmp_path_factory.mktemp("toys") / "toy-set"
    write_folder(out, {"validation": map(_draw, range(5)), "train": map(_draw, range(10, 13))})
    return out


@pytest.fixture
def toy_renderer(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """Puts toys in the renderer's place; gives the list of the calls it got: samples, seed, split."""
    from fashionedit.synthetic import rendering

    calls: list[tuple[int, int, str]] = []

    def synthetic_samples(count: int, *, seed: int, split: str, workers: int | None = None) -> Iterator[Sample]:
        calls.append((count, seed, split))
        for number in range(count):
            yield _draw(number + 1000 * (split == "train"), id=f"{split}-{seed}-{number}")

    monkeypatch.setattr(rendering, "RENDERER_VERSION", "toys 1")
    monkeypatch.setattr(rendering, "synthetic_samples", synthetic_samples)
    return calls
