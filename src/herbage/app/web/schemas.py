"""Requests and responses of the API, with examples; OpenAPI is generated from them."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter

from herbage.errors import InputInvalid
from herbage.farm.walk_file import Day
from herbage.photos.photo import Corners
from herbage.results.rows import PaddockName, Prediction


class Predictions(BaseModel):
    """Rows, as `POST /api/predictions` returns them."""

    predictions: list[Prediction] = Field(max_length=10_000)


class GroupedPredictions(Predictions):
    """Rows, and the name of each photo's paddock; null for none. Outer spaces of a name are removed."""

    model_config = ConfigDict(extra="forbid")

    paddocks: list[PaddockName] = Field(max_length=10_000, examples=[["North"]])

    def named(self) -> Iterator[tuple[Prediction, str | None]]:
        """Each row with its paddock; raises InputInvalid where their numbers differ."""
        rows, names = len(self.predictions), len(self.paddocks)
        if rows != names:
            raise InputInvalid(f"paddocks: expected {rows} names, one per photo; got {names}.")
        return zip(self.predictions, self.paddocks, strict=True)


class WalkRequest(GroupedPredictions):
    """The rows of a walk, all estimated by the model of this server; only those with status ok are saved."""

    day: Day | None = Field(None, description="The day of photos without a capture time.", examples=["2026-09-04"])


class SaveRequest(WalkRequest):
    """The rows of a walk to save to the farm, and whether photos that are there already may change.

    Photos without a paddock are assigned to the polygons of the farm by their position.
    """

    replace_estimates: StrictBool = Field(False, description="Replace estimates of another model or other settings.")
    reassign: StrictBool = Field(False, description="Move photos that are in another paddock.")


class RemarkRecord(BaseModel):
    """What a user should know about the rows: `names` are the first of the `count` photos that it is about."""

    what: str = Field(examples=["copies"])
    count: int
    message: str
    names: list[str]


class PaddockTable(BaseModel):
    """The rows of paddocks.csv, and remarks about photos that are in no mean."""

    paddocks: list[dict[str, Any]]
    remarks: list[RemarkRecord]


class FarmRemark(RemarkRecord):
    """A remark about the farm; `is_warning` is false for information."""

    is_warning: bool


class Saved(BaseModel):
    """What a request has changed in the farm: numbers of photos, and `text`, which sums them up.

    `kept` have another estimate in the farm, `elsewhere` another paddock, and `other_day` another day; they were not
    changed. `unassigned` are in no paddock, and `by_position` were assigned to one by their position.
    """

    text: str = Field(examples=["12 photos added, 3 already there"])
    added: int
    unchanged: int
    kept: int
    replaced: int
    moved: int
    elsewhere: int
    other_day: int
    unassigned: int
    by_position: int
    paddocks_added: list[str]
    remarks: list[FarmRemark]


class FarmWalk(BaseModel):
    """The farm on the last day of its newest walk; null where unknown. Covers are in kg DM/ha, feed in kg DM.

    `paddocks` is the number of paddocks. The cover is the mean weighted by area, where areas are known.
    """

    day: date
    paddocks: int
    area_ha: float | None
    kg_per_ha: float | None
    kg_per_ha_low: float | None
    kg_per_ha_high: float | None
    feed_kg: float | None
    feed_kg_low: float | None
    feed_kg_high: float | None
    feed_above_residual_kg: float | None
    feed_above_residual_kg_low: float | None
    feed_above_residual_kg_high: float | None


class NotVisited(BaseModel):
    """A paddock that is not in the newest walk, and the day of its last visit."""

    paddock: str
    last_visit: date | None


class FarmSeason(BaseModel):
    """The season of the farm. `farm` is the name of its file, and `paddocks` are the names of all its paddocks.

    `wedge` has one row per paddock of the newest walk, highest cover first: its last visit, cover, growth, feed, and
    days to its target. `level` is that of all intervals.
    """

    farm: str = Field(examples=["farm.gpkg"])
    paddocks: list[str] = Field(examples=[["North", "South"]])
    level: float
    walk: FarmWalk | None
    wedge: list[dict[str, Any]]
    not_visited: list[NotVisited]
    remarks: list[FarmRemark]


class Map(BaseModel):
    """The distribution of weight, row by row from the upper left of the photo, or of the quadrat in it."""

    unit: Literal["g/m2"] = "g/m2"
    rows: int
    columns: int
    top: dict[str, float] = Field(description="The top of the colour scale, per target.")
    values: dict[str, list[float]] = Field(description="Grams per square metre, per target; rows x columns values.")


CORNERS: TypeAdapter[list[Corners | None]] = TypeAdapter(
    list[tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]] | None]  # type: ignore[arg-type]  # a Corners of just four
)
"""One entry per photo: four (x, y) in pixels of the upright photo, from the upper left and clockwise, or null."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]

MEASURED: TypeAdapter[list[dict[str, Number | None] | None]] = TypeAdapter(list[dict[str, Number | None] | None])
"""One entry per photo: numbers by the name of a measured column, null where one was not measured; or null."""
