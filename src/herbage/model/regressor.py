"""The heads as a scikit-learn estimator, to use with scikit-learn's tools on your own tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted

from herbage.errors import InputInvalid
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.finalise import finalise_grams
from herbage.heads.heads import Heads
from herbage.heads.kinds import HEADS
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import Recipe, load_recipe


class HeadsRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Estimates grams (photo, 5) from tokens (photo, view, vector, width) with the heads of a recipe.

    As in a model, `folds` heads (at most one per group) are each fitted without its share of the groups. Ridge heads
    deliver one more head that is fitted to all photos, the others the mean of the folds. Views are averaged. `score` is
    the competition's weighted R2.

    >>> names, tokens = herbage.photo_tokens("photos/", recipe="seed", backbone="texture")
    >>> cross_val_score(HeadsRegressor("seed"), tokens, grams, groups=place_and_day, cv=GroupKFold(5))
    """

    def __init__(self, recipe: str | Recipe = "field", *, folds: int = 5, seed: int = 0) -> None:
        self.recipe = recipe
        self.folds = folds
        self.seed = seed

    def fit(
        self,
        X: Float[np.ndarray, "photo view vector width"],
        y: Float[np.ndarray, "photo target"],
        groups: Sequence[Any] | Shaped[np.ndarray, " photo"] | None = None,
    ) -> "HeadsRegressor":
        """Fit to `y` in g per quadrat; `groups` labels photos that belong together, by default every photo alone.

        A column of `y` that is NaN has no head. Raises InputInvalid for another shape, and TrainingFailed.
        """
        y = np.asarray(y, float)
        if y.ndim != 2 or y.shape[1] != 5 or len(y) != len(X):
            raise InputInvalid(f"Expected grams of shape ({len(X)}, 5), one row per photo; got {y.shape}.")
        own = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        if len(np.unique(own)) < 2:
            raise InputInvalid("`groups`: expected photos of at least 2 groups; got one.")
        fold = np.full(len(y), -1)
        folds = min(self.folds, len(np.unique(own)))
        for number, (_, held_out) in enumerate(GroupKFold(folds).split(y, groups=own)):
            fold[held_out] = number
        data = TrainingData(list(torch.as_tensor(X)), y, Folds.of(fold, own))
        self.recipe_: Recipe = load_recipe(self.recipe)
        self.heads_: Heads = HEADS[self.recipe_.heads].fit(data, self.recipe_, FitOptions(self.seed))
        return self

    def predict(self, X: Float[np.ndarray, "photo view vector width"]) -> Float[np.ndarray, "photo 5"]:
        """Estimates in g per quadrat, balanced where the recipe says so."""
        check_is_fitted(self)
        raw = [self.heads_.grams(tokens).numpy() for tokens in torch.as_tensor(X)]
        return np.asarray(finalise_grams(np.stack(raw), self.recipe_))

    def score(self, X: Any, y: Float[np.ndarray, "photo 5"], sample_weight: None = None) -> float:
        """The competition's weighted R2 of the predictions, against `y` in g per quadrat."""
        return weighted_r2(np.asarray(y, float), self.predict(X))
