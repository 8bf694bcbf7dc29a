import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.model.intervals import Intervals, coverage, group_quantile, spread_g


def flat(ratio, group):
    """Intervals whose spread is near 1 g for estimates near 0."""
    return Intervals(ratio, group, np.ones(5))


def test_without_groups_it_is_the_plain_split_conformal_quantile():
    residual = np.random.default_rng(0).exponential(5, (50, 5))
    quantile = flat(residual, np.arange(50)).quantile(0.9)
    rank = int(np.ceil(51 * 0.9))
    np.testing.assert_allclose(quantile, np.sort(residual, axis=0)[rank - 1])


@pytest.mark.parametrize(("groups", "there"), [(8, False), (9, True)])
def test_ninety_percent_needs_nine_groups(groups, there):
    intervals = flat(np.ones((3 * groups, 5)), np.repeat(np.arange(groups), 3))
    assert np.isfinite(intervals.quantile(0.9)).all() == there
    low, high = intervals.around(np.full(5, 0.5), 0.9)
    assert np.isnan(high).all() != there
    if there:
        np.testing.assert_allclose([low[0], high[0]], [0, 0.5 + spread_g(np.full(5, 0.5), np.ones(5))[0]])


def test_a_large_group_weighs_no_more_than_a_small_one():
    residual = np.concatenate([np.full((90, 5), 100.0), np.ones((9, 5))])
    group = np.concatenate([np.zeros(90, int), np.arange(1, 10)])
    assert (flat(residual, group).quantile(0.7) == 1).all()


def test_a_photo_without_a_weight_of_a_target_counts_for_the_other_targets():
    rng = np.random.default_rng(0)
    ratio, group = rng.exponential(1, (40, 5)), np.arange(40) // 2
    ratio[:10, 2] = np.nan
    ratio[:, 4] = np.nan
    quantile = flat(ratio, group).quantile(0.8)
    assert quantile[2] == group_quantile(ratio[10:, 2], group[10:], 0.8)
    assert quantile[0] == group_quantile(ratio[:, 0], group, 0.8)
    assert np.isnan(quantile[4])


@given(st.integers(0, 2**31 - 1), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_intervals_are_nested_hold_the_estimate_and_stay_above_0(seed, one, two):
    rng = np.random.default_rng(seed)
    intervals = flat(rng.exponential(5, (40, 5)), rng.integers(0, 20, 40))
    grams = rng.uniform(0, 40, 5)
    bounds = [intervals.around(grams, level) for level in sorted([one, two])]
    (low, high), (wider_low, wider_high) = bounds
    if np.isfinite(wider_high).all():
        assert (wider_low >= 0).all()
        assert (wider_low <= low).all()
        assert (low <= grams).all()
        assert (grams <= high).all()
        assert (high <= wider_high).all()


def drawn_groups(rng, groups, photos=4):
    """Weighed and estimated grams whose error grows with the estimate, shared by the photos of a group in part."""
    estimated = rng.uniform(1, 60, (groups * photos, 5))
    error = np.repeat(rng.normal(0, 0.15, (groups, 5)), photos, axis=0) + rng.normal(0, 0.1, estimated.shape)
    return np.maximum(estimated + error * (estimated + 10), 0), estimated, np.repeat(np.arange(groups), photos)


def test_coverage_over_new_groups_is_at_least_the_level():
    """Over many draws a photo of a new group is covered at least as often as the level, and not much more often."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(600):
        weighed, estimated, group = drawn_groups(rng, 16)
        intervals = Intervals.fit(weighed[:60], estimated[:60], group[:60])
        low, high = intervals.around(estimated[60], 0.8)
        covered.append((low <= weighed[60]) & (weighed[60] <= high))
    assert 0.78 <= np.mean(covered) <= 0.9


def test_measured_coverage_leaves_each_group_out_by_hand():
    weighed, estimated, group = drawn_groups(np.random.default_rng(2), 15)
    measured = coverage(weighed, estimated, group, 0.8)
    inside, widths = [], []
    for own in range(15):
        rest = group != own
        spread = estimated + weighed[rest].mean(0)
        ratio = (np.abs(weighed - estimated) / spread)[rest]
        # 14 groups of 4 photos, each photo a quarter: the mass needed is 0.8 of 15 groups.
        quantile = np.sort(ratio, axis=0)[int(np.ceil(0.8 * 15 * 4)) - 1]
        inside.append((np.abs(weighed - estimated)[~rest] <= (quantile * spread)[~rest]).mean(0))
        low = np.maximum(estimated - quantile * spread, 0)
        widths.append((estimated + quantile * spread - low)[~rest].mean(0))
    np.testing.assert_allclose(measured.share, np.mean(inside, axis=0))
    np.testing.assert_allclose(measured.width_g, np.mean(widths, axis=0))
    assert coverage(weighed[:32], estimated[:32], group[:32], 0.9) is None


def test_where_the_estimate_is_larger_the_interval_is_wider():
    weighed, estimated, group = drawn_groups(np.random.default_rng(3), 20)
    intervals = Intervals.fit(weighed, estimated, group)
    low, high = intervals.around(np.array([[5.0] * 5, [50.0] * 5]), 0.8)
    assert ((high - low)[1] > (high - low)[0]).all()


@pytest.mark.parametrize(
    ("groups", "level", "there"), [(10, 0.9, True), (9, 0.9, False), (5, 0.8, True), (4, 0.8, False)]
)
def test_coverage_can_be_measured_where_one_group_may_be_left_out(groups, level, there):
    weighed, estimated, group = drawn_groups(np.random.default_rng(4), groups)
    measured = coverage(weighed, estimated, group, level)
    assert (measured is not None) == there
    if measured is not None:
        assert np.isfinite(measured.width_g).all()
        assert ((measured.share >= 0) & (measured.share <= 1)).all()


def test_a_target_that_is_always_0_has_an_interval_close_to_0():
    intervals = Intervals.fit(np.zeros((20, 5)), np.zeros((20, 5)), np.arange(20))
    low, high = intervals.around(np.zeros(5), 0.9)
    assert (low == 0).all()
    assert (high < 1e-5).all()
    assert (spread_g(np.zeros(5), np.zeros(5)) > 0).all()


def test_the_quantile_steps_from_one_residual_to_the_next_at_whole_shares():
    """Nine groups of one photo: level k / 10 needs exactly k of them."""
    values, group = np.arange(1.0, 10), np.arange(9)
    assert [group_quantile(values, group, k / 10) for k in range(1, 10)] == list(range(1, 10))
    assert group_quantile(values, group, 0.301) == 4
    assert np.isnan(group_quantile(values, group, 0.901))
