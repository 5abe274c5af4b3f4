"""`eval.yaml`: what makes a dataset repository a benchmark with a leaderboard on the Hub."""

from __future__ import annotations

from fashionedit.card import FRAMEWORK, LEADERBOARD_TASKS


def eval_yaml(name: str) -> str:
    """Returns the file's text, with every field of the Hub's specification: name, description, framework, tasks.

    The Hub knows evaluation frameworks and benchmarks from lists of its own; until this one is on them, it shows no
    leaderboard for the file.

    Args:
        name: The benchmark's name.
    """
    import yaml

    content = {
        "name": " ".join(name.split()),
        "description": (
            "Fine-grained fashion image editing in three rounds, by text (vanilla) and by text and reference image "
            "(bug); scored against the original after the last round: CLIP* (% of samples above a cosine of 0.9), CLIP "
            "(cosine × 100), PSNR (dB)."
        ),
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": task, "config": "default", "split": "validation"} for task in LEADERBOARD_TASKS],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return text
