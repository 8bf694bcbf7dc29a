"""Measured covariates beside a photo, such as the height of the sward: how they become inputs of heads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

SKEWNESS_LIMIT = 1.0
"""A column of positive values that is more skewed than this is taken by logarithm."""


class MeasuredColumn(BaseModel):
    """A measured column of numbers; `low` and `high` are its range in training.

    With `logarithm`, the input of heads is the logarithm, and values of 0 or below count as missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    logarithm: bool
    low: float
    high: float

    @classmethod
    def fit(cls, name: str, values: Float[np.ndarray, " photo"]) -> "MeasuredColumn":
        """From the training photos' values, NaN where a photo has none; at least one is not NaN."""
        present = values[~np.isnan(values)]
        low, high = float(present.min()), float(present.max())
        return cls(name=name, logarithm=low > 0 and _skewness(present) > SKEWNESS_LIMIT, low=low, high=high)

    def contains(self, value: float) -> bool:
        """Whether a value is in the range of the training photos."""
        return self.low <= value <= self.high

    def input(self, values: Any, *, xp: Any = np) -> Any:
        """The input of heads, NaN where a value is missing; `xp` is the array namespace, numpy or torch."""
        return xp.log(xp.where(values > 0, values, xp.nan)) if self.logarithm else values


def measured_inputs(columns: Sequence[MeasuredColumn], values: Any, *, xp: Any = np) -> Any:
    """The inputs of heads from values (..., column) in the order of the columns; NaN where one is missing."""
    return xp.stack([column.input(values[..., number], xp=xp) for number, column in enumerate(columns)], -1)


def append_measured(
    tokens: Float[Tensor, "view patch width"], inputs: Float[np.ndarray, " column"] | Float[Tensor, " column"]
) -> Float[Tensor, "view patch extended"]:
    """Append the inputs to every token, in float32: they add the same to each patch."""
    extra = torch.as_tensor(inputs).float().expand(*tokens.shape[:2], -1)
    return torch.cat([tokens.float(), extra], dim=-1)


def _skewness(values: Float[np.ndarray, " photo"]) -> float:
    """The third standardised moment; 0 where the values do not vary."""
    centred = values - values.mean()
    variance = (centred**2).mean()
    return float((centred**3).mean() / variance**1.5) if np.ptp(values) > 0 else 0.0
