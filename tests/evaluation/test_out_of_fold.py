import numpy as np
import pandas as pd
import pytest
import torch

from herbage.errors import FoldLeak
from herbage.evaluation.folds import make_folds
from herbage.evaluation.out_of_fold import OutOfFold, fit_out_of_fold
from herbage.heads.ridge import RidgeHeads
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import load_recipe
from tests.evaluation.test_folds import frame_of, leaky


def test_a_planted_leak_is_refused_before_anything_is_trained(monkeypatch):
    tokens = [torch.randn(1, 4, 3) for _ in range(8)]
    grams = np.random.default_rng(0).uniform(0, 9, (8, 5))
    trained = []
    monkeypatch.setattr(RidgeHeads, "fit", lambda *a, **k: trained.append(1))
    recipe = load_recipe("field")
    with pytest.raises(FoldLeak, match="group b is in fold 1 and in fold 0"):
        fit_out_of_fold(recipe, TrainingData(tokens, grams, leaky(True), list("abcdefgh")), FitOptions())
    with pytest.raises(FoldLeak, match="photo with sha256 a is in fold 0 and in fold 1"):
        fit_out_of_fold(recipe, TrainingData(tokens, grams, leaky(False), list("abacdefg")), FitOptions())
    assert not trained


def test_out_of_fold_estimates_come_from_heads_trained_without_the_photo():
    """Random grams: heads can memorise them in fold, and cannot know them out of fold."""
    rng = np.random.default_rng(0)
    tokens = [torch.from_numpy(t).float() for t in rng.normal(size=(40, 1, 2, 60))]
    grams = rng.uniform(10, 90, (40, 5))
    recipe = load_recipe("field").model_copy(update={"balance": False})
    recipe = recipe.model_copy(update={"ridge": recipe.ridge.model_copy(update={"alphas": (1e-6,)})})
    folds = make_folds(frame_of(range(40)), grams)
    data = TrainingData(tokens, grams, folds, [str(n) for n in range(40)])
    heads, oof = fit_out_of_fold(recipe, data, FitOptions())
    in_fold = np.stack([heads.fold_grams(t)[:, (f + 1) % 5].numpy() for t, f in zip(tokens, folds.fold, strict=True)])
    assert np.corrcoef(in_fold[:, 3], grams[:, 3])[0, 1] > 0.99
    assert abs(np.corrcoef(oof[:, 3], grams[:, 3])[0, 1]) < 0.5


def test_the_table_is_the_same_in_memory_and_read_from_its_file(tmp_path):
    rng = np.random.default_rng(1)
    frame = frame_of([n // 4 for n in range(20)], ["NA", "01", "", "null"] * 5)
    grams = rng.uniform(0, 90, (20, 5))
    grams[:, 2] = np.nan
    folds = make_folds(frame, np.nan_to_num(grams), count=2)
    oof = OutOfFold.of(frame, TrainingData([], grams, folds), rng.uniform(0, 90, (20, 5)))
    (tmp_path / "oof.csv").write_text(oof.csv(), "utf-8")
    again = OutOfFold.read(tmp_path / "oof.csv")
    pd.testing.assert_frame_equal(again.frame(), oof.frame(), check_exact=True)
    np.testing.assert_array_equal(oof.group_index, folds.group)
    assert oof.known == (True, True, False, True, True)
    assert oof.weighed_g.mean(0).tobytes() == again.weighed_g.mean(0).tobytes()
