"""CLIP* as an `evaluate` module: the share of pictures whose CLIP similarity is strictly above 0.9, × 100."""

from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.metrics.evaluate_module import EmbeddingMetric
from fashionedit.metrics.similarity import share_above

_ABOUT = (
    "The share, × 100, of pictures whose CLIP embedding (openai/clip-vit-large-patch14) has a cosine similarity to the "
    "target's strictly above 0.9: how many a user would accept, by the paper's reading."
)

_USAGE = """

Pictures are PIL images, paths, encoded bytes, {"bytes", "path"} dicts, arrays or tensors (whole numbers 0..255, floats
0..1, channels first or last), or vectors of floats that are embeddings already.

Args:
    predictions: The edited pictures, a list.
    references: The originals, a list of the same length.
    threshold (float): What the cosine similarity, -1..1, must exceed; 0.9 by default.
    per_image (bool): Also return every pair's cosine similarity × 100.

Returns:
    dict: `clip_star` (0..100), `threshold`, `n`, `encoder`, `fingerprint`, and `per_image` if asked for. With an
    encoder other than CLIP the score is called `cosine_star`.
"""


class ClipStar(EmbeddingMetric):
    """Share of cosine similarities above a threshold × 100 (paper, section 3.1), on the scale of its Table 1."""

    about = _ABOUT
    usage = _USAGE
    settings = frozenset({"per_image", "threshold"})

    def compute(
        self, *, predictions: Any = None, references: Any = None, threshold: float = 0.9, **options: Any
    ) -> Any:
        """Returns the score of all pairs that were added, or None on a process other than the first."""
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not -1 <= threshold <= 1:
            raise InvalidDataError(f"threshold is {threshold!r}; a cosine similarity can exceed numbers in -1..1 only")
        return super().compute(predictions=predictions, references=references, threshold=threshold, **options)

    def _sum_up(self, cosines: Any, prefix: str, **options: Any) -> dict[str, Any]:
        threshold = options["threshold"]
        return {f"{prefix}_star": 100 * share_above(cosines, threshold), "threshold": threshold}
