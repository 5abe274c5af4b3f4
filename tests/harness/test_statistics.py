import math

import numpy as np
import pytest

from fashionedit.eval_harness.scores.statistics import clustered_standard_error


def sandwich(values: np.ndarray, clusters: np.ndarray) -> float:
    """Regression on a constant with the CR1 cluster-robust covariance, written with matrices."""
    design = np.ones((len(values), 1))
    bread = np.linalg.inv(design.T @ design)
    residuals = values - design @ (bread @ design.T @ values)
    meat = np.zeros((1, 1))
    groups = np.unique(clusters)
    for group in groups:
        moment = design[clusters == group].T @ residuals[clusters == group]
        meat += np.outer(moment, moment)
    n, k, g = len(values), 1, len(groups)
    return math.sqrt(float((bread @ meat @ bread)[0, 0]) * g / (g - 1) * (n - 1) / (n - k))


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_sandwich_estimator(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 200))
    clusters = random.integers(0, max(n // 3, 2), n)
    clusters[:2] = [0, 1]
    values = random.normal(80, 5, n) + clusters
    assert clustered_standard_error(list(values), list(clusters)) == pytest.approx(
        sandwich(values, clusters), rel=1e-12
    )


def test_is_the_usual_standard_error_where_every_sample_is_its_own_cluster() -> None:
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]
    expected = np.std(values, ddof=1) / math.sqrt(len(values))
    assert clustered_standard_error(values, list("abcdef")) == pytest.approx(expected, rel=1e-14)


def test_covers_the_spread_of_means_in_a_simulation_where_the_usual_one_does_not() -> None:
    random = np.random.default_rng(7)
    garments, views, trials = 60, 6, 1500
    clusters = np.repeat(np.arange(garments), views)
    means, clustered, usual = [], [], []
    for _ in range(trials):
        values = np.repeat(random.normal(0, 1, garments), views) + random.normal(0, 0.5, garments * views)
        means.append(values.mean())
        clustered.append(clustered_standard_error(values.tolist(), clusters.tolist()))
        usual.append(values.std(ddof=1) / math.sqrt(len(values)))
    true = np.std(means)
    assert np.mean(clustered) == pytest.approx(true, rel=0.05)
    assert np.mean(usual) < 0.6 * true


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_is_unknown_with_fewer_than_two_clusters(values: list[float]) -> None:
    assert clustered_standard_error(values, ["one"] * len(values)) is None


def test_refuses_what_is_no_sample_of_numbers() -> None:
    with pytest.raises(ValueError, match="2 values have 1 clusters"):
        clustered_standard_error([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="not finite"):
        clustered_standard_error([1.0, math.nan], ["a", "b"])
