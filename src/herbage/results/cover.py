"""Pasture cover and growth in kg DM/ha, with intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from herbage.model.paddock_error import MeanErrors
from herbage.results.visits import PhotoSums
from herbage.targets import kg_per_ha

MAX_GROWTH_HALF_WIDTH = 100.0
"""Growth with a wider interval (half width, kg DM/ha/day) is left empty: no pasture grows that fast."""

Part = tuple[PhotoSums, MeanErrors | None]
"""Photos that were estimated by the same heads, and the errors of their means."""


@dataclass(frozen=True)
class Cover:
    """The mean of a visit, and half the widths of its intervals for sampling and for the model's error alone.

    NaN where unknown: the sampling error of a single photo, and the error of a model without evidence.
    """

    mean: float
    sampling: float
    model: float

    @classmethod
    def of(cls, parts: Sequence[Part], target: int, quadrat_area_m2: float, level: float) -> "Cover":
        """The cover of a visit's photos. Sums and errors are in grams per quadrat of this area.

        The model's errors of several parts may have the same sign, so they are added.
        """
        visit = PhotoSums.total(sums for sums, _ in parts)
        sampling = np.nan
        if visit.photos > 1:
            quantile = stdtrit(visit.photos - 1, (1 + level) / 2)  # of Student's t distribution
            sampling = quantile * deviation_g(visit)[target] / np.sqrt(visit.photos)
        model = 0.0
        for sums, errors in parts:
            half = (
                np.nan if errors is None else errors.half_width_g(sums.grams / sums.photos, sums.photos, level)[target]
            )
            model += half * sums.photos / visit.photos
        grams = np.array([visit.grams[target] / visit.photos, sampling, model], float)
        return cls(*kg_per_ha(grams, quadrat_area_m2).tolist())

    @property
    def half_width(self) -> float:
        """Half the width of the interval for both errors."""
        return float(np.hypot(self.sampling, self.model))

    @property
    def low(self) -> float:
        """The interval's lower end, at least 0."""
        return max(self.mean - self.half_width, 0.0) if np.isfinite(self.half_width) else np.nan

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.mean + self.half_width


@dataclass(frozen=True)
class Growth:
    """Growth in kg DM/ha per day, and half the width of its interval."""

    rate: float
    half_width: float

    @classmethod
    def between(cls, before: Cover, after: Cover, days: int) -> "Growth":
        """The growth between two visits.

        The interval of a difference is that of Zou and Donner 2008 (doi:10.1002/sim.3095): the half widths of both
        means are added as squares. How much of the model's error a paddock has at both visits is unknown, so nothing is
        assumed to cancel.
        """
        half_widths = before.sampling, before.model, after.sampling, after.model
        return cls((after.mean - before.mean) / days, math.hypot(*half_widths) / days)

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.rate - self.half_width

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.rate + self.half_width

    @property
    def is_useful(self) -> bool:
        """Whether its interval is known, and not too wide to be of use."""
        return self.half_width <= MAX_GROWTH_HALF_WIDTH


def deviation_g(visit: PhotoSums) -> Float[np.ndarray, "5"]:
    """Standard deviation of single photos in g per quadrat; 0 for one photo."""
    if visit.photos < 2:
        return np.zeros(len(visit.grams))
    mean = visit.grams / visit.photos
    return np.asarray(np.sqrt(np.maximum(visit.squares - visit.photos * mean**2, 0.0) / (visit.photos - 1)))
