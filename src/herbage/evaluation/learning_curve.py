"""Would more photos help? The out-of-fold score of heads that learn from fewer groups."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from herbage.evaluation.folds import Folds
from herbage.evaluation.out_of_fold import out_of_fold
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.heads import fit_heads
from herbage.recipe import Recipe

SHARES = (0.25, 0.5, 0.75)
DRAWS = 5


def learning_curve(
    recipe: Recipe, tokens: Sequence[Tensor], grams: Float[np.ndarray, "photo 5"], folds: Folds
) -> list[tuple[int, float]]:
    """How many photos the heads learnt from, and the weighted R2 of all photos, for some shares of each fold's groups.

    Each score is the mean over draws of groups. Empty for heads other than ridge, whose training takes long.
    """
    if recipe.heads != "ridge":
        return []
    # Ridge reads the mean token alone.
    means = [photo.double().mean((0, 1), keepdim=True).float() for photo in tokens]
    curve: list[tuple[int, float]] = []
    for share in SHARES:
        drawn = [_some_groups(folds, share, draw) for draw in range(DRAWS)]
        count = round(np.mean([len(rows) for rows in drawn]))
        if count == len(tokens) or (curve and count == curve[-1][0]):
            continue  # too few groups for the share to differ
        scores = [_score(recipe, means, grams, folds, rows) for rows in drawn]
        curve.append((count, float(np.mean(scores))))
    return curve


def _some_groups(folds: Folds, share: float, seed: int) -> list[int]:
    """The photos of a share of each fold's groups, at least one."""
    rng = np.random.default_rng(seed)
    kept: list[int] = []
    for fold in range(folds.count):
        groups = rng.permutation(np.unique(folds.group[folds.fold == fold]))
        kept += groups[: max(1, round(share * len(groups)))].tolist()
    return np.flatnonzero(np.isin(folds.group, kept)).tolist()


def _score(
    recipe: Recipe, means: list[Tensor], grams: Float[np.ndarray, "photo 5"], folds: Folds, rows: list[int]
) -> float:
    heads = fit_heads(recipe, [means[row] for row in rows], grams[rows], folds.fold[rows], folds.group[rows], seed=0)
    return weighted_r2(grams, out_of_fold(heads, recipe, means, folds.fold))
