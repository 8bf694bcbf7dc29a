import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from herbage.backbones.texture import NAMES
from herbage.heads.ridge import RidgeHeads, choose_alpha
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import RidgeSettings, load_recipe

RNG = np.random.default_rng(0)
TOKENS = [torch.from_numpy(t).half() for t in RNG.normal(size=(20, 2, 6, 8)) * np.arange(1, 9)]
MEANS = np.stack([t.double().mean((0, 1)).numpy() for t in TOKENS])
GRAMS = MEANS @ RNG.normal(size=(8, 5)) + 0.3 * RNG.normal(size=(20, 5)) + 20
GROUPS = np.arange(20) // 2
FOLDS = GROUPS % 4


def fit(tokens, grams, settings, heterogeneity=False):
    """Heads fitted to these photos with settings of a recipe."""
    recipe = load_recipe("field").model_copy(update={"ridge": settings, "heterogeneity": heterogeneity})
    return RidgeHeads.fit(TrainingData(tokens, grams, Folds.of(FOLDS, GROUPS)), recipe, FitOptions())


def test_it_is_scikit_learns_ridge_on_standardised_mean_tokens():
    heads = fit(TOKENS, GRAMS, RidgeSettings(alphas=(7.0,)))
    for fold in range(4):
        model = make_pipeline(StandardScaler(), Ridge(alpha=7.0)).fit(MEANS[fold != FOLDS], GRAMS[fold != FOLDS])
        ours = np.stack([heads.grams(t)[:, fold].mean(-1).numpy() for t in TOKENS])
        np.testing.assert_allclose(ours, model.predict(MEANS), rtol=1e-4)


def test_the_map_averages_to_the_estimate():
    heads = fit(TOKENS, GRAMS, RidgeSettings())
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


def test_constant_targets_and_constant_dimensions_do_no_harm():
    tokens = [t.clone() for t in TOKENS]
    for t in tokens:
        t[..., 0] = 4.0
    grams = GRAMS.copy()
    grams[:, 1] = 0.0
    heads = fit(tokens, grams, RidgeSettings())
    assert heads.coefficient.isfinite().all()
    torch.testing.assert_close(heads.grams(tokens[0])[1], torch.zeros(4, 2), atol=1e-5, rtol=0)


def test_dimensions_that_are_not_the_backbones_count_as_the_settings_say():
    """Scaled by hand and fitted by scikit-learn: extra dimensions that together weigh half of the backbone's 5."""
    extra = len(NAMES)
    tokens = [torch.from_numpy(t).half() for t in RNG.normal(size=(20, 2, 6, 5 + extra))]
    means = np.stack([t.double().mean((0, 1)).numpy() for t in tokens])
    settings = RidgeSettings(alphas=(7.0,), heterogeneity_weight=0.5)
    heads = fit(tokens, GRAMS, settings, heterogeneity=True)
    scale = np.array([1.0] * 5 + [np.sqrt(0.5 * 5 / extra)] * extra)
    for fold in range(4):
        scaler = StandardScaler().fit(means[fold != FOLDS])
        model = Ridge(alpha=7.0).fit(scaler.transform(means[fold != FOLDS]) * scale, GRAMS[fold != FOLDS])
        ours = np.stack([heads.grams(t)[:, fold].mean(-1).numpy() for t in tokens])
        np.testing.assert_allclose(ours, model.predict(scaler.transform(means) * scale), rtol=1e-4)


def test_heads_of_unknown_targets_estimate_nan():
    grams = GRAMS.copy()
    grams[:, 2] = np.nan
    estimated = fit(TOKENS, grams, RidgeSettings()).grams(TOKENS[0])
    assert estimated[2].isnan().all()
    assert estimated[[0, 1, 3, 4]].isfinite().all()
