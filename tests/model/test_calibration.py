import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import TableInvalid
from herbage.model.calibration import (
    COMMON,
    SPREAD,
    Correction,
    Errors,
    calibrate_intervals,
    fit_correction,
    parts,
    posterior_correction,
)
from herbage.model.intervals import Intervals, spread_g
from herbage.targets import SUMS, TARGETS

ALL = (True,) * 5


def drawn(rng, count, slope=1.0, offset=0.0, noise=1.0):
    """Balanced estimates, and weights that are a linear function of them, part by part, with noise."""
    estimated = rng.uniform(2, 40, (count, 3))
    weighed = np.maximum(estimated * slope + offset + rng.normal(0, noise, estimated.shape), 0)
    return weighed @ SUMS.T, estimated @ SUMS.T


def places(rng, groups=20, slope=0.3, offset=2.0, noise=1.0):
    every = [drawn(rng, 6, 1 + rng.normal(0, slope, 3), rng.normal(0, offset, 3), noise) for _ in range(groups)]
    weighed, estimated = (np.concatenate(of) for of in zip(*every, strict=True))
    return weighed, estimated, np.repeat(np.arange(groups), 6)


ERRORS = Errors(np.full(3, 2.0), np.full(3, 10.0))


@pytest.mark.parametrize(("known", "own"), [
    (ALL, [0, 1, 2]), ((False, False, False, True, False), [3]), ((False, True, False, True, True), [1, 4]),
    ((True, False, True, False, True), [0, 2]), ((True, False, False, True, False), [0, 3]),
])  # fmt: skip
def test_every_known_target_is_a_sum_of_parts(known, own):
    found, sums = parts(known)
    assert found == own
    grams = SUMS @ np.array([3.0, 5.0, 11.0])
    np.testing.assert_allclose((grams[found] @ sums.T)[list(known)], grams[list(known)])
    assert (sums[[not one for one in known]] == 0).all()


@pytest.mark.parametrize("total_alone", [False, True])
def test_the_posterior_equals_the_textbook_formula_with_full_covariance_matrices(total_alone):
    """One equation per weight, in the form that conditions a joint normal, instead of adding precisions."""
    rng = np.random.default_rng(0)
    weighed, estimated = drawn(rng, 5, 1.3, 2.0)
    observed = SUMS[3:4] if total_alone else np.eye(3)
    if total_alone:
        weighed[:, [0, 1, 2, 4]] = np.nan
    rows = [observed @ np.concatenate([np.diag(e), 10 * np.eye(3)], 1) for e in estimated[:, :3]]
    design, truth = np.concatenate(rows), (weighed - estimated)[:, [3] if total_alone else [0, 1, 2]].ravel()
    alike = np.full((3, 3), COMMON) + (1 - COMMON) * np.eye(3)
    prior = SPREAD**2 * np.block([[alike, np.zeros((3, 3))], [np.zeros((3, 3)), alike]])
    noise = np.kron(np.eye(5), observed @ (4 * np.eye(3)) @ observed.T)
    moved = prior @ design.T @ np.linalg.solve(design @ prior @ design.T + noise, truth)
    ours = posterior_correction(weighed, estimated, ERRORS)
    np.testing.assert_allclose([*(ours.slope - 1), *(ours.offset_g / 10)], moved)


def test_the_total_alone_corrects_the_total():
    rng = np.random.default_rng(1)
    weighed, estimated = drawn(rng, 12, 1.4, 0.0, noise=0.5)
    weighed[:, [0, 1, 2, 4]] = np.nan
    ours = posterior_correction(weighed, estimated, ERRORS)
    assert (ours.slope > 1.1).all()
    before, after = (np.abs(of[:, 3] - weighed[:, 3]).mean() for of in (estimated, ours.apply(estimated)))
    assert after < 0.3 * before


@given(st.integers(0, 2**31 - 1), st.integers(1, 8))
def test_corrected_weights_add_up_and_are_at_least_0(seed, count):
    rng = np.random.default_rng(seed)
    _, estimated = drawn(rng, count)
    clover, dead, green, total, gdm = Correction(rng.normal(1, 1, 3), rng.normal(0, 20, 3)).apply(estimated).T
    assert min(clover.min(), dead.min(), green.min()) >= 0
    np.testing.assert_allclose([total, gdm], [clover + dead + green, clover + green], atol=1e-9)


def test_few_cuts_change_a_model_less_than_many():
    rng = np.random.default_rng(2)
    weighed, estimated = drawn(rng, 50, 1.5, 0.0)
    few, many = (posterior_correction(weighed[:n], estimated[:n], ERRORS).slope for n in (1, 50))
    assert (np.abs(few - 1) < np.abs(many - 1)).all()
    np.testing.assert_allclose(many, 1.5, atol=0.1)


def test_three_cuts_cannot_harm_a_correct_model():
    rng = np.random.default_rng(4)
    errors = Errors(np.full(3, 4.0), np.full(3, 20.0))
    harm = []
    for _ in range(60):
        weighed, estimated = drawn(rng, 3, noise=4.0)
        truth, new = drawn(rng, 40, noise=4.0)
        corrected = fit_correction(weighed, estimated, errors).correction.apply(new)
        harm.append(((corrected - truth) ** 2).mean() / ((new - truth) ** 2).mean())
    assert np.mean(harm) < 1.25, harm
    assert max(harm) < 2.5


def test_ten_cuts_correct_a_model_for_a_different_place():
    rng = np.random.default_rng(5)
    errors = Errors(np.full(3, 4.0), np.full(3, 20.0))
    weighed, estimated = drawn(rng, 10, slope=1.5, offset=3)
    calibration = fit_correction(weighed, estimated, errors)
    assert calibration.kind != "none"
    assert calibration.loss[calibration.kind] < 0.3 * calibration.loss["none"]
    truth, new = drawn(rng, 50, slope=1.5, offset=3)
    assert ((calibration.correction.apply(new) - truth) ** 2).mean() < 0.2 * ((new - truth) ** 2).mean()


def test_two_cuts_are_too_few():
    with pytest.raises(TableInvalid, match="2 cuts are too few"):
        fit_correction(*drawn(np.random.default_rng(0), 2), ERRORS)


def test_intervals_come_from_the_widened_source_below_nine_cuts_and_from_the_cuts_from_nine_on():
    rng = np.random.default_rng(6)
    source = Intervals.fit(*places(rng))
    for count in (8, 9):
        weighed, estimated = drawn(rng, count, noise=12.0)
        weighed[:, [0, 1, 2, 4]] = np.nan
        calibration = fit_correction(weighed, estimated, ERRORS)
        intervals, widened = calibrate_intervals(source, weighed, calibration)
        assert widened > 1
        total = TARGETS.index("Dry_Total_g")
        ours, theirs = intervals.quantile(0.8), source.quantile(0.8)
        np.testing.assert_allclose(np.delete(ours, total), np.delete(theirs, total) * widened)
        if count == 8:
            assert ours[total] == pytest.approx(theirs[total] * widened)
        else:
            error = np.abs(calibration.residual_g[:, total])
            own = error / spread_g(weighed - calibration.residual_g, source.unit_g)[:, total]
            assert ours[total] == np.sort(own)[int(np.ceil(0.8 * 10)) - 1]
