"""Did it change only what was asked? What is measured of each round, and where the values are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fashionedit.metrics.encoder import ImageEncoder
from fashionedit.metrics.regions import OUTSIDE_MOST, REGION_SIDE, has_outside
from fashionedit.metrics.similarity import PSNR_FINGERPRINT
from fashionedit.metrics.verbatim import VERBATIM_LEVELS

from .changes import Change
from .result_models import Measure
from .stored_scores import StoredScores

Extent = Literal["all", "unencoded", "none"]
"""What is measured of a row: everything, what needs no encoding beyond the metrics', or nothing."""

EMBEDDED = ("inside", "outside_similarity")
"""The measures for which pictures are encoded that no metric needs."""


def measures_of(encoder: ImageEncoder) -> tuple[Measure, ...]:
    """Returns the five measures as this encoder gives them."""
    by_encoder = {f"encoder {name}": value for name, value in encoder.fingerprint.items()}
    return (
        Measure(
            id="inside",
            label="Inside",
            unit="cosine × 100 of the box with the original's",
            better="higher",
            fingerprint={**by_encoder, "measure": "inside 1", "region": f"{REGION_SIDE}x{REGION_SIDE} bicubic"},
        ),
        Measure(
            id="outside",
            label="Outside dB",
            unit=f"PSNR outside the box with the image before, dB, at most {OUTSIDE_MOST:g}",
            better="higher",
            fingerprint={**PSNR_FINGERPRINT, "measure": "outside 1", "most": f"{OUTSIDE_MOST:g} dB"},
        ),
        Measure(
            id="outside_similarity",
            label="Outside cosine",
            unit="cosine × 100 with the same image that keeps what was before outside the box",
            better="higher",
            fingerprint={**by_encoder, "measure": "outside_similarity 1"},
        ),
        Measure(
            id="drift",
            label="Drift",
            unit="100 - cosine × 100 with the draft",
            better="lower",
            fingerprint={**by_encoder, "measure": "drift 1"},
        ),
        Measure(
            id="leak",
            label="Leak",
            unit="% of the reference found verbatim that the image before had not",
            better="lower",
            fingerprint={"measure": "leak 1", "cells": "up to 32x32", "levels": str(VERBATIM_LEVELS)},
        ),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A change, and how far it is to be measured."""

    change: Change
    extent: Extent

    @property
    def measures(self) -> tuple[str, ...]:
        """The ids of what is measured of it; nothing of the outside where the box covers all."""
        if self.extent == "none":
            return ()
        outside = ("outside", "outside_similarity") if has_outside(self.change.box) else ()
        ids = ("inside", *outside, "drift", "leak")
        return ids if self.extent == "all" else tuple(id for id in ids if id not in EMBEDDED)


def measure_limits(id: str) -> tuple[float, float]:
    """Returns what a measure can be at least and at most, in its unit."""
    return {"outside": (0.0, OUTSIDE_MOST), "drift": (0.0, 200.0), "leak": (0.0, 100.0)}.get(id, (-100.0, 100.0))


class Measured:
    """The values of the measures, on disk beside the run like its scores.

    Args:
        folder: The run's `scores/`.
    """

    def __init__(self, folder: Path, measures: Sequence[Measure]) -> None:
        self.measures = tuple(measures)
        self._stores = {one.id: StoredScores(folder, one.id, one.fingerprint) for one in measures}

    def has(self, asked: Asked) -> bool:
        """Returns whether all that is asked of the change is known."""
        return all(asked.change.pair(id) in self._stores[id] for id in asked.measures)

    def value(self, measure: str, asked: Asked) -> float | None:
        """Returns the value in the measure's unit; None where it is not asked for."""
        return self._stores[measure].get(asked.change.pair(measure)) if measure in asked.measures else None

    def add(self, measure: str, change: Change, value: float) -> None:
        """Stores a value; one that is known stays."""
        self._stores[measure].add(change.pair(measure), value)
