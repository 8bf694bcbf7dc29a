import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from herbage.evaluation.scoring import score_estimates, weighted_r2
from herbage.targets import SCORE_WEIGHTS, TARGETS

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0, 90, (30, 5))
GUESS = TRUTH + RNG.normal(0, 15, (30, 5))


@given(st.integers(0, 2**31 - 1), st.integers(2, 40))
def test_it_is_scikit_learns_weighted_r2_over_all_rows(seed, photos):
    rng = np.random.default_rng(seed)
    truth, guess = rng.uniform(0, 90, (photos, 5)), rng.uniform(0, 90, (photos, 5))
    weights = np.tile(SCORE_WEIGHTS, photos)
    assert weighted_r2(truth, guess) == pytest.approx(r2_score(truth.ravel(), guess.ravel(), sample_weight=weights))


def test_by_hand():
    """One photo: grams 1, 2, 3, 4, 5 all estimated as 3."""
    truth, guess = np.array([[1.0, 2, 3, 4, 5]]), np.full((1, 5), 3.0)
    mean = 0.1 * 1 + 0.1 * 2 + 0.1 * 3 + 0.5 * 4 + 0.2 * 5
    residual = 0.1 * 4 + 0.1 * 1 + 0.1 * 0 + 0.5 * 1 + 0.2 * 4
    total = sum(w * (y - mean) ** 2 for w, y in zip([0.1, 0.1, 0.1, 0.5, 0.2], [1, 2, 3, 4, 5], strict=True))
    assert weighted_r2(truth, guess) == pytest.approx(1 - residual / total)


def test_each_targets_mean_scores_above_0():
    assert weighted_r2(TRUTH * np.arange(1, 6), np.broadcast_to((TRUTH * np.arange(1, 6)).mean(0), (30, 5))) > 0.2


def test_figures_of_each_target_are_scikit_learns():
    score = score_estimates(TRUTH, GUESS)
    for t, name in enumerate(TARGETS):
        own = score.targets[name]
        assert own.r2 == pytest.approx(r2_score(TRUTH[:, t], GUESS[:, t]))
        assert own.rmse_g == pytest.approx(root_mean_squared_error(TRUTH[:, t], GUESS[:, t]))
        assert own.mae_g == pytest.approx(mean_absolute_error(TRUTH[:, t], GUESS[:, t]))
        assert own.bias_g == pytest.approx(GUESS[:, t].mean() - TRUTH[:, t].mean())


def test_what_never_varies_has_no_r2_and_no_division_by_zero():
    truth = TRUTH.copy()
    truth[:, 1] = 0
    assert np.isnan(score_estimates(truth, GUESS).targets["Dry_Dead_g"].r2)
    assert np.isnan(weighted_r2(np.zeros((3, 5)), np.zeros((3, 5))))


def test_weights_that_vary_by_little_are_scored_as_any_others():
    small = score_estimates(TRUTH / 1e4, GUESS / 1e4)
    assert small.weighted_r2 == pytest.approx(weighted_r2(TRUTH, GUESS))
    assert small.targets["Dry_Dead_g"].r2 == pytest.approx(r2_score(TRUTH[:, 1], GUESS[:, 1]))
