"""The data that heads are fitted to, and the options of the fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

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


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training photos: tokens, weighed grams per quadrat, folds, sha256 digests and measured covariates.

    Each item of `tokens` has shape (view, patch, width) and may be read from disk when it is indexed. Targets that were
    not weighed, and that no sum determines, are NaN in `grams`. `covariates` are numeric columns of the training table
    by name, such as Height_Ave_cm.
    """

    tokens: Sequence[Tensor]
    grams: Float[np.ndarray, "photo target"]
    folds: Folds
    digests: Sequence[str] = ()
    covariates: Mapping[str, Float[np.ndarray, " photo"]] = field(default_factory=dict)

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
