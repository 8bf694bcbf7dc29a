"""Floors: what little effort scores on the same folds. A model that does not beat them is not worth its backbone."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from herbage.evaluation.folds import Folds
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.evaluation.scoring import Score, score_estimates
from herbage.recipe import Recipe

MEAN = "each target's mean"
SENSORS = ("Height_Ave_cm", "Pre_GSHH_NDVI")
SENSOR_LIMIT = 1e6
"""A column with a reading missing, or beyond what any sensor says, makes no floor."""

TEXTURE_RECIPE = Recipe(
    name="texture floor", backbone="texture", crops="whole", grid=16, views=1, heads="ridge", balance=False
)
"""Its tokens are what `score_floors` wants as `texture_tokens`."""


Record = TypeVar("Record")


def named_floors(floors: Mapping[str, Record]) -> dict[str, Record]:
    """Floors under names that say what they are, to stand beside models."""
    return {f"floor: {name}": floor for name, floor in floors.items()}


def score_floors(
    frame: pd.DataFrame,
    grams: Float[np.ndarray, "photo 5"],
    folds: Folds,
    digests: Sequence[str],
    texture_tokens: Sequence[Tensor],
) -> dict[str, Score]:
    """Scores by name: each target's mean; texture with ridge; ridge on height and NDVI where the table has them.

    The last is what a plate meter or a sensor would give. Every floor is out-of-fold, on the folds given.
    """
    means = np.stack([grams[folds.fold != fold].mean(0) for fold in folds.fold])
    floors = {MEAN: score_estimates(grams, means)}
    _, texture = fit_out_of_fold(TEXTURE_RECIPE, texture_tokens, grams, folds, digests, seed=0)
    floors["ridge on texture"] = score_estimates(grams, texture)
    readings_of = {name: pd.to_numeric(frame[name], errors="coerce") for name in SENSORS if name in frame}
    sensors = [name for name, values in readings_of.items() if values.abs().lt(SENSOR_LIMIT).all()]
    if sensors:
        values = torch.tensor(np.stack([readings_of[name] for name in sensors], 1), dtype=torch.float32)
        readings = [row.reshape(1, 1, -1) for row in values]
        _, estimates = fit_out_of_fold(TEXTURE_RECIPE, readings, grams, folds, digests, seed=0)
        floors[f"ridge on {' and '.join(sensors)}"] = score_estimates(grams, estimates)
    return floors
