"""Baselines: simple estimators on the same folds. A backbone is only useful if its model scores higher."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.evaluation.scoring import Score, score_estimates
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import Recipe

MEAN = "each target's mean"
SENSORS = ("Height_Ave_cm", "Pre_GSHH_NDVI")
SENSOR_LIMIT = 1e6
"""A column with a missing reading, or one beyond this limit, is not used as a baseline."""

TEXTURE_RECIPE = Recipe(
    name="texture baseline", backbone="texture", crops="whole", grid=16, views=1, heads="ridge", balance=False
)
"""The recipe of the ridge baselines, and of the `texture_tokens` that `score_baselines` takes."""


Record = TypeVar("Record")


def named_baselines(baselines: Mapping[str, Record]) -> dict[str, Record]:
    """Baselines under display names, for tables that also list models."""
    return {f"baseline: {name}": baseline for name, baseline in baselines.items()}


def sensor_readings(frame: pd.DataFrame) -> dict[str, Float[np.ndarray, " photo"]]:
    """The columns of SENSORS in which every row of a training table has a plausible number."""
    columns = {name: pd.to_numeric(frame[name], errors="coerce") for name in SENSORS if name in frame}
    return {name: values.to_numpy(float) for name, values in columns.items() if values.abs().lt(SENSOR_LIMIT).all()}


def score_baselines(data: TrainingData, texture_tokens: Sequence[Tensor]) -> dict[str, Score]:
    """Out-of-fold scores by name, on the folds of `data`.

    Each target's mean; ridge on texture; and ridge on the covariates, such as height and NDVI, where there are any.
    """
    means = np.stack([data.grams[data.folds.fold != fold].mean(0) for fold in data.folds.fold])
    scores = {MEAN: score_estimates(data.grams, means)}
    features = {"ridge on texture": texture_tokens}
    if data.covariates:
        readings = torch.tensor(np.stack(list(data.covariates.values()), 1), dtype=torch.float32)
        features[f"ridge on {' and '.join(data.covariates)}"] = list(readings[:, None, None])
    for name, tokens in features.items():
        _, estimates = fit_out_of_fold(TEXTURE_RECIPE, data.with_tokens(tokens), FitOptions())
        scores[name] = score_estimates(data.grams, estimates)
    return scores
