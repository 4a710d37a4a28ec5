"""Error bars: against textbook formulas where there are any, and within their bounds everywhere."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from syntune.benchmarks.statistics import (
    detectable_difference,
    estimate,
    mean_over_trainings,
    paired_difference,
    questions_needed,
    spread,
)

shares = st.lists(st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]), min_size=2, max_size=30)


def test_independent_questions_have_the_textbook_error():
    values = [0.3, 0.9, 1.0, 0.0, 0.6, 0.9]
    found = estimate(values, range(6))
    assert (found.value, found.stderr) == (pytest.approx(numpy.mean(values)), pytest.approx(stats.sem(values)))
    half = stats.t.ppf(0.975, 5) * stats.sem(values)
    assert found.interval == pytest.approx((found.value - half, min(1, found.value + half)))


def test_questions_that_always_agree_count_once():
    once = estimate([0.3, 0.9, 0.0, 0.6], range(4))
    thrice = estimate([0.3, 0.9, 0.0, 0.6] * 3, [*range(4)] * 3)
    assert thrice.n == 12 and thrice.clusters == 4
    assert thrice.stderr == pytest.approx(once.stderr, rel=1e-6) or thrice.stderr > 0.95 * once.stderr


def test_a_perfect_score_is_not_certain():
    found = estimate([1.0] * 20, range(20))
    assert found.interval == pytest.approx((0.8389, 1.0), abs=1e-4)  # Wilson, 20 of 20


def test_a_paired_difference_is_the_paired_t_test():
    tuned, base = [1.0, 1, 0, 1, 1, 0.6, 1, 0.3], [0.0, 1, 0, 0.3, 1, 0, 1, 0.6]
    found = paired_difference([tuned], [base], range(8))
    assert found.p_value == pytest.approx(stats.ttest_rel(tuned, base).pvalue)


def test_questions_needed():
    # 80% power at 5% needs (1.960 + 0.842)^2 = 7.849 times the squared ratio of spread and difference
    assert questions_needed(0.05, 0.5) == 785
    assert detectable_difference(785, 0.5) == pytest.approx(0.05, abs=1e-4)


def test_no_difference_needs_no_questions():
    found = paired_difference([[1.0, 0.0]], [[1.0, 0.0]], [1, 2])
    assert (found.value, found.p_value, found.questions_needed) == (0.0, 1.0, None)
    swapped = paired_difference([[1.0, 0.0]], [[0.0, 1.0]], [1, 2])
    assert (swapped.value, swapped.p_value, swapped.questions_needed) == (0.0, 1.0, None)


def test_trainings_that_agree_add_no_error():
    tuned, base = [1.0, 1, 0, 1, 1, 0.6, 1, 0.3], [0.0, 1, 0, 0.3, 1, 0, 1, 0.6]
    once, thrice = (paired_difference([tuned] * number, [base] * number, range(8)) for number in (1, 3))
    assert thrice == once
    assert mean_over_trainings([tuned] * 3, range(8)) == estimate(tuned, range(8))
    assert spread([0.5]) is None and spread([0.5, 0.5, 0.8]) == pytest.approx(stats.tstd([0.5, 0.5, 0.8]))


def test_where_trainings_alone_differ_the_interval_is_welchs():
    """Each training has one score for all questions: they tell no more than their trainings do."""
    levels, base = [0.5, 0.6, 0.8], [0.4, 0.45, 0.3]
    found = paired_difference([[level] * 50 for level in levels], [[level] * 50 for level in base], range(50))
    welch = stats.ttest_ind(levels, base, equal_var=False)
    assert (found.value, found.p_value) == (pytest.approx(0.25), pytest.approx(welch.pvalue))
    assert found.interval == pytest.approx(tuple(welch.confidence_interval()))
    assert found.questions_needed is None, "more questions would show nothing that these trainings don't"


def test_both_errors_add_up():
    """Two-way clustering: questions and trainings shift scores, each by itself."""
    easier = numpy.array([0.1, -0.1] * 20)
    tuned = [[level + shift for shift in easier] for level in (0.5, 0.6)]
    base = [[level] * 40 for level in (0.3, 0.5)]
    found = paired_difference(tuned, base, range(40))
    of_trainings = 0.1**2 / 2 / 2 + 0.2**2 / 2 / 2
    assert found.stderr == pytest.approx((stats.sem(easier) ** 2 + of_trainings) ** 0.5)


@settings(max_examples=50)
@given(shares, st.integers(1, 5))
def test_intervals_hold_the_mean_and_stay_within_bounds(values, size):
    found = estimate(values, [place // size for place in range(len(values))])
    if found.interval is not None:
        low, high = found.interval
        assert 0 <= low <= found.value + 1e-9 and found.value - 1e-9 <= high <= 1
