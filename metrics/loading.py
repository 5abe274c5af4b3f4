"""The `evaluate` modules of the installed package, by name, with nothing to download or to patch."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionedit.errors import UnknownNameError

if TYPE_CHECKING:
    from .evaluate_module import PairMetric

EVALUATE_MODULES = {
    "clip_similarity": ("fashionedit.metrics.clip_similarity.clip_similarity", "ClipSimilarity"),
    "clip_star": ("fashionedit.metrics.clip_star.clip_star", "ClipStar"),
    "psnr": ("fashionedit.metrics.psnr.psnr", "Psnr"),
}
"""Module and class of each metric."""


def load(name: str, config_name: str | None = None, **options: Any) -> PairMetric:
    """Returns the `evaluate` metric of this name: `clip_similarity`, `clip_star` or `psnr`.

    The same as `evaluate.load(name, config_name, **options)` once `fashionedit` is imported.

    Args:
        name: One of `EVALUATE_MODULES`.
        config_name: The encoder of the two CLIP metrics, as `encoder`.
        options: `encoder`, `device`, `precision` and `batch_size` for the two CLIP metrics; for all `num_process`,
            `process_id`, `experiment_id`, `cache_dir`, `keep_in_memory`, as `evaluate.load` takes them.

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
