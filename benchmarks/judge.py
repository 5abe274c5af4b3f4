"""How often the 95 % interval of a win rate covers the truth, where a garment's samples are alike in who wins.

Each trial draws garments with one to four samples. In a garment the first side wins with a probability of its own
(Bradley–Terry: the logistic function of a strength that is normal between garments), and some pairs are ties. The truth
is the win rate over all garments, ties half, by quadrature. What `compare --votes` uses (Tango's interval of a paired
difference of shares) is compared with what it could use: Wilson's share interval and Student's t, all clustered.

    python benchmarks/judge.py [--trials 2000]

Exits with 1 where the interval in use covers less than 93 % for 60 garments or more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.random import Generator

from fashionedit.eval_harness.scores.intervals import (
    Interval,
    clustered_standard_error,
    mean_interval,
    share_interval,
)
from fashionedit.eval_harness.votes.agreement import share_of

LOWEST, GARMENTS_NEEDED = 0.93, 60
GARMENTS = (20, 60, 200)
TIES = (0.0, 0.2, 0.6)
STRENGTHS = {"even": (0.0, 1.0), "ahead": (0.8, 1.0), "far ahead": (2.5, 0.7)}


def in_use(scores: Sequence[float], garments: Sequence[int]) -> Interval:
    found = share_of(scores, garments)
    return found.low or 0.0, 1.0 if found.high is None else found.high


def student(scores: Sequence[float], garments: Sequence[int]) -> Interval:
    error = clustered_standard_error(scores, garments)
    return mean_interval(float(np.mean(scores)), error, len(set(garments)), (0.0, 1.0)) or (0.0, 1.0)


def wilson(scores: Sequence[float], garments: Sequence[int]) -> Interval:
    return share_interval(scores, garments) or (0.0, 1.0)


METHODS: dict[str, Callable[[Sequence[float], Sequence[int]], Interval]] = {
    "in use": in_use,
    "Wilson": wilson,
    "Student": student,
}


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def drawn(random: Generator, garments: int, ties: float, mean: float, spread: float) -> tuple[list[float], list[int]]:
    """Returns the scores of the pairs (1, 0.5, 0) and their garments."""
    of = np.repeat(np.arange(garments), random.integers(1, 5, garments))
    chances = logistic(random.normal(mean, spread, garments))[of]
    scores = np.where(random.random(len(of)) < ties, 0.5, random.random(len(of)) < chances)
    return scores.tolist(), of.tolist()


def true_rate(ties: float, mean: float, spread: float) -> float:
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    return float(ties / 2 + (1 - ties) * logistic(mean + spread * points) @ weights / weights.sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    poor = False
    print(f"{'':34}" + "".join(f"{name:>18}" for name in METHODS))
    for garments, ties, (name, (mean, spread)) in product(GARMENTS, TIES, STRENGTHS.items()):
        truth = true_rate(ties, mean, spread)
        covered, widths = dict.fromkeys(METHODS, 0), dict.fromkeys(METHODS, 0.0)
        for seed in range(trials):
            sample = drawn(np.random.default_rng([seed, garments]), garments, ties, mean, spread)
            for method, interval in METHODS.items():
                low, high = interval(*sample)
                covered[method] += low <= truth <= high
                widths[method] += high - low
        shown = "".join(
            f"{100 * covered[method] / trials:8.1f} % ±{50 * widths[method] / trials:5.1f}" for method in METHODS
        )
        print(f"{garments:4} garments, {100 * ties:2.0f} % ties, {name:10}{shown}", flush=True)
        poor |= garments >= GARMENTS_NEEDED and covered["in use"] < LOWEST * trials
    return int(poor)


if __name__ == "__main__":
    sys.exit(main())
