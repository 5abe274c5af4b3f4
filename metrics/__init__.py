"""How near an image is to its target: CLIP similarity, CLIP* and PSNR, exactly as the benchmark defines them."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionedit.errors import UnknownNameError

if TYPE_CHECKING:
    from .bilinear import resize_bilinear
    from .cache import EmbeddingCache
    from .embedder import Embedder
    from .encoder import ImageEncoder, fingerprint_hash
    from .evaluate_module import PairMetric
    from .loading import load_encoder
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
    "bilinear": ("resize_bilinear",),
    "cache": ("EmbeddingCache",),
    "embedder": ("Embedder",),
    "encoder": ("ImageEncoder", "fingerprint_hash"),
    "loading": ("load_encoder",),
    "preprocessing": ("Preprocessing",),
    "registry": ("METRICS", "Metric", "Picture", "load_metrics"),
    "similarity": ("cosine_similarity", "peak_signal_noise_ratio", "share_above"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

EVALUATE_MODULES = {
    "clip_similarity": ("fashionedit.metrics.clip_similarity.clip_similarity", "ClipSimilarity"),
    "clip_star": ("fashionedit.metrics.clip_star.clip_star", "ClipStar"),
    "psnr": ("fashionedit.metrics.psnr.psnr", "Psnr"),
}
"""Module and class of each `evaluate` metric."""


def load(name: str, config_name: str | None = None, **options: Any) -> PairMetric:
    """Returns the `evaluate` metric of this name: `clip_similarity`, `clip_star` or `psnr`.

    The same as `evaluate.load(name, config_name, **options)` once `fashionedit` is imported.

    Args:
        name: One of `EVALUATE_MODULES`.
        config_name: The encoder of the two CLIP metrics, as `encoder`.
        options: `encoder`, `device`, `precision` and `batch_size` for the two CLIP metrics; `threshold` for
            `clip_star`; for all `num_process`, `process_id`, `experiment_id`, `cache_dir`, `keep_in_memory`, as
            `evaluate.load` takes them.

    Raises:
        UnknownNameError: There is no such metric or option.
    """
    if name not in EVALUATE_MODULES:
        raise UnknownNameError(f"no metric is called {name!r}; choose {', '.join(sorted(EVALUATE_MODULES))}")
    module_name, class_name = EVALUATE_MODULES[name]
    module = importlib.import_module(module_name)
    source = Path(str(module.__file__)).read_bytes()
    metric: PairMetric = getattr(module, class_name)(config_name, hash=hashlib.sha256(source).hexdigest(), **options)
    return metric


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
