"""Out-of-fold estimates: each photo is estimated only by heads that were trained without its group."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from herbage.errors import ModelInvalid
from herbage.evaluation.folds import refuse_leak
from herbage.heads.finalise import finalise_grams
from herbage.heads.heads import Heads
from herbage.heads.kinds import HEADS
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import Recipe
from herbage.targets import TARGETS, TargetMask, known_targets
from herbage.tokens.layout import tokens_shape

ESTIMATED = tuple(f"{target}_estimated" for target in TARGETS)
"""Columns of oof.csv with the estimates from the photo alone."""

MEASURED = tuple(f"{target}_measured_estimated" for target in TARGETS)
"""Columns of oof.csv with the estimates from the photo and measured columns, in models that have such heads."""

DIGITS = 6
"""Decimal places of estimates in oof.csv, and in memory, so that both give the same results."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Weighed and out-of-fold estimated grams per quadrat, one row per photo: the table oof.csv.

    `group` holds the name of each photo's group. `state` is None where the training table has no column State.
    `measured_g` are the estimates by heads that are also given measured columns, NaN in the rows of photos without all
    of their values; None in models without such heads.
    """

    image_path: Sequence[str]
    group: Sequence[str]
    fold: Int[np.ndarray, " photo"]
    weighed_g: Float[np.ndarray, "photo 5"]
    estimated_g: Float[np.ndarray, "photo 5"]
    state: Sequence[str] | None = None
    measured_g: Float[np.ndarray, "photo 5"] | None = None

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        data: TrainingData,
        estimated_g: Float[np.ndarray, "photo 5"],
        measured_g: Float[np.ndarray, "photo 5"] | None = None,
    ) -> "OutOfFold":
        """From the training table's rows (`image_path`, and `State` if present), the data and the estimates."""
        return cls(
            frame["image_path"].tolist(),
            [data.folds.group_names[number] for number in data.folds.group],
            data.folds.fold,
            # Columns are contiguous, as in a table that was read: sums over photos then give the same bits.
            np.asfortranarray(data.grams),
            np.asfortranarray(estimated_g.round(DIGITS)),
            frame["State"].fillna("").astype(str).tolist() if "State" in frame else None,
            None if measured_g is None else np.asfortranarray(measured_g.round(DIGITS)),
        )

    def __len__(self) -> int:
        return len(self.weighed_g)

    @property
    def known(self) -> TargetMask:
        """Targets that are both weighed and estimated."""
        return known_targets(self.weighed_g + self.estimated_g)

    @property
    def group_index(self) -> Int[np.ndarray, " photo"]:
        """The number of each photo's group, in the order of the sorted names."""
        return np.unique(np.array(self.group, str), return_inverse=True)[1]

    def with_estimates(self, estimated_g: Float[np.ndarray, "photo 5"]) -> "OutOfFold":
        """The same photos with other estimates."""
        return replace(self, estimated_g=estimated_g)

    def with_measured(self) -> "OutOfFold":
        """The photos that have measured estimates, with these as their estimates."""
        if self.measured_g is None:
            raise ModelInvalid("The model has no heads with measured columns.")
        rows = np.flatnonzero(~np.isnan(self.measured_g).all(1)).tolist()
        own = self.take(rows)
        return replace(own, estimated_g=self.measured_g[rows], measured_g=None)

    def delivered(self) -> "OutOfFold":
        """The same photos with the estimates that the model delivers: the measured ones where there are any."""
        if self.measured_g is None:
            return self
        has_measured = ~np.isnan(self.measured_g).all(1, keepdims=True)
        return replace(self, estimated_g=np.where(has_measured, self.measured_g, self.estimated_g), measured_g=None)

    def take(self, rows: Sequence[int]) -> "OutOfFold":
        """The photos of these rows, in this order."""
        return OutOfFold(
            [self.image_path[row] for row in rows],
            [self.group[row] for row in rows],
            self.fold[rows],
            self.weighed_g[rows],
            self.estimated_g[rows],
            None if self.state is None else [self.state[row] for row in rows],
            None if self.measured_g is None else self.measured_g[rows],
        )

    def frame(self) -> pd.DataFrame:
        """The table with oof.csv's columns."""
        columns: dict[str, Any] = {"image_path": self.image_path, "group": self.group, "fold": self.fold}
        if self.state is not None:
            columns["State"] = self.state
        columns |= dict(zip(TARGETS, self.weighed_g.T, strict=True))
        columns |= dict(zip(ESTIMATED, self.estimated_g.T, strict=True))
        if self.measured_g is not None:
            columns |= dict(zip(MEASURED, self.measured_g.T, strict=True))
        return pd.DataFrame(columns)

    def csv(self) -> str:
        """The text of oof.csv."""
        return self.frame().to_csv(index=False, lineterminator="\n")

    @classmethod
    def read(cls, path: Path) -> "OutOfFold":
        """Read oof.csv; raises ModelInvalid where a column is missing or a weight is not a number."""
        numbers = [*TARGETS, *ESTIMATED, *MEASURED]
        try:
            # Text stays text: a State called NA is not missing, and a group called 01 is not 1.
            table = pd.read_csv(
                path,
                dtype=dict.fromkeys(("image_path", "group", "State"), str),
                converters=dict.fromkeys(numbers, _number),
                keep_default_na=False,
            )
        except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
            raise ModelInvalid(f"{path} is damaged: {error}.") from error
        required = ("image_path", "group", "fold", *TARGETS, *ESTIMATED, *(MEASURED if MEASURED[0] in table else ()))
        if missing := [name for name in required if name not in table]:
            raise ModelInvalid(f"{path} is damaged: the columns {', '.join(missing)} are missing.")
        known = table[[name for name in (*TARGETS, *ESTIMATED) if table[name].notna().any()]]
        if table.empty or known.empty or not np.isfinite(known.to_numpy(float)).all():
            raise ModelInvalid(f"{path} is damaged: it has no rows, or cells that are not finite numbers.")
        return cls(
            table["image_path"].tolist(),
            table["group"].tolist(),
            table["fold"].to_numpy(int),
            table[list(TARGETS)].to_numpy(float),
            table[list(ESTIMATED)].to_numpy(float),
            table["State"].tolist() if "State" in table else None,
            table[list(MEASURED)].to_numpy(float) if MEASURED[0] in table else None,
        )


def fit_out_of_fold(
    recipe: Recipe, data: TrainingData, options: FitOptions
) -> tuple[Heads, Float[np.ndarray, "photo 5"]]:
    """Fit the heads and compute out-of-fold estimates: each photo is estimated only by heads trained without its group.

    Raises FoldLeak before anything is trained.
    """
    refuse_leak(data.folds, data.digests)
    heads = HEADS[recipe.heads].fit(data, recipe, options)
    return heads, estimate_out_of_fold(heads, recipe, data)


def estimate_out_of_fold(heads: Heads, recipe: Recipe, data: TrainingData) -> Float[np.ndarray, "photo 5"]:
    """Final estimates in g per quadrat of each photo by the head of its own fold, from the views of prediction."""
    views, _, _ = tokens_shape(recipe.in_prediction(), 0)
    photos = zip(data.tokens, data.folds.fold.tolist(), strict=True)
    raw = [heads.fold_grams(tokens[:views])[:, fold].numpy() for tokens, fold in photos]
    return np.asarray(finalise_grams(np.stack(raw), recipe))


def _number(cell: str) -> float:
    """A cell as it was written; the default parser of pandas 2 loses the last bit of some numbers."""
    return float(cell) if cell else math.nan
