"""The linear per-patch head: ridge regression on the mean token is one, with a map of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from torch import Tensor

from herbage.recipe import RidgeSettings
from herbage.targets import SCORE_WEIGHTS, Known

INNER_FOLDS = 4


class RidgeHeads:
    """grams = coefficient . vector + intercept for every patch, so the photo's grams are those of its mean token.

    `coefficient` (target, fold, width), `intercept` (target, fold). A patch may be below 0.
    """

    def __init__(self, coefficient: Tensor, intercept: Tensor) -> None:
        self.coefficient, self.intercept = coefficient, intercept

    @torch.inference_mode()
    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"]:
        """Grams, if the whole photo looked like this patch."""
        linear = torch.einsum("vpw,tfw->tfvp", tokens.float(), self.coefficient)
        return linear + self.intercept[..., None, None]

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """The mean over patches, without making the map."""
        return self.density(tokens.float().mean(1, keepdim=True))[..., 0]

    def without(self, known: Known) -> "RidgeHeads":
        """The heads with those of unknown targets saying NaN."""
        return RidgeHeads(self.coefficient, self.intercept.masked_fill(~torch.tensor(known)[:, None], torch.nan))

    def to(self, device: str) -> "RidgeHeads":
        """The same: one product with a mean token is not worth another device."""
        return self

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps; `RidgeHeads(**tensors)` is the way back."""
        return {"coefficient": self.coefficient, "intercept": self.intercept}

    @classmethod
    def fit(
        cls,
        tokens: Sequence[Tensor],
        grams: Float[np.ndarray, "photo target"],
        folds: Int[np.ndarray, " photo"],
        groups: Int[np.ndarray, " photo"],
        settings: RidgeSettings,
        beside: int = 0,
    ) -> "RidgeHeads":
        """Ridge on mean tokens standardised by the training photos; head (t, f) never sees a photo of fold f.

        The penalty is one a fold, the one with the least score-weighted squared error in a grouped cross-validation
        inside the training folds. The last `beside` numbers of a vector are not the backbone's: they are scaled so that
        together they count as the settings say. Tokens are read one photo at a time.
        """
        means = np.stack([t.double().mean((0, 1)).numpy() for t in tokens])
        count, width = int(folds.max()) + 1, means.shape[1]
        share = np.ones(width)
        share[width - beside :] = np.sqrt(settings.heterogeneity_weight * (width - beside) / max(beside, 1))
        coefficient = np.empty((grams.shape[1], count, width))
        intercept = np.empty((grams.shape[1], count))
        for fold in range(count):
            train = np.flatnonzero(folds != fold)
            centre, spread = means[train].mean(0), means[train].std(0)
            # A number that never varies says nothing; it is left at 0 instead of being blown up.
            inverse = np.divide(share, spread, out=np.zeros_like(spread), where=spread > 1e-6)
            standard = (means[train] - centre) * inverse
            alpha = choose_alpha(standard, grams[train], groups[train], settings.alphas)
            ridge = Ridge(alpha=alpha).fit(standard, grams[train])
            coefficient[:, fold] = ridge.coef_ * inverse
            intercept[:, fold] = ridge.intercept_ - coefficient[:, fold] @ centre
        return cls(torch.from_numpy(coefficient).float(), torch.from_numpy(intercept).float())


def choose_alpha(
    vectors: Float[np.ndarray, "photo width"],
    grams: Float[np.ndarray, "photo target"],
    groups: Int[np.ndarray, " photo"],
    alphas: Sequence[float],
) -> float:
    """The penalty with the least score-weighted squared error over grouped inner folds.

    A lone group allows no inner fold: there it is the middle one.
    """
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
