"""Every formula against somebody else's implementation of it, and the intervals against clustered draws."""

import doctest
import math
from importlib import import_module

import numpy as np
import pytest
import scipy.stats
import statsmodels.api
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from fashionedit.eval_harness.scores.intervals import mean_interval, share_interval
from fashionedit.eval_harness.scores.paired import MOST_FLIPPED, holm, paired_difference, sign_flip_p
from fashionedit.eval_harness.scores.power import detectable_difference
from fashionedit.eval_harness.scores.statistics import clustered_standard_error
from fashionedit.eval_harness.scores.student import student_quantile, two_sided_p


@pytest.mark.parametrize("module", ["student", "intervals", "power", "paired", "statistics", "headlines"])
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


def test_two_equal_methods_are_a_tie() -> None:
    found = paired_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "abc")
    assert (found.mean, found.standard_error, found.low, found.high, found.p) == (0, 0, 0, 0, 1)
    assert found.detectable is None


def test_one_garment_proves_nothing() -> None:
    found = paired_difference([1.0, 2.0], [0.0, 0.0], "aa")
    assert (found.mean, found.standard_error, found.low, found.p, found.detectable) == (1.5, None, None, None, None)


def test_a_constant_difference_is_as_sure_as_a_flip_of_signs_would_say() -> None:
    assert paired_difference([1.0] * 4, [0.0] * 4, "abcd").p == 0.125
    assert paired_difference([1.0] * 12, [0.0] * 12, range(12)).p == 2**-11


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


@pytest.mark.parametrize("seed", range(6))
def test_flips_of_signs_are_counted_as_scipy_counts_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    sums = random.normal(0.4, 1, 10) if seed % 2 else random.integers(-3, 4, 10).astype(float)
    expected = scipy.stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(sums.tolist()) == pytest.approx(expected.pvalue, rel=1e-12)


def test_few_garments_that_differ_are_told_apart_by_flips() -> None:
    """Four hits more, and none less, in 1,000 samples: Student's t would call it found, p = 0.0455."""
    found = paired_difference([100.0] * 4 + [0.0] * 996, [0.0] * 1000, range(1000))
    assert found.p == 0.125
    several = paired_difference([100.0] * 8, [0.0] * 8, [number // 2 for number in range(8)])
    assert several.p == 0.125


def test_flips_and_student_agree_where_one_takes_over_from_the_other() -> None:
    for seed in range(20):
        sums = np.random.default_rng(seed).normal(0.5, 1, MOST_FLIPPED)
        student = scipy.stats.ttest_1samp(sums, 0).pvalue
        assert sign_flip_p(sums.tolist()) == pytest.approx(student, abs=0.03)


def test_the_same_difference_in_every_garment_has_the_p_of_flipped_signs() -> None:
    found = paired_difference([100.0] * 30, [0.0] * 30, [str(number) for number in range(30)])
    assert found.p == 2.0**-29
    assert (found.mean, found.standard_error) == (100.0, 0.0)
