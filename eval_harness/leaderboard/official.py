"""Which encoder the leaderboard's CLIP scores are made with, and whether given scores were."""

from __future__ import annotations

from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.metrics.encoder import CLIP_IDENTITY, CLIP_REPOSITORY
from fashionedit.metrics.preprocessing import Preprocessing
from fashionedit.metrics.similarity import PSNR_FINGERPRINT

OFFICIAL_FINGERPRINT = {
    "kind": "transformers",
    **CLIP_IDENTITY,
    "features": "image_embeds",
    "preprocessing": Preprocessing().fingerprint,
    "precision": "fp32",
    "backend": "torch",
}
"""`load_encoder("clip")` in fp32, on any device: there they agree to 1e-6."""


def fingerprint_differences(results: Results) -> list[str]:
    """Returns one clause for each field in which the metrics are not the leaderboard's; none where they are."""
    wanted = {"clip": OFFICIAL_FINGERPRINT, "clip_star": OFFICIAL_FINGERPRINT, "psnr": PSNR_FINGERPRINT}
    found = {metric.id: metric for metric in results.metrics}
    if set(found) != set(wanted):
        encoder = next((metric.encoder for metric in results.metrics if metric.encoder), "no encoder")
        return [f"encoder: {encoder}, wanted {CLIP_REPOSITORY}"]
    clauses = []
    for id, fingerprint in wanted.items():
        have = found[id].fingerprint
        for field in sorted({*have, *fingerprint}):
            if have.get(field) != fingerprint.get(field):
                clauses.append(f"{field}: {have.get(field)}, wanted {fingerprint.get(field)}")
    if found["clip_star"].threshold != 0.9:
        clauses.append(f"threshold: {found['clip_star'].threshold}, wanted 0.9")
    return list(dict.fromkeys(clauses))
