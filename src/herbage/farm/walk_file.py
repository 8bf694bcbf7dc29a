"""The file of a walk, in which a page without a farm at hand saves its estimates, which `Farm.add_walk` adds.

It is JSON: the rows of predictions.csv with the paddock and the digest of each photo, and what means and growth need to
know about the model.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from herbage.errors import InputInvalid
from herbage.farm.models import ModelRecord
from herbage.farm.photos import PhotoIdentity, undated_error
from herbage.model.estimate import Estimate
from herbage.results.rows import PaddockName, Prediction


class WalkPhoto(Prediction):
    """The row of a photo, its paddock, and its day where it has no capture time."""

    paddock: PaddockName = None
    day: date | None = None


class WalkFile(BaseModel):
    """The photos of a walk, all estimated by one model."""

    model_config = ConfigDict(extra="forbid")

    herbage_walk: Literal[1] = 1
    model: ModelRecord
    photos: list[WalkPhoto] = Field(max_length=100_000)

    @classmethod
    def read(cls, path: Path) -> "WalkFile":
        """Read a file; raises InputInvalid where it is none, or lacks what a farm needs."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputInvalid(f"`add={path}` could not be read: {error.strerror or error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise InputInvalid(
                f"`add={path}` is not the file of a walk, as herbage's page saves it: {where}: {first['msg']}. A table "
                f"such as predictions.csv cannot be added, since it does not identify the photos and the model."
            ) from error

    def identified(self, day: date | None) -> list[tuple[Estimate, PhotoIdentity]]:
        """The estimates with the identities of their photos; `day` is that of photos without a capture time.

        Raises InputInvalid for a photo that lacks its digest or day, or was estimated by another model.
        """
        return identified(self.photos, self.model.digest, day)


def identified(photos: Sequence[WalkPhoto], model: str, day: date | None) -> list[tuple[Estimate, PhotoIdentity]]:
    """`WalkFile.identified`, of rows that were estimated by the model with this digest."""
    rows = [row for row in photos if row.status == "ok"]
    if other := [row.photo for row in rows if row.model != model]:
        raise InputInvalid(f"{other[0]} was estimated by another model. Estimate it again.")
    if unknown := [row.photo for row in rows if row.photo_sha256 is None]:
        raise InputInvalid(f"{unknown[0]} has no photo_sha256, so the farm could not recognise it later.")
    pairs = [(row, row.taken_at.date() if row.taken_at else row.day or day) for row in rows]
    if undated := [row.photo for row, own in pairs if own is None]:
        raise undated_error(undated)
    return [
        (row.estimate(), PhotoIdentity(row.photo_sha256, own, row.paddock))
        for row, own in pairs
        if row.photo_sha256 and own
    ]
