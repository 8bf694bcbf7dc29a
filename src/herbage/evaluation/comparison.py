"""Models on the same out-of-fold photos: the paired difference of two scores with its interval, and their average."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from herbage.errors import TableInvalid
from herbage.evaluation.scoring import weighted_r2
from herbage.targets import TARGETS

DRAWS = 2000


class Difference(NamedTuple):
    """Score of B less score of A on the same photos, and its 95 % bootstrap interval over groups."""

    value: float
    low: float
    high: float


def estimated(oof: pd.DataFrame) -> Float[np.ndarray, "photo 5"]:
    """The estimated grams of an out-of-fold table."""
    return oof[[f"{target}_estimated" for target in TARGETS]].to_numpy(float)


def weighed(oof: pd.DataFrame) -> Float[np.ndarray, "photo 5"]:
    """The weighed grams of an out-of-fold table."""
    return oof[list(TARGETS)].to_numpy(float)


def paired_difference(a: pd.DataFrame, b: pd.DataFrame) -> Difference:
    """How much better B scores than A; raises TableInvalid where the tables or folds are not the same."""
    b = _in_order_of(a, b)
    truth, of_a, of_b = weighed(a), estimated(a), estimated(b)
    _, group = np.unique(a["group"].astype(str), return_inverse=True)
    draws = [_difference(truth[rows], of_a[rows], of_b[rows]) for rows in _resample(group)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Difference(_difference(truth, of_a, of_b), float(low), float(high))


def plain_average(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The out-of-fold table of the mean of several models' estimates; raises TableInvalid as `paired_difference`."""
    first = tables[0].copy()
    columns = [f"{target}_estimated" for target in TARGETS]
    first[columns] = np.mean([estimated(_in_order_of(first, table)) for table in tables], axis=0)
    return first


def _in_order_of(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Table B with its rows in A's order; raises TableInvalid where its photos, folds, groups or grams are others."""
    if set(a["image_path"]) != set(b["image_path"]):
        apart = len(set(a["image_path"]) ^ set(b["image_path"]))
        raise TableInvalid(f"The two models cannot be compared: {apart} photos are in one out-of-fold table only.")
    b = b.set_index("image_path").loc[a["image_path"]].reset_index()
    for column in ("fold", "group"):
        if (differ := int((a[column].astype(str) != b[column].astype(str)).sum())) > 0:
            raise TableInvalid(
                f"The two models cannot be compared: {differ} photos differ in their {column}; train both "
                f"with the same --columns, --group-by and --folds."
            )
    if not np.allclose(weighed(a), weighed(b), equal_nan=True):
        raise TableInvalid("The two models cannot be compared: they were trained on different weighed grams.")
    return b


def _difference(
    truth: Float[np.ndarray, "photo 5"], a: Float[np.ndarray, "photo 5"], b: Float[np.ndarray, "photo 5"]
) -> float:
    return weighted_r2(truth, b) - weighted_r2(truth, a)


def _resample(group: Int[np.ndarray, " photo"]) -> list[Int[np.ndarray, " drawn"]]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    return [np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))]) for _ in range(DRAWS)]
