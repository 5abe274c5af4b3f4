"""How near an image is to its target: CLIP similarity, CLIP* and PSNR, exactly as the benchmark defines them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bilinear import resize_bilinear
    from .cache import EmbeddingCache
    from .embedder import Embedder
    from .encoder import ImageEncoder, load_encoder
    from .fingerprint import fingerprint_hash
    from .loading import EVALUATE_MODULES, load
    from .preprocessing import Preprocessing
    from .registry import METRICS, Metric, Picture, load_metrics
    from .similarity import cosine_similarity, peak_signal_noise_ratio, share_above

__all__ = [
    "EVALUATE_MODULES",
    "METRICS",
    "Embedder",
    "EmbeddingCache",
    "ImageEncoder",
    "Metric",
    "Picture",
    "Preprocessing",
    "cosine_similarity",
    "fingerprint_hash",
    "load",
    "load_encoder",
    "load_metrics",
    "peak_signal_noise_ratio",
    "resize_bilinear",
    "share_above",
]

_HOMES = {  # imported when first asked for, so that `import fashionedit.metrics` costs nothing
    "EVALUATE_MODULES": "loading",
    "METRICS": "registry",
    "Embedder": "embedder",
    "EmbeddingCache": "cache",
    "ImageEncoder": "encoder",
    "Metric": "registry",
    "Picture": "registry",
    "Preprocessing": "preprocessing",
    "cosine_similarity": "similarity",
    "fingerprint_hash": "fingerprint",
    "load": "loading",
    "load_encoder": "encoder",
    "load_metrics": "registry",
    "peak_signal_noise_ratio": "similarity",
    "resize_bilinear": "bilinear",
    "share_above": "similarity",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
