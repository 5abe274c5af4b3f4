"""Pairs of small drawn pictures for the analysis, and the settings that its tests start from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashionedit.builders.analyse.analyst import Analyst
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.images import pixel_digest, read_image


def make_pairs(folder: Path, count: int) -> list[Photo]:
    """Draws the photographs as JPEG and the drafts as PNG, the same for the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for number in range(count):
        chance = np.random.default_rng(number)
        original, draft = folder / f"photo-{number:03d}.jpg", folder / f"draft-{number:03d}.png"
        if not draft.exists():
            Image.fromarray(chance.integers(0, 256, (48, 32, 3), dtype=np.uint8)).save(original)
            Image.fromarray(chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(draft)
        digests = {"digest": pixel_digest(read_image(original)), "draft_digest": pixel_digest(read_image(draft))}
        pairs.append(Photo(f"photo-{number:03d}", original, f"Caption {number}.", draft=draft, **digests))
    return pairs


def asked_about(pair: Photo) -> str:
    """Returns what the server calls the pair: a digest of both files, which are sent as they are."""
    return hashlib.sha256(b"".join(path.read_bytes() for path, _ in pair.pair)).hexdigest()[:16]


def toy_analyst(url: str, **changes: Any) -> Analyst:
    """Returns settings that wait for nothing long."""
    return Analyst(**{"base_url": url, "concurrency": 4, "max_retries": 1, "timeout": 30.0, **changes})


def outcomes(store: StageStore) -> dict[str, Any]:
    """Returns the records of a stage, times aside."""
    found = {}
    for record in store.records():
        values = record.model_dump()
        values["data"].pop("seconds")
        values["data"]["asked"].pop("host")
        for turn in values["data"]["turns"]:
            turn.pop("seconds")
        found[record.id] = values
    return found
