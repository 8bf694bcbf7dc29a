"""The linear per-patch head: ridge regression on the mean token, whose values per patch form a map."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import Recipe
from herbage.targets import SCORE_WEIGHTS, TARGETS, TargetMask
from herbage.tokens.layout import extra_width

INNER_FOLDS = 4


class RidgeHeads:
    """grams = coefficient . vector + intercept for every patch, so the photo's grams are those of its mean token.

    `coefficient` (target, fold, width), `intercept` (target, fold). The value of a patch may be below 0.
    """

    reads_mean_token: ClassVar[bool] = True

    def __init__(self, coefficient: Tensor, intercept: Tensor) -> None:
        self.coefficient, self.intercept = coefficient, intercept

    @classmethod
    def check(cls, recipe: Recipe, width: int, known: TargetMask) -> None:
        """Any target can be fitted on tokens of any width."""

    @classmethod
    def fit(cls, data: TrainingData, recipe: Recipe, options: FitOptions) -> "RidgeHeads":
        """Ridge on mean tokens standardised by the training photos; head (t, f) is fitted without fold f.

        There is one penalty per fold: the one with the least score-weighted squared error in a grouped cross-validation
        inside the training folds. The last dimensions, those that are not the backbone's, are scaled to their weight in
        the recipe. Tokens are read one photo at a time.
        """
        from sklearn.linear_model import Ridge  # only training needs it, and importing it takes a second

        means = np.stack([tokens.double().mean((0, 1)).numpy() for tokens in data.tokens])
        width, extra, grams = means.shape[1], extra_width(recipe), data.filled_g
        scale = np.ones(width)
        scale[width - extra :] = np.sqrt(recipe.ridge.heterogeneity_weight * (width - extra) / max(extra, 1))
        coefficient = np.empty((grams.shape[1], data.folds.count, width))
        intercept = np.empty((grams.shape[1], data.folds.count))
        for fold in range(data.folds.count):
            train = np.flatnonzero(data.folds.fold != fold)
            centre, spread = means[train].mean(0), means[train].std(0)
            # A constant dimension carries no information; dividing by its spread would amplify rounding errors.
            inverse = np.divide(scale, spread, out=np.zeros_like(spread), where=spread > 1e-6)
            standard = (means[train] - centre) * inverse
            alpha = choose_alpha(standard, grams[train], data.folds.group[train], recipe.ridge.alphas)
            ridge = Ridge(alpha=alpha).fit(standard, grams[train])
            coefficient[:, fold] = ridge.coef_ * inverse
            intercept[:, fold] = ridge.intercept_ - coefficient[:, fold] @ centre
        unknown = ~torch.tensor(data.known)[:, None]
        return cls(
            torch.from_numpy(coefficient).float(), torch.from_numpy(intercept).float().masked_fill(unknown, torch.nan)
        )

    @classmethod
    def shapes(cls, recipe: Recipe, folds: int, width: int) -> dict[str, tuple[int, ...]]:
        """The tensors of a model file."""
        return {"coefficient": (len(TARGETS), folds, width), "intercept": (len(TARGETS), folds)}

    @classmethod
    def open(cls, tensors: dict[str, Tensor], recipe: Recipe, folds: int, width: int) -> "RidgeHeads":
        """Rebuild the heads from a model file's tensors."""
        return cls(**tensors)

    @torch.inference_mode()
    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"]:
        """Grams if the whole photo looked like this patch."""
        linear = torch.einsum("vpw,tfw->tfvp", tokens.float(), self.coefficient)
        return linear + self.intercept[..., None, None]

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """The mean over patches, computed from the mean token."""
        return self.density(tokens.float().mean(1, keepdim=True))[..., 0]

    def to(self, device: str) -> "RidgeHeads":
        """The same heads: one product with a mean token gains nothing from another device."""
        return self

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file."""
        return {"coefficient": self.coefficient, "intercept": self.intercept}


def choose_alpha(
    vectors: Float[np.ndarray, "photo width"],
    grams: Float[np.ndarray, "photo target"],
    groups: Int[np.ndarray, " photo"],
    alphas: Sequence[float],
) -> float:
    """The penalty with the least score-weighted squared error over grouped inner folds.

    With a single group no inner folds are possible, and the middle penalty is returned.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold

    inner = min(INNER_FOLDS, len(np.unique(groups)))
    if inner < 2:
        return sorted(alphas)[len(alphas) // 2]
    splits = list(GroupKFold(inner).split(vectors, groups=groups))
    loss = [
        sum(
            ((Ridge(alpha=a).fit(vectors[i], grams[i]).predict(vectors[o]) - grams[o]) ** 2 @ SCORE_WEIGHTS).sum()
            for i, o in splits
        )
        for a in alphas
    ]
    return alphas[int(np.argmin(loss))]
