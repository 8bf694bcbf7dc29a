"""What a farm file stores about a model, so that means and growth need no model folder."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from herbage.errors import InputInvalid
from herbage.farm import geopackage
from herbage.farm.schema import MODEL_COLUMNS
from herbage.model.paddock_error import MeanErrors
from herbage.targets import TARGETS, TargetMask, kg_per_ha, known_names, main_target, named_targets

if TYPE_CHECKING:
    from herbage.model.model import HerbageModel

NotNegative = Annotated[float, Field(ge=0)]
PerTarget = Annotated[tuple[NotNegative | None, ...], Field(min_length=len(TARGETS), max_length=len(TARGETS))]
TargetName = Literal["Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g"]


class ErrorsRecord(BaseModel):
    """`MeanErrors` as JSON; null for targets that the model does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    shared: PerTarget
    own: PerTarget
    score: tuple[PerTarget, ...]
    unit_g: PerTarget
    widened: float = Field(gt=0)

    @classmethod
    def of(cls, errors: MeanErrors) -> "ErrorsRecord":
        """The record of these errors."""
        values = {name: _nullable(getattr(errors, name)) for name in ("shared", "own", "score", "unit_g")}
        return cls(**values, widened=errors.widened)

    def errors(self) -> MeanErrors:
        """The inverse of `of`."""
        score = np.array(self.score, float).reshape(-1, len(TARGETS))
        return MeanErrors(
            np.array(self.shared, float), np.array(self.own, float), score, np.array(self.unit_g, float), self.widened
        )


class ModelRecord(BaseModel):
    """A row of the table `models`: targets, quadrat area, and the errors of means by this model.

    `alone` is None for imported heads, whose errors are unknown. `measured` are the errors where photos were estimated
    with measured columns.
    """

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(pattern="^[0-9a-f]{64}$")
    name: str = Field(max_length=300)
    targets: tuple[TargetName, ...] = Field(min_length=1)
    quadrat_area_m2: float = Field(ge=1e-4, le=1e4)
    alone: ErrorsRecord | None = None
    measured: ErrorsRecord | None = None

    @classmethod
    def of(cls, model: "HerbageModel") -> "ModelRecord":
        """What is needed of this model."""
        evidence = model.evidence
        sets = {"alone": evidence.alone, "measured": evidence.measured} if evidence else {}
        return cls(
            digest=model.digest,
            name=f"{model.recipe.name} on {Path(model.config.backbone.name).name}",
            targets=tuple(known_names(model.known)),
            quadrat_area_m2=model.quadrat_area_m2,
            **{name: ErrorsRecord.of(MeanErrors.of(one)) for name, one in sets.items() if one},
        )

    @property
    def known(self) -> TargetMask:
        """The targets that the model estimates."""
        return named_targets(self.targets)

    @property
    def main(self) -> int:
        """The target that is its cover."""
        return main_target(self.known)

    def errors_kg_per_ha(self, *, measured: bool) -> MeanErrors | None:
        """The errors of means in kg DM/ha, of photos with measured columns or of photos alone."""
        record = self.measured if measured and self.measured else self.alone
        if record is None:
            return None
        errors = record.errors()
        return replace(errors, unit_g=kg_per_ha(errors.unit_g, self.quadrat_area_m2))

    def row(self) -> dict[str, Any]:
        """Its cells in the table `models`."""
        errors = self.model_dump_json(include={"alone", "measured"})
        cells = self.model_dump(include={"digest", "name", "quadrat_area_m2"})
        return cells | {"targets": ", ".join(self.targets), "errors": errors}


def read_models(connection: sqlite3.Connection) -> dict[str, ModelRecord]:
    """The models of a farm by digest; raises InputInvalid for a damaged row."""
    models = {}
    for row in connection.execute(f"SELECT {', '.join(MODEL_COLUMNS)} FROM models"):
        cells: Mapping[str, Any] = dict(zip(MODEL_COLUMNS, row, strict=True))
        try:
            targets = tuple(str(cells["targets"]).split(", "))
            own = {name: cells[name] for name in ("digest", "name", "quadrat_area_m2")}
            sets = _Errors.model_validate_json(cells["errors"])
            models[cells["digest"]] = ModelRecord(**own, targets=targets, alone=sets.alone, measured=sets.measured)
        except (ValidationError, ValueError) as error:
            raise InputInvalid(f"The table models is damaged: the row of {cells['digest']} ({error}).") from error
    return models


def check_cover(connection: sqlite3.Connection, model: ModelRecord) -> None:
    """Raise InputInvalid where the cover of the farm is another target than that of this model."""
    for other in read_models(connection).values():
        if other.main != model.main:
            raise InputInvalid(
                f"The cover of this farm is {TARGETS[other.main]}, and that of the model is {TARGETS[model.main]}: use "
                f"another path as `farm` for this model."
            )


def add_model(connection: sqlite3.Connection, model: ModelRecord) -> bool:
    """Insert the model if the farm does not have it yet; raises InputInvalid, as `check_cover`.

    Returns whether the farm's record, which is not replaced, has the same errors.
    """
    check_cover(connection, model)
    there = read_models(connection).get(model.digest)
    if there is not None:
        return _have_equal_errors(there, model)
    geopackage.insert(connection, "models", MODEL_COLUMNS, [model.row()])
    geopackage.touch(connection, "models")
    return True


def _have_equal_errors(one: ModelRecord, other: ModelRecord) -> bool:
    """Whether both give the same interval, but for rounding on different machines, to a mean of typical photos."""
    for measured in (False, True):
        of = [record.errors_kg_per_ha(measured=measured) for record in (one, other)]
        ours, given = (
            np.full(5, -1.0) if errors is None else errors.half_width_g(errors.unit_g, 4, 0.8) for errors in of
        )
        if not np.allclose(ours, given, rtol=1e-3, equal_nan=True):
            return False
    return True


class _Errors(BaseModel):
    alone: ErrorsRecord | None = None
    measured: ErrorsRecord | None = None


def _nullable(values: Any) -> Any:
    return np.asarray(np.where(np.isfinite(values), values, None)).tolist()
