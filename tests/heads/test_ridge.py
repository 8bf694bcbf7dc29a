import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from herbage.heads.measured import append_measured
from herbage.heads.ridge import MEASURED_WEIGHT, RidgeHeads, choose_alpha, ridge_path
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import RidgeSettings, load_recipe

RNG = np.random.default_rng(0)
TOKENS = [torch.from_numpy(t).half() for t in RNG.normal(size=(20, 2, 16, 8)) * np.arange(1, 9)]
VIEWS = np.stack([t.double().mean(1).numpy() for t in TOKENS])
SAMPLES = VIEWS.reshape(40, 8)
GRAMS = (VIEWS.mean(1) @ RNG.normal(size=(8, 5)) + 0.3 * RNG.normal(size=(20, 5)) + 20).clip(0)
GROUPS = np.arange(20) // 2
FOLDS = GROUPS % 4
LINEAR = RidgeSettings(alphas=(7.0,), link="linear")
ROOT = RidgeSettings(alphas=(7.0,))


def recipe_of(settings, **changes):
    changes = {"crops": "whole", "grid": 4, "views": 2, "predict_views": None, **changes}
    return load_recipe("field").model_copy(update={"ridge": settings, **changes})


def fit(tokens, grams, settings, **changes):
    """Heads fitted to these photos with settings of a recipe."""
    data = TrainingData(tokens, grams, Folds.of(FOLDS, GROUPS))
    return RidgeHeads.fit(data, recipe_of(settings, **changes), FitOptions())


def test_it_is_scikit_learns_ridge_with_each_view_as_a_sample():
    """One head per fold without its photos, and the delivered one, which is fitted to all photos."""
    heads = fit(TOKENS, GRAMS, LINEAR)
    for fold in range(5):
        own = np.repeat(fold != FOLDS, 2)
        model = make_pipeline(StandardScaler(), Ridge(alpha=7.0)).fit(SAMPLES[own], np.repeat(GRAMS, 2, 0)[own])
        plain = model.predict(VIEWS.mean(1))
        ours = [heads.grams(t) if fold == 4 else heads.fold_grams(t)[:, fold] for t in TOKENS]
        np.testing.assert_allclose(np.stack(ours), plain, rtol=1e-4)


def test_the_square_root_of_grams_is_linear():
    heads = fit(TOKENS, GRAMS, ROOT)
    model = make_pipeline(StandardScaler(), Ridge(alpha=7.0)).fit(SAMPLES, np.repeat(np.sqrt(GRAMS), 2, 0))
    z = model.predict(VIEWS.mean(1))
    np.testing.assert_allclose(np.stack([heads.grams(t) for t in TOKENS]), np.maximum(z, 0) ** 2, rtol=1e-3)


def test_a_photo_below_0_in_the_square_root_weighs_nothing():
    heads = fit(TOKENS, GRAMS, ROOT)
    heads.intercept -= 1000
    assert (heads.grams(TOKENS[0]) == 0).all()
    assert (heads.density(TOKENS[0]) == 0).all()


@pytest.mark.parametrize(("samples", "width"), [(30, 8), (8, 30)])
def test_the_path_is_scikit_learns_ridge_for_every_penalty(samples, width):
    vectors, goal = RNG.normal(size=(samples, width)), RNG.normal(size=(samples, 5))
    alphas = (0.1, 3.0, 1e4)
    coefficient, intercept = ridge_path(vectors, goal, alphas)
    for number, alpha in enumerate(alphas):
        plain = Ridge(alpha=alpha).fit(vectors, goal)
        np.testing.assert_allclose(coefficient[number], plain.coef_.T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(intercept[number], plain.intercept_, rtol=1e-6, atol=1e-9)


def test_maps_of_the_training_photos_have_nothing_in_common_at_a_place():
    """A backbone that adds the same to a place in every photo: estimates have it, and maps do not."""
    place = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 16, 8))).half()
    tokens = [t + 20 * place for t in TOKENS]
    heads = fit(tokens, GRAMS, LINEAR, grid=4)
    z = torch.stack([torch.einsum("vpw,tw->tvp", t.float(), heads.coefficient[:, -1]) for t in tokens])
    assert (z - z.mean(-1, keepdim=True)).mean(0).abs().max() > 1
    left = z - heads.common
    assert (left - left.mean(-1, keepdim=True)).mean(0).abs().max() < 1e-2
    assert heads.common.mean(-1).abs().max() < 1e-4


def test_without_what_is_common_the_map_is_the_estimate_of_every_patch():
    heads = fit(TOKENS, GRAMS, LINEAR)
    heads.common.zero_()
    density = heads.density(TOKENS[3])
    torch.testing.assert_close(density.mean(-1), heads.grams(TOKENS[3]), rtol=1e-4, atol=1e-3)
    alone = TOKENS[3][:, 2:3].float()
    torch.testing.assert_close(density[:, 2], heads.grams(alone), rtol=1e-4, atol=1e-3)


def test_the_estimate_does_not_depend_on_what_is_common():
    heads = fit(TOKENS, GRAMS, ROOT)
    before = heads.grams(TOKENS[3]), heads.density(TOKENS[3])
    heads.common += torch.linspace(-1, 1, 16)
    assert torch.equal(heads.grams(TOKENS[3]), before[0])
    assert not torch.equal(heads.density(TOKENS[3]), before[1])


def test_fewer_views_are_the_first_ones():
    heads = fit(TOKENS, GRAMS, LINEAR)
    plain = TOKENS[0][:1].float().mean((0, 1)) @ heads.coefficient[:, -1].T + heads.intercept[:, -1]
    torch.testing.assert_close(heads.grams(TOKENS[0][:1]), plain.double())


def test_the_penalty_follows_the_noise():
    inner = VIEWS.mean(1) - VIEWS.mean((0, 1))
    clean = inner @ np.ones((8, 5))
    noise = RNG.normal(size=(20, 5)) * 50
    settings = RidgeSettings(alphas=(0.01, 1.0, 1e4), link="linear")
    assert choose_alpha(inner, clean, GROUPS, settings) == 0.01
    assert choose_alpha(inner, noise, GROUPS, settings) == 1e4


def test_the_penalty_is_chosen_by_whole_groups():
    """Photos of a group are copies: splitting groups would call no penalty best, keeping them whole sees the noise."""
    vectors = np.repeat(RNG.normal(size=(10, 30)), 2, axis=0)
    grams = np.repeat(RNG.normal(size=(10, 5)), 2, axis=0)
    settings = RidgeSettings(alphas=(1e-3, 1e4), link="linear")
    assert choose_alpha(vectors, grams, np.arange(20), settings) == 1e-3
    assert choose_alpha(vectors, grams, np.arange(20) // 2, settings) == 1e4


def test_a_lone_group_takes_the_middle_penalty():
    settings = RidgeSettings(alphas=(1.0, 10.0, 100.0))
    assert choose_alpha(SAMPLES, np.repeat(GRAMS, 2, 0), np.zeros(40, int), settings) == 10.0


@pytest.mark.parametrize("settings", [LINEAR, ROOT])
def test_constant_targets_and_constant_dimensions_do_no_harm(settings):
    tokens = [t.clone() for t in TOKENS]
    for t in tokens:
        t[..., 0] = 4.0
    grams = GRAMS.copy()
    grams[:, 1] = 0.0
    heads = fit(tokens, grams, settings)
    assert heads.coefficient.isfinite().all()
    torch.testing.assert_close(heads.grams(tokens[0])[1], torch.zeros(()).double(), atol=1e-5, rtol=0)


def test_a_measured_column_counts_a_twentieth_of_the_backbones_vectors():
    """Scaled by hand and fitted by scikit-learn."""
    inputs = RNG.normal(size=(20, 2)) * (3, 50)
    data = TrainingData(TOKENS, GRAMS, Folds.of(FOLDS, GROUPS)).with_measured(list(range(20)), inputs)
    heads = RidgeHeads.fit(data, recipe_of(LINEAR), FitOptions())
    samples = np.concatenate([SAMPLES, np.repeat(inputs, 2, 0)], 1)
    scale = np.array([1.0] * 8 + [np.sqrt(MEASURED_WEIGHT * 8)] * 2)
    scaler = StandardScaler().fit(samples)
    model = Ridge(alpha=7.0).fit(scaler.transform(samples) * scale, np.repeat(GRAMS, 2, 0))
    plain = model.predict(scaler.transform(np.concatenate([VIEWS.mean(1), inputs], 1)) * scale)
    ours = [heads.grams(append_measured(t, x)) for t, x in zip(TOKENS, inputs, strict=True)]
    np.testing.assert_allclose(np.stack(ours), plain, rtol=1e-4)


def test_heads_of_unknown_targets_estimate_nan():
    grams = GRAMS.copy()
    grams[:, 2] = np.nan
    estimated = fit(TOKENS, grams, RidgeSettings()).grams(TOKENS[0])
    assert estimated[2].isnan().all()
    assert estimated[[0, 1, 3, 4]].isfinite().all()
