"""The photos of a run, and the paddock of each: by folder, by a column of a table, or by polygons."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from herbage.errors import InputInvalid
from herbage.photos.copies import find_copies
from herbage.photos.exif import NO_FACTS, PhotoFacts
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.results.copies import Copies, PaddockPhoto
from herbage.results.paddock_folders import FolderPaddocks
from herbage.results.paddock_polygons import Polygons
from herbage.results.polygon_files import FORMATS, SUFFIXES
from herbage.tables.sidecar import read_sidecar
from herbage.tables.spreadsheet import TableFormat

FOLDER = "folder"

PaddockOf = Callable[[PhotoFile, PhotoFacts], str | None]
"""The name of a photo's paddock, None where it belongs to none."""


@dataclass(frozen=True)
class Assignment:
    """How photos are assigned to paddocks; `polygons` are the paddocks' shapes where they are known.

    `copies` are the names of photos that are byte-equal to another photo of their paddock; they are in no mean.
    """

    paddock_of: PaddockOf
    polygons: Polygons | None = None
    copies: Collection[Hashable] = ()


@dataclass(frozen=True)
class AssignedPhotos:
    """The photos of a run, with corners from a sidecar table, and their assignment if there are paddocks."""

    files: Sequence[PhotoFile]
    assignment: Assignment | None = None
    remarks: tuple[Remark, ...] = ()


def read_assignment(
    files: Sequence[PhotoFile],
    photos: Path,
    paddocks: str | None,
    table: str | Path | None,
    how: TableFormat,
    paddock_name: str | None = None,
    measured: Sequence[str] = (),
    polygons: Polygons | None = None,
) -> AssignedPhotos:
    """Read the sidecar table and the paddocks of the files found in `photos`, a folder, a photo or a list of paths.

    `paddocks` is a column of `table`, the word `folder`, or a file of polygons, whose property `paddock_name` names
    them. With a table, a name without a suffix of `SUFFIXES` is a column. `measured` are the model's measured columns,
    which are read from the table. `polygons` are those of a farm, used where `paddocks` is None. Raises InputInvalid
    and TableInvalid.
    """
    place = None if paddocks is None or paddocks == FOLDER else Path(paddocks)
    if place is not None and (place.suffix.lower() in SUFFIXES or (table is None and place.exists())):
        polygons = Polygons.read(place, paddock_name)
    elif paddock_name is not None:
        raise InputInvalid(f"`paddock_name={paddock_name}`: expected a file of polygons as `paddocks`: {FORMATS}.")
    column = None if paddocks is None or polygons is not None or paddocks == FOLDER else paddocks
    if column is not None and table is None:
        raise InputInvalid(
            f"`paddocks={column}`: expected a column of `table`, the word folder, or a file of polygons: {FORMATS}. "
            f"There is no file of this name, and `table` is not set."
        )
    remarks: list[Remark] = []
    names: Mapping[str, str] = {}
    if table is not None:
        folder = photos.resolve().name if photos.is_dir() else ""
        sidecar = read_sidecar(table, files, column, how, folder, measured)
        files, names = sidecar.files, sidecar.text
        remarks += sidecar.remarks
    if paddocks is None and polygons is None:
        return AssignedPhotos(files, None, tuple(remarks))
    if polygons is not None:
        paddock_of, known = by_polygon(polygons), polygons.names
        remarks += polygons.remarks
    elif column is not None:
        paddock_of, known = by_column(names), list(dict.fromkeys(names.values()))
    else:
        folders = FolderPaddocks.of(files, is_list=not photos.is_dir())
        paddock_of, known = by_folder(folders), list(dict.fromkeys(folders.names.values()))
        remarks += _dropped(folders)
    copies = _copies(files, paddock_of)
    remarks += [*similar_names(known), *copies.remarks()]
    return AssignedPhotos(files, Assignment(paddock_of, polygons, copies.keys), tuple(remarks))


def by_folder(folders: FolderPaddocks) -> PaddockOf:
    """The folder that contains the photo."""
    return lambda file, _: folders.of_photo(file)


def by_column(names: Mapping[str, str]) -> PaddockOf:
    """The paddock in a sidecar table; `names` maps photo names to paddocks."""
    return lambda file, _: names.get(file.name)


def by_polygon(polygons: Polygons) -> PaddockOf:
    """The polygon that contains a photo's position."""
    return lambda _, facts: polygons.containing(facts.longitude, facts.latitude)


def _copies(files: Sequence[PhotoFile], paddock_of: PaddockOf) -> Copies:
    """Copies among the files. They have the same position, so polygons cannot separate them."""
    equal = (
        [PaddockPhoto(file.name, file.name, paddock_of(file, NO_FACTS)) for file in group]
        for group in find_copies(files)
    )
    return Copies.of(equal)


def _dropped(folders: FolderPaddocks) -> Iterator[Remark]:
    if folders.dropped:
        message = "The names of paddocks omit the camera's own folders"
        yield Remark.of("camera_folders", folders.dropped, message, is_warning=False)


def similar_names(names: Sequence[str]) -> Iterator[Remark]:
    """Remarks about paddocks whose names look the same, or like dates into which a spreadsheet turns codes."""
    spellings = defaultdict(set)
    for name in names:
        spellings[_plain(name)].add(name)
    alike = [" / ".join(sorted(of_one)) for of_one in spellings.values() if len(of_one) > 1]
    if alike:
        yield Remark.of("similar_paddocks", alike, "Paddocks with nearly equal names are different paddocks")
    dates = [name for name in names if re.fullmatch(r"\d{4}-\d\d-\d\d( 00:00:00)?", name)]
    if dates and len(dates) < len(names):
        message = "Some paddocks have dates as names; spreadsheets turn codes such as 3-1 into dates"
        yield Remark.of("paddocks_like_dates", dates, message)


def _plain(name: str) -> str:
    """A name without its case, spaces, hyphens, underscores and forms of letters; a whole number without zeros."""
    plain = " ".join(re.split(r"[\s_-]+", unicodedata.normalize("NFKC", name).casefold().strip()))
    return str(int(float(plain))) if re.fullmatch(r"\d{1,9}(\.0+)?", plain) else plain
