"""A small dataset drawn on the spot, with the surface that the harness needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

from fashionedit.images import crop, pixel_digest
from fashionedit.rows import RowImages, SampleFacts, images_of_sample
from fashionedit.types import Box, Difference, Sample

WIDTH, HEIGHT = 32, 48
RECTANGLES = ((2, 2, 14, 12), (16, 14, 30, 26), (4, 30, 20, 44))  # left, top, right, bottom; disjoint


class ScoredSource:
    """Drawn samples with all that results and pages tell of one; `decoded` has the ids of those that were opened."""

    def __init__(self, samples: Iterable[Sample], *, name: str = "drawn", control_set: bool = True) -> None:
        self.name, self.split, self.control_set = name, "validation", control_set
        self._samples = {sample.id: sample for sample in samples}
        self.ids = tuple(self._samples)
        self._digests = {
            id: images_of_sample(sample).map(lambda _, image: pixel_digest(image))
            for id, sample in self._samples.items()
        }
        self.manifest_hash = f"manifest of {len(self.ids)} {name}"
        self.decoded: list[str] = []

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, id: str) -> Sample:
        self.decoded.append(id)
        return self._samples[id]

    def digests(self, id: str) -> RowImages[str]:
        return self._digests[id]

    def sizes(self, id: str) -> RowImages[tuple[int, int]]:
        return images_of_sample(self._samples[id]).map(lambda _, image: image.size)

    def facts(self, id: str) -> SampleFacts:
        return SampleFacts.of_sample(self._samples[id])


class ToySource(ScoredSource):
    """Samples whose draft differs from the original inside three boxes alone."""

    def __init__(
        self, count: int = 3, *, seed: int = 0, draft_size: tuple[int, int] | None = None, name: str = "toy"
    ) -> None:
        samples = [_draw(index, seed, draft_size) for index in range(count)]
        super().__init__(samples, name=name, control_set=draft_size is None)
        self.manifest_hash = hashlib.sha256(repr(self._digests).encode()).hexdigest()


def _draw(index: int, seed: int, draft_size: tuple[int, int] | None) -> Sample:
    random = np.random.default_rng([seed, index])
    original = Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    draft = original.copy()
    differences = []
    for number, (left, top, right, bottom) in enumerate(RECTANGLES, 1):
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        draft.paste(colour, (left, top, right, bottom))
        box = Box.from_pixels(left, top, right, bottom, width=WIDTH, height=HEIGHT)
        differences.append(Difference(f"Detail {number} of toy {index}.", box, crop(original, box)))
    if draft_size is not None:
        draft = draft.resize(draft_size, Image.Resampling.BICUBIC)
    return Sample(f"toy-{index:02d}", f"Toy {index}.", draft, original, tuple(differences))
