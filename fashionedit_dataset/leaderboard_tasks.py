"""The tasks of the Hub's leaderboard: one number each, called the same where they are declared and sent."""

from __future__ import annotations

from itertools import product

FRAMEWORK = "fashionedit"
"""The name of the evaluation framework in `eval.yaml`."""

LAST_ROUND = 3
"""The round whose scores count."""

LEADERBOARD_PROTOCOLS = ("vanilla", "bug")
LEADERBOARD_METRICS = ("clip_star", "clip", "psnr")


def task_id(protocol: str, metric: str) -> str:
    """Returns the task's name.

    >>> task_id("bug", "clip_star")
    'bug_clip_star'
    """
    return f"{protocol}_{metric}"


LEADERBOARD_TASKS = tuple(
    task_id(protocol, metric) for protocol, metric in product(LEADERBOARD_PROTOCOLS, LEADERBOARD_METRICS)
)
"""One number each, after the last round, higher is better: CLIP* in %, CLIP × 100, PSNR in dB."""
