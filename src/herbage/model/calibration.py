"""Calibration: a few weighed quadrat cuts correct a model for a new place, by a shrunken slope and offset.

In a new place the weight is the estimate times (1 + a), plus b times the training mean, plus an error as large as the
model's own. The prior puts a and b near 0; the more cuts there are, the further they can move a and b (a Bayesian
linear model: Gelman et al., Bayesian Data Analysis, chapter 14). Prior spreads of a and b fitted to the differences
between training groups were tried and corrected less well, because there are too few groups (docs/accuracy.md).
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.model.intervals import Intervals, spread_g
from herbage.targets import SCORE_WEIGHTS, SUMS, TargetMask, known_targets, main_target

MIN_CUTS, MIN_CUTS_FOR_INTERVALS = 3, 9
SPREAD = 0.15
"""Prior standard deviation of a and of b."""

COMMON = 0.3
"""Prior correlation of the components' a, and of their b: where green is underestimated, clover often is too."""

Kind = Literal["none", "slope and offset"]


def parts(known: TargetMask) -> tuple[list[int], Float[np.ndarray, "5 part"]]:
    """Return the parts (the fewest known targets that determine all known ones) and the matrix from parts to targets.

    The parts are clover, dead and green where all targets are known. Rows of unknown targets in the matrix are 0.
    """
    own: list[int] = []
    for target in (0, 1, 2, 4, 3):
        if known[target] and np.linalg.matrix_rank(SUMS[[*own, target]]) > len(own):
            own.append(target)
    sums = np.round(SUMS @ np.linalg.pinv(SUMS[own]), 9)
    return own, sums * np.array(known)[:, None]


class Errors(NamedTuple):
    """The root mean square of a model's out-of-fold errors, and the mean weight, per part (see `parts`)."""

    noise_g: Float[np.ndarray, " part"]
    unit_g: Float[np.ndarray, " part"]

    @classmethod
    def of(cls, weighed_g: Float[np.ndarray, "photo 5"], estimated_g: Float[np.ndarray, "photo 5"]) -> "Errors":
        """From weighed grams and out-of-fold estimates."""
        own, _ = parts(known_targets(weighed_g))
        noise = np.sqrt(((weighed_g - estimated_g)[:, own] ** 2).mean(0))
        return cls(np.maximum(noise, 1e-6), np.maximum(weighed_g[:, own].mean(0), 1e-6))


@dataclass(frozen=True)
class Correction:
    """part = estimate x slope + offset_g, at least 0; the other targets are sums of parts."""

    slope: Float[np.ndarray, " part"]
    offset_g: Float[np.ndarray, " part"]

    def apply(self, grams: Any, known: TargetMask | None = None, *, xp: Any = np) -> Any:
        """Correct balanced weights (..., 5) in g per quadrat.

        `known` defaults to the targets that are not NaN in `grams`; `xp` is the array namespace, numpy or torch.
        """
        known = known_targets(grams) if known is None else known
        own, every = parts(known)
        slope, offset_g, sums = (xp.asarray(array, dtype=grams.dtype) for array in (self.slope, self.offset_g, every))
        corrected = (grams[..., own] * slope + offset_g).clip(min=0) @ sums.T
        return xp.where(xp.asarray(known), corrected, xp.nan)


class Calibration(NamedTuple):
    """A fitted correction, its kind, and the leave-one-out squared error (score-weighted, g2) of each kind.

    `residual_g` holds the leave-one-out residuals, weighed - corrected, of the chosen kind; `source_g` those without
    correction.
    """

    correction: Correction
    kind: Kind
    loss: dict[Kind, float]
    residual_g: Float[np.ndarray, "cut 5"]
    source_g: Float[np.ndarray, "cut 5"]


def fit_correction(
    weighed_g: Float[np.ndarray, "cut 5"], estimated_g: Float[np.ndarray, "cut 5"], errors: Errors
) -> Calibration:
    """Fit a correction of balanced estimates to weighed cuts; no correction if leave-one-out errors do not decrease.

    Targets that were not weighed are NaN; the total alone is enough. Raises TableInvalid for fewer than 3 cuts.
    """
    count = len(weighed_g)
    if count < MIN_CUTS:
        raise TableInvalid(f"{count} cuts are too few to correct a model: expected at least {MIN_CUTS}.")
    weight = SCORE_WEIGHTS * np.array(known_targets(weighed_g + estimated_g))
    residuals: dict[Kind, Float[np.ndarray, "cut 5"]] = {"none": weighed_g - estimated_g}
    corrected = [
        posterior_correction(np.delete(weighed_g, cut, 0), np.delete(estimated_g, cut, 0), errors).apply(left_out)
        for cut, left_out in enumerate(estimated_g)
    ]
    residuals["slope and offset"] = weighed_g - np.array(corrected)
    loss = {kind: float((np.nan_to_num(of) ** 2 @ weight).mean() / weight.sum()) for kind, of in residuals.items()}
    best = min(residuals, key=lambda kind: loss[kind])
    correction = (
        posterior_correction(weighed_g, estimated_g, errors) if best != "none" else identity_correction(estimated_g)
    )
    return Calibration(correction, best, loss, residuals[best], residuals["none"])


def identity_correction(estimated_g: Float[np.ndarray, "photo 5"]) -> Correction:
    """The correction that changes nothing."""
    own, _ = parts(known_targets(estimated_g))
    return Correction(np.ones(len(own)), np.zeros(len(own)))


def calibrate_intervals(
    intervals: Intervals, weighed_g: Float[np.ndarray, "cut 5"], calibration: Calibration
) -> tuple[Intervals, float]:
    """Intervals of the corrected model, and the factor by which the original ones were widened.

    A target with enough cuts gets intervals from the cuts' leave-one-out residuals, with each cut as a group of its
    own. Other targets use the original residuals, multiplied by the ratio of the cuts' errors to the expected ones if
    this is above 1.
    """
    corrected = weighed_g - calibration.residual_g
    own = np.abs(calibration.residual_g) / spread_g(corrected, intervals.unit_g)
    weighed = ~np.isnan(own)
    main = main_target(known_targets(own))
    expected = np.sqrt(np.nanmean(intervals.ratio[:, main] ** 2))
    widened = max(1.0, float(np.sqrt((own[:, main] ** 2).mean()) / max(expected, 1e-9)))
    enough = weighed.sum(0) >= MIN_CUTS_FOR_INTERVALS
    source = np.where(enough, np.nan, intervals.ratio * widened)
    first = intervals.group.max() + 1
    return (
        Intervals(
            np.concatenate([source, np.where(enough, own, np.nan)]),
            np.concatenate([intervals.group, first + np.arange(len(own))]),
            intervals.unit_g,
        ),
        widened,
    )


class Posterior(NamedTuple):
    """The distribution of a (slope - 1) and b (offset divided by the mean weight) of the parts, a before b."""

    mean: Float[np.ndarray, " ab"]
    covariance: Float[np.ndarray, "ab ab"]

    def correction(self, errors: Errors) -> Correction:
        """The correction at the mean."""
        count = len(errors.unit_g)
        return Correction(1 + self.mean[:count], self.mean[count:] * errors.unit_g)


def posterior_correction(
    weighed_g: Float[np.ndarray, "cut 5"],
    estimated_g: Float[np.ndarray, "cut 5"],
    errors: Errors,
    spread: float = SPREAD,
) -> Correction:
    """The posterior mean of slope and offset: a linear Gaussian model whose noise is the model's out-of-fold error."""
    return posterior(weighed_g, estimated_g, errors, spread).correction(errors)


def posterior(
    weighed_g: Float[np.ndarray, "cut 5"],
    estimated_g: Float[np.ndarray, "cut 5"],
    errors: Errors,
    spread: float = SPREAD,
) -> Posterior:
    """The posterior of slope and offset given these cuts (see `posterior_correction`)."""
    own, sums = parts(known_targets(estimated_g))
    count = len(own)
    weighed, _ = parts(known_targets(weighed_g + estimated_g))
    mixed = sums[weighed]
    design = np.concatenate([
        np.einsum("kp,np->nkp", mixed, estimated_g[:, own]),
        np.broadcast_to(mixed * errors.unit_g, (len(weighed_g), *mixed.shape)),
    ], axis=2)  # fmt: skip
    noise = np.linalg.inv(mixed @ np.diag(errors.noise_g**2) @ mixed.T)
    alike = (1 - COMMON) * np.eye(count) + COMMON
    prior = np.linalg.inv(spread**2 * np.kron(np.eye(2), alike))
    left = np.einsum("nki,kl,nlj->ij", design, noise, design) + prior
    right = np.einsum("nki,kl,nl->i", design, noise, (weighed_g - estimated_g)[:, weighed])
    return Posterior(np.linalg.solve(left, right), np.linalg.inv(left))
