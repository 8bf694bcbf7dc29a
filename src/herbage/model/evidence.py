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
from herbage.evaluation.scoring import Score, score_estimates
from herbage.heads.kinds import check_tensor
from herbage.heads.training_data import TrainingData
from herbage.model.calibration import Calibration, calibrate_intervals
from herbage.model.config import (
    CalibrationRecord,
    CoverageRecord,
    EvidenceRecord,
    LearningCurvePoint,
    ScoreRecord,
    TrainingRecord,
    by_target,
)
from herbage.model.domain import Domain
from herbage.model.intervals import LEVELS, Intervals, coverage, is_level_possible
from herbage.targets import TARGETS, TargetMask

SCALE_PERCENTILE = 99


class Comparisons(NamedTuple):
    """What is reported next to a model's score: scores of the baselines by name, and the learning curve."""

    baselines: Mapping[str, Score]
    learning_curve: Sequence[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How good a trained model is, and what its training photos look like.

    `photos` holds the sha256 of the training photos in the order of `oof`, so that photos on which the model was
    trained are recognised. `map_scale_g` is the top of the maps' colour scale per target, in g per training quadrat, so
    that all maps are comparable. `score`, `coverage` and `oof` are those of the model before a calibration; `intervals`
    are calibrated.
    """

    training: TrainingRecord
    score: ScoreRecord
    baselines: dict[str, ScoreRecord]
    coverage: tuple[CoverageRecord, ...]
    learning: tuple[LearningCurvePoint, ...]
    oof: OutOfFold
    photos: UInt8[Tensor, "photo 32"]
    intervals: Intervals
    domain: Domain
    map_scale_g: Float[np.ndarray, "5"]
    calibration: CalibrationRecord | None = None

    @classmethod
    def fit(
        cls,
        training: TrainingRecord,
        data: TrainingData,
        oof: OutOfFold,
        maps: Sequence[Float[np.ndarray, "5 row column"]],
        comparisons: Comparisons,
    ) -> "Evidence":
        """Fit intervals, domain check and map scale on the training photos; `maps` is empty where there are none."""
        scale = np.percentile(np.stack(maps), SCALE_PERCENTILE, axis=(0, 2, 3)) if maps else np.zeros(len(TARGETS))
        return cls(
            training=training,
            score=ScoreRecord.of(score_estimates(oof.weighed_g, oof.estimated_g)),
            baselines={name: ScoreRecord.of(score) for name, score in comparisons.baselines.items()},
            coverage=_measure_coverage(oof),
            learning=tuple(LearningCurvePoint.of(count, r2) for count, r2 in comparisons.learning_curve),
            oof=oof,
            photos=torch.tensor([list(bytes.fromhex(digest)) for digest in data.digests], dtype=torch.uint8),
            intervals=Intervals.fit(oof.weighed_g, oof.estimated_g, oof.group_index),
            domain=Domain.fit(data.tokens, torch.from_numpy(oof.group_index)),
            map_scale_g=np.asarray(scale),
        )

    @property
    def known(self) -> TargetMask:
        """The targets that the model estimates."""
        c, d, g, t, gdm = (mean is not None for mean in self.training.mean_g)
        return c, d, g, t, gdm

    @property
    def widened(self) -> float:
        """The factor by which a calibration widened the intervals."""
        return self.calibration.widened if self.calibration else 1.0

    @property
    def unmeasured_coverage(self) -> str:
        """A sentence about the levels whose coverage cannot be measured with so few groups; empty if there are none."""
        groups, measured = self.training.groups, [of.level for of in self.coverage]
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

    def calibrated(self, calibration: Calibration, weighed_g: Float[np.ndarray, "cut 5"], main: int) -> "Evidence":
        """The evidence of the model corrected by these cuts; errors are reported for the target `main`."""
        intervals, widened = calibrate_intervals(self.intervals, weighed_g, calibration)
        record = CalibrationRecord.of(calibration, main, widened)
        return replace(self, intervals=intervals, calibration=record)

    def uncalibrated(self) -> "Evidence":
        """The evidence of the model before it was corrected by own cuts."""
        intervals = Intervals.fit(self.oof.weighed_g, self.oof.estimated_g, self.oof.group_index)
        return replace(self, intervals=intervals, calibration=None)

    def record(self) -> EvidenceRecord:
        """The part in config.json; `tensors` and `oof` are stored in files of their own."""
        return EvidenceRecord(
            training=self.training,
            score=self.score,
            floors=self.baselines,
            coverage=self.coverage,
            learning=self.learning,
            calibration=self.calibration,
        )

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file; `open` is the inverse."""
        return {
            "photos.sha256": self.photos,
            "intervals.ratio": torch.from_numpy(np.ascontiguousarray(self.intervals.ratio)),
            "intervals.group": torch.from_numpy(np.ascontiguousarray(self.intervals.group)),
            "intervals.unit_g": torch.from_numpy(np.ascontiguousarray(self.intervals.unit_g)),
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
        _check_tensors(tensors, width, [mean is not None for mean in record.training.mean_g])
        if len(tensors["photos.sha256"]) != len(oof):
            raise ModelInvalid(
                f"The model file has {len(tensors['photos.sha256'])} training photos and oof.csv has {len(oof)} rows."
            )
        return cls(
            training=record.training,
            score=record.score,
            baselines=record.baselines,
            coverage=record.coverage,
            learning=record.learning,
            oof=oof,
            photos=tensors["photos.sha256"],
            intervals=Intervals(*(tensors[f"intervals.{name}"].numpy() for name in ("ratio", "group", "unit_g"))),
            domain=Domain(
                tensors["domain.centre"],
                tensors["domain.inverse_spread"],
                tensors["domain.axes"],
                tensors["domain.variance"],
                float(tensors["domain.floor"]),
                float(tensors["domain.limit"]),
            ),
            map_scale_g=tensors["map.scale_g"].numpy(),
            calibration=record.calibration,
        )


def _measure_coverage(oof: OutOfFold) -> tuple[CoverageRecord, ...]:
    """The coverage of each level that the groups allow to be measured."""
    measured = {level: coverage(oof.weighed_g, oof.estimated_g, oof.group_index, level) for level in LEVELS}
    return tuple(
        CoverageRecord(level=level, share=by_target(of.share), width_g=by_target(of.width_g))
        for level, of in measured.items()
        if of is not None
    )


def _check_tensors(tensors: dict[str, Tensor], width: int, known: list[bool]) -> None:
    """Raise ModelInvalid where a tensor of the evidence is missing, of another shape, or damaged."""
    try:
        photos, rows, axes = (len(tensors[name]) for name in ("photos.sha256", "intervals.group", "domain.variance"))
        for name, shape, dtype in (
            ("photos.sha256", (photos, 32), torch.uint8),
            ("intervals.group", (rows,), torch.int64),
            ("intervals.unit_g", (len(TARGETS),), torch.float64),
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
            own = tensors[name][..., known] if shape[-1:] == (len(TARGETS),) else tensors[name]
            check_tensor(own, name, tuple(own.shape), dtype=dtype, finite=name != "domain.limit")
        # NaN where a photo has no weight of a target.
        ratio = tensors["intervals.ratio"]
        check_tensor(ratio, "intervals.ratio", (rows, len(TARGETS)), dtype=torch.float64, finite=False)
    except KeyError as error:
        raise ModelInvalid(f"The model file lacks the tensor {error}; the model is incomplete.") from error
    if photos == 0:
        raise ModelInvalid("The model file's tensor photos.sha256 is empty; the file is damaged.")
