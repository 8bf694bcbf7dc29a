"""The linear per-patch head: ridge regression on the mean token, whose values per patch form a map."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from herbage.backbones.views import grid_shape
from herbage.heads.halves import join_halves
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import Recipe, RidgeSettings
from herbage.targets import SCORE_WEIGHTS, TARGETS, TargetMask
from herbage.tokens.layout import tokens_shape

INNER_FOLDS = 4

MEASURED_WEIGHT = 0.05
"""Weight of a measured covariate, relative to all dimensions of the backbone's vectors together."""


class RidgeHeads:
    """z = coefficient . vector + intercept for every patch; a photo's z is the mean over its patches and views.

    Grams are z, or max(z, 0)^2 where the square root of grams is linear (`link`). `coefficient` (target, head, width)
    and `intercept` (target, head) hold one head per fold, fitted without its photos, and the delivered head last, which
    is fitted to all photos. `common` (target, view, patch) is what the maps of the training photos have in common at a
    place, in z, with a mean of 0 over the patches.
    """

    reads_mean_token: ClassVar[bool] = True
    takes_measured: ClassVar[bool] = True
    delivered: ClassVar[str] = "one head per target, fitted to all training photos"

    def __init__(self, tensors: dict[str, Tensor], recipe: Recipe) -> None:
        self.coefficient, self.intercept, self.common = (tensors[n] for n in ("coefficient", "intercept", "common"))
        self.recipe = recipe

    @classmethod
    def check(cls, recipe: Recipe, width: int, known: TargetMask) -> None:
        """Any target can be fitted on tokens of any width."""

    @classmethod
    def fit(cls, data: TrainingData, recipe: Recipe, options: FitOptions) -> "RidgeHeads":
        """Ridge on standardised mean tokens, where each view of a photo is a sample; head (t, f) is without fold f.

        There is one penalty per head: the one with the least score-weighted squared error of grams in a grouped
        cross-validation inside its photos. The last `data.measured` dimensions are covariates, with MEASURED_WEIGHT.
        Tokens are read one photo at a time.
        """
        views, place = _means(data.tokens)
        _, count, width = views.shape
        goal = _z(data.filled_g, recipe.ridge)
        scale = np.ones(width)
        scale[width - data.measured :] = np.sqrt(MEASURED_WEIGHT * (width - data.measured))
        coefficient = np.empty((goal.shape[1], data.folds.count + 1, width))
        intercept = np.empty((goal.shape[1], data.folds.count + 1))
        for head in range(data.folds.count + 1):
            # No photo is in fold `count`, so the last head is fitted to all photos.
            train = np.flatnonzero(data.folds.fold != head)
            vectors = views[train].reshape(-1, width)
            centre, spread = vectors.mean(0), vectors.std(0)
            # A constant dimension carries no information; dividing by its spread would amplify rounding errors.
            inverse = np.divide(scale, spread, out=np.zeros_like(spread), where=spread > 1e-6)
            standard = (vectors - centre) * inverse
            goals, groups = (np.repeat(of[train], count, 0) for of in (goal, data.folds.group))
            alpha = choose_alpha(standard, goals, groups, recipe.ridge)
            slope, offset = ridge_path(standard, goals, [alpha])
            coefficient[:, head] = slope[0].T * inverse
            intercept[:, head] = offset - coefficient[:, head] @ centre
        common = np.einsum("vpw,tw->tvp", place, coefficient[:, -1])
        common -= common.mean(-1, keepdims=True)
        tensors = {"coefficient": coefficient, "intercept": intercept, "common": common}
        heads = cls({name: torch.from_numpy(of).float() for name, of in tensors.items()}, recipe)
        heads.intercept[~torch.tensor(data.known)] = torch.nan
        return heads

    @classmethod
    def shapes(cls, recipe: Recipe, folds: int, width: int) -> dict[str, tuple[int, ...]]:
        """The tensors of a model file."""
        bank, places = (len(TARGETS), folds + 1), tokens_shape(recipe, width)[:2]
        return {"coefficient": (*bank, width), "intercept": bank, "common": (len(TARGETS), *places)}

    @classmethod
    def open(cls, tensors: dict[str, Tensor], recipe: Recipe, folds: int, width: int) -> "RidgeHeads":
        """Rebuild the heads from a model file's tensors."""
        return cls(tensors, recipe)

    @torch.inference_mode()
    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, " target"]:
        """Raw grams by the delivered head."""
        return self._grams(tokens)[:, -1]

    @torch.inference_mode()
    def fold_grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold"]:
        """Raw grams by the head of each fold."""
        return self._grams(tokens)[:, :-1]

    def _grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target head"]:
        # In float64: a sum in float32 depends on where its numbers lie in memory.
        mean = tokens.mean((0, 1), dtype=torch.float64)
        z = torch.einsum("w,thw->th", mean, self.coefficient.double()) + self.intercept
        grams: Tensor = _grams(z, self.recipe.ridge)
        return grams

    @torch.inference_mode()
    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target patch"] | None:
        """Grams if the whole photo looked like this patch, by the delivered head; None for class vectors.

        What is common at a place is removed, and halves join without a step, unless the recipe says otherwise. The mean
        over patches differs from `grams`.
        """
        if not self.recipe.has_map:
            return None
        linear = torch.einsum("vpw,tw->tvp", tokens.float(), self.coefficient[:, -1])
        z = linear.mean(1) + self.intercept[:, -1:]
        if self.recipe.ridge.corrected_maps:
            z = z - self.common[:, : len(tokens)].mean(1)
            if self.recipe.crops == "halves":
                z = join_halves(z.reshape(-1, *grid_shape(self.recipe))).flatten(1)
        grams: Tensor = _grams(z, self.recipe.ridge)
        return grams.clip(min=0).double()

    def to(self, device: str) -> "RidgeHeads":
        """The same heads: one product with a mean token gains nothing from another device."""
        return self

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file."""
        return {"coefficient": self.coefficient, "intercept": self.intercept, "common": self.common}


def _z(grams: Any, settings: RidgeSettings) -> Any:
    """What is linear in the vectors, from grams."""
    return grams**0.5 if settings.link == "square root" else grams


def _grams(z: Any, settings: RidgeSettings) -> Any:
    """Grams from what is linear in the vectors."""
    return z.clip(min=0) ** 2 if settings.link == "square root" else z


def _means(
    tokens: Sequence[Tensor],
) -> tuple[Float[np.ndarray, "photo view width"], Float[np.ndarray, "view patch width"]]:
    """Each photo's mean token per view, and the mean token of all photos at each place."""
    views, place = [], None
    for photo in tokens:
        views.append(photo.double().mean(1).numpy())
        place = photo.double() if place is None else place.add_(photo)
    if place is None:
        raise ValueError("expected at least one photo")
    return np.stack(views), (place / len(views)).numpy()


def ridge_path(
    vectors: Float[np.ndarray, "sample width"], goal: Float[np.ndarray, "sample target"], alphas: Sequence[float]
) -> tuple[Float[np.ndarray, "alpha width target"], Float[np.ndarray, "alpha target"]]:
    """Coefficients and intercepts of ridge regression for each penalty, from one eigendecomposition.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 3.4.1 and (for
    fewer samples than dimensions) exercise 18.4.
    """
    centre, mean = vectors.mean(0), goal.mean(0)
    x, y = vectors - centre, goal - mean
    is_wide = x.shape[1] > x.shape[0]
    size, axes = np.linalg.eigh(x @ x.T if is_wide else x.T @ x)
    along = axes.T @ (y if is_wide else x.T @ y)
    shrunk = axes @ (along / (size[:, None] + np.array(alphas)[:, None, None]))
    coefficient = x.T @ shrunk if is_wide else shrunk
    return coefficient, mean - centre @ coefficient


def choose_alpha(
    vectors: Float[np.ndarray, "sample width"],
    goal: Float[np.ndarray, "sample target"],
    groups: Int[np.ndarray, " sample"],
    settings: RidgeSettings,
) -> float:
    """The penalty with the least score-weighted squared error of grams over grouped inner folds.

    `goal` is what is linear in the vectors. With a single group no inner folds are possible, and the middle penalty is
    returned.
    """
    from sklearn.model_selection import GroupKFold  # only training needs it, and importing it takes a second

    alphas, inner = settings.alphas, min(INNER_FOLDS, len(np.unique(groups)))
    if inner < 2:
        return sorted(alphas)[len(alphas) // 2]
    loss = np.zeros(len(alphas))
    for train, held_out in GroupKFold(inner).split(vectors, groups=groups):
        coefficient, intercept = ridge_path(vectors[train], goal[train], alphas)
        estimated = vectors[held_out] @ coefficient + intercept[:, None]
        error = _grams(estimated, settings) - _grams(goal[held_out], settings)
        loss += (error**2 @ SCORE_WEIGHTS).sum(1)
    return alphas[int(np.argmin(loss))]
