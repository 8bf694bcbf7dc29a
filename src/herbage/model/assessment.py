"""What the out-of-fold estimates of a set of heads show: score, coverage, intervals; and their calibration."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from herbage.evaluation.comparison import no_better_than_mean
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import score_estimates
from herbage.heads.kinds import check_tensor
from herbage.model.calibration import Calibration, calibrate_intervals
from herbage.model.config import (
    AssessmentRecord,
    CalibrationRecord,
    CoverageRecord,
    ScoreRecord,
    TrainingRecord,
    by_target,
)
from herbage.model.intervals import LEVELS, Intervals, coverage
from herbage.targets import TARGETS, TargetMask, kg_per_ha, main_target


@dataclass(frozen=True, eq=False)
class Assessment:
    """The reliability of a set of heads. `intervals` are calibrated; the others are those before a calibration."""

    oof: OutOfFold
    score: ScoreRecord
    coverage: tuple[CoverageRecord, ...]
    intervals: Intervals
    calibration: CalibrationRecord | None = None

    @classmethod
    def fit(cls, oof: OutOfFold) -> "Assessment":
        """Score the out-of-fold estimates and fit intervals to their errors."""
        return cls(
            oof=oof,
            score=ScoreRecord.of(score_estimates(oof.weighed_g, oof.estimated_g)),
            coverage=_measure_coverage(oof),
            intervals=Intervals.fit(oof.weighed_g, oof.estimated_g, oof.group_index),
        )

    @cached_property
    def no_better_than_mean(self) -> list[str]:
        """The targets whose estimates are not shown to be better than the mean of the training photos."""
        return no_better_than_mean(self.oof)

    def coverage_in_words(self, training: TrainingRecord) -> list[str]:
        """A sentence per level: how wide intervals of the main target are in kg DM/ha, and how often they held."""
        main = main_target(self.oof.known)
        mean = kg_per_ha(self.oof.weighed_g.mean(0), training.quadrat_area_m2)[main]
        sentences = []
        for of in self.coverage:
            share, width = of.share[main], of.width_g[main]
            if share is not None and width is not None:
                half = kg_per_ha(np.array([width / 2]), training.quadrat_area_m2)[0]
                sentences.append(
                    f"{of.level:.0%} intervals of {TARGETS[main]} are ± {half:,.0f} kg DM/ha on average, at a "
                    f"mean of {mean:,.0f}; they contained {share:.0%} of the weights of groups left out."
                )
        return sentences

    @property
    def widened(self) -> float:
        """The factor by which a calibration widened the intervals."""
        return self.calibration.widened if self.calibration else 1.0

    def calibrated(self, calibration: Calibration, weighed_g: Float[np.ndarray, "cut 5"], main: int) -> "Assessment":
        """The assessment of the heads corrected by these cuts; errors are reported for the target `main`."""
        intervals, widened = calibrate_intervals(self.intervals, weighed_g, calibration)
        return replace(self, intervals=intervals, calibration=CalibrationRecord.of(calibration, main, widened))

    def calibration_in_words(self) -> list[str]:
        """The correction by own cuts and its errors, or why there is none."""
        if self.calibration is None:
            return ["too few cuts to calibrate, so estimates are from the photo alone."]
        return self.calibration.summary()

    def uncalibrated(self) -> "Assessment":
        """The assessment of the heads before they were corrected by own cuts."""
        intervals = Intervals.fit(self.oof.weighed_g, self.oof.estimated_g, self.oof.group_index)
        return replace(self, intervals=intervals, calibration=None)

    def record(self) -> AssessmentRecord:
        """The part in config.json; `oof` and `tensors` are stored in files of their own."""
        return AssessmentRecord(score=self.score, coverage=self.coverage, calibration=self.calibration)

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of a model file, with names that begin with `prefix`; `open` is the inverse."""
        fields = ("ratio", "group", "unit_g")
        arrays = {name: np.ascontiguousarray(getattr(self.intervals, name)) for name in fields}
        return {f"{prefix}intervals.{name}": torch.from_numpy(array) for name, array in arrays.items()}

    @classmethod
    def open(
        cls, record: AssessmentRecord, oof: OutOfFold, tensors: Mapping[str, Tensor], prefix: str, known: TargetMask
    ) -> "Assessment":
        """Rebuild from a model's files; raises ModelInvalid for a damaged tensor, and KeyError for a missing one."""
        ratio, group, unit_g = (tensors[f"{prefix}intervals.{name}"] for name in ("ratio", "group", "unit_g"))
        check_tensor(group, f"{prefix}intervals.group", (len(group),), dtype=torch.int64)
        check_tensor(unit_g, f"{prefix}intervals.unit_g", (len(TARGETS),), dtype=torch.float64, finite=False)
        check_tensor(unit_g[list(known)], f"{prefix}intervals.unit_g", (sum(known),), dtype=torch.float64)
        # NaN where a photo has no weight of a target.
        shape = len(group), len(TARGETS)
        check_tensor(ratio, f"{prefix}intervals.ratio", shape, dtype=torch.float64, finite=False)
        intervals = Intervals(ratio.numpy(), group.numpy(), unit_g.numpy())
        return cls(oof, record.score, record.coverage, intervals, record.calibration)


def _measure_coverage(oof: OutOfFold) -> tuple[CoverageRecord, ...]:
    """The coverage of each level that the groups allow to be measured."""
    measured = {level: coverage(oof.weighed_g, oof.estimated_g, oof.group_index, level) for level in LEVELS}
    return tuple(
        CoverageRecord(level=level, share=by_target(of.share), width_g=by_target(of.width_g))
        for level, of in measured.items()
        if of is not None
    )
