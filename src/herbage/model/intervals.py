"""Conformal intervals from out-of-fold residuals of the final estimates."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

LEVELS = (0.8, 0.9)
"""Levels whose coverage is measured in training."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """Split-conformal intervals per target, whose width grows with the estimate.

    `ratio` is |weighed - estimated| divided by the spread expected for the estimate, NaN where a photo has no weight of
    a target; `group` is the group of each photo; `unit_g` each target's mean over the training photos.

    Photos of one place and day are not exchangeable, so the residuals of a group share a weight of one, and the mass of
    one more group is placed at infinity (Dunn, Wasserman and Ramdas 2023, arXiv:1809.07441). With G groups the highest
    possible level is G / (G + 1): 90 % needs 9 groups.
    """

    ratio: Float[np.ndarray, "photo 5"]
    group: Int[np.ndarray, " photo"]
    unit_g: Float[np.ndarray, "5"]

    @classmethod
    def fit(
        cls,
        weighed_g: Float[np.ndarray, "photo 5"],
        estimated_g: Float[np.ndarray, "photo 5"],
        group: Int[np.ndarray, " photo"],
    ) -> "Intervals":
        """Fit to out-of-fold estimates."""
        unit = weighed_g.mean(0)
        return cls(np.abs(weighed_g - estimated_g) / spread_g(estimated_g, unit), group, unit)

    def around(self, grams: Any, level: float, *, xp: Any = np) -> tuple[Any, Any]:
        """Lower and upper bounds (..., 5) in g: the lower one is at least 0, and the estimate is always inside.

        NaN where there are too few groups for the level. `xp` is the array namespace, numpy or torch.
        """
        half = xp.asarray(self.quantile(level)) * spread_g(grams, self.unit_g, xp=xp)
        return (grams - half).clip(min=0), grams + half

    def quantile(self, level: float) -> Float[np.ndarray, "5"]:
        """Half the interval's width per target, divided by the spread."""
        return _quantiles(self, level)


def spread_g(grams: Any, unit_g: Float[np.ndarray, "5"], *, xp: Any = np) -> Any:
    """The expected error up to a factor: the estimate plus the target's mean `unit_g`, so it is above 0 on bare ground.

    Of the spreads tried, this one gave the narrowest intervals at equal coverage (docs/accuracy.md). `grams` are
    (..., 5); `xp` is the array namespace, numpy or torch.
    """
    return grams + xp.asarray(np.maximum(unit_g, 1e-6))


def is_level_possible(level: float, groups: int) -> bool:
    """Whether this number of groups allows intervals of this level."""
    return level * (groups + 1) <= groups + 1e-9


def group_quantile(values: Float[np.ndarray, " photo"], group: Int[np.ndarray, " photo"], level: float) -> float:
    """The value that a photo of a new group stays below with probability `level`; NaN with too few groups."""
    _, member, sizes = np.unique(group, return_inverse=True, return_counts=True)
    if not is_level_possible(level, len(sizes)):
        return float("nan")
    needed = level * (len(sizes) + 1)
    order = np.argsort(values, kind="stable")
    mass = np.cumsum((1 / sizes[member])[order])
    return float(values[order[min(int((mass < needed - 1e-9).sum()), len(values) - 1)]])


@lru_cache(maxsize=64)
def _quantiles(intervals: Intervals, level: float) -> Float[np.ndarray, "5"]:
    weighed = ~np.isnan(intervals.ratio)
    columns = zip(intervals.ratio.T, weighed.T, strict=True)
    return np.array([group_quantile(ratio[own], intervals.group[own], level) for ratio, own in columns])


class Coverage(NamedTuple):
    """The share of held-out weights inside their intervals, and the mean width, per target; groups count equally."""

    share: Float[np.ndarray, "5"]
    width_g: Float[np.ndarray, "5"]


def coverage(
    weighed_g: Float[np.ndarray, "photo 5"],
    estimated_g: Float[np.ndarray, "photo 5"],
    group: Int[np.ndarray, " photo"],
    level: float,
) -> Coverage | None:
    """Measure the intervals of each group, fitted to the other groups; None with too few groups for the level."""
    groups = np.unique(group)
    if not is_level_possible(level, len(groups) - 1):
        return None
    shares, widths = [], []
    for one in groups:
        own = group == one
        intervals = Intervals.fit(weighed_g[~own], estimated_g[~own], group[~own])
        low, high = intervals.around(estimated_g[own], level)
        inside = (low - 1e-9 <= weighed_g[own]) & (weighed_g[own] <= high + 1e-9)
        shares.append(np.where(np.isnan(high), np.nan, inside).mean(0))
        widths.append((high - low).mean(0))
    return Coverage(np.mean(shares, axis=0), np.mean(widths, axis=0))
