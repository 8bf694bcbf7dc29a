"""Requests and responses of the API, with examples; OpenAPI is generated from them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from herbage.photos.photo import Corners
from herbage.results.rows import PaddockName, Prediction


class Predictions(BaseModel):
    """Rows, as `POST /api/predictions` returns them."""

    predictions: list[Prediction] = Field(max_length=10_000)


class GroupedPredictions(Predictions):
    """Rows, and the name of each photo's paddock; null for none. Outer spaces of a name are removed."""

    model_config = ConfigDict(extra="forbid")

    paddocks: list[PaddockName] = Field(max_length=10_000, examples=[["North"]])


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
