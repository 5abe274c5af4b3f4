"""Standard errors, intervals, paired tests and Student's t against independent implementations."""

from __future__ import annotations

import doctest
import math
from importlib import import_module

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import statsmodels.api
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from fashionedit.eval_harness.scores.intervals import (
    clustered_standard_error,
    detectable_difference,
    holm,
    mean_interval,
    paired_difference,
    share_difference_z,
    share_interval,
    student_quantile,
    two_sided_p,
)


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


@pytest.mark.parametrize("module", ["intervals", "primary_scores", "table"])
def test_examples_in_the_docstrings_are_true(module: str) -> None:
    found = doctest.testmod(import_module(f"fashionedit.eval_harness.scores.{module}"))
    assert found.failed == 0
    assert found.attempted >= 1


@pytest.mark.parametrize("freedom", [1, 2, 3, 7.5, 23, 419, 5000])
def test_student_is_scipys(freedom: float) -> None:
    for t in (0.0, 1e-6, 0.3, 1.0, 1.96, 2.5, 7.0, 40.0):
        assert two_sided_p(-t, freedom) == pytest.approx(2 * scipy.stats.t.sf(t, freedom), rel=1e-9)
    for probability in (0.001, 0.2, 0.5, 0.8, 0.975, 0.9999):
        expected = scipy.stats.t.ppf(probability, freedom)
        assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_student_refuses_what_has_no_answer() -> None:
    assert two_sided_p(math.inf, 3) == 0
    with pytest.raises(ValueError, match="0 degrees"):
        two_sided_p(1.0, 0)
    with pytest.raises(ValueError, match="nan"):
        two_sided_p(math.nan, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        student_quantile(1.0, 3)


@pytest.mark.parametrize("seed", range(5))
def test_interval_p_and_error_are_those_of_a_clustered_regression(seed: int) -> None:
    random = np.random.default_rng(seed)
    clusters = random.integers(0, 40, 150)
    first, second = random.normal(80, 5, 150) + clusters / 20, random.normal(79, 5, 150)
    found = paired_difference(first.tolist(), second.tolist(), clusters.tolist())
    model = statsmodels.api.OLS(first - second, np.ones(150))
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}, use_t=True)
    assert found.mean == pytest.approx(fitted.params[0], rel=1e-12)
    assert found.standard_error == pytest.approx(fitted.bse[0], rel=1e-12)
    assert found.p == pytest.approx(fitted.pvalues[0], rel=1e-8)
    assert (found.low, found.high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-10)


def test_a_mean_of_independent_samples_has_the_textbook_interval() -> None:
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]
    error = clustered_standard_error(values, list("abcdefg"))
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(float(np.mean(values)), error, 7) == pytest.approx(tuple(expected), rel=1e-12)
    assert mean_interval(3.0, None, 1) is None


@pytest.mark.parametrize(("hits", "n"), [(20, 1000), (350, 1000), (3, 4000), (0, 3000), (2000, 2000)])
def test_a_share_of_many_independent_samples_has_wilsons_interval(hits: int, n: int) -> None:
    found = share_interval([1.0] * hits + [0.0] * (n - hits), range(n))
    quantile = 2 * scipy.stats.norm.sf(scipy.stats.t.ppf(0.975, n - 1))  # the level at which the normal z is our t
    assert found == pytest.approx(proportion_confint(hits, n, alpha=quantile, method="wilson"), rel=1e-8, abs=1e-12)


def test_clusters_that_are_alike_within_count_once() -> None:
    hits = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0] * 4
    four_each = share_interval(
        [hit for hit in hits for _ in range(4)], [number for number in range(40) for _ in range(4)]
    )
    assert four_each == pytest.approx(share_interval(hits, range(40)), rel=1e-9)


def test_a_share_of_all_or_none_still_has_an_interval() -> None:
    low, high = share_interval([1.0] * 24, range(24)) or (0, 0)
    assert high == 1
    assert 0.8 < low < 0.9
    fewer = share_interval([1.0] * 24, [number // 4 for number in range(24)]) or (0, 0)
    assert fewer[0] < low
    assert share_interval([1.0] * 24, ["one"] * 24) is None


def test_two_equal_methods_are_a_tie_without_an_interval() -> None:
    found = paired_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "abc")
    assert (found.mean, found.standard_error, found.low, found.high, found.p) == (0, 0, None, None, 1)
    assert found.detectable is None


def test_one_garment_proves_nothing() -> None:
    found = paired_difference([1.0, 2.0], [0.0, 0.0], "aa")
    assert (found.mean, found.standard_error, found.low, found.p, found.detectable) == (1.5, None, None, None, None)


def test_a_constant_difference_of_means_has_no_spread_to_judge_it_by() -> None:
    found = paired_difference([5.1] * 12, [5.0] * 12, range(12))
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high, found.p) == (None, None, None)


def test_pairs_have_one_length() -> None:
    with pytest.raises(ValueError, match="paired with 1"):
        paired_difference([1.0, 2.0], [1.0], "ab")


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    values = np.random.default_rng(seed).uniform(0, 0.2, seed + 1)
    assert holm(values.tolist()) == pytest.approx(list(multipletests(values, method="holm")[1]), rel=1e-12)
    assert holm([]) == []


@pytest.mark.parametrize("n", [24, 100, 420])
def test_the_detectable_difference_is_that_of_a_power_analysis(n: int) -> None:
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert detectable_difference(1 / math.sqrt(n), n) == pytest.approx(expected, rel=1e-3)


def shares(wins: int, losses: int, n: int) -> tuple[list[float], list[float]]:
    first = [100.0] * wins + [0.0] * (n - wins)
    second = [0.0] * wins + [100.0] * losses + [0.0] * (n - wins - losses)
    return first, second


@pytest.mark.parametrize(("wins", "losses", "n"), [(4, 0, 1000), (9, 1, 100), (3, 12, 24), (50, 44, 400), (0, 7, 30)])
def test_a_gain_of_a_share_has_mcnemars_p(wins: int, losses: int, n: int) -> None:
    table = [[n - wins - losses - 1, wins], [losses, 1]]
    expected = mcnemar(table, exact=False, correction=False)
    found = paired_difference(*shares(wins, losses, n), range(n))
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert share_difference_z(wins / n, losses / n, 0.0, n) ** 2 == pytest.approx(expected.statistic, rel=1e-10)


@pytest.mark.parametrize(("wins", "losses", "n"), [(4, 0, 1000), (9, 1, 100), (3, 12, 24), (0, 0, 40), (0, 7, 30)])
def test_its_interval_is_where_the_restricted_likelihood_says(wins: int, losses: int, n: int) -> None:
    """The score statistic with the likeliest share of losses found by a numerical search, not by Tango's formula."""

    def statistic(difference: float) -> float:
        def unlikely(q: float) -> float:
            probabilities = (q + difference, q, 1 - 2 * q - difference)
            counts = (wins, losses, n - wins - losses)
            return -sum(scipy.special.xlogy(count, max(p, 0)) for count, p in zip(counts, probabilities, strict=True))

        edges = max(0.0, -difference), (1 - difference) / 2
        inner = scipy.optimize.minimize_scalar(unlikely, bounds=edges, method="bounded", options={"xatol": 1e-12})
        q = min((inner.x, *edges), key=unlikely)
        return (wins - losses - n * difference) / math.sqrt(n * (2 * q + difference - difference**2))

    found = paired_difference(*shares(wins, losses, n), range(n), hit=100.0)
    assert found.low is not None
    assert found.high is not None
    assert statistic(found.low / 100) == pytest.approx(1.959964, abs=1e-3)
    assert statistic(found.high / 100) == pytest.approx(-1.959964, abs=1e-3)


def test_no_change_in_40_samples_still_has_an_interval() -> None:
    found = paired_difference([0.0] * 40, [0.0] * 40, range(40), hit=100.0)
    assert (found.mean, found.p) == (0, 1)
    assert found.high == pytest.approx(100 * 1.959964**2 / (40 + 1.959964**2), rel=1e-6)
    assert found.low == pytest.approx(-found.high)


def test_an_interval_stays_within_what_is_possible() -> None:
    found = paired_difference([100.0] * 9, [0.0] * 8 + [100.0], range(9))
    assert found.high is not None
    assert found.high <= 100
    mean = paired_difference([80.0, -99.0, 90.0], [0.0, 0.0, 1.0], "abc", span=200)
    assert (mean.low, mean.high) == (-200, 200)
    assert mean_interval(95.0, 8.0, 3, (-100, 100)) == (pytest.approx(60.578, abs=0.001), 100)


@pytest.mark.parametrize("seed", range(60))
def test_an_interval_and_its_p_never_contradict_each_other(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(5, 120))
    clusters = random.integers(0, max(n // int(random.integers(1, 4)), 2), n).tolist()
    if seed % 3:
        drawn = random.choice([0.0, 100.0], (2, n), p=[1 - (rate := random.uniform(0.01, 0.5)), rate])
        if seed % 3 == 1:  # few changes
            drawn[1] = np.where(random.random(n) < 0.9, drawn[0], drawn[1])
    else:
        drawn = random.normal(80, 5, (2, n)) + random.normal(0, 2, (2, 1))
    found = paired_difference(*drawn.tolist(), clusters)
    assert found.p is not None
    if found.low is None or found.high is None:
        assert found.p == 1
    else:
        assert found.low <= found.mean <= found.high
        assert (found.p < 0.05) is not (found.low <= 0 <= found.high)


def test_samples_of_one_garment_that_change_together_count_once() -> None:
    each = paired_difference(*shares(6, 0, 60), range(60))
    four = paired_difference(
        *([value for value in side for _ in range(4)] for side in shares(6, 0, 60)),
        [number for number in range(60) for _ in range(4)],
    )
    assert four.mean == each.mean
    assert (four.low, four.high) == pytest.approx((each.low, each.high), rel=0.05)
    assert four.p == pytest.approx(each.p, rel=0.1)


def test_garments_that_vary_less_than_chance_do_not_make_more_samples() -> None:
    balanced = [number // 2 for number in range(40)]
    first = [100.0, 0.0] * 20
    found = paired_difference(first, [0.0] * 40, balanced)
    assert found.p == paired_difference(first, [0.0] * 40, range(40)).p
