"""The heads as a scikit-learn estimator, for those who have tokens and want its tools."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted

from herbage.errors import InputInvalid
from herbage.evaluation.out_of_fold import deliver
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.heads import Heads, fit_heads
from herbage.recipe import Recipe, load_recipe


class HeadsRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Tokens of photos (photo, view, vector, width) to grams (photo, 5), by the heads that a recipe names.

    As a model's, the estimate is the mean over `folds` heads (no more than there are groups), each fitted without its
    share of the groups, and over views. `score` is the competition's weighted R2.

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
        """Fit to `y`, g a quadrat; `groups` says which photos belong together, by default each alone.

        A column of `y` that is NaN throughout has no head. Raises InputInvalid for another shape, and TrainingFailed.
        """
        y = np.asarray(y, float)
        if y.ndim != 2 or y.shape[1] != 5 or len(y) != len(X):
            raise InputInvalid(f"Expected grams of shape ({len(X)}, 5), a row a photo; got {y.shape}.")
        own = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        fold = np.full(len(y), -1)
        folds = min(self.folds, len(np.unique(own)))
        for number, (_, judged) in enumerate(GroupKFold(folds).split(y, groups=own)):
            fold[judged] = number
        self.recipe_: Recipe = load_recipe(self.recipe)
        self.heads_: Heads = fit_heads(self.recipe_, list(torch.as_tensor(X)), y, fold, own, self.seed)
        return self

    def predict(self, X: Float[np.ndarray, "photo view vector width"]) -> Float[np.ndarray, "photo 5"]:
        """Grams a quadrat of each photo, delivered as the recipe says."""
        check_is_fitted(self)
        raw = [self.heads_.grams(tokens).double().mean((1, 2)).numpy() for tokens in torch.as_tensor(X)]
        return deliver(np.stack(raw), self.recipe_)

    def score(self, X: Any, y: Float[np.ndarray, "photo 5"], sample_weight: None = None) -> float:
        """The competition's weighted R2 of what it predicts, against `y` in g a quadrat."""
        return weighted_r2(np.asarray(y, float), self.predict(X))
