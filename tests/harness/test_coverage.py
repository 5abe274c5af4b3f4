"""A smaller form of `benchmarks/coverage.py`: do the intervals that tables print cover what is true?"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
TRIALS = 800  # a coverage of 95 % is found within 1.5 points of itself in 95 of 100 such experiments; the seed is fixed


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for themselves
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_intervals_cover_what_is_true(benchmark: ModuleType) -> None:
    found = benchmark.trials(0, TRIALS, 0.3, others=False)
    assert {"mean", "gain", "CLIP* 2 %", "CLIP* 10 %", "CLIP* 35 %"} < {name for name, _ in found}
    assert sum("few changes" in name for name, _ in found) == 3
    for (name, method), (above, below, _) in found.items():
        assert method == "in use"
        assert 0.93 <= 1 - (above + below) / TRIALS <= 0.97, name


@pytest.mark.slow
def test_gains_of_shares_of_24_images_are_covered_too(benchmark: ModuleType) -> None:
    for (name, _), (above, below, _) in benchmark.trials(0, TRIALS, 0.3, images=24, others=False).items():
        covered = 1 - (above + below) / TRIALS
        assert covered > 0.98 if "few changes" in name else 0.93 <= covered <= 0.97, name


@pytest.mark.slow
def test_an_interval_that_ignores_garments_would_be_caught(benchmark: ModuleType) -> None:
    """The same trials by Student's t on samples: the experiment can tell a bad interval from a good one."""
    import numpy as np
    import scipy.stats

    random, covered = np.random.default_rng([0, 300]), 0
    for _ in range(TRIALS):
        draw = benchmark.draws(random, 0.3)["mean"]
        low, high = scipy.stats.ttest_1samp(draw.values, 0).confidence_interval(0.95)
        covered += low <= draw.truth <= high
    assert covered / TRIALS < 0.92


def test_all_rows_of_a_run_are_quickly_made(benchmark: ModuleType) -> None:
    rows, seconds = benchmark.seconds_for_a_run()
    assert rows == 15
    assert seconds < 30  # 5 s where nobody else computes
