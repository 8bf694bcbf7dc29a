"""What only the static site needs to know about a model, as plain values."""

from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

TABULATED = 30
"""Degrees of freedom up to which quantiles are tabulated; `cover.js` computes others from the normal quantile."""


def student_t(level: float) -> dict[str, Any]:
    """The quantiles of Student's t distribution that bound a two-sided interval of this level.

    `quantiles` are those for 1, 2, ..., TABULATED degrees of freedom, and `normal` is that of the normal distribution.
    """
    upper = (1 + level) / 2
    return {"quantiles": stdtrit(np.arange(1, TABULATED + 1), upper).tolist(), "normal": float(ndtri(upper))}
