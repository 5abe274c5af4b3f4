"""Samples, runs and an encoder small enough to score in a test and plain enough to reckon with by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from toy_samples import ScoredSource as ScoredSource

from fashionedit.eval_harness.editing import EditorInfo, Status
from fashionedit.eval_harness.running.records import EditorIdentity, ImageRef, RoundOutcome, RunIdentity
from fashionedit.images import crop, pixel_digest
from fashionedit.metrics import Embedder
from fashionedit.types import Box, Difference, Sample

BOXES = (Box(100, 100, 300, 450), Box(400, 550, 600, 900), Box(700, 200, 850, 800))


def drawn_sample(number: int, *, size: tuple[int, int] = (60, 80), garment: str | None = None, **texts: str) -> Sample:
    """A card with three shapes that its draft has in other colours."""
    width, height = size
    random = np.random.default_rng(number)
    shades = [tuple(int(one) for one in random.integers(40, 216, 3)) for _ in range(7)]
    original, draft = (Image.new("RGB", size, shades[0]) for _ in range(2))
    differences = []
    for place, box in enumerate(BOXES):
        left, top, right, bottom = box.pixels(width, height)
        ImageDraw.Draw(original).ellipse((left, top, right - 1, bottom - 1), fill=shades[1 + place])
        ImageDraw.Draw(draft).rectangle((left, top, right - 1, bottom - 1), fill=shades[4 + place])
        description = texts.get("description", f"Shape {place + 1} of card {number} is round.")
        differences.append((description, box))
    return Sample(
        id=f"card-{number:02d}",
        annotation=texts.get("annotation", f"Card {number} with three shapes."),
        draft=draft,
        original=original,
        differences=tuple(Difference(text, box, crop(original, box)) for text, box in differences),
        garment_id=garment,
        category=texts.get("category", "Cards" if number // 2 % 2 else "Sheets"),
    )


def stepped(sample: Sample, round: int) -> Image.Image:
    """The draft with the first differences put right."""
    image = sample.draft.copy()
    for one in sample.differences[:round]:
        image.paste(one.reference, one.box.pixels(*image.size)[:2])
    return image


def image_ref(image: Image.Image) -> ImageRef:
    return ImageRef(pixel_digest(image), image.size, lambda: image)


class DrawnRun:
    """A run whose outcomes are made by a function of (sample, protocol, round): an image, or a status that is no ok."""

    def __init__(
        self,
        path: Path,
        source: ScoredSource,
        does: Callable[[Sample, str, int], Image.Image | Status | None] = lambda sample, protocol, round: stepped(
            sample, round
        ),
        *,
        name: str = "toy-editor",
        protocols: tuple[str, ...] = ("vanilla", "bug"),
        message: str = "the service said no",
        **fields: Any,
    ) -> None:
        self.path, self._does, self._message = path, does, message
        editor = fields.pop("editor", EditorIdentity(name=name, fingerprint=f"fingerprint of {name}"))
        self.identity = RunIdentity(
            protocol_version="1",
            editor=editor,
            dataset=source.name,
            split=source.split,
            samples=len(source),
            manifest=source.manifest_hash,
            control_set=source.control_set,
            protocols=protocols,
            rounds=3,
            **fields,
        )

    def outcomes(self, source: Any) -> Iterator[RoundOutcome]:
        for protocol in self.identity.protocols:
            for id in source.ids:
                yield from self._chain(source.sample(id), protocol)

    def _chain(self, sample: Sample, protocol: str) -> Iterator[RoundOutcome]:
        current = image_ref(sample.draft)
        for round in (0,) if protocol == "draft" else (1, 2, 3):
            made = self._does(sample, protocol, round)
            own = isinstance(made, Image.Image)
            if isinstance(made, Image.Image):
                current = image_ref(made)
            status = Status.OK if own else made
            told = f"Please edit: {sample.differences[round - 1].description}" if round else ""
            yield RoundOutcome(
                sample.id, protocol, round, status, current, own, told, "" if own or made is None else self._message
            )


def drawn_baselines(source: ScoredSource) -> list[tuple[EditorInfo, RoundOutcome]]:
    """The floor and the ceiling."""
    found = []
    for id in source.ids:
        sample = source.sample(id)
        found.append((EditorInfo("identity", "identity 1"), _ok(sample, "draft", 0, sample.draft)))
        for round in (1, 2, 3):
            info = EditorInfo("oracle", "oracle 1", privileged=True)
            found.append((info, _ok(sample, "vanilla", round, sample.original)))
    return found


def _ok(sample: Sample, protocol: str, round: int, image: Image.Image) -> RoundOutcome:
    return RoundOutcome(sample.id, protocol, round, Status.OK, image_ref(image), own=True)


class MeanColours:
    """An encoder whose vector is the mean colour of each of nine parts: near pictures have near vectors."""

    label, dimension = "Mean colours", 27
    environment: Mapping[str, str] = {}

    def __init__(self, fingerprint: Mapping[str, str] | None = None, *, is_clip: bool = False) -> None:
        self.fingerprint = dict(fingerprint or {"model": "mean-colours", "revision": "1"})
        self.is_clip = is_clip
        self.encoded = 0

    def preprocess(self, image: Image.Image) -> np.ndarray:
        small = image.convert("RGB").resize((3, 3), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32).transpose(2, 0, 1) + 1

    def encode(self, batch: np.ndarray) -> np.ndarray:
        self.encoded += len(batch)
        flat = batch.reshape(len(batch), -1)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    def vector(self, image: Image.Image) -> np.ndarray:
        return self.encode(self.preprocess(image)[None])[0]


def toy_embedder(encoder: MeanColours | None = None) -> Embedder:
    """The real embedder around the toy encoder, without a cache."""
    return Embedder(encoder or MeanColours())
