"""What a trained model knows in addition to its heads. Imported models have no evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import Score
from herbage.heads.kinds import check_tensor
from herbage.heads.training_data import TrainingData
from herbage.model.assessment import Assessment
from herbage.model.config import EvidenceRecord, LearningCurvePoint, ScoreRecord, TrainingRecord
from herbage.model.domain import Domain
from herbage.model.intervals import LEVELS, is_level_possible
from herbage.targets import TARGETS, TargetMask

SCALE_PERCENTILE = 99


class Comparisons(NamedTuple):
    """What is reported next to a model's score: scores of the baselines by name, and the learning curve."""

    baselines: Mapping[str, Score]
    learning_curve: Sequence[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How good a trained model is, and what its training photos look like.

    `alone` is the assessment of the heads that are given the photo alone, and `measured` that of the heads that are
    also given measured columns, if there are any. `photos` holds the sha256 of the training photos in the order of
    `oof`, so that photos on which the model was trained are recognised. `map_scale_g` is the top of the maps' colour
    scale per target, in g per training quadrat, so that all maps are comparable.
    """

    training: TrainingRecord
    baselines: dict[str, ScoreRecord]
    learning: tuple[LearningCurvePoint, ...]
    alone: Assessment
    measured: Assessment | None
    photos: UInt8[Tensor, "photo 32"]
    domain: Domain
    map_scale_g: Float[np.ndarray, "5"]

    @classmethod
    def fit(
        cls,
        training: TrainingRecord,
        data: TrainingData,
        oof: OutOfFold,
        maps: Sequence[Float[np.ndarray, "5 row column"]],
        comparisons: Comparisons,
    ) -> "Evidence":
        """Fit intervals, domain check and map scale on the training photos; `maps` is empty where there are none.

        `data` has the tokens of the views of prediction.
        """
        scale = np.percentile(np.stack(maps), SCALE_PERCENTILE, axis=(0, 2, 3)) if maps else np.zeros(len(TARGETS))
        return cls(
            training=training,
            baselines={name: ScoreRecord.of(score) for name, score in comparisons.baselines.items()},
            learning=tuple(LearningCurvePoint.of(count, r2) for count, r2 in comparisons.learning_curve),
            alone=Assessment.fit(oof),
            measured=None if oof.measured_g is None else Assessment.fit(oof.with_measured()),
            photos=torch.tensor([list(bytes.fromhex(digest)) for digest in data.digests], dtype=torch.uint8),
            domain=Domain.fit(data.tokens, torch.from_numpy(oof.group_index)),
            map_scale_g=np.asarray(scale),
        )

    @property
    def oof(self) -> OutOfFold:
        """The out-of-fold estimates of the training photos."""
        return self.alone.oof

    @property
    def known(self) -> TargetMask:
        """The targets that the model estimates."""
        c, d, g, t, gdm = (mean is not None for mean in self.training.mean_g)
        return c, d, g, t, gdm

    @property
    def unmeasured_coverage(self) -> str:
        """A sentence about the levels whose coverage cannot be measured with so few groups; empty if there are none."""
        groups, measured = self.training.groups, [of.level for of in self.alone.coverage]
        given = [f"{of:.0%}" for of in LEVELS if of not in measured and is_level_possible(of, groups)]
        if given:
            return (
                f"The coverage of {' and '.join(given)} intervals cannot be measured with {groups} groups: one more is "
                f"needed."
            )
        return "" if measured else "There are too few training groups to measure the coverage of intervals."

    def row(self, photo_sha256: str) -> int | None:
        """The photo's row in `oof`; None where the model was not trained on it."""
        digest = torch.tensor(list(bytes.fromhex(photo_sha256)), dtype=torch.uint8)
        rows = (self.photos == digest).all(1).nonzero().flatten().tolist()
        return rows[0] if rows else None

    def uncalibrated(self) -> "Evidence":
        """The evidence of the model before it was corrected by own cuts."""
        measured = None if self.measured is None else self.measured.uncalibrated()
        return replace(self, alone=self.alone.uncalibrated(), measured=measured)

    def record(self) -> EvidenceRecord:
        """The part in config.json; `tensors` and `oof` are stored in files of their own."""
        return EvidenceRecord(
            **dict(self.alone.record()),
            training=self.training,
            floors=self.baselines,
            learning=self.learning,
            measured=None if self.measured is None else self.measured.record(),
        )

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file; `open` is the inverse."""
        return {
            "photos.sha256": self.photos,
            **self.alone.tensors(""),
            **({} if self.measured is None else self.measured.tensors("measured.")),
            "domain.centre": self.domain.centre,
            "domain.inverse_spread": self.domain.inverse_spread,
            "domain.axes": self.domain.axes.contiguous(),
            "domain.variance": self.domain.variance,
            "domain.floor": torch.tensor(self.domain.floor, dtype=torch.float64),
            "domain.limit": torch.tensor(self.domain.limit, dtype=torch.float64),
            "map.scale_g": torch.from_numpy(np.ascontiguousarray(self.map_scale_g)),
        }

    @classmethod
    def open(cls, record: EvidenceRecord, oof: OutOfFold, tensors: dict[str, Tensor], width: int) -> "Evidence":
        """Rebuild from the files of a model; raises ModelInvalid where a tensor is missing or of another shape."""
        c, d, g, t, gdm = (mean is not None for mean in record.training.mean_g)
        known: TargetMask = (c, d, g, t, gdm)
        try:
            _check_tensors(tensors, width, known)
            if len(tensors["photos.sha256"]) != len(oof):
                raise ModelInvalid(
                    f"The model file has {len(tensors['photos.sha256'])} training photos and oof.csv has {len(oof)} "
                    f"rows."
                )
            alone = Assessment.open(record, oof, tensors, "", known)
            measured = None
            if record.measured is not None:
                measured = Assessment.open(record.measured, oof.with_measured(), tensors, "measured.", known)
        except KeyError as error:
            raise ModelInvalid(f"The model file lacks the tensor {error}; the model is incomplete.") from error
        return cls(
            training=record.training,
            baselines=record.baselines,
            learning=record.learning,
            alone=alone,
            measured=measured,
            photos=tensors["photos.sha256"],
            domain=Domain(
                tensors["domain.centre"],
                tensors["domain.inverse_spread"],
                tensors["domain.axes"],
                tensors["domain.variance"],
                float(tensors["domain.floor"]),
                float(tensors["domain.limit"]),
            ),
            map_scale_g=tensors["map.scale_g"].numpy(),
        )


def _check_tensors(tensors: dict[str, Tensor], width: int, known: TargetMask) -> None:
    """Raise ModelInvalid where a tensor is of another shape or damaged, and KeyError where one is missing."""
    photos, axes = (len(tensors[name]) for name in ("photos.sha256", "domain.variance"))
    for name, shape, dtype in (
        ("photos.sha256", (photos, 32), torch.uint8),
        ("domain.centre", (width,), torch.float32),
        ("domain.inverse_spread", (width,), torch.float32),
        ("domain.axes", (axes, width), torch.float32),
        ("domain.variance", (axes,), torch.float32),
        ("domain.floor", (), torch.float64),
        ("domain.limit", (), torch.float64),
        ("map.scale_g", (len(TARGETS),), torch.float64),
    ):
        check_tensor(tensors[name], name, shape, dtype=dtype, finite=False)
        # Unknown targets are NaN; with a single group of photos the limit is infinite.
        own = tensors[name][..., list(known)] if shape[-1:] == (len(TARGETS),) else tensors[name]
        check_tensor(own, name, tuple(own.shape), dtype=dtype, finite=name != "domain.limit")
    if photos == 0:
        raise ModelInvalid("The model file's tensor photos.sha256 is empty; the file is damaged.")
