"""Baselines: simple estimators on the same folds. A backbone is only useful if its model scores higher."""

from collections.abc import Iterable, Mapping, Sequence
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


def sensor_readings(frame: pd.DataFrame, measured: Sequence[str] = ()) -> dict[str, Float[np.ndarray, " photo"]]:
    """The columns of COVARIATES in which every row of a training table has a plausible number.

    In addition the `measured` columns of the model, NaN where they have none.
    """
    columns = _plausible(frame, dict.fromkeys([*COVARIATES, *measured]))
    return {
        name: values.to_numpy(float) for name, values in columns.items() if name in measured or values.notna().all()
    }


def remarks_on_sensors(frame: pd.DataFrame, measured: Sequence[str] = ()) -> tuple[Remark, ...]:
    """A remark per column of COVARIATES that is no baseline, with the photos that have no plausible number in it.

    The `measured` columns are a baseline for the photos that have them.
    """
    remarks = []
    for name, values in _plausible(frame, [name for name in COVARIATES if name not in measured]).items():
        cells = zip(frame["image_path"], frame[name], values, strict=True)
        missing = [f"{path} ({'empty' if pd.isna(cell) else cell})" for path, cell, value in cells if np.isnan(value)]
        if missing:
            message = f"{name} is not used as a baseline, because some photos have no plausible number in it"
            remarks.append(Remark.of(f"no_baseline_{name}", missing, message, is_warning=False))
    return tuple(remarks)


def _plausible(frame: pd.DataFrame, names: Iterable[str]) -> "dict[str, pd.Series[float]]":
    """The columns of these names that a table has, NaN where a cell is not a plausible number."""
    columns = {name: pd.to_numeric(frame[name], errors="coerce") for name in names if name in frame}
    return {name: values.where(values.abs().lt(SENSOR_LIMIT)) for name, values in columns.items()}


def score_baselines(
    data: TrainingData, texture_tokens: Sequence[Tensor], measured: Sequence[str] = ()
) -> dict[str, Score]:
    """Out-of-fold scores by name, on the folds of `data`.

    Each target's mean; ridge on texture; ridge on the covariates that all photos have, such as height and NDVI; and
    ridge on the `measured` columns of the model, for the photos that have all of them.
    """
    means = np.stack([data.grams[data.folds.fold != fold].mean(0) for fold in data.folds.fold])
    scores = {MEAN: score_estimates(data.grams, means)}
    sets = {"ridge on texture": data.with_tokens(texture_tokens)}
    complete = [name for name, values in data.covariates.items() if not np.isnan(values).any()]
    for names in (complete, measured):
        if names:
            sets[ridge_on(names)] = _with_covariates(data, names)
    for name, own in sets.items():
        _, estimates = fit_out_of_fold(TEXTURE_RECIPE, own, FitOptions())
        scores[name] = score_estimates(own.grams, estimates)
    return scores


def ridge_on(columns: Sequence[str]) -> str:
    """The name of the baseline that is given these columns alone."""
    return f"ridge on {' and '.join(columns)}"


def _with_covariates(data: TrainingData, names: Sequence[str]) -> TrainingData:
    """The photos that have all of these covariates, with their values as tokens."""
    readings = np.stack([data.covariates[name] for name in names], 1)
    tokens = list(torch.tensor(readings, dtype=torch.float32)[:, None, None])
    return data.with_tokens(tokens).take(np.flatnonzero(~np.isnan(readings).any(1)).tolist())
