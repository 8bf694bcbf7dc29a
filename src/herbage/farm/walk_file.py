"""The file of a walk, in which a page without a farm at hand saves its estimates, which `Farm.add_walk` adds.

It is JSON: the rows of predictions.csv with the paddock and the digest of each photo, and what means and growth need to
know about the model.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from herbage.errors import InputInvalid
from herbage.farm.models import ModelRecord
from herbage.farm.paddocks import Paddocks
from herbage.farm.photos import PhotoIdentity, undated_error
from herbage.model.estimate import Estimate
from herbage.photos.exif import FIRST_DIGITAL_YEAR, is_possible_day
from herbage.results.rows import PaddockName, Prediction
from herbage.targets import known_names


def _written_day(given: Any) -> Any:
    """The value unless it is another than a day as YYYY-MM-DD: pydantic would read 20260904 as seconds since 1970."""
    if given is None or isinstance(given, date) or (isinstance(given, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", given)):
        return given
    raise ValueError("expected a day as YYYY-MM-DD, such as 2026-09-04")


Day = Annotated[date, BeforeValidator(_written_day)]


class WalkPhoto(Prediction):
    """The row of a photo, its paddock, and its day where it has no capture time."""

    paddock: PaddockName = None
    day: Day | None = None


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

        Raises InputInvalid for a photo that lacks its digest, day or weights, or was estimated by another model.
        """
        return identified(self.photos, self.model, day)


def identified(
    photos: Sequence[WalkPhoto], model: ModelRecord, day: date | None
) -> list[tuple[Estimate, PhotoIdentity]]:
    """`WalkFile.identified`, of rows that were estimated by this model."""
    rows = [row for row in photos if row.status == "ok"]
    if other := [row.photo for row in rows if row.model != model.digest]:
        raise InputInvalid(f"{other[0]} was estimated by another model. Estimate it again.")
    if unknown := [row.photo for row in rows if row.photo_sha256 is None]:
        raise InputInvalid(f"{unknown[0]} has no photo_sha256, so the farm could not recognise it later.")
    targets = known_names(model.known)
    if lacking := [(row.photo, target) for row in rows for target in targets if getattr(row, target) is None]:
        raise InputInvalid(f"{lacking[0][0]} has no {lacking[0][1]}, which its model estimates. Estimate it again.")
    if zoned := [row for row in rows if row.taken_at is not None and row.taken_at.tzinfo is not None]:
        raise InputInvalid(
            f"{zoned[0].photo}: taken_at={zoned[0].taken_at} has a time zone; expected the local time, as in the "
            f"photo's EXIF."
        )
    pairs = [(row, row.taken_at.date() if row.taken_at else row.day or day) for row in rows]
    if wrong := [(row.photo, own) for row, own in pairs if own is not None and not is_possible_day(own)]:
        raise InputInvalid(
            f"{wrong[0][0]} has the day {wrong[0][1]}; expected one from {FIRST_DIGITAL_YEAR} to tomorrow."
        )
    if undated := [row.photo for row, own in pairs if own is None]:
        raise undated_error(undated)
    return [
        (row.estimate(), PhotoIdentity(row.photo_sha256, own, row.paddock))
        for row, own in pairs
        if row.photo_sha256 and own
    ]


def in_paddocks(
    pairs: Iterable[tuple[Estimate, PhotoIdentity]], paddocks: Paddocks
) -> list[tuple[Estimate, PhotoIdentity]]:
    """The photos with the ids of paddocks: those of their labels, and by position for photos without a paddock."""
    polygons, ids = paddocks.polygons(), paddocks.ids
    found = []
    for estimate, identity in pairs:
        facts = estimate.facts
        label = identity.paddock or (polygons.containing(facts.longitude, facts.latitude) if polygons else None)
        own = None if label is None else ids.get(label)
        found.append((estimate, replace(identity, paddock=label, paddock_id=own)))
    return found
