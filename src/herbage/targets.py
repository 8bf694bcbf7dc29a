"""The five dry weights: their columns, order and score weights, the sums that bind them, and their units."""

from itertools import combinations

import numpy as np
from jaxtyping import Float

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


def balance(raw_g: Float[np.ndarray, "*photo 5"]) -> Float[np.ndarray, "*photo 5"]:
    """The nearest five weights that are at least 0 and obey both sums.

    Clover, dead and green minimise the squared error of all five targets, weighted as the score weights them,
    subject to being at least 0; Total and GDM are their sums. The problem is strictly convex, so its optimum is the
    best feasible one among the least-squares solutions on the 8 subsets of free components (exact, no iteration).
    """
    raw = np.asarray(raw_g, dtype=float).reshape(-1, len(TARGETS))
    best = np.zeros((len(raw), 3))
    best_loss = raw**2 @ SCORE_WEIGHTS
    root = np.sqrt(SCORE_WEIGHTS)[:, None]
    for size in (1, 2, 3):
        for free in combinations(range(3), size):
            solve = np.linalg.pinv(root * SUMS[:, free]) * root.T
            components = np.zeros_like(best)
            components[:, list(free)] = raw @ solve.T
            loss = (components @ SUMS.T - raw) ** 2 @ SCORE_WEIGHTS
            better = (components >= 0).all(-1) & (loss < best_loss)
            best[better], best_loss[better] = components[better], loss[better]
    return np.asarray((best @ SUMS.T).reshape(np.shape(raw_g)))


def g_per_m2(grams: Float[np.ndarray, "*any"], quadrat_area_m2: float) -> Float[np.ndarray, "*any"]:
    """Grams a quadrat to grams a square metre."""
    return grams / quadrat_area_m2


def kg_per_ha(grams: Float[np.ndarray, "*any"], quadrat_area_m2: float) -> Float[np.ndarray, "*any"]:
    """Grams a quadrat to kilograms of dry matter a hectare: 1 g/m2 is 10 kg/ha."""
    return grams / quadrat_area_m2 * 10.0
