import numpy as np
import pytest
from scipy import stats

from herbage.model.outlying_cuts import ALARMS, DEGREES, OFFSET, find_outlying_cuts
from herbage.targets import SUMS, TOTAL

ERROR = 0.12
"""The relative error of the model below."""


def photos(rng, count, error=ERROR, bias=1.0):
    """Weighed and estimated grams of all targets; the weighed ones are `bias` times the estimates, with an error."""
    estimated = rng.uniform(3, 25, (count, 3))
    weighed = estimated * bias * np.exp(rng.normal(0, error, (count, 1)))
    return weighed @ SUMS.T, estimated @ SUMS.T


@pytest.fixture(scope="module")
def oof():
    return photos(np.random.default_rng(0), 80)


def total_alone(weighed):
    alone = np.full_like(weighed, np.nan)
    alone[:, TOTAL] = weighed[:, TOTAL]
    return alone


def rows(found):
    return [cut.row for cut in found]


@pytest.mark.parametrize("count", [3, 4, 10, 25])
@pytest.mark.parametrize("factor", [10, 0.1])
@pytest.mark.parametrize("only_total", [True, False])
def test_a_slip_of_the_decimal_point_is_named_with_the_weights_to_expect(oof, count, factor, only_total):
    rng = np.random.default_rng(count)
    for _ in range(3):
        weighed, estimated = photos(rng, count)
        right = weighed[1, TOTAL]
        weighed[1] *= factor
        found = find_outlying_cuts(total_alone(weighed) if only_total else weighed, estimated, *oof)
        assert rows(found) == [1]
        assert found[0].weighed_g == pytest.approx(right * factor)
        assert found[0].low_g < right < found[0].high_g
        assert found[0].would_fit(right)
        assert not found[0].would_fit(right * factor)


@pytest.mark.parametrize("count", [10, 30])
def test_exchanged_weights_of_a_light_and_a_heavy_cut_are_named(oof, count):
    weighed, estimated = photos(np.random.default_rng(1), count)
    estimated[:2] *= [[15 / estimated[0, TOTAL]], [60 / estimated[1, TOTAL]]]
    weighed[:2] = estimated[[1, 0]]
    light, heavy = find_outlying_cuts(total_alone(weighed), estimated, *oof)
    assert (light.row, heavy.row) == (0, 1)
    assert light.would_fit(heavy.weighed_g)
    assert heavy.would_fit(light.weighed_g)


@pytest.mark.parametrize("count", [3, 5, 12])
@pytest.mark.parametrize("bias", [1.0, 1.6, 0.6])
def test_plain_cuts_of_the_same_and_of_another_place_have_at_most_the_stated_share_of_alarms(oof, count, bias):
    rng = np.random.default_rng(count)
    alarms = sum(
        bool(find_outlying_cuts(total_alone(weighed), estimated, *oof))
        for weighed, estimated in (photos(rng, count, bias=bias) for _ in range(60))
    )
    assert alarms <= stats.binom.isf(0.01, 60, ALARMS)


def test_the_range_agrees_with_plain_arithmetic_where_many_cuts_leave_no_correction(oof):
    _, estimated = photos(np.random.default_rng(3), 150)
    weighed = estimated.copy()
    weighed[7] *= 10
    (cut,) = find_outlying_cuts(total_alone(weighed), estimated, *oof)
    shift = OFFSET * oof[0][:, TOTAL].mean()
    of_model = [np.log(of[:, TOTAL] + shift) for of in oof]
    error = np.sqrt(((of_model[0] - of_model[1]) ** 2).mean())
    reach = stats.t.isf(ALARMS / 2 / 150, DEGREES) * error
    expected = (estimated[7, TOTAL] + shift) * np.exp([-reach, reach]) - shift
    np.testing.assert_allclose([cut.low_g, cut.high_g], expected, rtol=0.02)


def test_bare_ground_and_weights_of_0_are_no_error(oof):
    weighed, estimated = photos(np.random.default_rng(4), 6)
    weighed[0], estimated[0] = 0, 0
    assert find_outlying_cuts(total_alone(weighed), estimated, *oof) == []
