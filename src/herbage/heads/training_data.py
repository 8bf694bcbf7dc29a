"""The data that heads are fitted to, and the options of the fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from herbage.heads.measured import append_measured
from herbage.progress import Track, silent
from herbage.remarks import Remark
from herbage.targets import TargetMask, known_targets


@dataclass(frozen=True, eq=False)
class Folds:
    """The fold and the group of each photo. A group is never split over folds.

    `group` indexes `group_names`; `grouped_by` names the columns that define groups, and is empty where every photo is
    a group of its own. `remarks` are about the groups.
    """

    fold: Int[np.ndarray, " photo"]
    group: Int[np.ndarray, " photo"]
    group_names: Sequence[str]
    grouped_by: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @classmethod
    def of(cls, fold: Int[np.ndarray, " photo"], group: Int[np.ndarray, " photo"] | None = None) -> "Folds":
        """Folds from numbers; without `group` every photo is a group of its own."""
        names, index = np.unique(np.arange(len(fold)) if group is None else group, return_inverse=True)
        return cls(fold, index, [str(name) for name in names])

    @property
    def count(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1

    def take(self, rows: Sequence[int]) -> "Folds":
        """The folds of these photos; groups keep their numbers."""
        return replace(self, fold=self.fold[rows], group=self.group[rows])


class MappedTokens(Sequence[Tensor]):
    """Tokens of some photos, made by a function of the row each time they are indexed."""

    def __init__(self, photos: int, tokens_of: Callable[[int], Tensor]) -> None:
        self.photos, self.tokens_of = photos, tokens_of

    def __len__(self) -> int:
        return self.photos

    def __getitem__(self, row: Any) -> Any:
        """The tokens of one photo."""
        if not 0 <= row < self.photos:
            raise IndexError(row)
        return self.tokens_of(row)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training photos: tokens, weighed grams per quadrat, folds, sha256 digests and measured covariates.

    Each item of `tokens` has shape (view, patch, width) and may be read from disk when it is indexed; the last
    `measured` dimensions are measured covariates. Targets that were not weighed, and that no sum determines, are NaN in
    `grams`. `covariates` are numeric columns of the training table by name, such as Height_Ave_cm, for the baselines.
    """

    tokens: Sequence[Tensor]
    grams: Float[np.ndarray, "photo target"]
    folds: Folds
    digests: Sequence[str] = ()
    covariates: Mapping[str, Float[np.ndarray, " photo"]] = field(default_factory=dict)
    measured: int = 0

    def __len__(self) -> int:
        return len(self.grams)

    @property
    def known(self) -> TargetMask:
        """The targets that heads can be fitted to."""
        return known_targets(self.grams)

    @property
    def filled_g(self) -> Float[np.ndarray, "photo target"]:
        """Grams with 0 for NaN, for solvers that fit all targets at once."""
        return np.asarray(np.nan_to_num(self.grams))

    def first_views(self, count: int) -> "TrainingData":
        """The same photos with the first views only."""
        return self.with_tokens(MappedTokens(len(self), lambda row: self.tokens[row][:count]))

    def with_measured(self, rows: Sequence[int], inputs: Float[np.ndarray, "own column"]) -> "TrainingData":
        """The photos of these rows, with inputs from measured columns appended to their tokens."""
        return replace(
            self,
            tokens=MappedTokens(len(rows), lambda row: append_measured(self.tokens[rows[row]], inputs[row])),
            grams=self.grams[rows],
            folds=self.folds.take(rows),
            digests=[self.digests[row] for row in rows] if self.digests else (),
            covariates={name: values[rows] for name, values in self.covariates.items()},
            measured=inputs.shape[1],
        )

    def with_tokens(self, tokens: Sequence[Tensor]) -> "TrainingData":
        """The same photos with other tokens."""
        return replace(self, tokens=tokens)

    def take(self, rows: Sequence[int]) -> "TrainingData":
        """The photos of these rows; all their tokens are read."""
        return TrainingData(
            [self.tokens[row] for row in rows],
            self.grams[rows],
            self.folds.take(rows),
            [self.digests[row] for row in rows] if self.digests else (),
            {name: values[rows] for name, values in self.covariates.items()},
            self.measured,
        )


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit that do not belong to the data or the recipe.

    `checkpoint` is a folder where heads that take long to train save finished parts, so that an interrupted training
    resumes. Only the patch heads use a `device` other than the CPU and report progress to `track`.
    """

    seed: int = 0
    checkpoint: Path | None = None
    device: str = "cpu"
    track: Track = silent
