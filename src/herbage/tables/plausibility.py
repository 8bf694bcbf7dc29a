"""Remarks on weights that contradict each other, are far from those of their group, or are implausible for pasture."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from herbage.remarks import Remark
from herbage.tables.validation import HEAVY_KG_PER_HA
from herbage.targets import CLOVER, DEAD, GDM, GREEN, TARGETS, TOTAL, derive, kg_per_ha, known_targets, main_target

LIGHT_KG_PER_HA = 20
"""A lighter quadrat is no outlier; also the minimum of a table's mean mass of clover or dead material."""
LIGHT_MEAN_KG_PER_HA = 100
"""Minimum of a table's mean mass of all or green herbage; grams entered as kg per ha are below it."""

TOLERANCE_G = 0.1
"""Differences between a target and the sum of its parts up to this are attributed to the scales and to rounding."""

OUTLIER_FACTOR = 5.0
"""How many times the median of its group, or what part of it, a weight is at least to be an outlier."""
OUTLIER_SPREADS = 3.0
"""How far from that median an outlier is at least on a log scale, in robust standard deviations of the table."""
GROUP_SIZE = 3
"""With fewer other weights in its group, a weight is compared with the whole table."""

# The last follows from the first two; it is checked only in tables that lack some targets.
SUMS_TO_CHECK = ((TOTAL, (CLOVER, DEAD, GREEN)), (GDM, (CLOVER, GREEN)), (TOTAL, (GDM, DEAD)))


def remarks_on_weights(
    grams: Float[np.ndarray, "photo 5"], frame: pd.DataFrame, quadrat_area_m2: float, where: str
) -> tuple[Remark, ...]:
    """Remarks on weights that are used unchanged; `frame` has a row per photo with `image_path`."""
    return (
        *_on_sums(grams, frame["image_path"].tolist(), where),
        *_on_mean(grams, quadrat_area_m2, where),
        *_on_outliers(grams, frame, quadrat_area_m2, where),
    )


def _on_sums(grams: Float[np.ndarray, "photo 5"], paths: Sequence[str], where: str) -> Iterator[Remark]:
    """The photos whose weights differ from a sum of parts by more than TOLERANCE_G.

    Where some parts were not weighed, those in which the others exceed the sum: the rest would be negative.
    """
    found: dict[str, None] = {}
    is_derived = False
    complete = not np.isnan(grams).any()
    for total, parts in SUMS_TO_CHECK[: 2 if complete else 3]:
        weighed = [part for part in parts if not np.isnan(grams[:, part]).any()]
        names = " + ".join(TARGETS[part] for part in weighed)
        # NaN if the total was not weighed; the comparisons below are then False.
        difference = grams[:, total] - grams[:, weighed].sum(1)
        if len(weighed) == len(parts):
            for row in np.flatnonzero(np.abs(difference) > TOLERANCE_G).tolist():
                found[f"{paths[row]}: {TARGETS[total]} differs from {names} by {difference[row]:+.2f} g"] = None
        elif weighed:
            for row in np.flatnonzero(difference < -TOLERANCE_G).tolist():
                is_derived = True
                found[f"{paths[row]}: {names} exceeds {TARGETS[total]} by {-difference[row]:.2f} g"] = None
    if found:
        rest = "; a part that would be negative counts as 0" if is_derived else ""
        message = f"Some weights in {where} do not add up; they are used unchanged{rest}"
        yield Remark.of("contradicting_weights", list(found), message)


def _on_mean(grams: Float[np.ndarray, "photo 5"], quadrat_area_m2: float, where: str) -> Iterator[Remark]:
    """A mean herbage mass that is implausible for pasture."""
    known = known_targets(grams)
    if len(grams) and any(known):
        main = main_target(known)
        mean = float(kg_per_ha(grams[:, main].mean(keepdims=True), quadrat_area_m2)[0])
        least = LIGHT_MEAN_KG_PER_HA if main in (TOTAL, GDM, GREEN) else LIGHT_KG_PER_HA
        if not least <= mean <= HEAVY_KG_PER_HA:
            message = f"The weights in {where} are {mean:,.0f} kg DM/ha on average"
            yield Remark("implausible_mean", f"{message}: are `unit` and `quadrat_area_m2` correct?", len(grams))


def _on_outliers(
    grams: Float[np.ndarray, "photo 5"], frame: pd.DataFrame, quadrat_area_m2: float, where: str
) -> Iterator[Remark]:
    """The photos whose weight is far from that of their group, such as a tenth of it.

    A group is a State and Sampling_Date of `frame` (one row per photo) where it has both, else the whole table. Weights
    of the main target are compared with the median of the others of their group, on a log scale. Weights that the sums
    confirm, and those below LIGHT_KG_PER_HA, are no outliers.
    """
    derived = derive(grams)
    known = known_targets(derived)
    weights = derived[:, main_target(known)] if any(known) else np.zeros(len(grams))
    if not (weights > 0).any():
        return
    ratios = _ratios(weights, _groups(frame))
    distances = np.abs(np.log(ratios))
    limit = max(np.log(OUTLIER_FACTOR), OUTLIER_SPREADS * 1.4826 * np.median(distances[weights > 0]))
    can_be_light = kg_per_ha(weights, quadrat_area_m2) < LIGHT_KG_PER_HA
    odd = np.flatnonzero((distances > limit) & ~can_be_light & ~_confirmed(grams))
    if len(odd):
        names = [f"{frame['image_path'].iloc[row]} ({ratios[row]:.2g} x the median)" for row in odd]
        message = f"{where}: weights far from the median of their group are used unchanged; check their decimal points"
        yield Remark.of("outlying_weights", names, message)


def _groups(frame: pd.DataFrame) -> Int[np.ndarray, " photo"]:
    if not {"State", "Sampling_Date"} <= set(frame.columns):
        return np.zeros(len(frame), int)
    names = [f"{state} {day}" for state, day in zip(frame["State"], frame["Sampling_Date"], strict=True)]
    return np.unique(names, return_inverse=True)[1]


def _ratios(weights: Float[np.ndarray, " photo"], group: Int[np.ndarray, " photo"]) -> Float[np.ndarray, " photo"]:
    """Each weight over the median of the others of its group that are not 0; 1 for weights of 0 and too few others."""
    ratios = np.ones(len(weights))
    positive = np.flatnonzero(weights > 0)
    for rows in (positive, *(positive[group[positive] == one] for one in np.unique(group))):
        if len(rows) > GROUP_SIZE:
            ratios[rows] = weights[rows] / _median_of_others(weights[rows])
    return ratios


def _median_of_others(values: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
    """For each value the median of all other values."""
    order = np.argsort(values)
    ranked, rank = values[order], np.argsort(order)
    others = len(values) - 1
    middle = [ranked[place + (place >= rank)] for place in ((others - 1) // 2, others // 2)]
    return np.array(np.mean(middle, axis=0))


def _confirmed(grams: Float[np.ndarray, "photo 5"]) -> Bool[np.ndarray, " photo"]:
    """Photos with a weighed total or green dry matter that is the sum of weighed parts."""
    differences = np.stack([grams[:, total] - grams[:, list(parts)].sum(1) for total, parts in SUMS_TO_CHECK])
    return np.array((np.abs(differences) <= TOLERANCE_G).any(0))
