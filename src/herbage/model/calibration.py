"""A few own cuts correct a model for a new place: shrunken slope and offset of each component.

The training photos' groups say how far places differ: in each, what was weighed is the estimate times (1 + a), plus b
times the training mean, plus noise, and a and b vary from group to group around 0. A new place is one more group, so
the cuts move a and b only as far as they can be trusted (empirical Bayes: Gelman et al., Bayesian Data Analysis, ch 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from herbage.errors import TableInvalid
from herbage.model.intervals import Intervals, spread_g
from herbage.targets import SCORE_WEIGHTS, SUMS, Known, known_targets, main_target

FEWEST_CUTS, OWN_INTERVAL_CUTS = 3, 9
SPREADS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
"""Standard deviations of a and of b to choose from."""

NOISES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Standard deviations of the noise to choose from, as shares of all residuals' root mean square."""

Kind = Literal["none", "offset", "slope", "slope and offset"]


def parts(known: Known) -> tuple[list[int], Float[np.ndarray, "5 part"]]:
    """The fewest known targets that the others are sums of, and the sums: clover, dead and green where all are known.

    Rows of targets that are not known are 0.
    """
    own: list[int] = []
    for target in (0, 1, 2, 4, 3):
        if known[target] and np.linalg.matrix_rank(SUMS[[*own, target]]) > len(own):
            own.append(target)
    sums = np.round(SUMS @ np.linalg.pinv(SUMS[own]), 9)
    return own, sums * np.array(known)[:, None]


class Prior(NamedTuple):
    """How places differ: standard deviations of slope and offset by part, of the noise in g, and the offset's unit."""

    slope: Float[np.ndarray, " part"]
    offset: Float[np.ndarray, " part"]
    noise_g: Float[np.ndarray, " part"]
    unit_g: Float[np.ndarray, " part"]

    @classmethod
    def learn(
        cls,
        weighed_g: Float[np.ndarray, "photo 5"],
        estimated_g: Float[np.ndarray, "photo 5"],
        group: Int[np.ndarray, " photo"],
    ) -> "Prior":
        """From out-of-fold estimates: of all SPREADS those under which the groups' residuals are likeliest."""
        own, _ = parts(known_targets(weighed_g))
        unit = np.maximum(weighed_g[:, own].mean(0), 1e-6)
        found = [
            _likeliest(weighed_g[:, t] - estimated_g[:, t], estimated_g[:, t], unit[p], group)
            for p, t in enumerate(own)
        ]
        slope, offset, noise_g = np.array(found).T
        return cls(slope, offset, noise_g, unit)


@dataclass(frozen=True)
class Correction:
    """part = estimate x slope + offset_g, at least 0; the other targets are sums of parts."""

    slope: Float[np.ndarray, " part"]
    offset_g: Float[np.ndarray, " part"]

    @classmethod
    def of(cls, slope: Sequence[float], offset_g: Sequence[float]) -> "Correction":
        """From a record's figures."""
        return cls(np.array(slope), np.array(offset_g))

    def apply(self, grams: Float[np.ndarray, "*photo 5"]) -> Float[np.ndarray, "*photo 5"]:
        """Corrected weights of balanced ones."""
        own, sums = parts(known_targets(grams))
        corrected = np.maximum(grams[..., own] * self.slope + self.offset_g, 0) @ sums.T
        return np.where(np.isnan(grams), np.nan, corrected)


class Calibrated(NamedTuple):
    """The correction, its kind, and squared errors (score-weighted, g2) of each kind on cuts left out one by one.

    `residual_g` are those of the kind chosen, weighed less corrected; `source_g` of no correction.
    """

    correction: Correction
    kind: Kind
    loss: dict[Kind, float]
    residual_g: Float[np.ndarray, "cut 5"]
    source_g: Float[np.ndarray, "cut 5"]


def fit_correction(
    weighed_g: Float[np.ndarray, "cut 5"], estimated_g: Float[np.ndarray, "cut 5"], prior: Prior
) -> Calibrated:
    """Correct balanced estimates by weighed cuts, of the kind that errs least on cuts left out one by one.

    What was not weighed is NaN: the total alone will do. Raises TableInvalid for fewer than 3 cuts.
    """
    count = len(weighed_g)
    if count < FEWEST_CUTS:
        raise TableInvalid(f"{count} cuts are too few to correct a model: give at least {FEWEST_CUTS}.")
    kinds: tuple[Kind, ...] = ("none", "offset", "slope", "slope and offset")
    weight = SCORE_WEIGHTS * np.array(known_targets(weighed_g - estimated_g))
    residuals, loss = {}, {}
    for kind in kinds:
        left_out = [
            correct(np.delete(weighed_g, cut, 0), np.delete(estimated_g, cut, 0), prior, kind).apply(estimated_g[cut])
            for cut in range(count)
        ]
        residuals[kind] = weighed_g - np.array(left_out)
        loss[kind] = float((np.nan_to_num(residuals[kind]) ** 2 @ weight).mean() / weight.sum())
    best = min(kinds, key=lambda kind: loss[kind])
    correction = correct(weighed_g, estimated_g, prior, best)
    return Calibrated(correction, best, loss, residuals[best], residuals["none"])


def recalibrated(
    intervals: Intervals, weighed_g: Float[np.ndarray, "cut 5"], done: Calibrated
) -> tuple[Intervals, float]:
    """The intervals of the corrected model, and the factor by which the source's were widened.

    A target with enough cuts has intervals from the cuts alone, each a group of its own, left out one by one. Others
    keep the source's quantiles, times how much larger the cuts' errors are than the source's, at least 1.
    """
    corrected = weighed_g - done.residual_g
    own = np.abs(done.residual_g) / spread_g(corrected, intervals.unit_g)
    there = ~np.isnan(own)
    main = main_target(known_targets(own))
    expected = np.sqrt(np.nanmean(intervals.ratio[:, main] ** 2))
    widened = max(1.0, float(np.sqrt((own[:, main] ** 2).mean()) / max(expected, 1e-9)))
    enough = there.sum(0) >= OWN_INTERVAL_CUTS
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


def correct(
    weighed_g: Float[np.ndarray, "cut 5"], estimated_g: Float[np.ndarray, "cut 5"], prior: Prior, kind: Kind
) -> Correction:
    """The posterior mean of slope and offset: a linear Gaussian model with the prior's variances."""
    own, sums = parts(known_targets(estimated_g))
    count = len(own)
    if kind == "none":
        return Correction(np.ones(count), np.zeros(count))
    weighed, _ = parts(known_targets(weighed_g + estimated_g))
    mixed = sums[weighed]
    design = np.concatenate([
        np.einsum("kp,np->nkp", mixed, estimated_g[:, own]),
        np.broadcast_to(mixed * prior.unit_g, (len(weighed_g), *mixed.shape)),
    ], axis=2)  # fmt: skip
    precision = np.linalg.inv(mixed @ np.diag(prior.noise_g**2) @ mixed.T)
    spread = np.concatenate([prior.slope * ("slope" in kind), prior.offset * ("offset" in kind)])
    # In units of the prior's spread, so that a spread of 0 needs no division by it.
    scaled = design * spread
    left = np.einsum("nki,kl,nlj->ij", scaled, precision, scaled) + np.eye(2 * count)
    right = np.einsum("nki,kl,nl->i", scaled, precision, (weighed_g - estimated_g)[:, weighed])
    moved = np.linalg.solve(left, right) * spread
    return Correction(1 + moved[:count], moved[count:] * prior.unit_g)


def _likeliest(
    residual_g: Float[np.ndarray, " photo"],
    estimated_g: Float[np.ndarray, " photo"],
    unit_g: float,
    group: Int[np.ndarray, " photo"],
) -> tuple[float, float, float]:
    """Standard deviations of slope, offset and noise (g), by the likelihood of all groups' residuals together."""
    members: Sequence[np.ndarray] = [np.flatnonzero(group == g) for g in np.unique(group)]
    whole = max(float(np.sqrt((residual_g**2).mean())), 1e-3)

    def likelihood(slope: float, offset: float, noise: float) -> float:
        total = 0.0
        for rows in members:
            e = estimated_g[rows]
            covariance = noise**2 * np.eye(len(rows)) + slope**2 * np.outer(e, e) + (offset * unit_g) ** 2
            _, log_determinant = np.linalg.slogdet(covariance)
            total -= log_determinant + residual_g[rows] @ np.linalg.solve(covariance, residual_g[rows])
        return float(total)

    choices = product(SPREADS, SPREADS, (share * whole for share in NOISES))
    return max(choices, key=lambda choice: likelihood(*choice))
