"""Image encoders: the seam, and the names by which one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError

CLIP_REPOSITORY = "openai/clip-vit-large-patch14"
"""The encoder of the paper; only its scores are called CLIP."""

CLIP_REVISION = "32bd64288804d66eefd0ccbe215aa642df71cc41"
CLIP_DIMENSION = 768

Precision = Literal["fp32", "bf16", "fp16"]


@runtime_checkable
class ImageEncoder(Protocol):
    """Anything that turns pictures into vectors whose directions can be compared."""

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that may move a number: weights, preprocessing, precision, backend."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What it ran on: library versions, device, kernels. Recorded, but no part of the fingerprint."""
        ...

    @property
    def label(self) -> str:
        """How tables call it, such as `CLIP ViT-L/14`."""
        ...

    @property
    def is_clip(self) -> bool:
        """Whether its scores may be called CLIP."""
        ...

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""
        ...

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as `encode` wants it, (3, H, W); called from several threads at once."""
        ...

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings (N, D) of preprocessed pictures (N, 3, H, W), each of length 1."""
        ...


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


def load_encoder(spec: str = "clip", *, device: str = "auto", precision: Precision = "fp32") -> ImageEncoder:
    """Returns the encoder of this name, its weights in memory.

    | spec | encoder | called |
    |---|---|---|
    | `clip` | `openai/clip-vit-large-patch14` at the pinned revision: the paper's | CLIP ViT-L/14 |
    | `clip:FOLDER` | a folder that you declare to hold CLIP | CLIP (folder's name) |
    | `offline` | EfficientNet-Lite2 with ImageNet weights from a package, no download | EfficientNet-Lite2 |
    | `OWNER/NAME[@REVISION]` | any CLIP, SigLIP, DINOv2 or ViT of the Hub | its id |
    | `FOLDER` | the same, saved to a folder | folder's name |

    Args:
        spec: One of the above. A folder of that name wins over a repository.
        device: `auto` (CUDA, else Apple's MPS, else the CPU), or a name that torch knows.
        precision: `fp32` as the reference; `bf16` moves a cosine by up to 3e-4; `fp16` needs a GPU.

    Raises:
        UnknownNameError: The spec, the device or the precision names nothing.
        EncoderNotFoundError: The repository does not exist, or can't be reached.
        InvalidDataError: The folder holds no model that can be loaded safely and completely.
        MissingExtraError: The extra `clip` or `offline` is not installed.
    """
    if precision not in get_args(Precision):
        raise UnknownNameError(f"no precision is called {precision!r}; choose fp32, bf16 or fp16")
    if spec == "offline":
        from .offline_encoder import OfflineEncoder

        return OfflineEncoder(device=device, precision=precision)

    from .transformers_encoder import TransformersEncoder
    from .weights import find_model

    if spec.startswith("clip:"):
        folder = spec.removeprefix("clip:")
        if not Path(folder).is_dir():
            raise UnknownNameError(f"encoder {spec!r} names no folder; only a folder can be declared to hold CLIP")
        files = find_model(folder, None)
        return TransformersEncoder(
            files, device=device, precision=precision, label=f"CLIP ({files.name})", is_clip=True
        )
    place, revision = _place(spec)
    files = find_model(place, revision)
    official = files.identity.get("model") == CLIP_REPOSITORY
    label = "CLIP ViT-L/14" if official else files.name
    return TransformersEncoder(files, device=device, precision=precision, label=label, is_clip=official)


def _place(spec: str) -> tuple[str, str | None]:
    if spec == "clip":
        return CLIP_REPOSITORY, CLIP_REVISION
    if Path(spec).is_dir():
        return spec, None
    place, at, revision = spec.partition("@")
    if at and not revision:
        raise UnknownNameError(f"encoder {spec!r} has an @ without a revision; name one, or leave the @ away")
    return place, revision or (CLIP_REVISION if place == CLIP_REPOSITORY else None)
