"""The photos of a walk, from the rows that the page sends."""

from collections import defaultdict
from collections.abc import Sequence

from herbage.app.web.schemas import WalkRequest
from herbage.errors import InputInvalid
from herbage.farm.models import ModelRecord
from herbage.farm.walk_file import WalkFile, WalkPhoto
from herbage.remarks import Remark
from herbage.results.copies import Copies, PaddockPhoto
from herbage.results.rows import Prediction


def copies_of(rows: Sequence[tuple[Prediction, str | None]]) -> Copies:
    """Copies among rows and their paddocks, by number; raises InputInvalid for copies in two paddocks."""
    by_digest: dict[str, list[PaddockPhoto]] = defaultdict(list)
    for number, (row, paddock) in enumerate(rows):
        if row.photo_sha256 is not None:
            by_digest[row.photo_sha256].append(PaddockPhoto(number, row.photo, paddock))
    return Copies.of(by_digest.values())


def walk_of(request: WalkRequest, model: ModelRecord) -> tuple[WalkFile, list[Remark]]:
    """The photos with an estimate, each once, as a walk estimated by this model.

    Raises InputInvalid where there are none, and for copies in two paddocks.
    """
    rows = [(row, paddock) for row, paddock in request.named() if row.status == "ok"]
    if not rows:
        raise InputInvalid("There is no photo with an estimate, so there is nothing to save.")
    # A copy without a paddock is in that of the other, since a farm has each photo once.
    known = {row.photo_sha256: paddock for row, paddock in rows if row.photo_sha256 and paddock is not None}
    rows = [(row, known.get(row.photo_sha256 or "") if paddock is None else paddock) for row, paddock in rows]
    copies = copies_of(rows)
    photos = [_photo(row, paddock, request) for number, (row, paddock) in enumerate(rows) if number not in copies.keys]
    return WalkFile(model=model, photos=photos), list(copies.remarks())


def _photo(row: Prediction, paddock: str | None, request: WalkRequest) -> WalkPhoto:
    cells = row.model_dump(exclude={"map"})
    return WalkPhoto(**cells, paddock=paddock, day=None if row.taken_at else request.day)
