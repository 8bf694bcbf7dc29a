import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_val_score

import herbage
from herbage import HeadsRegressor
from herbage.errors import InputInvalid
from herbage.recipe import load_recipe

RECIPE = load_recipe("field").model_copy(update={"grid": 4, "views": 1})


@pytest.fixture(scope="module")
def weighed(weighed_photos):
    names, tokens = herbage.photo_tokens(weighed_photos / "train", recipe=RECIPE, backbone="texture")
    table = pd.read_csv(weighed_photos / "wide.csv").set_index("image_path").loc[[f"train/{name}" for name in names]]
    return tokens, table[list(herbage.TARGETS)].to_numpy(), table["Sampling_Date"].to_numpy()


def test_it_is_scored_by_groups_with_the_tools_of_scikit_learn(weighed):
    tokens, grams, groups = weighed
    asked = {"groups": groups, "cv": GroupKFold(3)}
    regressor = HeadsRegressor(RECIPE, folds=4)
    scores = cross_val_score(regressor, tokens, grams, **asked)
    assert scores.min() > 0.5
    predicted = cross_val_predict(regressor, tokens, grams, **asked)
    assert np.allclose(predicted[:, 3], predicted[:, :3].sum(1)), "balanced, as the recipe says"
    assert clone(regressor).get_params() == {"recipe": RECIPE, "folds": 4, "seed": 0}


def test_it_agrees_with_a_model_of_the_same_folds(weighed, weighed_photos):
    tokens, grams, groups = weighed
    model = herbage.train(weighed_photos / "wide.csv", photos=weighed_photos, recipe=RECIPE, backbone="texture")
    predicted = HeadsRegressor(RECIPE).fit(tokens, grams, groups).predict(tokens)
    own = model.predict(weighed_photos / "train", backbone="texture")[list(herbage.TARGETS)].to_numpy()
    assert np.corrcoef(predicted[:, 3], own[:, 3])[0, 1] > 0.99


def test_wrong_shapes_and_use_before_fit_are_refused(weighed):
    tokens, grams, _ = weighed
    with pytest.raises(InputInvalid, match=r"shape \(24, 5\)"):
        HeadsRegressor(RECIPE).fit(tokens, grams[:, :3])
    with pytest.raises(NotFittedError):
        HeadsRegressor(RECIPE).predict(tokens)
