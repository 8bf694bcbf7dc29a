import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from herbage.heads.ridge import RidgeHeads, choose_alpha
from herbage.recipe import RidgeSettings

RNG = np.random.default_rng(0)
TOKENS = [torch.from_numpy(t).half() for t in RNG.normal(size=(20, 2, 6, 8)) * np.arange(1, 9)]
MEANS = np.stack([t.double().mean((0, 1)).numpy() for t in TOKENS])
GRAMS = MEANS @ RNG.normal(size=(8, 5)) + 0.3 * RNG.normal(size=(20, 5)) + 20
GROUPS = np.arange(20) // 2
FOLDS = GROUPS % 4


def test_it_is_scikit_learns_ridge_on_standardised_mean_tokens():
    heads = RidgeHeads.fit(TOKENS, GRAMS, FOLDS, GROUPS, RidgeSettings(alphas=(7.0,)))
    for fold in range(4):
        model = make_pipeline(StandardScaler(), Ridge(alpha=7.0)).fit(MEANS[fold != FOLDS], GRAMS[fold != FOLDS])
        ours = np.stack([heads.grams(t)[:, fold].mean(-1).numpy() for t in TOKENS])
        np.testing.assert_allclose(ours, model.predict(MEANS), rtol=1e-4)


def test_the_map_averages_to_the_estimate():
    heads = RidgeHeads.fit(TOKENS, GRAMS, FOLDS, GROUPS, RidgeSettings())
    torch.testing.assert_close(heads.density(TOKENS[3]).mean(-1), heads.grams(TOKENS[3]), rtol=1e-5, atol=1e-4)
    assert heads.density(TOKENS[3]).shape == (5, 4, 2, 6)


def test_the_penalty_follows_the_noise():
    inner = MEANS - MEANS.mean(0)
    clean = inner @ np.ones((8, 5))
    noise = RNG.normal(size=(20, 5)) * 50
    assert choose_alpha(inner, clean, GROUPS, (0.01, 1.0, 1e4)) == 0.01
    assert choose_alpha(inner, noise, GROUPS, (0.01, 1.0, 1e4)) == 1e4


def test_the_penalty_is_chosen_by_whole_groups():
    """Photos of a group are copies: splitting groups would call no penalty best, keeping them whole sees the noise."""
    vectors = np.repeat(RNG.normal(size=(10, 30)), 2, axis=0)
    grams = np.repeat(RNG.normal(size=(10, 5)), 2, axis=0)
    assert choose_alpha(vectors, grams, np.arange(20), (1e-3, 1e4)) == 1e-3
    assert choose_alpha(vectors, grams, np.arange(20) // 2, (1e-3, 1e4)) == 1e4


def test_a_lone_group_takes_the_middle_penalty():
    assert choose_alpha(MEANS, GRAMS, np.zeros(20, int), (1.0, 10.0, 100.0)) == 10.0


def test_constant_targets_and_constant_numbers_do_no_harm():
    tokens = [t.clone() for t in TOKENS]
    for t in tokens:
        t[..., 0] = 4.0
    grams = GRAMS.copy()
    grams[:, 1] = 0.0
    heads = RidgeHeads.fit(tokens, grams, FOLDS, GROUPS, RidgeSettings())
    assert heads.coefficient.isfinite().all()
    torch.testing.assert_close(heads.grams(tokens[0])[1], torch.zeros(4, 2), atol=1e-5, rtol=0)


def test_the_numbers_beside_count_as_the_settings_say():
    """Scaled by hand and fitted by scikit-learn: 3 numbers that together weigh half of the other 5."""
    settings = RidgeSettings(alphas=(7.0,), heterogeneity_weight=0.5)
    heads = RidgeHeads.fit(TOKENS, GRAMS, FOLDS, GROUPS, settings, beside=3)
    share = np.array([1.0] * 5 + [np.sqrt(0.5 * 5 / 3)] * 3)
    for fold in range(4):
        scaler = StandardScaler().fit(MEANS[fold != FOLDS])
        model = Ridge(alpha=7.0).fit(scaler.transform(MEANS[fold != FOLDS]) * share, GRAMS[fold != FOLDS])
        ours = np.stack([heads.grams(t)[:, fold].mean(-1).numpy() for t in TOKENS])
        np.testing.assert_allclose(ours, model.predict(scaler.transform(MEANS) * share), rtol=1e-4)
