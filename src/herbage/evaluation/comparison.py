"""Compare models on the same out-of-fold photos: the paired difference of two scores, and the average of estimates."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from herbage.errors import TableInvalid
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import weighted_r2
from herbage.targets import TARGETS

DRAWS = 2000


class Difference(NamedTuple):
    """Score of B minus score of A on the same photos, with a 95 % bootstrap interval over groups."""

    value: float
    low: float
    high: float


def paired_difference(a: OutOfFold, b: OutOfFold) -> Difference:
    """How much higher B scores than A; raises TableInvalid where photos, folds, groups or weights differ."""
    b = _aligned(a, b)
    truth = a.weighed_g

    def difference(rows: Int[np.ndarray, " drawn"] | slice) -> float:
        return weighted_r2(truth[rows], b.estimated_g[rows]) - weighted_r2(truth[rows], a.estimated_g[rows])

    low, high = np.nanquantile([difference(rows) for rows in _resample(a.group_index)], [0.025, 0.975])
    return Difference(difference(slice(None)), float(low), float(high))


def average_estimates(tables: Sequence[OutOfFold]) -> OutOfFold:
    """The mean of several models' estimates; raises TableInvalid as `paired_difference` does."""
    first = tables[0]
    aligned: list[Float[np.ndarray, "photo 5"]] = [_aligned(first, table).estimated_g for table in tables]
    return first.with_estimates(np.mean(aligned, axis=0))


def no_better_than_mean(oof: OutOfFold, mean_g: Float[np.ndarray, "5"] | None = None) -> list[str]:
    """The targets whose estimates are not shown to be better than a mean: `mean_g`, or that of the other folds.

    Better means that the squared error is smaller, and so it is in 97.5 % of bootstrap draws of groups.
    """
    means = mean_g
    if means is None:
        means = np.stack([oof.weighed_g[oof.fold != fold].mean(0) for fold in oof.fold])
    gain = (oof.weighed_g - means) ** 2 - (oof.weighed_g - oof.estimated_g) ** 2
    low = np.quantile([gain[rows].sum(0) for rows in _resample(oof.group_index)], 0.025, axis=0)
    return [target for t, target in enumerate(TARGETS) if oof.known[t] and not low[t] > 0]


def _aligned(a: OutOfFold, b: OutOfFold) -> OutOfFold:
    """B with its rows in A's order; raises TableInvalid where photos, folds, groups or weights differ."""
    if set(a.image_path) != set(b.image_path):
        count = len(set(a.image_path) ^ set(b.image_path))
        raise TableInvalid(
            f"The two models cannot be compared: {count} photos are in only one out-of-fold table. "
            f"Train both on the same table, or score both on a new one: pass `table` and `photos`."
        )
    row_of = {path: row for row, path in enumerate(b.image_path)}
    b = b.take([row_of[path] for path in a.image_path])
    for what, own, other in (("fold", a.fold, b.fold), ("group", a.group, b.group)):
        if count := int((np.asarray(own).astype(str) != np.asarray(other).astype(str)).sum()):
            raise TableInvalid(
                f"The two models cannot be compared: {count} photos differ in their {what}; train both with the same "
                f"`columns`, `group_by` and `folds`."
            )
    if not np.allclose(a.weighed_g, b.weighed_g, equal_nan=True):
        raise TableInvalid("The two models cannot be compared: they were trained on different weights.")
    return b


def _resample(group: Int[np.ndarray, " photo"]) -> list[Int[np.ndarray, " drawn"]]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    return [np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))]) for _ in range(DRAWS)]
