"""The five dry weights: their columns, order, score weights and units, and the sums that relate them."""

from collections.abc import Container
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from herbage.errors import InputInvalid

TARGETS = ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g")
"""Columns in their fixed order; every axis called `target` has this order."""

CLOVER, DEAD, GREEN, TOTAL, GDM = range(5)
COMPONENTS = (CLOVER, DEAD, GREEN)

LABELS = ("Clover", "Dead", "Green", "Total", "GDM")
"""Display names of the targets, in the order of TARGETS."""

SCORE_WEIGHTS = np.array([0.1, 0.1, 0.1, 0.5, 0.2])
"""Weight of each target in the competition's score, in the order of TARGETS."""

SUMS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, 0, 1]], dtype=float)
"""The matrix from (clover, dead, green) to every target: Total = clover + dead + green, GDM = clover + green."""

QUADRAT_AREA_M2 = 0.21
"""The competition's quadrat, 70 x 30 cm."""


TargetMask = tuple[bool, bool, bool, bool, bool]
"""Which targets are known, in the order of TARGETS; unknown ones are NaN in arrays of grams."""


def known_targets(grams: Float[np.ndarray, "*photo 5"]) -> TargetMask:
    """Targets that are not NaN in any photo."""
    c, d, g, t, gdm = (not np.isnan(grams[..., target]).any() for target in range(len(TARGETS)))
    return c, d, g, t, gdm


def named_targets(names: Container[str]) -> TargetMask:
    """Targets whose names are in `names`."""
    c, d, g, t, gdm = (target in names for target in TARGETS)
    return c, d, g, t, gdm


def known_names(known: TargetMask) -> list[str]:
    """Names of the known targets."""
    return [name for name, is_known in zip(TARGETS, known, strict=True) if is_known]


def missing_names(known: TargetMask) -> list[str]:
    """Names of the unknown targets."""
    return [name for name, is_known in zip(TARGETS, known, strict=True) if not is_known]


def main_target(known: TargetMask) -> int:
    """The target to show where only one is shown: Total if it is known, else GDM, green, dead or clover."""
    return next(target for target in (TOTAL, GDM, GREEN, DEAD, CLOVER) if known[target])


def derivable(known: TargetMask) -> TargetMask:
    """The known targets, and those that the sums determine from them."""
    rows = SUMS * np.array(known)[:, None]
    rank = np.linalg.matrix_rank(rows)
    c, d, g, t, gdm = (bool(np.linalg.matrix_rank([*rows, row]) == rank) for row in SUMS)
    return c, d, g, t, gdm


def derive(grams: Float[np.ndarray, "photo 5"]) -> Float[np.ndarray, "photo 5"]:
    """Fill in targets that are NaN where the sums determine them; derived weights are at least 0."""
    known = known_targets(grams)
    new = [target for target in range(5) if derivable(known)[target] and not known[target]]
    filled = grams.copy()
    filled[:, new] = np.maximum(grams[:, known] @ np.linalg.pinv(SUMS[list(known)]).T @ SUMS[new].T, 0)
    return filled


@cache
def balance_solutions(known: TargetMask) -> Float[np.ndarray, "8 3 5"]:
    """Least-squares matrices from raw weights to components, one for each set of components that may differ from 0.

    The optimum of `balance` is one of these eight.
    """
    root = np.sqrt(SCORE_WEIGHTS * known)[:, None]
    solutions = np.zeros((8, len(COMPONENTS), len(TARGETS)))
    for number, free in enumerate(f for size in range(4) for f in combinations(range(3), size)):
        solutions[number, list(free)] = np.linalg.pinv(root * SUMS[:, free]) * root.T
    return solutions


def balance(raw_g: Any, known: TargetMask | None = None, *, xp: Any = np) -> Any:
    """The nearest weights (..., 5) in g that are at least 0 and obey both sums; targets that are NaN stay NaN.

    Clover, dead and green minimise the squared error of all known targets, weighted as in the score, subject to being
    at least 0; Total and GDM are their sums. The optimum is the best feasible one of the least-squares solutions on the
    8 subsets of free components: exact, without iteration. (With unknown targets the components may not be unique, but
    the known weights are.)

    `known` defaults to the targets that are not NaN in `raw_g`. `xp` is the array namespace, numpy or torch: the ONNX
    export traces this function with torch.
    """
    known = known_targets(raw_g) if known is None else known
    mask = xp.asarray(known)
    raw = xp.where(mask, raw_g, 0.0)
    solutions, sums, weights = (
        xp.asarray(array, dtype=raw.dtype) for array in (balance_solutions(known), SUMS, SCORE_WEIGHTS * known)
    )
    components = xp.einsum("sct,...t->...sc", solutions, raw)
    candidates = components @ sums.T
    loss = xp.where((components >= 0).all(-1), (candidates - raw[..., None, :]) ** 2 @ weights, xp.inf)
    chosen = xp.arange(len(solutions)) == loss.argmin(-1)[..., None]
    balanced = xp.where(chosen[..., None], candidates, 0.0).sum(-2)
    return xp.where(mask, balanced, xp.nan)


def check_area(quadrat_area_m2: float) -> None:
    """Raise InputInvalid where the area is not plausible for a quadrat."""
    if not 1e-4 <= quadrat_area_m2 <= 1e4:
        raise InputInvalid(f"`quadrat_area_m2={quadrat_area_m2}`: expected square metres between 0.0001 and 10000.")


def g_per_m2(grams: Float[np.ndarray, "*any"], quadrat_area_m2: float) -> Float[np.ndarray, "*any"]:
    """Convert grams per quadrat to grams per square metre."""
    return grams / quadrat_area_m2


def kg_per_ha(
    grams: Float[np.ndarray, "*any"], quadrat_area_m2: float | Float[np.ndarray, " photo"]
) -> Float[np.ndarray, "*any"]:
    """Convert grams per quadrat to kilograms of dry matter per hectare: 1 g/m2 is 10 kg/ha."""
    return grams / quadrat_area_m2 * 10.0
