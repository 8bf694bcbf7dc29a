"""The error of the mean of several photos of one paddock, which share a part of the model's error."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from herbage.model.intervals import spread_g

if TYPE_CHECKING:
    from herbage.model.assessment import Assessment


@dataclass(frozen=True, eq=False)
class MeanErrors:
    """Out-of-fold errors of group means per target, in units of `spread_g`.

    `shared` is the standard deviation of the error that the photos of a group have in common, and `own` that of the
    rest of a photo's error. `score` is each group's absolute mean error, divided by the one expected for its number of
    photos. `widened` is the factor by which a calibration widened the intervals of photos.
    """

    shared: Float[np.ndarray, "5"]
    own: Float[np.ndarray, "5"]
    score: Float[np.ndarray, "group 5"]
    unit_g: Float[np.ndarray, "5"]
    widened: float = 1.0

    @classmethod
    def of(cls, assessment: "Assessment") -> "MeanErrors":
        """The errors of means of estimates by these heads."""
        oof = assessment.oof
        return replace(cls.fit(oof.weighed_g, oof.estimated_g, oof.group_index), widened=assessment.widened)

    @classmethod
    def fit(
        cls,
        weighed_g: Float[np.ndarray, "photo 5"],
        estimated_g: Float[np.ndarray, "photo 5"],
        group: Int[np.ndarray, " photo"],
    ) -> "MeanErrors":
        """Fit to out-of-fold estimates: variance components by the analysis of variance of unequal groups.

        Source: Searle, Casella and McCulloch, Variance Components, 1992, section 3.6 (the ANOVA estimators).
        """
        unit = weighed_g.mean(0)
        groups = np.unique(group)
        sizes = np.array([(group == one).sum() for one in groups])
        error = (weighed_g - estimated_g) / spread_g(estimated_g, unit)
        means = np.array([error[group == one].mean(0) for one in groups])
        inside = sum(((error[group == one] - error[group == one].mean(0)) ** 2).sum(0) for one in groups)
        own = inside / max(len(error) - len(groups), 1)
        between = (sizes[:, None] * (means - error.mean(0)) ** 2).sum(0) / max(len(groups) - 1, 1)
        typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / max(len(groups) - 1, 1)
        shared = np.maximum((between - own) / typical, 0)
        expected = np.sqrt(shared + own / sizes[:, None])
        return cls(np.sqrt(shared), np.sqrt(own), np.abs(means) / np.maximum(expected, 1e-9), unit)

    def half_width_g(self, mean_g: Float[np.ndarray, "5"], photos: int, level: float) -> Float[np.ndarray, "5"]:
        """Half the width of the conformal interval for the model's error of a mean over `photos` photos.

        NaN where there are too few groups for the level.
        """
        rank = int(np.ceil(level * (len(self.score) + 1) - 1e-9))
        if rank > len(self.score):
            return np.full(5, np.nan)
        quantile = self.widened * np.sort(self.score, axis=0)[rank - 1]
        return np.asarray(quantile * np.sqrt(self.shared**2 + self.own**2 / photos) * spread_g(mean_g, self.unit_g))
