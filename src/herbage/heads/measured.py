"""Measured covariates beside a photo, such as the height of the sward: how they become inputs of heads."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

SKEWNESS_LIMIT = 1.0
"""A column of positive values that is more skewed than this is taken by logarithm."""


class MeasuredColumn(BaseModel):
    """A measured column of numbers; `low` and `high` are its range in training.

    With `logarithm`, the input of heads is the logarithm, and values of 0 or below count as missing. So do values whose
    distance from the range is larger than the range: heads are linear, and know nothing so far outside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    logarithm: bool
    low: float
    high: float

    @model_validator(mode="after")
    def _check_range(self) -> "MeasuredColumn":
        if self.high <= self.low or (self.logarithm and self.low <= 0):
            raise ValueError(f"the range {self.low:g} to {self.high:g} of {self.name} is not one")
        return self

    @classmethod
    def fit(cls, name: str, values: Float[np.ndarray, " photo"]) -> "MeasuredColumn":
        """From the training photos' values, NaN where a photo has none; at least two of them differ."""
        present = values[~np.isnan(values)]
        low, high = float(present.min()), float(present.max())
        return cls(name=name, logarithm=low > 0 and _skewness(present) > SKEWNESS_LIMIT, low=low, high=high)

    def contains(self, value: float) -> bool:
        """Whether a value is in the range of the training photos."""
        return self.low <= value <= self.high

    def is_usable(self, values: Any) -> Any:
        """Whether values can be inputs of heads."""
        width = self.high - self.low
        near = (values >= self.low - width) & (values <= self.high + width)
        return near & (values > 0) if self.logarithm else near

    def input(self, values: Any, *, xp: Any = np) -> Any:
        """The input of heads, 0 to 1 in the training range, NaN for a value that is missing or not usable.

        `xp` is the array namespace, numpy or torch.
        """
        low, high = (math.log(end) if self.logarithm else end for end in (self.low, self.high))
        usable = xp.where(self.is_usable(values), values, xp.nan)
        return ((xp.log(usable) if self.logarithm else usable) - low) / (high - low)


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
    centred = (values - values.mean()) / max(np.ptp(values), 1e-300)
    variance = (centred**2).mean()
    return float((centred**3).mean() / variance**1.5) if variance > 0 else 0.0
