"""Warn about weights that contradict each other, or that are implausible for pasture."""

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from herbage.photos.validation import FAULTS_SHOWN
from herbage.targets import CLOVER, DEAD, GDM, GREEN, TARGETS, TOTAL, kg_per_ha, known_targets, main_target

log = logging.getLogger("herbage")

LIGHT_KG_PER_HA, HEAVY_KG_PER_HA = 20, 20_000
"""Plausible range of a table's mean herbage mass; outside it, `unit` or `quadrat_area_m2` is probably wrong."""

TOLERANCE_G = 0.1
"""Differences between a target and the sum of its parts up to this are attributed to the scales and to rounding."""

# The last follows from the first two; it is checked only in tables that lack some targets.
SUMS_TO_CHECK = ((TOTAL, (CLOVER, DEAD, GREEN)), (GDM, (CLOVER, GREEN)), (TOTAL, (GDM, DEAD)))


def warn_of_contradictions(grams: Float[np.ndarray, "photo 5"], paths: Sequence[str], where: str) -> None:
    """Warn about photos whose weights differ from a sum of weighed parts by more than TOLERANCE_G."""
    lines = []
    complete = not np.isnan(grams).any()
    for total, parts in SUMS_TO_CHECK[: 2 if complete else 3]:
        # NaN if a part was not weighed; the comparison below is then False.
        difference = grams[:, total] - grams[:, list(parts)].sum(1)
        for row in np.flatnonzero(np.abs(difference) > TOLERANCE_G).tolist():
            names = " + ".join(TARGETS[part] for part in parts)
            lines.append(f"{paths[row]}: {TARGETS[total]} differs from {names} by {difference[row]:+.2f} g")
    if lines:
        more = f"\n  ... and {len(lines) - FAULTS_SHOWN} more" if len(lines) > FAULTS_SHOWN else ""
        log.warning("Some weights in %s do not add up; they are used unchanged:\n  %s%s",
                    where, "\n  ".join(lines[:FAULTS_SHOWN]), more)  # fmt: skip


def warn_of_implausible_mean(grams: Float[np.ndarray, "photo 5"], quadrat_area_m2: float, where: str) -> None:
    """Warn about a mean herbage mass outside LIGHT_KG_PER_HA to HEAVY_KG_PER_HA."""
    known = known_targets(grams)
    if len(grams) and any(known):
        mean = float(kg_per_ha(grams[:, main_target(known)].mean(keepdims=True), quadrat_area_m2)[0])
        if not LIGHT_KG_PER_HA <= mean <= HEAVY_KG_PER_HA:
            log.warning("The weights in %s are %s kg DM/ha on average: are `unit` and `quadrat_area_m2` correct?",
                        where, f"{mean:,.0f}")  # fmt: skip
