"""A draft maker for tests: paints a picture of the caption and the seed, and counts what it was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.builders.generate.drafting import DraftRequest, DraftResult
from fashionedit.builders.photos import Photo


def painted(caption: str, seed: int) -> Image.Image:
    tone = hashlib.sha256(f"{caption} {seed}".encode()).digest()
    image = Image.new("RGB", (32, 48), tuple(tone[:3]))
    image.paste(tuple(255 - value for value in tone[:3]), (4, 4, 20, 30))
    return image


def write_photos(folder: Path, count: int) -> list[Photo]:
    """Returns photographs that are on disk, with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = []
    for number in range(count):
        path = folder / f"p{number:02}.png"
        painted(f"photograph {number}", 0).save(path)
        photos.append(Photo(path.stem, path, caption=f"dress number {number}"))
    return photos


class ToyDrafts:
    """Paints, or does what `does` says."""

    def __init__(
        self,
        does: Callable[[DraftRequest], DraftResult] | None = None,
        *,
        batch_size: int = 4,
        description: str = "toy 1",
        highest_cost: float | None = 0.0,
    ) -> None:
        self.does = does or (lambda request: DraftResult(painted(request.caption, request.seed), seconds=0.5))
        self.batch_size = batch_size
        self.description = description
        self.highest_cost = highest_cost
        self.batches: list[list[str]] = []

    @property
    def asked(self) -> list[str]:
        return [identity for batch in self.batches for identity in batch]

    def describe(self) -> dict[str, Any]:
        return {"kind": "toy", "version": self.description}

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        self.batches.append([request.id for request in requests])
        return [self.does(request) for request in requests]
