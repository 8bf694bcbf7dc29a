"""A few own cuts correct a model for a new place: shrunken slope and offset of each component.

In a new place what stands is the estimate times (1 + a), plus b times the training mean, plus an error as large as the
model's own. Before any cut a and b are near 0; the cuts move them as far as they can be trusted (a Bayesian linear
model: Gelman et al., Bayesian Data Analysis, chapter 14). Spreads of a and b learnt from how the training groups differ
were tried, and corrected less well: there are too few groups (docs/trust.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.model.intervals import Intervals, spread_g
from herbage.targets import SCORE_WEIGHTS, SUMS, Known, known_targets, main_target

FEWEST_CUTS, OWN_INTERVAL_CUTS = 3, 9
SPREAD = 0.15
"""Standard deviation of a and of b before any cut."""

COMMON = 0.3
"""Correlation of the components' a, and of their b: a place whose green is heavy has heavy clover too."""

Kind = Literal["none", "slope and offset"]


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


class Errors(NamedTuple):
    """A model's out-of-fold errors: root mean square by part, and each part's mean weight."""

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
    weighed_g: Float[np.ndarray, "cut 5"], estimated_g: Float[np.ndarray, "cut 5"], errors: Errors
) -> Calibrated:
    """Correct balanced estimates by weighed cuts, unless that errs more on cuts left out one by one.

    What was not weighed is NaN: the total alone will do. Raises TableInvalid for fewer than 3 cuts.
    """
    count = len(weighed_g)
    if count < FEWEST_CUTS:
        raise TableInvalid(f"{count} cuts are too few to correct a model: give at least {FEWEST_CUTS}.")
    weight = SCORE_WEIGHTS * np.array(known_targets(weighed_g + estimated_g))
    residuals: dict[Kind, Float[np.ndarray, "cut 5"]] = {"none": weighed_g - estimated_g}
    residuals["slope and offset"] = weighed_g - np.array([
        correct(np.delete(weighed_g, cut, 0), np.delete(estimated_g, cut, 0), errors).apply(estimated_g[cut])
        for cut in range(count)
    ])  # fmt: skip
    loss = {kind: float((np.nan_to_num(of) ** 2 @ weight).mean() / weight.sum()) for kind, of in residuals.items()}
    best = min(residuals, key=lambda kind: loss[kind])
    correction = correct(weighed_g, estimated_g, errors) if best != "none" else unchanged(estimated_g)
    return Calibrated(correction, best, loss, residuals[best], residuals["none"])


def unchanged(estimated_g: Float[np.ndarray, "photo 5"]) -> Correction:
    """The correction that corrects nothing."""
    own, _ = parts(known_targets(estimated_g))
    return Correction(np.ones(len(own)), np.zeros(len(own)))


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
    weighed_g: Float[np.ndarray, "cut 5"],
    estimated_g: Float[np.ndarray, "cut 5"],
    errors: Errors,
    spread: float = SPREAD,
) -> Correction:
    """The posterior mean of slope and offset: a linear Gaussian model, its noise the model's own errors."""
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
    moved = np.linalg.solve(left, np.einsum("nki,kl,nl->i", design, noise, (weighed_g - estimated_g)[:, weighed]))
    return Correction(1 + moved[:count], moved[count:] * errors.unit_g)
