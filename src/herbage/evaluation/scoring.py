"""The competition's score, and the usual error measures of each target."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from herbage.targets import SCORE_WEIGHTS, TARGETS, known_targets

NAN = float("nan")


class TargetScore(NamedTuple):
    """R2 (NaN where the weighed grams do not vary), and RMSE, MAE and bias (estimated - weighed) in g."""

    r2: float
    rmse_g: float
    mae_g: float
    bias_g: float


class Score(NamedTuple):
    """The weighted R2 over all rows together, and the scores of each known target."""

    weighted_r2: float
    photos: int
    targets: dict[str, TargetScore]


def weighted_r2(weighed_g: Float[np.ndarray, "photo 5"], estimated_g: Float[np.ndarray, "photo 5"]) -> float:
    """The competition's 1 - sum w (y - e)^2 / sum w (y - m)^2 over all (photo, target) rows, m their weighted mean.

    It is not the mean of the targets' R2: predicting each target's mean already scores well above 0. Targets that are
    NaN are ignored. NaN where nothing varies. Source: the evaluation page of the CSIRO Image2Biomass competition.
    """
    known = list(known_targets(weighed_g + estimated_g))
    weighed_g, estimated_g = weighed_g[:, known], estimated_g[:, known]
    weight = np.broadcast_to(SCORE_WEIGHTS[known], weighed_g.shape)
    mean = (weight * weighed_g).sum() / weight.sum()
    spread = (weight * (weighed_g - mean) ** 2).sum()
    return float(1 - (weight * (weighed_g - estimated_g) ** 2).sum() / spread) if spread > 0 else NAN


def score_estimates(weighed_g: Float[np.ndarray, "photo 5"], estimated_g: Float[np.ndarray, "photo 5"]) -> Score:
    """All scores of estimated against weighed grams."""
    known = known_targets(weighed_g + estimated_g)
    targets = {name: _target(weighed_g[:, t], estimated_g[:, t]) for t, name in enumerate(TARGETS) if known[t]}
    return Score(weighted_r2(weighed_g, estimated_g), len(weighed_g), targets)


def _target(weighed: Float[np.ndarray, " photo"], estimated: Float[np.ndarray, " photo"]) -> TargetScore:
    error = estimated - weighed
    spread = ((weighed - weighed.mean()) ** 2).sum()
    r2 = float(1 - (error**2).sum() / spread) if np.ptp(weighed) > 0 else NAN
    return TargetScore(r2, float(np.sqrt((error**2).mean())), float(np.abs(error).mean()), float(error.mean()))
