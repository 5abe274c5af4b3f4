"""Image encoders: the seam, and the names by which one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError

from .weights import ModelFiles, check_place, find_model

CLIP_REPOSITORY = "openai/clip-vit-large-patch14"
"""The encoder of the paper; only its scores are called CLIP."""

CLIP_REVISION = "32bd64288804d66eefd0ccbe215aa642df71cc41"
CLIP_IDENTITY = {
    "model": CLIP_REPOSITORY,
    "revision": CLIP_REVISION,
    "weights": "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
    "config": "8a09b467700c58138c29d53c605b34ebc69beaadd13274a8a2af8ad2c2f4032a",
}
"""Of a fingerprint, what names the weights: the SHA-256 of `model.safetensors` and `config.json` at that revision."""

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
    | `offline` | EfficientNet-Lite2 with ImageNet weights from a package, on the CPU | EfficientNet-Lite2 |
    | `OWNER/NAME[@REVISION]` | any CLIP, SigLIP, DINOv2 or ViT of the Hub | its id |
    | `FOLDER` | the same, saved to a folder | folder's name |

    Args:
        spec: One of the above. A folder of that name wins over a repository.
        device: `auto` (CUDA, else Apple's MPS, else the CPU), or a name that torch knows.
        precision: `fp32` as the reference, whatever type the weights are stored in; `bf16` moves a cosine by up to
            3e-4; `fp16` needs a GPU. `offline` has `fp32` alone.

    Raises:
        UnknownNameError: The spec, the device or the precision names nothing.
        EncoderNotFoundError: The repository does not exist, or can't be reached.
        InvalidDataError: The folder holds no model that can be loaded safely and completely.
        MissingExtraError: The extra `clip` or `offline` is not installed.
    """
    return build_encoder(spec, find_files(spec, device, precision), device, precision)


def check_encoder(spec: str) -> None:
    """Returns if the spec can name an encoder; nothing is loaded, and the Hub is not asked.

    Raises:
        UnknownNameError: It names nothing.
    """
    if spec != "offline":
        check_place(*_place(spec))


def find_files(spec: str, device: str, precision: Precision) -> ModelFiles | None:
    """Returns where the encoder's files are, fetched unless this machine has them; None for `offline`.

    What can be checked on this machine is checked before the Hub is asked. Arguments and errors as for `load_encoder`.
    """
    if precision not in get_args(Precision):
        raise UnknownNameError(f"no precision is called {precision!r}; choose fp32, bf16 or fp16")
    check_encoder(spec)
    if spec == "offline":
        return None
    from .transformers_encoder import find_backend

    find_backend(device, precision)
    return find_model(*_place(spec))


def build_encoder(spec: str, files: ModelFiles | None, device: str, precision: Precision) -> ImageEncoder:
    """Returns the encoder whose files `find_files` found for the same arguments."""
    if files is None:
        from .offline_encoder import OfflineEncoder

        return OfflineEncoder(device=device, precision=precision)
    from .transformers_encoder import TransformersEncoder

    official = files.identity.get("model") == CLIP_REPOSITORY
    label = "CLIP ViT-L/14" if official else f"CLIP ({files.name})" if spec.startswith("clip:") else files.name
    is_clip = official or spec.startswith("clip:")
    return TransformersEncoder(files, device=device, precision=precision, label=label, is_clip=is_clip)


def _place(spec: str) -> tuple[str, str | None]:
    """Returns the folder, or the repository with its revision."""
    if spec == "clip":
        return CLIP_REPOSITORY, CLIP_REVISION
    if spec.startswith("clip:"):
        folder = spec.removeprefix("clip:")
        if not Path(folder).is_dir():
            raise UnknownNameError(f"encoder {spec!r} names no folder; only a folder can be declared to hold CLIP")
        return folder, None
    if Path(spec).is_dir():
        return spec, None
    place, at, revision = spec.partition("@")
    if at and not revision:
        raise UnknownNameError(f"encoder {spec!r} has an @ without a revision; name one, or leave the @ away")
    return place, revision or (CLIP_REVISION if place == CLIP_REPOSITORY else None)
