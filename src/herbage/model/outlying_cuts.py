"""Cuts whose weight is far from what the other cuts and the model's out-of-fold errors lead to expect.

A cut is compared with its estimate as corrected by the other cuts, on the scale log(grams + OFFSET x training mean):
there the errors of low and high weights are about equally large, above and below. The expected deviation is that of
the model's out-of-fold errors, or of the other cuts' if theirs is larger, and the uncertainty of the correction.

`python -m benchmarks cuts` measures how often a plain calibration has a named cut, and how often a wrong weight is
named. OFFSET and DEGREES were chosen on the competition's 357 photos and on the demo's: offsets of 0.05 to 1 and 5 to
30 degrees of freedom were tried. Smaller offsets miss weights ten times too high, larger ones those ten times too low.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from herbage.model.calibration import Errors, parts, posterior
from herbage.targets import known_targets, main_target

OFFSET = 0.3
DEGREES = 12
"""Degrees of freedom of Student's t distribution of the errors, whose tails are heavier than the normal ones."""

ALARMS = 0.02
"""The share of plain calibrations in which some cut may be named."""

TO_DEVIATION = 1.4826
"""From the median of absolute errors to their standard deviation, for normal errors."""


class OutlyingCut(NamedTuple):
    """A cut that weighed `weighed_g` of the main target, outside the range of expected weights; `row` is its row."""

    row: int
    weighed_g: float
    low_g: float
    high_g: float

    def would_fit(self, grams: float) -> bool:
        """Whether another weight is in the expected range."""
        return bool(self.low_g <= grams <= self.high_g)


def find_outlying_cuts(
    weighed_g: Float[np.ndarray, "cut 5"],
    estimated_g: Float[np.ndarray, "cut 5"],
    oof_weighed_g: Float[np.ndarray, "photo 5"],
    oof_estimated_g: Float[np.ndarray, "photo 5"],
) -> list[OutlyingCut]:
    """The outlying cuts in the order of the rows, for at least 3 cuts in the unit of the estimates, which are balanced.

    Targets that were not weighed are NaN; the main target of the weighed ones is compared.
    """
    main = main_target(known_targets(weighed_g + estimated_g))
    errors, shift = Errors.of(oof_weighed_g, oof_estimated_g), OFFSET * oof_weighed_g[:, main].mean()
    own_error = float(np.sqrt((_log_ratio(oof_weighed_g[:, main], oof_estimated_g[:, main], shift) ** 2).mean()))
    limit = float(stdtrit(DEGREES, 1 - ALARMS / 2 / len(weighed_g)))
    found = []
    for cut in range(len(weighed_g)):
        others = np.arange(len(weighed_g)) != cut
        expected_g, correction_error = _expected(weighed_g[others], estimated_g[others], estimated_g, main, errors)
        ratio = np.abs(_log_ratio(weighed_g[:, main], expected_g, shift))
        # The lower median: of two other cuts, one may itself be wrong.
        of_others = float(np.sort(ratio[others])[(others.sum() - 1) // 2])
        error = max(own_error, TO_DEVIATION * of_others)
        reach = limit * np.hypot(error, correction_error[cut] / (expected_g[cut] + shift))
        if ratio[cut] > reach:
            low, high = (float((expected_g[cut] + shift) * np.exp(by) - shift) for by in (-reach, reach))
            found.append(OutlyingCut(cut, float(weighed_g[cut, main]), max(low, 0.0), high))
    return found


def _expected(
    weighed_g: Float[np.ndarray, "other 5"],
    estimated_g: Float[np.ndarray, "other 5"],
    every_g: Float[np.ndarray, "cut 5"],
    main: int,
    errors: Errors,
) -> tuple[Float[np.ndarray, " cut"], Float[np.ndarray, " cut"]]:
    """The estimates of the main target, corrected by the other cuts, and the correction's standard deviation, in g."""
    known = known_targets(every_g)
    own, sums = parts(known)
    fitted = posterior(weighed_g, estimated_g, errors)
    share = np.concatenate(
        [every_g[:, own] * sums[main], np.tile(errors.unit_g * sums[main], (len(every_g), 1))], axis=1
    )
    deviation = np.sqrt(np.einsum("ni,ij,nj->n", share, fitted.covariance, share))
    return fitted.correction(errors).apply(every_g, known)[:, main], deviation


def _log_ratio(
    weighed_g: Float[np.ndarray, " cut"], expected_g: Float[np.ndarray, " cut"], shift: float
) -> Float[np.ndarray, " cut"]:
    return np.log((weighed_g + shift) / (expected_g + shift))
