"""Figures against definitions, and intervals that keep their promise."""

import numpy as np
import pytest

from segrt.runtime.profiling.statistics import difference, median_interval, percentile, slowdown


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0])
def test_percentiles_are_linear_between_neighbours(share):
    values = [float(value) for value in range(101)]
    np.random.default_rng(0).shuffle(values)
    assert percentile(values, share) == pytest.approx(100 * share, abs=1e-9)


def test_an_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        low, high = median_interval(rng.gamma(4.0, 2.0, 60))
        hits += low <= 7.3442 <= high  # the median of gamma(4, 2)
    assert hits >= 0.93 * 400


def test_an_interval_knows_that_slow_frames_come_in_a_row():
    """Speed wanders slowly: an interval that took frames for independent would miss the median mostly."""
    rng = np.random.default_rng(2)
    hits, naive = 0, 0
    for _ in range(300):
        drift = np.repeat(rng.normal(0, 1, 20), 10)
        values = 10 + drift + rng.normal(0, 0.1, 200)
        low, high = median_interval(values)
        hits += low <= 10 <= high
        ranks = np.sort(values)
        naive += ranks[86] <= 10 <= ranks[114]
    assert hits >= 0.88 * 300
    assert naive < 0.75 * 300


def test_paired_differences_see_through_what_slows_both():
    rng = np.random.default_rng(3)
    weather = rng.gamma(2.0, 5.0, 100)
    first = 10 + weather + rng.normal(0, 0.05, 100)
    faster = difference(first, 9 + weather + rng.normal(0, 0.05, 100))
    assert not faster.is_noise
    assert faster.median == pytest.approx(-1, abs=0.05)
    same = difference(first, 10 + weather + rng.normal(0, 0.05, 100))
    assert same.is_noise
    assert abs(same.median) < 0.05


def test_an_interval_begins_no_lower_than_the_quickest_frame():
    values = [1.0] * 5 + [60.0] * 5 + [20.0] * 2
    low, high = median_interval(values)
    assert low == 1.0
    assert high > 60.0
    assert difference([0.0] * len(values), values).is_noise  # differences may be negative


def test_one_and_two_values_have_intervals_too():
    assert median_interval([3.0]) == (3.0, 3.0)
    assert median_interval([3.0, 5.0]) == (3.0, 5.0)


def test_a_device_that_heats_up_is_noticed():
    assert slowdown([10.0] * 20) == 1.0
    assert slowdown(list(np.linspace(10, 15, 50))) == pytest.approx(1.41, abs=0.02)
