"""The photos of a farm file: their identity, and what adding them changes."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from herbage.errors import InputInvalid, PhotoUnreadable
from herbage.farm import geopackage, paddocks
from herbage.farm.models import ModelRecord, add_model
from herbage.farm.paddocks import Paddocks
from herbage.farm.schema import PHOTO_COLUMNS
from herbage.formatting import clean, counted
from herbage.model.estimate import Estimate
from herbage.photos.exif import FIRST_DIGITAL_YEAR, is_possible_day
from herbage.photos.photo import PhotoFile, open_photo
from herbage.remarks import NAMES_STORED, Remark, first_names
from herbage.results.paddock_assignment import Assignment
from herbage.results.paddock_folders import NO_FOLDER
from herbage.results.paddock_polygons import Polygons
from herbage.targets import TARGETS

_ESTIMATE_COLUMNS = tuple(
    column for column in PHOTO_COLUMNS if column not in ("key", "paddock_id", "assigned_as", "date")
)
"""What another estimate of a photo replaces."""

_COMPARED = ("model", "measured", "level", "quadrat_area_m2", *TARGETS)
"""What differs between two estimates of a photo."""


@dataclass(frozen=True)
class PhotoIdentity:
    """What a farm needs to know of a photo beside its estimate: its key, its day, and the name or id of its paddock."""

    key: str
    day: date
    paddock: str | None = None
    paddock_id: str | None = None


@dataclass(frozen=True)
class AddOptions:
    """Whether photos of the farm may change: their paddock (`reassign`), and their estimate (`replace_estimates`)."""

    reassign: bool = False
    replace_estimates: bool = False


def refuse_without(needed: str, day: object, options: AddOptions) -> None:
    """Raise InputInvalid where options for adding photos are given, but not `needed`, and so nothing is added."""
    given = {"date": day is not None, "reassign": options.reassign, "replace_estimates": options.replace_estimates}
    if unused := [f"`{name}`" for name, is_given in given.items() if is_given]:
        raise InputInvalid(f"{' and '.join(unused)}: expected {needed} as well.")


@dataclass
class Changes:
    """What adding photos changed: names by kind, the first NAMES_STORED of each, and their numbers.

    `is_same_model` is False where the farm has other errors for the model than those given; it uses its own.
    """

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    paddocks: list[str] = field(default_factory=list)
    is_same_model: bool = True

    def note(self, kind: str, name: str) -> None:
        """Count a photo."""
        self.counts[kind] += 1
        if len(self.names[kind]) < NAMES_STORED:
            self.names[kind].append(name)

    def remarks(self) -> Iterator[Remark]:
        """What a user should know about the photos, and the paddocks that were added."""
        for kind, text in _SAID.items():
            if count := self.counts[kind]:
                message = f"{counted(count, 'photo')} {text}"
                yield Remark.of(f"farm_{kind}", self.names[kind], message, count=count)
        if not self.is_same_model:
            message = "The farm has other errors of means for this model than those given; it uses its own."
            yield Remark("farm_model_differs", message)
        if self.paddocks:
            message = f"{counted(len(self.paddocks), 'paddock')} added to the farm"
            yield Remark.of("farm_paddocks_added", self.paddocks, message, is_warning=False)

    def __str__(self) -> str:
        others = [f"{self.counts[kind]} {text}" for kind, text in _COUNTED.items() if self.counts[kind]]
        return ", ".join([f"{counted(self.counts['added'], 'photo')} added", *others])


_COUNTED = {
    "unchanged": "already there",
    "kept": "already there with another estimate",
    "replaced": "replaced",
    "assigned": "assigned to a paddock",
    "moved": "moved to another paddock",
}
_SAID = {
    "kept": "already in the farm with another estimate, of another model or other settings, which was not changed; "
    "pass `replace_estimates=True` to replace it",
    "other_day": "already in the farm on another day, which was not changed; take that visit out with `drop_visit` to "
    "add them again",
    "elsewhere": "already in the farm in another paddock, which was not changed; pass `reassign=True` to move them",
    "unassigned": "in the farm without a paddock, so in no visit",
}


def identify(
    files: Sequence[PhotoFile], assignment: Assignment | None, day: date | None, ids: Mapping[str, str]
) -> dict[str, PhotoIdentity]:
    """The identities of photos by name; photos that cannot be opened, and copies of others, are left out.

    Where paddocks are folders, photos directly in the given folder are in no paddock, since it would have no name.
    `day` is that of photos without a capture time, and `ids` are the ids of paddocks whose names are labels of the
    farm's own polygons. Raises InputInvalid where a photo has no capture time and `day` is None.
    """
    found: dict[str, PhotoIdentity] = {}
    undated = []
    for file in files:
        if assignment is not None and file.name in assignment.copies:
            continue
        try:
            photo = open_photo(file)
        except PhotoUnreadable:
            continue
        taken = photo.facts.taken_at.date() if photo.facts.taken_at else day
        if taken is None:
            undated.append(file.name)
            continue
        paddock = None if assignment is None else assignment.paddock_of(file, photo.facts)
        paddock = None if paddock == NO_FOLDER else paddock
        known = None if paddock is None else ids.get(paddock)
        found[file.name] = PhotoIdentity(photo.key, taken, paddock, known)
    if undated:
        raise undated_error(undated)
    return found


def undated_error(names: Sequence[str]) -> InputInvalid:
    """The error for photos without a capture time."""
    return InputInvalid(
        f"{counted(len(names), 'photo')} without a capture time cannot be assigned to a visit: {first_names(names)}. "
        f"Pass the day on which they were taken, such as `date=2026-09-04`."
    )


def read_day(text: str | date | None, parameter: str = "date") -> date | None:
    """A day, also written as YYYY-MM-DD, on which a photo can have been taken; raises InputInvalid."""
    if text is None:
        return None
    try:
        day = text if isinstance(text, date) else date.fromisoformat(text)
    except ValueError as error:
        raise InputInvalid(f"`{parameter}={text}`: expected a day as YYYY-MM-DD, such as 2026-09-04.") from error
    day = day.date() if isinstance(day, datetime) else day
    if not is_possible_day(day):
        raise InputInvalid(f"`{parameter}={text}`: expected a day from {FIRST_DIGITAL_YEAR} to tomorrow.")
    return day


def add_photos(
    connection: sqlite3.Connection,
    path: Path,
    photos: Iterable[tuple[Estimate, PhotoIdentity]],
    model: ModelRecord,
    options: AddOptions,
    polygons: Polygons | None = None,
) -> Changes:
    """Add estimates by this model; `polygons` are the shapes of paddocks that the farm does not have yet.

    A photo that is there already is not added again, whatever its name. Raises InputInvalid where a name is that of
    several paddocks.
    """
    changes = Changes(is_same_model=add_model(connection, model))
    find_id = _PaddockIds(connection, path, polygons, changes)
    added_at = geopackage.now()
    for estimate, identity in photos:
        there = _stored(connection, identity.key)
        may_assign = there is None or there["paddock_id"] is None or options.reassign
        cells = estimate.row() | {
            "key": identity.key, "assigned_as": identity.paddock, "model": model.digest,
            "paddock_id": identity.paddock_id or find_id(identity.paddock, may_add=may_assign),
            "date": identity.day.isoformat(), "quadrat_area_m2": estimate.quadrat_area_m2, "level": estimate.level,
            "added_at": added_at, "geom": geopackage.point_blob(estimate.facts.longitude, estimate.facts.latitude),
        }  # fmt: skip
        if there is None:
            geopackage.insert(connection, "photos", ("geom", *PHOTO_COLUMNS), [cells])
            changes.note("added", estimate.photo)
            if cells["paddock_id"] is None:
                changes.note("unassigned", estimate.photo)
        else:
            _add_again(connection, there, cells, options, changes)
    for table in ("photos", "paddocks"):
        geopackage.touch(connection, table)
    return changes


def _stored(connection: sqlite3.Connection, key: str) -> dict[str, Any] | None:
    """The cells of a photo of the farm that may differ when it is added again."""
    columns = ("paddock_id", "date", *_COMPARED)
    row = connection.execute(f"SELECT {', '.join(columns)} FROM photos WHERE key = ?", (key,)).fetchone()
    return None if row is None else dict(zip(columns, row, strict=True))


def _add_again(
    connection: sqlite3.Connection,
    there: Mapping[str, Any],
    cells: Mapping[str, Any],
    options: AddOptions,
    changes: Changes,
) -> None:
    name = cells["photo"]
    if str(there["date"])[: len("2026-09-04")] != cells["date"]:  # a program without a type for days adds a time
        changes.note("other_day", name)
    if all(there[column] == cells[column] for column in _COMPARED):
        changes.note("unchanged", name)
    elif options.replace_estimates:
        _update(connection, ("geom", *_ESTIMATE_COLUMNS), cells)
        changes.note("replaced", name)
    else:
        changes.note("kept", name)
    if cells["assigned_as"] is not None and cells["paddock_id"] != there["paddock_id"]:
        kind = "assigned" if there["paddock_id"] is None else "moved" if options.reassign else "elsewhere"
        if kind != "elsewhere":
            _update(connection, ("paddock_id", "assigned_as"), cells)
        changes.note(kind, name)


def _update(connection: sqlite3.Connection, columns: Sequence[str], cells: Mapping[str, Any]) -> None:
    # UPDATE, so that columns that people added keep their values.
    assignments = ", ".join(f"{column} = :{column}" for column in columns)
    connection.execute(f"UPDATE photos SET {assignments} WHERE key = :key", cells)


class PaddockNames:
    """Finds the ids of paddocks by name.

    A name is looked up among the names of paddocks, and then among those by which earlier photos were assigned: a
    paddock that was renamed in a GIS is still found by the name of its folder.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Raises InputInvalid, as `Paddocks.read`."""
        self._path, self.farm = path, Paddocks.read(connection, path)
        self._named: dict[str, set[str]] = defaultdict(set)
        for own, paddock in self.farm.by_id.items():
            self._named[paddock.name].add(own)
        self._earlier: dict[str, set[str]] = defaultdict(set)
        for name, own in connection.execute("SELECT DISTINCT assigned_as, paddock_id FROM photos"):
            if own in self.farm.by_id:
                self._earlier[name].add(own)

    def find(self, name: str) -> str | None:
        """The id of this paddock, None where there is none; raises InputInvalid where there are several."""
        fitting = sorted(self._named.get(clean(name)) or self._earlier.get(name) or ())
        if len(fitting) > 1:
            labels = " and ".join(sorted(self.farm.label(own) for own in fitting))
            raise InputInvalid(f"{self._path}: {name} may be {labels}. Give each paddock a name of its own in a GIS.")
        return fitting[0] if fitting else None


class _PaddockIds:
    """Finds the ids of paddocks by name, and adds paddocks that are not there, or that have no shape yet."""

    def __init__(self, connection: sqlite3.Connection, path: Path, polygons: Polygons | None, changes: Changes) -> None:
        self._connection, self._changes, self._polygons = connection, changes, polygons
        self._shapes = {} if polygons is None else dict(zip(polygons.names, polygons.shapes, strict=True))
        self._names = PaddockNames(connection, path)
        self._found: dict[str, str] = {}

    def __call__(self, name: str | None, *, may_add: bool) -> str | None:
        """The id of this paddock; None without a name, and where the paddock is not there and may not be added."""
        if name is None:
            return None
        if name not in self._found and (own := self._find(name, may_add=may_add)) is not None:
            self._found[name] = own
        return self._found.get(name)

    def _find(self, name: str, *, may_add: bool) -> str | None:
        own = self._names.find(name)
        if own is None:
            return self._added(name) if may_add else None
        if self._names.farm.by_id[own].shape is None and name in self._shapes:
            paddocks.add_shapes(self._connection, {own: self._shapes[name]})
        return own

    def _added(self, name: str) -> str:
        self._changes.paddocks.append(name)
        return paddocks.add_names(self._connection, [name], self._polygons)[name]
