"""config.json of a model: recipe, backbone, and how it was trained and evaluated."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from herbage.backbones.backbone import Backbone
from herbage.errors import ModelInvalid
from herbage.evaluation.scoring import Score
from herbage.heads.measured import MeasuredColumn
from herbage.model.calibration import MIN_CUTS_FOR_INTERVALS, Calibration, Correction, Kind
from herbage.model.earlier import EARLIER_FORMAT, upgrade_config
from herbage.recipe import Recipe
from herbage.targets import TARGETS

FORMAT = 4
"""Increased when older versions of herbage cannot read new folders correctly, or new versions older folders."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


ByTarget = tuple[float | None, float | None, float | None, float | None, float | None]
"""One value per target, None where it is unknown."""


def by_target(values: Float[np.ndarray, "5"]) -> ByTarget:
    """Convert one value per target to the form of a record, with None for NaN."""
    c, d, g, t, gdm = (None if np.isnan(value) else float(value) for value in values)
    return c, d, g, t, gdm


class BackboneRecord(_Record):
    """The backbone that the heads were trained on; `engine` is the one that computed the training tokens."""

    name: str
    digest: str
    patch_px: int = Field(ge=1)
    width: int = Field(ge=1)
    engine: dict[str, str]

    @classmethod
    def of(cls, backbone: Backbone) -> "BackboneRecord":
        """The record of an open backbone."""
        return cls(
            name=backbone.name,
            digest=backbone.digest,
            patch_px=backbone.patch_px,
            width=backbone.width,
            engine=backbone.engine.record(),
        )


class TrainingRecord(_Record):
    """The training photos. `mean_g`: mean weight per target. `aspect`: median of width divided by height.

    A target that was not weighed, and that no sum determines, has no mean. `in_words` describes the photos in the
    report.
    """

    photos: int
    groups: int
    grouped_by: tuple[str, ...]
    folds: int
    seed: int
    mean_g: ByTarget
    quadrat_area_m2: float = Field(gt=0)
    aspect: float = Field(gt=0)
    in_words: str = ""


class TargetScoreRecord(_Record):
    """Scores of one target; `r2` is None where the target does not vary."""

    r2: float | None
    rmse_g: float
    mae_g: float
    bias_g: float


class ScoreRecord(_Record):
    """An out-of-fold score, like `herbage.evaluation.scoring.Score`."""

    weighted_r2: float | None
    photos: int
    targets: dict[str, TargetScoreRecord]

    @classmethod
    def of(cls, score: Score) -> "ScoreRecord":
        """The record of a score, with None for NaN."""
        plain = {**score._asdict(), "targets": {name: t._asdict() for name, t in score.targets.items()}}
        return cls.model_validate(_nan_to_none(plain))


class CoverageRecord(_Record):
    """The coverage of intervals of one level on held-out groups, and their mean width, per target."""

    level: float
    share: ByTarget
    width_g: ByTarget


class LearningCurvePoint(_Record):
    """The out-of-fold score of heads trained on fewer groups."""

    photos: int
    weighted_r2: float | None

    @classmethod
    def of(cls, photos: int, weighted_r2: float) -> "LearningCurvePoint":
        """The record of a point, with None for NaN."""
        return cls(photos=photos, weighted_r2=None if np.isnan(weighted_r2) else weighted_r2)


class CalibrationRecord(_Record):
    """How own cuts corrected the model: part = estimate x slope + offset_g (`herbage.model.calibration`).

    `loss_g2`: score-weighted leave-one-out squared error by kind of correction. `rmse_g` and `bias_g`: leave-one-out
    errors of the target `target`, before and after the correction.
    """

    cuts: int
    kind: Kind
    slope: tuple[float, ...]
    offset_g: tuple[float, ...]
    loss_g2: dict[Kind, float]
    target: str
    rmse_g: tuple[float, float]
    bias_g: tuple[float, float]
    widened: float

    @classmethod
    def of(cls, calibration: Calibration, main: int, widened: float) -> "CalibrationRecord":
        """The record of a calibration; errors are those of the target `main`."""
        both = np.stack([calibration.source_g[:, main], calibration.residual_g[:, main]])
        rmse, bias = np.sqrt((both**2).mean(1)).tolist(), (-both.mean(1)).tolist()
        return cls(
            cuts=both.shape[1],
            kind=calibration.kind,
            slope=tuple(calibration.correction.slope.tolist()),
            offset_g=tuple(calibration.correction.offset_g.tolist()),
            loss_g2=calibration.loss,
            target=TARGETS[main],
            rmse_g=(rmse[0], rmse[1]),
            bias_g=(bias[0], bias[1]),
            widened=widened,
        )

    @property
    def correction(self) -> Correction:
        """The correction to apply to estimates."""
        return Correction(np.array(self.slope), np.array(self.offset_g))

    def summary(self) -> list[str]:
        """The correction, and the errors before and after it, as lines of text."""
        if self.kind == "none":
            lines = [f"{self.cuts} cuts: a correction does not reduce the leave-one-out error, so none is applied."]
        else:
            lines = [f"{self.cuts} cuts: corrected by {self.kind}. Leave-one-out errors:"]
        before, after = self.rmse_g
        bias_before, bias_after = self.bias_g
        lines.append(
            f"{self.target}: RMSE {before:.2f} g before, {after:.2f} g after; "
            f"bias {bias_before:+.2f} g before, {bias_after:+.2f} g after."
        )
        if self.cuts < MIN_CUTS_FOR_INTERVALS:
            widened = f", widened by a factor of {self.widened:.2f}" if self.widened > 1 else ""
            lines.append(
                f"With fewer than {MIN_CUTS_FOR_INTERVALS} cuts the intervals are those of the original model{widened}."
            )
        else:
            lines.append("The intervals of the weighed targets are computed from the cuts.")
        return lines


class AssessmentRecord(_Record):
    """What the out-of-fold estimates of a set of heads show (`herbage.model.assessment`)."""

    score: ScoreRecord
    coverage: tuple[CoverageRecord, ...] = ()
    calibration: CalibrationRecord | None = None


class EvidenceRecord(AssessmentRecord):
    """The part of config.json that only trained models have. `measured` is about the heads with measured columns."""

    training: TrainingRecord
    baselines: dict[str, ScoreRecord] = Field({}, alias="floors")
    learning: tuple[LearningCurvePoint, ...] = ()
    measured: AssessmentRecord | None = None


NO_EVIDENCE: dict[str, Any] = {
    "training": None, "score": None, "floors": {}, "coverage": [], "learning": [], "calibration": None,
    "measured": None,
}  # fmt: skip
"""The same part of an imported model."""


class ModelConfig(_Record):
    """The part of config.json that all models have. `source` is a text about the origin of the heads, and `delivered`
    one about which heads give the estimates.

    `measured_columns` are those of the second set of heads, if there is one. `colours_converted`: whether the colours
    of training photos with a profile were converted to sRGB, which is unknown for imported heads.
    """

    format: int = FORMAT
    herbage: str
    recipe: Recipe
    backbone: BackboneRecord
    folds: int = Field(ge=1)
    measured_columns: tuple[MeasuredColumn, ...] = ()
    colours_converted: bool = True
    source: str = "trained by herbage"
    delivered: str = "the mean of the heads of all folds"


def write_config(config: ModelConfig, evidence: EvidenceRecord | None) -> str:
    """The text of config.json."""
    values = config.model_dump(mode="json") | {"format": FORMAT}
    source = values.pop("source")
    of_training = NO_EVIDENCE if evidence is None else evidence.model_dump(mode="json", by_alias=True)
    return json.dumps({**values, **of_training, "source": source}, indent=2) + "\n"


def read_config(path: Path) -> tuple[ModelConfig, EvidenceRecord | None]:
    """Read and check config.json; raises ModelInvalid, also for another format."""
    try:
        values: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path.parent} is not a herbage model: it has no config.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelInvalid(f"{path} is not readable JSON: {error}.") from error
    if not isinstance(values, dict) or "format" not in values:
        raise ModelInvalid(f"{path} is not the config of a herbage model: it has no `format`.")
    if values["format"] == EARLIER_FORMAT:
        values = upgrade_config(values, path)
    elif values["format"] != FORMAT:
        newer = isinstance(values["format"], int) and values["format"] > FORMAT
        raise ModelInvalid(
            f"{path} has model format {values['format']}, written by herbage {values.get('herbage', 'unknown')}; this "
            f"version reads format {FORMAT}. "
            + ("Upgrade herbage (pip install -U herbage)." if newer else "Train the model again with this version.")
        )
    evidence = {key: values.pop(key) for key in NO_EVIDENCE if key in values}
    is_trained = any(value not in (None, {}, []) for value in evidence.values())
    try:
        config = ModelConfig.model_validate_json(json.dumps(values))
        return config, EvidenceRecord.model_validate_json(json.dumps(evidence)) if is_trained else None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ModelInvalid(f"{path} is damaged: {faults}.") from error


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_to_none(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and value != value else value
