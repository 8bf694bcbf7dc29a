import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from herbage.errors import TableInvalid
from herbage.evaluation.baselines import score_floors
from herbage.evaluation.comparison import estimated, paired_difference, plain_average
from herbage.evaluation.folds import make_folds
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


def oof(estimates, fold=None):
    frame = pd.DataFrame({"image_path": [f"{n}" for n in range(30)], "group": np.arange(30) // 3})
    frame["fold"] = np.arange(30) // 3 % 5 if fold is None else fold
    for t, name in enumerate(TARGETS):
        frame[name], frame[f"{name}_estimated"] = TRUTH[:, t], estimates[:, t]
    return frame


def test_the_better_model_is_better_by_an_interval_above_0():
    difference = paired_difference(
        oof(TRUTH + 20 * RNG.normal(size=TRUTH.shape)), oof(TRUTH + RNG.normal(size=TRUTH.shape))
    )
    assert difference.low > 0
    assert difference.low < difference.value < difference.high


def test_a_model_is_no_better_than_itself_in_whatever_order_its_rows_stand():
    shuffled = oof(GUESS).sample(frac=1, random_state=0)
    assert paired_difference(oof(GUESS), shuffled) == (0, 0, 0)


def test_other_photos_or_folds_cannot_be_compared():
    with pytest.raises(TableInvalid, match="30 photos differ in their fold"):
        paired_difference(oof(GUESS), oof(GUESS, fold=(np.arange(30) // 3 + 1) % 5))
    with pytest.raises(TableInvalid, match="1 photos are in one"):
        paired_difference(oof(GUESS), oof(GUESS).iloc[:-1])
    with pytest.raises(TableInvalid, match="different weighed grams"):
        paired_difference(oof(GUESS), oof(GUESS).assign(Dry_Total_g=1.0))


def test_the_plain_average_is_photo_by_photo_whatever_the_order_of_rows():
    shifted = oof(GUESS + 6).sample(frac=1, random_state=0)
    np.testing.assert_allclose(estimated(plain_average([oof(GUESS), shifted, oof(GUESS)])), GUESS + 2)
    with pytest.raises(TableInvalid, match="1 photos are in one"):
        plain_average([oof(GUESS), oof(GUESS).iloc[:-1]])


def test_floors_stand_on_the_same_folds():
    import torch

    frame = pd.DataFrame({"image_path": [str(n) for n in range(30)], "State": "Tas"})
    frame["Sampling_Date"] = np.arange(30) // 3
    frame["Height_Ave_cm"] = TRUTH[:, 3] / 5
    folds = make_folds(frame, TRUTH)
    texture = [torch.from_numpy(t).half() for t in RNG.normal(size=(30, 1, 4, 6))]
    floors = score_floors(frame, TRUTH, folds, [str(n) for n in range(30)], texture)
    assert list(floors) == ["each target's mean", "ridge on texture", "ridge on Height_Ave_cm"]
    by_hand = np.stack([TRUTH[folds.fold != f].mean(0) for f in folds.fold])
    assert floors["each target's mean"].weighted_r2 == pytest.approx(weighted_r2(TRUTH, by_hand))
    assert floors["ridge on Height_Ave_cm"].targets["Dry_Total_g"].r2 > 0.95


def test_weights_that_vary_by_little_are_scored_as_any_others():
    small = score_estimates(TRUTH / 1e4, GUESS / 1e4)
    assert small.weighted_r2 == pytest.approx(weighted_r2(TRUTH, GUESS))
    assert small.targets["Dry_Dead_g"].r2 == pytest.approx(r2_score(TRUTH[:, 1], GUESS[:, 1]))
