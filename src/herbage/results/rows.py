"""A row of predictions.csv as JSON, with what a program needs beside it: the API and files of walks carry such rows."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from herbage.formatting import clean
from herbage.model.estimate import COLUMNS, DEFAULT_LEVEL, Estimate
from herbage.targets import QUADRAT_AREA_M2

Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=300)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _paddock_name(given: str | None) -> str | None:
    """The name as in files of polygons: without outer spaces, in Unicode's form NFC; None where nothing remains."""
    return clean(given or "") or None


PaddockName = Annotated[Name | None, AfterValidator(_paddock_name)]

EXAMPLE: dict[str, Any] = {
    "photo": "north-1.jpg", "status": "ok",
    "Dry_Clover_g": 1.2, "Dry_Dead_g": 9.8, "Dry_Green_g": 31.5, "Dry_Total_g": 42.5, "GDM_g": 32.7,
    "Dry_Clover_g_low": 0.0, "Dry_Clover_g_high": 6.1, "Dry_Dead_g_low": 3.0, "Dry_Dead_g_high": 17.2,
    "Dry_Green_g_low": 18.9, "Dry_Green_g_high": 46.0, "Dry_Total_g_low": 27.4, "Dry_Total_g_high": 60.1,
    "GDM_g_low": 19.5, "GDM_g_high": 48.3,
    "Dry_Total_kg_per_ha": 2023.8, "GDM_kg_per_ha": 1557.1, "in_domain": True, "taken_at": "2026-09-04T10:12:00",
    "latitude": -41.5, "longitude": 147.1, "message": None, "training_photo": False, "shape_differs": False,
    "measured": True, "level": 0.9, "quadrat_area_m2": 0.21,
    "map": "/api/maps/Yp3vQm0c9wYbE1aS", "photo_sha256": "5d" * 32, "model": "c4" * 32,
}  # fmt: skip


class Prediction(BaseModel):
    """One photo's row of predictions.csv: grams of dry matter per quadrat, intervals, and kg per hectare.

    Values are null where the model does not know them. `map` is the address of the patch map. Photos of equal
    `photo_sha256` are copies; rows without it are never copies.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    photo: Name
    status: Literal["ok", "unreadable", "skipped"]
    Dry_Clover_g: Weight | None = None
    Dry_Dead_g: Weight | None = None
    Dry_Green_g: Weight | None = None
    Dry_Total_g: Weight | None = None
    GDM_g: Weight | None = None
    Dry_Clover_g_low: Weight | None = None
    Dry_Clover_g_high: Weight | None = None
    Dry_Dead_g_low: Weight | None = None
    Dry_Dead_g_high: Weight | None = None
    Dry_Green_g_low: Weight | None = None
    Dry_Green_g_high: Weight | None = None
    Dry_Total_g_low: Weight | None = None
    Dry_Total_g_high: Weight | None = None
    GDM_g_low: Weight | None = None
    GDM_g_high: Weight | None = None
    Dry_Total_kg_per_ha: Weight | None = None
    GDM_kg_per_ha: Weight | None = None
    in_domain: bool | None = Field(None, description="Whether the photo is like the training photos.")
    taken_at: datetime | None = Field(None, description="Local time, from the photo's EXIF.")
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = Field(None, description="WGS 84, from the photo's EXIF.")
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    message: Annotated[str, Field(max_length=2000)] | None = None
    training_photo: bool | None = Field(None, description="Whether the model was trained on this photo.")
    shape_differs: bool | None = Field(
        None, description="Whether the photo's aspect ratio differs from that of the training photos."
    )
    measured: bool | None = Field(
        None, description="Whether the estimate used measured columns, such as the height, in addition to the photo."
    )
    level: float = Field(DEFAULT_LEVEL, gt=0, lt=1, description="The level of the intervals.")
    quadrat_area_m2: float = Field(QUADRAT_AREA_M2, ge=1e-4, le=1e4, description="The area that the photo shows.")
    map: Annotated[str, Field(max_length=100)] | None = None
    photo_sha256: Digest | None = Field(
        None, description="Identifies the photo and its corners; null for a photo that could not be read."
    )
    model: Digest | None = Field(None, description="The digest of the model that made the estimate.")

    def cells(self) -> dict[str, Any]:
        """The cells of its row of predictions.csv, as `Estimate.row` returns them."""
        cells = self.model_dump(include=set(COLUMNS))
        return cells | {"taken_at": self.taken_at.isoformat() if self.taken_at else None}

    def estimate(self) -> Estimate:
        """The estimate of this row, without its map."""
        return Estimate.of_row(self.model_dump(), level=self.level, quadrat_area_m2=self.quadrat_area_m2)
