"""CLIP similarity as an `evaluate` module: the mean cosine similarity of CLIP image embeddings, × 100."""

from typing import Any

from fashionedit.metrics.evaluate_module import EmbeddingMetric

_ABOUT = (
    "The mean cosine similarity, × 100, of the CLIP embeddings (openai/clip-vit-large-patch14, projected, 768 numbers) "
    "of each picture and its target."
)

_USAGE = """

Pictures are PIL images, paths, encoded bytes, {"bytes", "path"} dicts, arrays or tensors (whole numbers 0..255, floats
0..1, channels first or last), or vectors of floats that are embeddings already.

Args:
    predictions: The edited pictures, a list.
    references: The originals, a list of the same length.
    per_image (bool): Also return every pair's score.

Returns:
    dict: `clip_similarity` (-100..100, in practice 40..100), `n`, `encoder`, `fingerprint`, and `per_image` if asked
    for. With an encoder other than CLIP the score is called `cosine_similarity`.
"""


class ClipSimilarity(EmbeddingMetric):
    """Mean cosine similarity × 100 (paper, section 3.1), on the scale of the paper's Table 1."""

    about = _ABOUT
    usage = _USAGE

    def _sum_up(self, cosines: Any, prefix: str, **options: Any) -> dict[str, Any]:
        return {f"{prefix}_similarity": 100 * float(cosines.mean())}
