"""Toys that the metric tests share: an encoder that counts, a tiny CLIP in a folder, pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

MakePicture = Callable[..., Image.Image]


class CountingEncoder:
    """A real encoder in miniature: the picture shrunk to 4 × 4, as a vector of length 1. Counts what it encodes."""

    def __init__(self, **fingerprint: str) -> None:
        self.fingerprint = {"kind": "toy", **fingerprint}
        self.environment: dict[str, str] = {}
        self.label = "toy"
        self.is_clip = False
        self.dimension = 48
        self.preprocessed = 0
        self.batches: list[int] = []

    def preprocess(self, image: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.preprocessed += 1
        small = np.asarray(image.resize((4, 4), Image.Resampling.BOX), dtype=np.float32)
        return np.moveaxis(small, -1, 0) + 1

    def encode(self, batch: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.batches.append(len(batch))
        rows = batch.reshape(len(batch), -1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    @property
    def encoded(self) -> int:
        return sum(self.batches)


@pytest.fixture
def counting_encoder() -> type[CountingEncoder]:
    return CountingEncoder


@pytest.fixture
def picture() -> MakePicture:
    """Makes a picture of noise: `picture(seed, width, height, mode)`."""

    def make(seed: int = 0, width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
        return Image.fromarray(pixels).convert(mode)

    return make
