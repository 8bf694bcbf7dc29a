"""Assign photos to folds: stratified, and without splitting a group."""

import logging
import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from herbage.errors import FoldLeak, TableInvalid
from herbage.heads.training_data import Folds

log = logging.getLogger("herbage")

GROUP_BY = ("State", "Sampling_Date")
WEIGHT_BINS = 5


def make_folds(
    frame: pd.DataFrame,
    grams: Float[np.ndarray, "photo target"],
    *,
    count: int = 5,
    group_by: Sequence[str] | None = None,
    seed: int = 0,
) -> Folds:
    """Stratified folds that never split a group; raises TableInvalid where the table does not allow them.

    A group is the photos that share all of `group_by`, by default State and Sampling_Date where the table has both.
    Strata are State, or else five bins of the target that is heaviest on average.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # only training needs it

    if count < 2:
        raise TableInvalid(f"`folds={count}`: expected at least 2, so that each photo has heads trained without it.")
    names, grouped_by = _group_names(frame, group_by)
    group_names, group = np.unique(names, return_inverse=True)
    if len(group_names) < count:
        by = f"groups of {', '.join(grouped_by)}" if grouped_by else "photos"
        raise TableInvalid(f"`folds={count}` needs at least {count} {by}; the table has {len(group_names)}.")
    strata = np.array(frame["State"].map(str)) if "State" in frame else _bins(grams[:, np.nanargmax(grams.mean(0))])
    if np.unique(strata, return_counts=True)[1].max() < count:
        strata = np.zeros(len(frame), int)  # no stratum is large enough to be in every fold
    fold = np.zeros(len(frame), int)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A State with fewer photos than folds is allowed: it is absent from some folds.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for number, (_, held_out) in enumerate(splitter.split(frame, strata, group)):
            fold[held_out] = number
    if len(np.unique(fold)) < count:
        raise TableInvalid(
            f"`folds={count}` leaves a fold without photos, because the groups are too uneven; use fewer folds."
        )
    return Folds(fold, group, group_names.tolist(), grouped_by)


def refuse_leak(folds: Folds, digests: Sequence[str]) -> None:
    """Raise FoldLeak where a group, or one photo under two names, is in two folds."""
    for what, keys in (("group", [folds.group_names[g] for g in folds.group]), ("photo with sha256", digests)):
        home: dict[str, int] = {}
        for key, fold in zip(keys, folds.fold.tolist(), strict=True):
            if home.setdefault(key, fold) != fold:
                raise FoldLeak(
                    f"The {what} {key} is in fold {home[key]} and in fold {fold}: a head would be evaluated on its "
                    f"training data. Put photos that belong together into one group (`group_by`), or remove the copy."
                )


def _group_names(frame: pd.DataFrame, group_by: Sequence[str] | None) -> tuple[list[str], tuple[str, ...]]:
    if group_by is None and set(GROUP_BY) <= set(frame.columns):
        group_by = GROUP_BY
    if not group_by:
        log.warning(
            "UNGROUPED FOLDS: %s, so photos of one place and day can be in training and evaluation, and the score will "
            "be too high. Set `group_by` to the columns that photos of one place and day share.",
            f"the table lacks {' or '.join(GROUP_BY)}" if group_by is None else "`group_by` is empty",
        )
        return [str(path) for path in frame["image_path"]], ()
    if missing := [column for column in group_by if column not in frame.columns]:
        raise TableInvalid(
            f"`group_by`: the table has no column {', '.join(missing)}; it has {', '.join(frame.columns)}."
        )
    values = frame[list(group_by)]
    if values.isna().any(axis=None):
        row, column = (int(i[0]) for i in np.nonzero(values.isna().to_numpy()))
        raise TableInvalid(f"{frame['image_path'].iloc[row]} has no {values.columns[column]}, which `group_by` needs.")
    return [" ".join(map(_one_spelling, row)) for row in values.itertuples(index=False)], tuple(group_by)


def _one_spelling(value: object) -> str:
    """A group's name with single spaces, and with year-first dates in one form: 2015/9/4 and 2015-09-04 are equal."""
    text = " ".join(str(value).split())
    if date := re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", text):
        year, month, day = date.groups()
        return f"{year}-{int(month):02}-{int(day):02}"
    return text


def _bins(weight_g: Float[np.ndarray, " photo"]) -> Int[np.ndarray, " photo"]:
    edges = np.quantile(weight_g, np.linspace(0, 1, WEIGHT_BINS + 1)[1:-1])
    return np.searchsorted(edges, weight_g, side="right")
