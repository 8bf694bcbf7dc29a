import numpy as np
import pytest
import torch

from herbage.errors import FoldLeak
from herbage.evaluation.folds import make_folds
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.recipe import load_recipe
from tests.evaluation.test_folds import frame_of, leaky


def test_a_planted_leak_is_refused_before_anything_is_trained(monkeypatch):
    tokens = [torch.randn(1, 4, 3) for _ in range(8)]
    grams = np.random.default_rng(0).uniform(0, 9, (8, 5))
    trained = []
    monkeypatch.setattr("herbage.evaluation.out_of_fold.fit_heads", lambda *a, **k: trained.append(1))
    recipe = load_recipe("field")
    with pytest.raises(FoldLeak, match="group b is in fold 1 and in fold 0"):
        fit_out_of_fold(recipe, tokens, grams, leaky(True), list("abcdefgh"), 0)
    with pytest.raises(FoldLeak, match="photo with sha256 a is in fold 0 and in fold 1"):
        fit_out_of_fold(recipe, tokens, grams, leaky(False), list("abacdefg")[:2] + list("acdefg"), 0)
    assert not trained


def test_out_of_fold_estimates_come_from_heads_that_never_saw_the_photo():
    """Grams that only memory could know: in fold they are learnt by heart, out of fold they cannot be."""
    rng = np.random.default_rng(0)
    tokens = [torch.from_numpy(t).float() for t in rng.normal(size=(40, 1, 2, 60))]
    grams = rng.uniform(10, 90, (40, 5))
    recipe = load_recipe("field").model_copy(update={"balance": False})
    recipe = recipe.model_copy(update={"ridge": recipe.ridge.model_copy(update={"alphas": (1e-6,)})})
    folds = make_folds(frame_of(range(40)), grams)
    heads, oof = fit_out_of_fold(recipe, tokens, grams, folds, [str(n) for n in range(40)], 0)
    in_fold = np.stack(
        [heads.grams(t)[:, (f + 1) % 5].mean(-1).numpy() for t, f in zip(tokens, folds.fold, strict=True)]
    )
    assert np.corrcoef(in_fold[:, 3], grams[:, 3])[0, 1] > 0.99
    assert abs(np.corrcoef(oof[:, 3], grams[:, 3])[0, 1]) < 0.5
