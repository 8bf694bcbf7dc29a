"""Conformal intervals from the out-of-fold residuals of the delivered estimates."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

LEVELS = (0.8, 0.9)
"""Levels whose coverage is measured when a model is trained."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """Split-conformal intervals by target, as wide as a photo is uncertain.

    `ratio` is |weighed - estimated| over the spread that the estimate lets expect, NaN where a photo says nothing of a
    target; `group` the group of each photo; `unit_g` each target's mean among the training photos.

    Photos of one place and day are not exchangeable, so each residual weighs one over its group's photos, and the mass
    of one more group is kept at infinity (Dunn, Wasserman and Ramdas 2023, arXiv:1809.07441): with G groups no level
    above G / (G + 1) can be had, and 90 % needs 9 groups.
    """

    ratio: Float[np.ndarray, "photo 5"]
    group: Int[np.ndarray, " photo"]
    unit_g: Float[np.ndarray, "5"]

    @classmethod
    def learn(
        cls,
        weighed_g: Float[np.ndarray, "photo 5"],
        estimated_g: Float[np.ndarray, "photo 5"],
        group: Int[np.ndarray, " photo"],
    ) -> "Intervals":
        """From out-of-fold estimates."""
        unit = weighed_g.mean(0)
        return cls(np.abs(weighed_g - estimated_g) / spread_g(estimated_g, unit), group, unit)

    def around(
        self, grams: Float[np.ndarray, "*photo 5"], level: float
    ) -> tuple[Float[np.ndarray, "*photo 5"], Float[np.ndarray, "*photo 5"]]:
        """Low and high in g around estimates: low at least 0, the estimate always inside.

        NaN where there are too few groups for the level.
        """
        half = self.quantile(level) * spread_g(grams, self.unit_g)
        return np.maximum(grams - half, 0), grams + half

    def quantile(self, level: float) -> Float[np.ndarray, "5"]:
        """Half the interval's width by target, over the spread."""
        return _quantiles(self, level)


def spread_g(grams: Float[np.ndarray, "*photo 5"], unit_g: Float[np.ndarray, "5"]) -> Float[np.ndarray, "*photo 5"]:
    """The error to expect, up to a factor: it grows with the estimate, from that of bare ground.

    Of spreads tried, this one gives the narrowest intervals at equal coverage (docs/trust.md).
    """
    return np.asarray(grams + np.maximum(unit_g, 1e-6))


def can_be_had(level: float, groups: int) -> bool:
    """Whether so many groups allow intervals of this level."""
    return level * (groups + 1) <= groups + 1e-9


def group_quantile(values: Float[np.ndarray, " photo"], group: Int[np.ndarray, " photo"], level: float) -> float:
    """The least value that a photo of a new group stays under with this probability; NaN for too few groups."""
    _, member, sizes = np.unique(group, return_inverse=True, return_counts=True)
    if not can_be_had(level, len(sizes)):
        return float("nan")
    needed = level * (len(sizes) + 1)
    order = np.argsort(values, kind="stable")
    mass = np.cumsum((1 / sizes[member])[order])
    return float(values[order[min(int((mass < needed - 1e-9).sum()), len(values) - 1)]])


@lru_cache(maxsize=64)
def _quantiles(intervals: Intervals, level: float) -> Float[np.ndarray, "5"]:
    there = ~np.isnan(intervals.ratio)
    columns = zip(intervals.ratio.T, there.T, strict=True)
    return np.array([group_quantile(ratio[own], intervals.group[own], level) for ratio, own in columns])


class Coverage(NamedTuple):
    """How often intervals held on groups left out, each group counting the same, and how wide they were, by target."""

    share: Float[np.ndarray, "5"]
    width_g: Float[np.ndarray, "5"]


def coverage(
    weighed_g: Float[np.ndarray, "photo 5"],
    estimated_g: Float[np.ndarray, "photo 5"],
    group: Int[np.ndarray, " photo"],
    level: float,
) -> Coverage | None:
    """Each group's photos by intervals that the other groups' residuals give; None where those are too few."""
    groups = np.unique(group)
    if not can_be_had(level, len(groups) - 1):
        return None
    shares, widths = [], []
    for one in groups:
        own = group == one
        intervals = Intervals.learn(weighed_g[~own], estimated_g[~own], group[~own])
        low, high = intervals.around(estimated_g[own], level)
        inside = (low - 1e-9 <= weighed_g[own]) & (weighed_g[own] <= high + 1e-9)
        shares.append(np.where(np.isnan(high), np.nan, inside).mean(0))
        widths.append((high - low).mean(0))
    return Coverage(np.mean(shares, axis=0), np.mean(widths, axis=0))
