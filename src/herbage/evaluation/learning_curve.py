"""Would more photos help? The out-of-fold score of heads trained on fewer groups."""

import numpy as np

from herbage.evaluation.out_of_fold import estimate_out_of_fold
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.kinds import HEADS
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import Recipe

SHARES = (0.25, 0.5, 0.75)
DRAWS = 5


def learning_curve(recipe: Recipe, data: TrainingData) -> list[tuple[int, float]]:
    """The number of training photos, and the out-of-fold weighted R2 of all photos, for some shares of the groups.

    Each score is the mean over random draws of groups from each fold. Empty for heads that need more than the mean
    token, because training them takes long.
    """
    if not HEADS[recipe.heads].reads_mean_token:
        return []
    means = data.with_tokens([photo.double().mean(1, keepdim=True).float() for photo in data.tokens])
    curve: list[tuple[int, float]] = []
    for share in SHARES:
        drawn = [_some_groups(data.folds, share, draw) for draw in range(DRAWS)]
        count = round(np.mean([len(rows) for rows in drawn]))
        if count == len(data) or (curve and count == curve[-1][0]):
            continue  # with few groups, two shares can select the same number
        scores = [_score(recipe, means, rows) for rows in drawn]
        curve.append((count, float(np.mean(scores))))
    return curve


def _some_groups(folds: Folds, share: float, seed: int) -> list[int]:
    """The photos of a random share of each fold's groups, at least one group per fold."""
    rng = np.random.default_rng(seed)
    selected: list[int] = []
    for fold in range(folds.count):
        groups = rng.permutation(np.unique(folds.group[folds.fold == fold]))
        selected += groups[: max(1, round(share * len(groups)))].tolist()
    return np.flatnonzero(np.isin(folds.group, selected)).tolist()


def _score(recipe: Recipe, means: TrainingData, rows: list[int]) -> float:
    heads = HEADS[recipe.heads].fit(means.take(rows), recipe, FitOptions())
    return weighted_r2(means.grams, estimate_out_of_fold(heads, recipe, means))
