"""Assign photos to folds: stratified, and without splitting a group."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from herbage.errors import FoldLeak, TableInvalid
from herbage.evaluation.groups import name_groups
from herbage.heads.training_data import Folds
from herbage.tables.spreadsheet import DateOrder

WEIGHT_BINS = 5


def make_folds(
    frame: pd.DataFrame,
    grams: Float[np.ndarray, "photo target"],
    *,
    count: int = 5,
    group_by: Sequence[str] | None = None,
    photos: Sequence[str] | None = None,
    dates: DateOrder | None = None,
    seed: int = 0,
) -> Folds:
    """Stratified folds that never split a group; raises TableInvalid where the table does not allow them.

    Groups are those of `name_groups`, which takes `group_by`, `photos` and `dates`.
    Strata are State, or else five bins of the target that is heaviest on average.
    """
    if count < 2:
        raise TableInvalid(f"`folds={count}`: expected at least 2, so that each photo has heads trained without it.")
    groups = name_groups(frame, group_by, photos=photos, dates=dates)
    group_names, group = np.unique(groups.names, return_inverse=True)
    if len(group_names) < count:
        by = f"groups of {', '.join(groups.grouped_by)}" if groups.grouped_by else "photos"
        raise TableInvalid(
            f"`folds={count}` needs at least {count} {by}; the table has {len(group_names)}. Pass fewer `folds`."
        )
    strata = np.array(frame["State"].map(str)) if "State" in frame else _bins(grams[:, np.nanargmax(grams.mean(0))])
    fold = np.zeros(len(frame), int)
    if np.unique(strata, return_counts=True)[1].max() >= count:  # else no stratum is large enough to be in every fold
        fold = _stratified(strata, group, count, seed)
    if len(np.unique(fold)) < count:
        fold = _stratified(np.zeros(len(frame), int), group, count, seed)  # even numbers of photos only
    return Folds(fold, group, group_names.tolist(), groups.grouped_by, groups.remarks)


def _stratified(
    strata: Shaped[np.ndarray, " photo"], group: Int[np.ndarray, " photo"], count: int, seed: int
) -> Int[np.ndarray, " photo"]:
    from sklearn.model_selection import StratifiedGroupKFold  # only training needs it

    fold = np.zeros(len(group), int)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A State with fewer photos than folds is allowed: it is absent from some folds.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for number, (_, held_out) in enumerate(splitter.split(group, strata, group)):
            fold[held_out] = number
    return fold


def refuse_leak(folds: Folds, digests: Sequence[str], paths: Sequence[str] = ()) -> None:
    """Raise FoldLeak where a group, or one photo under two names, is in two folds; `paths` name the photos."""
    groups = [folds.group_names[group] for group in folds.group]
    for keys, names in (
        (groups, [f"group {name}" for name in groups]),
        (digests, paths or [f"photo with sha256 {digest}" for digest in digests]),
    ):
        home: dict[str, int] = {}
        for row, (key, fold) in enumerate(zip(keys, folds.fold.tolist(), strict=True)):
            first = home.setdefault(key, row)
            if folds.fold[first] != fold:
                same_name = names[first] == names[row]
                what = f"{names[first]} is" if same_name else f"{names[first]} and {names[row]} are byte-equal,"
                raise FoldLeak(
                    f"{what} in fold {folds.fold[first]} and in fold {fold}: a head would be evaluated on its training "
                    f"data. Put photos that belong together into one group (`group_by`), or remove the copy."
                )


def _bins(weight_g: Float[np.ndarray, " photo"]) -> Int[np.ndarray, " photo"]:
    edges = np.quantile(weight_g, np.linspace(0, 1, WEIGHT_BINS + 1)[1:-1])
    return np.searchsorted(edges, weight_g, side="right")
