"""The five dry weights: their columns, order and score weights, the sums that bind them, and their units."""

from collections.abc import Container
from functools import cache
from itertools import combinations

import numpy as np
from jaxtyping import Float

from herbage.errors import InputInvalid

TARGETS = ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g")
"""Columns in their fixed order; every axis called `target` has this order."""

CLOVER, DEAD, GREEN, TOTAL, GDM = range(5)
COMPONENTS = (CLOVER, DEAD, GREEN)

SCORE_WEIGHTS = np.array([0.1, 0.1, 0.1, 0.5, 0.2])
"""Weight of each target in the competition's score, in the order of TARGETS."""

SUMS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, 0, 1]], dtype=float)
"""Every target from (clover, dead, green): Total = clover + dead + green, GDM = clover + green."""

QUADRAT_AREA_M2 = 0.21
"""The competition's quadrat, 70 x 30 cm."""


Known = tuple[bool, bool, bool, bool, bool]
"""Which targets there are, in the order of TARGETS; the others are NaN wherever grams stand."""


def known_targets(grams: Float[np.ndarray, "*photo 5"]) -> Known:
    """Those that are no NaN in any photo."""
    c, d, g, t, gdm = (not np.isnan(grams[..., target]).any() for target in range(len(TARGETS)))
    return c, d, g, t, gdm


def named_targets(names: Container[str]) -> Known:
    """Those whose names are among these."""
    c, d, g, t, gdm = (target in names for target in TARGETS)
    return c, d, g, t, gdm


def known_names(known: Known) -> list[str]:
    """The names of those that are there."""
    return [name for name, there in zip(TARGETS, known, strict=True) if there]


def missing_names(known: Known) -> list[str]:
    """The names of those that are not there."""
    return [name for name, there in zip(TARGETS, known, strict=True) if not there]


def main_target(known: Known) -> int:
    """The one to show where there is room for one: Total, or else the next that is known, from the last."""
    return next(target for target in (TOTAL, GDM, GREEN, DEAD, CLOVER) if known[target])


def derivable(known: Known) -> Known:
    """The targets that these and the sums determine, these among them."""
    rows = SUMS * np.array(known)[:, None]
    rank = np.linalg.matrix_rank(rows)
    c, d, g, t, gdm = (bool(np.linalg.matrix_rank([*rows, row]) == rank) for row in SUMS)
    return c, d, g, t, gdm


def derive(grams: Float[np.ndarray, "photo 5"]) -> Float[np.ndarray, "photo 5"]:
    """Targets that are NaN filled in by the sums where the others determine them; a weight just below 0 becomes 0."""
    known = known_targets(grams)
    new = [target for target in range(5) if derivable(known)[target] and not known[target]]
    filled = grams.copy()
    filled[:, new] = np.maximum(grams[:, known] @ np.linalg.pinv(SUMS[list(known)]).T @ SUMS[new].T, 0)
    return filled


@cache
def balances(known: Known) -> Float[np.ndarray, "8 3 5"]:
    """From raw weights to components by least squares, for each set of components that may differ from 0.

    The optimum of `balance` is one of these eight.
    """
    root = np.sqrt(SCORE_WEIGHTS * known)[:, None]
    solutions = np.zeros((8, len(COMPONENTS), len(TARGETS)))
    for number, free in enumerate(f for size in range(4) for f in combinations(range(3), size)):
        solutions[number, list(free)] = np.linalg.pinv(root * SUMS[:, free]) * root.T
    return solutions


def balance(raw_g: Float[np.ndarray, "*photo 5"]) -> Float[np.ndarray, "*photo 5"]:
    """The nearest weights that are at least 0 and obey both sums; targets that are NaN stay so.

    Clover, dead and green minimise the squared error of all targets, weighted as the score weights them, subject to
    being at least 0; Total and GDM are their sums. The optimum is the best feasible one among the least-squares
    solutions on the 8 subsets of free components: exact, no iteration. (Where targets lack, components may not be
    unique, but the weights of the others are.)
    """
    known = known_targets(raw_g)
    raw = np.where(known, raw_g, 0.0)
    components = np.einsum("sct,...t->...sc", balances(known), raw)
    sums = components @ SUMS.T
    loss = np.where((components >= 0).all(-1), (sums - raw[..., None, :]) ** 2 @ (SCORE_WEIGHTS * known), np.inf)
    best = loss.argmin(-1)[..., None, None]
    return np.where(known, np.take_along_axis(sums, best, axis=-2)[..., 0, :], np.nan)


def check_area(quadrat_area_m2: float) -> None:
    """Raise InputInvalid for what is no quadrat's area."""
    if not 1e-4 <= quadrat_area_m2 <= 1e4:
        raise InputInvalid(f"--quadrat-area {quadrat_area_m2}: expected square metres between 0.0001 and 10000.")


def g_per_m2(grams: Float[np.ndarray, "*any"], quadrat_area_m2: float) -> Float[np.ndarray, "*any"]:
    """Grams a quadrat to grams a square metre."""
    return grams / quadrat_area_m2


def kg_per_ha(grams: Float[np.ndarray, "*any"], quadrat_area_m2: float) -> Float[np.ndarray, "*any"]:
    """Grams a quadrat to kilograms of dry matter a hectare: 1 g/m2 is 10 kg/ha."""
    return grams / quadrat_area_m2 * 10.0
