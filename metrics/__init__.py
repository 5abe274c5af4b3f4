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
    from .loading import METRICS, load
    from .pair_scores import PairScores, score_pairs
    from .preprocessing import Preprocessing
    from .similarity import cosine_similarity, peak_signal_noise_ratio, share_above

__all__ = [
    "METRICS",
    "Embedder",
    "EmbeddingCache",
    "ImageEncoder",
    "PairScores",
    "Preprocessing",
    "cosine_similarity",
    "fingerprint_hash",
    "load",
    "load_encoder",
    "peak_signal_noise_ratio",
    "resize_bilinear",
    "score_pairs",
    "share_above",
]

_HOMES = {  # imported when first asked for, so that `import fashionedit.metrics` costs nothing
    "METRICS": "loading",
    "Embedder": "embedder",
    "EmbeddingCache": "cache",
    "ImageEncoder": "encoder",
    "PairScores": "pair_scores",
    "Preprocessing": "preprocessing",
    "cosine_similarity": "similarity",
    "fingerprint_hash": "fingerprint",
    "load": "loading",
    "load_encoder": "encoder",
    "peak_signal_noise_ratio": "similarity",
    "resize_bilinear": "bilinear",
    "score_pairs": "pair_scores",
    "share_above": "similarity",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
