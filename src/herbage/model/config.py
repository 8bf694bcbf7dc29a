"""What a model says of itself in config.json: recipe, backbone, how it was trained, and its scores."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from herbage.backbones.backbone import Backbone
from herbage.errors import ModelInvalid
from herbage.judging.scoring import Score
from herbage.recipe import Recipe

FORMAT = 2
"""Raised when a folder written by this version could not be read rightly by an older one."""

FORMATS_READ = (1, 2)
"""Format 1 knew no averaged views, heterogeneity and tiles; their defaults are what it meant."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


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
    """The photos that the heads were trained on; `mean_g` by target, `aspect` the median of width over height."""

    photos: int
    groups: int
    grouped_by: tuple[str, ...]
    folds: int
    seed: int
    mean_g: tuple[float, float, float, float, float]
    quadrat_area_m2: float = Field(gt=0)
    aspect: float = Field(gt=0)


class TargetScoreRecord(_Record):
    """A target's own figures; None where the target never varies."""

    r2: float | None
    rmse_g: float
    mae_g: float
    bias_g: float


class ScoreRecord(_Record):
    """An out-of-fold score, as `herbage.judging.scoring.Score`."""

    weighted_r2: float | None
    photos: int
    targets: dict[str, TargetScoreRecord]

    @classmethod
    def of(cls, score: Score) -> "ScoreRecord":
        """The record of a score, NaN as None."""
        plain = {**score._asdict(), "targets": {name: t._asdict() for name, t in score.targets.items()}}
        return cls.model_validate(_nan_to_none(plain))


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
    source: str = "trained by herbage"


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
    if values["format"] not in FORMATS_READ:
        raise ModelInvalid(
            f"{path} has model format {values['format']}, written by herbage {values.get('herbage', 'unknown')}; "
            f"this herbage reads formats up to {FORMAT}. Upgrade herbage (pip install -U herbage)."
        )
    try:
        return ModelConfig.model_validate_json(path.read_text("utf-8")).model_copy(update={"format": FORMAT})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ModelInvalid(f"{path} is damaged: {faults}.") from error


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_to_none(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and value != value else value
