"""CLIP similarity as an `evaluate` module: the mean cosine similarity of CLIP image embeddings, × 100."""

from typing import Any

from fashionedit.metrics.evaluate_module import EmbeddingMetric


class ClipSimilarity(EmbeddingMetric):
    """Mean cosine similarity × 100 (paper, section 3.1), on the scale of the paper's Table 1."""

    about = (
        "The mean cosine similarity, × 100, of the CLIP embeddings (openai/clip-vit-large-patch14, projected, 768 "
        "numbers) of each picture and its target."
    )
    returns = (
        "`clip_similarity` (-100..100, in practice 40..100), `n`, `encoder`, `fingerprint`, and `per_image` if asked\n"
        "    for. With an encoder other than CLIP the score is called `cosine_similarity`."
    )

    def _sum_up(self, cosines: Any, prefix: str, **options: Any) -> dict[str, Any]:
        return {f"{prefix}_similarity": 100 * float(cosines.mean())}
