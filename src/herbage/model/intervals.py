"""Conformal intervals from the out-of-fold residuals of the delivered estimates."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Intervals:
    """Split-conformal intervals by target. Residuals are |weighed - estimated| in g, `group` the group of each photo.

    Photos of one place and day are not exchangeable, so each residual weighs one over its group's photos, and the mass
    of one more group is kept at infinity (Dunn, Wasserman and Ramdas 2023, arXiv:1809.07441): with G groups no level
    above G / (G + 1) can be had, and 90 % needs 9 groups.
    """

    residual_g: Float[np.ndarray, "photo 5"]
    group: Int[np.ndarray, " photo"]

    def half_width_g(self, level: float) -> Float[np.ndarray, "5"]:
        """Half the interval's width by target; NaN where there are too few groups for the level."""
        _, member, sizes = np.unique(self.group, return_inverse=True, return_counts=True)
        groups = len(sizes)
        needed = level * (groups + 1)
        if needed > groups + 1e-9:
            return np.full(self.residual_g.shape[1], np.nan)
        weight = 1 / sizes[member]
        order = np.argsort(self.residual_g, axis=0, kind="stable")
        mass = np.cumsum(weight[order], axis=0)
        first = np.minimum((mass < needed - 1e-9).sum(0), len(weight) - 1)
        return np.asarray(np.take_along_axis(self.residual_g, np.take_along_axis(order, first[None], 0), 0)[0])

    def around(
        self, grams: Float[np.ndarray, "5"], level: float
    ) -> tuple[Float[np.ndarray, "5"], Float[np.ndarray, "5"]]:
        """Low and high in g around an estimate: low at least 0, the estimate always inside."""
        half = self.half_width_g(level)
        return np.maximum(grams - half, 0), grams + half
