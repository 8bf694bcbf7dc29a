import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.model.intervals import Intervals


def test_without_groups_it_is_the_plain_split_conformal_quantile():
    residual = np.random.default_rng(0).exponential(5, (50, 5))
    half = Intervals(residual, np.arange(50)).half_width_g(0.9)
    rank = int(np.ceil(51 * 0.9))
    np.testing.assert_allclose(half, np.sort(residual, axis=0)[rank - 1])


@pytest.mark.parametrize(("groups", "there"), [(8, False), (9, True)])
def test_ninety_percent_needs_nine_groups(groups, there):
    intervals = Intervals(np.ones((3 * groups, 5)), np.repeat(np.arange(groups), 3))
    assert np.isfinite(intervals.half_width_g(0.9)).all() == there
    low, high = intervals.around(np.full(5, 0.5), 0.9)
    assert np.isnan(high).all() != there
    if there:
        np.testing.assert_allclose([low[0], high[0]], [0, 1.5])


def test_a_large_group_weighs_no_more_than_a_small_one():
    residual = np.concatenate([np.full((90, 5), 100.0), np.ones((9, 5))])
    group = np.concatenate([np.zeros(90, int), np.arange(1, 10)])
    assert (Intervals(residual, group).half_width_g(0.7) == 1).all()


@given(st.integers(0, 2**31 - 1), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_intervals_are_nested_hold_the_estimate_and_stay_above_0(seed, one, two):
    rng = np.random.default_rng(seed)
    intervals = Intervals(rng.exponential(5, (40, 5)), rng.integers(0, 20, 40))
    grams = rng.uniform(0, 40, 5)
    bounds = [intervals.around(grams, level) for level in sorted([one, two])]
    (low, high), (wider_low, wider_high) = bounds
    if np.isfinite(wider_high).all():
        assert (wider_low >= 0).all()
        assert (wider_low <= low).all()
        assert (low <= grams).all()
        assert (grams <= high).all()
        assert (high <= wider_high).all()


def test_coverage_over_new_groups_is_what_is_promised():
    """Photos of a group share an error; over many draws a new group's photo is covered at least as often as said."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(1500):
        shared = rng.normal(0, 5, (16, 1)) + rng.normal(0, 2, (16, 4))
        intervals = Intervals(np.abs(np.repeat(shared[:15].reshape(-1, 1), 5, 1)), np.repeat(np.arange(15), 4))
        covered.append(abs(shared[15, 0]) <= intervals.half_width_g(0.8)[0])
    assert 0.78 <= np.mean(covered) <= 0.9
