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
from herbage.recipe import Recipe, RidgeSettings
from herbage.remarks import Remark
from herbage.tables.spreadsheet import COVARIATES

MEAN = "each target's mean"
SENSOR_LIMIT = 1e6
"""A column with a missing reading, or one beyond this limit, is not used as a baseline."""

TEXTURE_RECIPE = Recipe(
    name="texture baseline", backbone="texture", crops="whole", grid=16, views=1, heads="ridge",
    ridge=RidgeSettings(link="linear"), balance=False,
)  # fmt: skip
"""The recipe of the ridge baselines, and of the `texture_tokens` that `score_baselines` takes."""


Record = TypeVar("Record")


def named_baselines(baselines: Mapping[str, Record]) -> dict[str, Record]:
    """Baselines under display names, for tables that also list models."""
    return {f"baseline: {name}": baseline for name, baseline in baselines.items()}


def sensor_readings(frame: pd.DataFrame) -> dict[str, Float[np.ndarray, " photo"]]:
    """The columns of COVARIATES in which every row of a training table has a plausible number."""
    return {name: values.to_numpy(float) for name, values in _plausible(frame).items() if values.notna().all()}


def remarks_on_sensors(frame: pd.DataFrame) -> tuple[Remark, ...]:
    """A remark per column of COVARIATES that is no baseline, with the photos that have no plausible number in it."""
    remarks = []
    for name, values in _plausible(frame).items():
        cells = zip(frame["image_path"], frame[name], values, strict=True)
        missing = [f"{path} ({'empty' if pd.isna(cell) else cell})" for path, cell, value in cells if np.isnan(value)]
        if missing:
            message = f"{name} is not used as a baseline, because some photos have no plausible number in it"
            remarks.append(Remark.of(f"no_baseline_{name}", missing, message, is_warning=False))
    return tuple(remarks)


def _plausible(frame: pd.DataFrame) -> "dict[str, pd.Series[float]]":
    """The columns of COVARIATES that a table has, NaN where a cell is not a plausible number."""
    columns = {name: pd.to_numeric(frame[name], errors="coerce") for name in COVARIATES if name in frame}
    return {name: values.where(values.abs().lt(SENSOR_LIMIT)) for name, values in columns.items()}


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
