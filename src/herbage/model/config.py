"""What a model says of itself in config.json: recipe, backbone, how it was trained, and its scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from herbage.backbones.backbone import Backbone
from herbage.errors import ModelInvalid
from herbage.evaluation.scoring import Score
from herbage.model.calibration import OWN_INTERVAL_CUTS, Kind
from herbage.model.intervals import LEVELS, can_be_had
from herbage.recipe import Recipe
from herbage.targets import Known

FORMAT = 3
"""Raised when a folder written by this version could not be read rightly by an older one, or the other way round."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


ByTarget = tuple[float | None, float | None, float | None, float | None, float | None]
"""A figure a target, None where it is not known."""


def by_target(values: Float[np.ndarray, "5"]) -> ByTarget:
    """Figures as a record keeps them."""
    c, d, g, t, gdm = (None if np.isnan(value) else float(value) for value in values)
    return c, d, g, t, gdm


class BackboneRecord(_Record):
    """The backbone that the heads were trained on; `engine` is what computed the training tokens."""

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
    """The photos that the heads were trained on; `mean_g` by target, `aspect` the median of width over height.

    A target that was not weighed, and that no sum determines, has no mean.
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
    """A target's own figures; None where the target never varies."""

    r2: float | None
    rmse_g: float
    mae_g: float
    bias_g: float


class ScoreRecord(_Record):
    """An out-of-fold score, as `herbage.evaluation.scoring.Score`."""

    weighted_r2: float | None
    photos: int
    targets: dict[str, TargetScoreRecord]

    @classmethod
    def of(cls, score: Score) -> "ScoreRecord":
        """The record of a score, NaN as None."""
        plain = {**score._asdict(), "targets": {name: t._asdict() for name, t in score.targets.items()}}
        return cls.model_validate(_nan_to_none(plain))


class CoverageRecord(_Record):
    """How often intervals of a level held on groups left out, and their mean width, by target."""

    level: float
    share: ByTarget
    width_g: ByTarget


class LearntRecord(_Record):
    """The out-of-fold score when the heads learn from fewer groups."""

    photos: int
    weighted_r2: float | None


class CalibrationRecord(_Record):
    """How own cuts corrected the model: part = estimate x slope + offset_g (`herbage.model.calibration`).

    `loss_g2`: score-weighted squared error on cuts left out one by one, by kind of correction. The others are of the
    target `target` on cuts left out, before and after.
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

    def said(self) -> list[str]:
        """What was done, in lines that a person reads."""
        if self.kind == "none":
            lines = [
                f"{self.cuts} cuts: judged on each cut by the others, a correction does not help, so there is none."
            ]
        else:
            lines = [f"{self.cuts} cuts: corrected by {self.kind}. Judged on each cut by the others:"]
        before, after = self.rmse_g
        bias_before, bias_after = self.bias_g
        lines.append(
            f"{self.target}: RMSE {before:.2f} g before, {after:.2f} g after; "
            f"bias {bias_before:+.2f} g before, {bias_after:+.2f} g after."
        )
        if self.cuts < OWN_INTERVAL_CUTS:
            widened = f", made {self.widened:.2f} times as wide" if self.widened > 1 else ""
            lines.append(f"Under {OWN_INTERVAL_CUTS} cuts the intervals stay the model's own{widened}.")
        else:
            lines.append("The intervals of what was weighed are made from the cuts.")
        return lines


class ModelConfig(_Record):
    """All of config.json. `training` and `score` are None for imported heads, whose `source` says what they are."""

    format: int = FORMAT
    herbage: str
    recipe: Recipe
    backbone: BackboneRecord
    folds: int = Field(ge=1)
    training: TrainingRecord | None = None
    score: ScoreRecord | None = None
    floors: dict[str, ScoreRecord] = {}
    coverage: tuple[CoverageRecord, ...] = ()
    learning: tuple[LearntRecord, ...] = ()
    calibration: CalibrationRecord | None = None
    source: str = "trained by herbage"

    @property
    def unmeasured_in_words(self) -> str:
        """Which intervals are given although the groups are too few to measure how often they hold; else nothing."""
        if self.training is None:
            return ""
        groups, measured = self.training.groups, [of.level for of in self.coverage]
        given = [f"{of:.0%}" for of in LEVELS if of not in measured and can_be_had(of, groups)]
        if not given:
            return "" if measured else "The training groups are too few to measure how often intervals hold."
        return (
            f"How often {' and '.join(given)} intervals hold cannot be measured on {groups} groups: one more is needed."
        )

    @property
    def known(self) -> Known:
        """The targets that the model estimates."""
        if self.training is None:
            return (True,) * 5
        c, d, g, t, gdm = (mean is not None for mean in self.training.mean_g)
        return c, d, g, t, gdm


def read_config(path: Path) -> ModelConfig:
    """config.json checked; raises ModelInvalid, naming a newer format as such."""
    try:
        values: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path.parent} is no herbage model: it has no config.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelInvalid(f"{path} is not readable JSON: {error}.") from error
    if not isinstance(values, dict) or "format" not in values:
        raise ModelInvalid(f"{path} is no herbage model's config: it has no `format`.")
    if values["format"] != FORMAT:
        newer = isinstance(values["format"], int) and values["format"] > FORMAT
        raise ModelInvalid(
            f"{path} has model format {values['format']}, written by herbage {values.get('herbage', 'unknown')}; this "
            f"herbage reads format {FORMAT}. "
            + ("Upgrade herbage (pip install -U herbage)." if newer else "Train the model again with this herbage.")
        )
    try:
        return ModelConfig.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ModelInvalid(f"{path} is damaged: {faults}.") from error


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_to_none(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and value != value else value
