"""Farm: the file of a season, what goes into it and what comes out."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import pandas as pd

from herbage.errors import InputInvalid
from herbage.farm import geopackage, schema
from herbage.farm.export import EXPORTED, export_tables
from herbage.farm.models import ModelRecord, check_cover, read_models
from herbage.farm.paddocks import Paddocks, give_ids, import_polygons
from herbage.farm.photos import AddOptions, Changes, PaddockNames, PhotoIdentity, add_photos, identify, read_day
from herbage.farm.season import Season
from herbage.farm.visits import delete_photos, read_visits, write_visits
from herbage.farm.walk_file import WalkFile, in_paddocks
from herbage.model.estimate import DEFAULT_LEVEL, Estimate
from herbage.outputs import check_output_files
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile
from herbage.progress import Track, silent
from herbage.remarks import Remark
from herbage.results.paddock_assignment import Assignment, read_assignment
from herbage.results.paddock_polygons import Polygons
from herbage.tables.spreadsheet import TableFormat

if TYPE_CHECKING:
    from herbage.backbones.opening import BackboneOptions
    from herbage.model.model import HerbageModel


class Farm:
    """A farm file: a GeoPackage with the estimates of a season, which QGIS, R and plain SQLite open as well.

    The file is created when something is first added. Every method that changes it writes one transaction: afterwards
    the file has all of the change, or it is as it was.

    >>> farm = Farm("farm.gpkg")
    >>> farm.import_paddocks("paddocks.geojson")
    >>> farm.add("model/", "photos/2026-09-04/")
    >>> farm.wedge()
    """

    def __init__(self, path: str | Path) -> None:
        """Open a farm; raises InputInvalid where the path is not that of a farm file that this version reads."""
        self.path = Path(path)
        schema.check_place(self.path)
        if not self.is_new:
            with self._reading():
                pass

    def __repr__(self) -> str:
        return f"Farm({str(self.path)!r})"

    @property
    def is_new(self) -> bool:
        """Whether nothing was added yet, so that there is no file."""
        return schema.is_new(self.path)

    @property
    def title(self) -> str:
        """The title of its reports."""
        return f"Season of {self.path.stem}"

    def add(
        self,
        model: "str | Path | HerbageModel",
        photos: str | Path,
        *,
        paddocks: str | None = None,
        table: str | Path | None = None,
        paddock_name: str | None = None,
        date: str | date | None = None,
        reassign: bool = False,
        replace_estimates: bool = False,
        store: str | Path | None = None,
        track: Track = silent,
        **options: "Unpack[BackboneOptions]",
    ) -> Changes:
        """Estimate photos and add them; `herbage.predict` with `farm` writes a results folder as well.

        `paddocks` is a column of `table`, the word `folder`, or a file of polygons, as in `herbage.predict`; by default
        photos are assigned by their positions to the polygons of the farm. `date` is the day of photos without a
        capture time. Raises InputInvalid and PhotosMissing; photos that cannot be read are left out.
        """
        from herbage.model.model import open_model  # imported here: all else of a farm needs no torch

        opened = open_model(model)
        place = Path(photos)
        adding = self.begin(date, AddOptions(reassign, replace_estimates), by_position=paddocks is None)
        found, how = find_photos(place), TableFormat()
        read = read_assignment(found, place, paddocks, table, how, paddock_name, opened.measured_names, adding.polygons)
        record = ModelRecord.of(opened)
        files = adding.identify(read.files, read.assignment, record)
        made = opened.estimates(files, opened.open_backbone(**options), store=None if store is None else Path(store))
        estimates = [estimate for estimate, _ in track(made, "predict", len(files))]
        return adding.add(estimates, record)

    def begin(self, date: str | date | None, options: AddOptions, *, by_position: bool) -> "Adding":
        """Prepare to add photos; with `by_position` they are assigned to the polygons of the farm."""
        return Adding(self, read_day(date), options, self.paddocks() if by_position else None)

    def check(self, model: ModelRecord, names: Iterable[str]) -> None:
        """Raise InputInvalid where photos of paddocks with these names, estimated by this model, could not be added."""
        if not self.is_new:
            with self._reading() as connection:
                check_cover(connection, model)
                paddocks = PaddockNames(connection, self.path)
            for name in names:
                paddocks.find(name)

    def add_estimates(
        self,
        estimates: Iterable[tuple[Estimate, PhotoIdentity]],
        model: ModelRecord,
        options: AddOptions = AddOptions(),  # noqa: B008  # it is frozen
        polygons: Polygons | None = None,
    ) -> Changes:
        """Add estimates that were made by this model; `polygons` are shapes of paddocks that the farm may not have."""
        with self._writing() as connection:
            return add_photos(connection, self.path, estimates, model, options, polygons)

    def add_walk(
        self,
        path: str | Path,
        *,
        date: str | date | None = None,
        reassign: bool = False,
        replace_estimates: bool = False,
    ) -> Changes:
        """Add the file of a walk, which the web page saves; `date` is the day of photos without a capture time.

        Photos without a paddock are assigned by their positions to the polygons of the farm.
        """
        walk = WalkFile.read(Path(path))
        pairs = in_paddocks(walk.identified(read_day(date)), self.paddocks())
        return self.add_estimates(pairs, walk.model, AddOptions(reassign, replace_estimates))

    def import_paddocks(self, path: str | Path, *, paddock_name: str | None = None) -> list[Remark]:
        """Add the polygons of a file (GeoJSON, GeoPackage, KML or Shapefile), and update those of the same name."""
        polygons = Polygons.read(Path(path), paddock_name)
        with self._writing() as connection:
            return [*polygons.remarks, *import_polygons(connection, polygons, self.path)]

    def drop_visit(self, paddock: str, day: str | date) -> Path:
        """Delete the photos of a visit; returns the path of a copy of the file, made before that.

        `paddock` is the name or id of a paddock. Raises InputInvalid where it was not visited on this day.
        """
        self._require()
        wanted = read_day(day, "drop_visit")
        with self._writing() as connection:
            own = Paddocks.read(connection, self.path).find(paddock)
            visits = read_visits(connection, read_models(connection), DEFAULT_LEVEL).get(own.id, [])
            dropped = [visit for visit in visits if visit.day == wanted]
            if not dropped:
                days = ", ".join(visit.day.isoformat() for visit in visits) or "none"
                raise InputInvalid(f"{own.label} has no visit on {wanted}. Its visits: {days}.")
            copy = self._copy()  # within the transaction, so that it has what other programs added until now
            delete_photos(connection, dropped)
        return copy

    def paddocks(self) -> Paddocks:
        """The paddocks of the farm; none where it is new. Those drawn in a GIS get their ids."""
        if self.is_new:
            return Paddocks({})
        with self._reading() as connection:
            needs_ids = connection.execute("SELECT 1 FROM paddocks WHERE id IS NULL OR id = ''").fetchone()
            if not needs_ids:
                return Paddocks.read(connection, self.path)
        with self._writing() as connection:
            return Paddocks.read(connection, self.path)

    def season(
        self, *, level: float = DEFAULT_LEVEL, pre_grazing: float | None = None, residual: float | None = None
    ) -> Season:
        """Everything that follows from the photos, at this level of intervals; raises InputInvalid.

        `pre_grazing` and `residual` are the targets in kg DM/ha of paddocks that have none of their own.
        """
        self._require()
        _check_figures(level, pre_grazing, residual)
        with self._reading() as connection:
            paddocks, models = Paddocks.read(connection, self.path), read_models(connection)
            visits = read_visits(connection, models, level)
            unassigned = (
                "SELECT count(*) FROM photos WHERE paddock_id IS NULL OR paddock_id NOT IN (SELECT id FROM paddocks)"
            )
            (count,) = connection.execute(unassigned).fetchone()
        return Season(paddocks, models, visits, level, pre_grazing, residual, count)

    def visits(self, *, level: float = DEFAULT_LEVEL) -> pd.DataFrame:
        """One row per visit: cover with interval, shares, and growth since the visit before."""
        return self.season(level=level).visits_table()

    def growth(self, *, level: float = DEFAULT_LEVEL) -> pd.DataFrame:
        """The growth of each paddock since the visit before, and of the farm by walk."""
        return self.season(level=level).growth_table()

    def wedge(
        self, *, level: float = DEFAULT_LEVEL, pre_grazing: float | None = None, residual: float | None = None
    ) -> pd.DataFrame:
        """One row per paddock of the newest walk, highest cover first, with feed and days to the target."""
        return self.season(level=level, pre_grazing=pre_grazing, residual=residual).wedge_table()

    def export(self, out: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write the tables as CSV and the layers as GeoJSON to a folder; returns the paths. Raises OutputExists."""
        self._require()
        check_output_files(Path(out), EXPORTED, overwrite=overwrite)
        with self._reading() as connection:
            return export_tables(connection, Path(out))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with geopackage.reading(self.path) as connection:
            schema.check(connection, self.path)
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which paddocks have ids; when it ends, `visits` is computed again."""
        with geopackage.writing(self.path) as connection:
            if not geopackage.tables(connection):
                schema.create(connection)
            schema.check(connection, self.path)
            give_ids(connection)
            yield connection
            write_visits(connection, Paddocks.read(connection, self.path))

    def _require(self) -> None:
        if self.is_new:
            raise InputInvalid(f"{self.path} does not exist, so there is no farm: add photos or paddocks first.")

    def _copy(self) -> Path:
        """A copy of the file next to it, with the time in its name."""
        copy = self.path.with_name(f"{self.path.stem}.before-{datetime.now():%Y%m%d-%H%M%S-%f}{self.path.suffix}")
        with geopackage.reading(self.path) as connection:
            geopackage.back_up(connection, copy)
        return copy


def _check_figures(level: float, pre_grazing: float | None, residual: float | None) -> None:
    if not 0 < level < 1:
        raise InputInvalid(f"`level={level}`: expected a share between 0 and 1, such as 0.9.")
    for name, target in {"pre_grazing": pre_grazing, "residual": residual}.items():
        if target is not None and not 0 <= target < float("inf"):
            raise InputInvalid(f"`{name}={target}`: expected kg DM/ha, at least 0.")
    if pre_grazing is not None and residual is not None and pre_grazing <= residual:
        raise InputInvalid(f"`pre_grazing={pre_grazing}`: expected more than is left after grazing, {residual}.")


class Adding:
    """Photos on their way into a farm: they are checked before they are estimated, and added afterwards."""

    def __init__(self, farm: Farm, day: date | None, options: AddOptions, own: Paddocks | None) -> None:
        """`own` are the farm's paddocks, where photos are assigned by their position."""
        self.farm, self.day, self.options = farm, day, options
        self.polygons = None if own is None else own.polygons()
        self._ids = {} if own is None else own.ids
        self._shapes: Polygons | None = None
        self._identities: dict[str, PhotoIdentity] = {}

    def identify(
        self, files: Sequence[PhotoFile], assignment: Assignment | None, model: ModelRecord
    ) -> list[PhotoFile]:
        """The photos that can be added: not those that cannot be opened, nor copies of others.

        Raises InputInvalid where the farm cannot take them: a photo has no capture time, and no day was given; a
        paddock has the name of another; the cover of the farm is another target than that of the model.
        """
        self._identities = identify(files, assignment, self.day, self._ids)
        self._shapes = None if assignment is None or self._ids else assignment.polygons
        names = {own.paddock for own in self._identities.values() if own.paddock and not own.paddock_id}
        self.farm.check(model, names)
        return [file for file in files if file.name in self._identities]

    def add(self, estimates: Iterable[Estimate], model: ModelRecord) -> Changes:
        """Add the estimates of these photos; others are left out."""
        known = self._identities
        pairs = ((one, known[one.photo]) for one in estimates if one.status == "ok" and one.photo in known)
        return self.farm.add_estimates(pairs, model, self.options, self._shapes)
