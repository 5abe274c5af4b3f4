"""What an image encoder is, and the one short name of everything that may move its numbers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError

Precision = Literal["fp32", "mixed", "bf16", "fp16"]


@runtime_checkable
class ImageEncoder(Protocol):
    """Anything that turns pictures into vectors whose directions can be compared."""

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that may move a number: weights, preprocessing, precision, backend."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What it ran on: library versions, device, kernels. Recorded, but no part of the fingerprint."""

    @property
    def label(self) -> str:
        """How tables call it, such as `CLIP ViT-L/14`."""

    @property
    def is_clip(self) -> bool:
        """Whether its scores may be called CLIP."""

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as `encode` wants it, (3, H, W); called from several threads at once."""

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings (N, D) of preprocessed pictures (N, 3, H, W), each of length 1."""


def thread_count() -> int:
    """Returns with how many threads to compute: $OMP_NUM_THREADS, as torch reads it, else one for each processor."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decoder_count() -> int:
    """Returns how many threads open and prepare pictures while an encoder computes."""
    return min(2, thread_count())


def unit_vectors(features: NDArray[np.floating], label: str) -> NDArray[np.float32]:
    """Returns the features (N, D) with each row scaled to length 1.

    Raises:
        InvalidDataError: A row has NaN or infinity, or length zero.
    """
    rows = features.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise InvalidDataError(f"{label} gave an embedding with NaN, infinity or length zero; try precision fp32")
    units: NDArray[np.float32] = (rows / lengths).astype(np.float32)
    return units


def canonical_json(fingerprint: Mapping[str, str]) -> str:
    """Returns the mapping as JSON that is the same text for the same content: sorted keys, no spaces."""
    return json.dumps(dict(fingerprint), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint_hash(fingerprint: Mapping[str, str]) -> str:
    """Returns 16 hex digits: the start of the SHA-256 of the canonical JSON.

    >>> fingerprint_hash({"a": "1"})
    '9afeb0f2b203f254'
    """
    return hashlib.sha256(canonical_json(fingerprint).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ModelFiles:
    """A model on this disk.

    Args:
        folder: Holds `config.json`, the preprocessing and the safetensors.
        name: The repository's id, or the folder's name.
        identity: What pins the numbers: `weights` and `config` (SHA-256); of a repository also `model` and `revision`
            (the commit).
        preprocessing: The settings of the image processor, whichever file they are in.
    """

    folder: Path
    name: str
    identity: dict[str, str] = field(hash=False)
    preprocessing: dict[str, Any] = field(hash=False)
