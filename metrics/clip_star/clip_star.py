"""CLIP* as an `evaluate` module: the share of pictures whose CLIP similarity is strictly above 0.9, × 100."""

from collections.abc import Mapping
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.metrics.evaluate_module import EmbeddingMetric
from fashionedit.metrics.paper_metrics import STAR_THRESHOLD
from fashionedit.metrics.similarity import share_above


class ClipStar(EmbeddingMetric):
    """Share of cosine similarities above a threshold × 100 (paper, section 3.1), on the scale of its Table 1."""

    about = (
        "The share, × 100, of pictures whose CLIP embedding (openai/clip-vit-large-patch14) has a cosine similarity to "
        "the target's strictly above 0.9: how many a user would accept, by the paper's reading."
    )
    settings: Mapping[str, str] = {
        "threshold": "(float): What the cosine similarity, -1..1, must exceed; 0.9, or that of loading, by default."
    }
    per_image = "cosine similarity × 100"
    returns = (
        "`clip_star` (0..100), `threshold`, `n`, `encoder`, `fingerprint`, and `per_image` if asked for. With an\n"
        "    encoder other than CLIP the score is called `cosine_star`."
    )

    def __init__(
        self, config_name: str | None = None, *args: Any, threshold: float = STAR_THRESHOLD, **options: Any
    ) -> None:
        super().__init__(config_name, *args, **options)
        self._thresholds = (_checked_threshold(threshold),)

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> Any:
        """Returns the score of all pairs that were added, or None on a process other than the first."""
        options["threshold"] = _checked_threshold(options.get("threshold", self._thresholds[0]))
        return super().compute(predictions=predictions, references=references, **options)

    def _sum_up(self, cosines: Any, prefix: str, **options: Any) -> dict[str, Any]:
        threshold = options["threshold"]
        if self._is_mixed() and (threshold,) != self._thresholds:
            raise InvalidDataError(
                f"the pairs were scored in mixed precision, which decides as fp32 does at {self._thresholds[0]:g} "
                f"alone; load the metric with threshold={threshold:g}, or with precision='fp32'"
            )
        return {f"{prefix}_star": 100 * share_above(cosines, threshold), "threshold": threshold}


def _checked_threshold(threshold: Any) -> float:
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not -1 <= threshold <= 1:
        raise InvalidDataError(f"threshold is {threshold!r}; a cosine similarity can exceed numbers in -1..1 only")
    return threshold
