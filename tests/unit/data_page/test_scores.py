"""Samples of scores and their histograms."""

import math

from syntune.data_page.scores import BINS, ScoreSample


def test_thresholds_come_from_the_limits():
    sample = ScoreSample()
    for limit in (
        "min_score 0.28 (25%)",
        "max_num 24",
        "min_ratio 1e-3",
        "prob_threshold 0.8",
        "<= 24, duplicate of 7",
        None,
    ):
        sample.add_limit(limit)
    assert sample.thresholds == {("min", 0.28), ("max", 24.0), ("min", 0.001), ("", 0.8), ("", 24.0)}


def test_a_large_sample_is_halved_by_the_hash_of_the_ids():
    sample = ScoreSample(most=1000)
    for number in range(10_000):
        sample.add(str(number), [number / 10_000], kept=number >= 2500)
    bins = sample.bins()
    kept, dropped = sum(bins.kept), sum(bins.dropped)
    assert kept + dropped <= 1000 and sample.share == 16
    assert 0.2 < dropped / (kept + dropped) < 0.3


def test_bins_hold_every_value_and_the_thresholds():
    sample = ScoreSample()
    for number in range(200):
        sample.add(str(number), [0.5 + number / 1000, math.nan, math.inf], kept=True)
    sample.add("far", [900.5], kept=False)
    sample.add_limit("min_score 0.1")
    bins = sample.bins()
    assert (bins.low, len(bins.kept)) == (0.1, BINS) and bins.high < 1
    assert sum(bins.kept) == 200 and bins.dropped[-1] == 1


def test_whole_numbers_have_a_bin_each():
    sample = ScoreSample()
    for value in (3, 4, 4, 6):
        sample.add("a", [value], kept=True)
    sample.add_limit("min_num 4")
    bins = sample.bins()
    assert (bins.low, bins.high, bins.kept) == (2.5, 6.5, [1, 2, 0, 1])
    assert bins.thresholds == [(3.5, 4.0)]
    assert ScoreSample().bins() is None
