"""The paddocks of a farm file: stable ids; names, shapes, areas and targets that people edit in a GIS."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from herbage.errors import InputInvalid
from herbage.farm import geopackage
from herbage.farm.schema import PADDOCK_COLUMNS
from herbage.formatting import clean, counted
from herbage.remarks import Remark
from herbage.results.paddock_polygons import Polygons

_NUMBERS = ("effective_area_ha", "pre_grazing_kg_per_ha", "residual_kg_per_ha")
_SQUARE_METRES_PER_HA = 10_000


@dataclass(frozen=True)
class FarmPaddock:
    """A paddock. `label` is its name, with the id where several have this name; targets are in kg DM/ha.

    `shape` is a shapely polygon in WGS 84; None where no polygon was imported or drawn.
    """

    id: str
    name: str
    label: str
    shape: Any = None
    effective_area_ha: float | None = None
    pre_grazing_kg_per_ha: float | None = None
    residual_kg_per_ha: float | None = None

    @cached_property
    def area_ha(self) -> float | None:
        """The effective area if it is given, else the geodesic area of the polygon on the WGS 84 ellipsoid."""
        if self.effective_area_ha is not None or self.shape is None:
            return self.effective_area_ha
        from pyproj import Geod

        return abs(Geod(ellps="WGS84").geometry_area_perimeter(self.shape)[0]) / _SQUARE_METRES_PER_HA


@dataclass(frozen=True)
class Paddocks:
    """All paddocks of a farm file, by id."""

    by_id: Mapping[str, FarmPaddock]

    @classmethod
    def read(cls, connection: sqlite3.Connection, path: Path) -> "Paddocks":
        """Read the layer `paddocks`; rows without an id are left out (`give_ids`).

        Raises InputInvalid for a duplicated id, a number that is not positive, and a damaged geometry.
        """
        there = [name for name in PADDOCK_COLUMNS if name in geopackage.columns(connection, "paddocks")]
        rows = connection.execute(f"SELECT geom, {', '.join(there)} FROM paddocks ORDER BY fid")
        every = [dict(zip(("geom", *there), row, strict=True)) for row in rows]
        every = [row | {"id": _id(row["id"])} for row in every if _id(row["id"])]
        _check_ids(every, path)
        names = Counter(_text(row.get("name")) for row in every)
        paddocks = {}
        for row in every:
            own, name = row["id"], _text(row.get("name"))
            label = name if names[name] == 1 and name else f"{name or 'paddock'} ({own})"
            numbers = {column: _number(row.get(column), column, label, path) for column in _NUMBERS}
            paddocks[own] = FarmPaddock(own, name, label, _shape(row["geom"], label, path), **numbers)
        return cls(paddocks)

    def label(self, paddock_id: str) -> str:
        """The name of a paddock; of one that was deleted from the layer, its id."""
        return self.by_id[paddock_id].label if paddock_id in self.by_id else f"paddock ({paddock_id})"

    @property
    def ids(self) -> dict[str, str]:
        """The ids by label."""
        return {paddock.label: own for own, paddock in self.by_id.items()}

    def find(self, name: str) -> FarmPaddock:
        """The paddock of this label or id; raises InputInvalid."""
        own = self.ids.get(clean(name), name)
        if own in self.by_id:
            return self.by_id[own]
        known = ", ".join(sorted(self.ids)) or "none"
        raise InputInvalid(f"The farm has no paddock {name}. Its paddocks: {known}.")

    def polygons(self) -> Polygons | None:
        """The polygons, named by label, for photos that are assigned by their position; None where there are none."""
        drawn = [paddock for paddock in self.by_id.values() if paddock.shape is not None]
        if not drawn:
            return None
        return Polygons([paddock.label for paddock in drawn], [paddock.shape for paddock in drawn])


def give_ids(connection: sqlite3.Connection) -> int:
    """Give an id to the paddocks that were drawn in a GIS; returns their number."""
    new = [fid for fid, own in connection.execute("SELECT fid, id FROM paddocks") if not _id(own)]
    for fid in new:
        connection.execute("UPDATE paddocks SET id = ? WHERE fid = ?", (_new_id(), fid))
    return len(new)


def add_names(connection: sqlite3.Connection, names: Iterable[str], polygons: Polygons | None) -> dict[str, str]:
    """Add paddocks of these names, with their polygons if there are any; returns their ids by name."""
    shapes = {} if polygons is None else dict(zip(polygons.names, polygons.shapes, strict=True))
    ids = {name: _new_id() for name in names}
    rows = [{"id": own, "name": name, "geom": _blob(shapes.get(name))} for name, own in ids.items()]
    geopackage.insert(connection, "paddocks", ("id", "name", "geom"), rows)
    return ids


def add_shapes(connection: sqlite3.Connection, shapes: Mapping[str, Any]) -> None:
    """Set the shapes of paddocks by id."""
    rows = [(_blob(shape), own) for own, shape in shapes.items()]
    connection.executemany("UPDATE paddocks SET geom = ? WHERE id = ?", rows)


def import_polygons(connection: sqlite3.Connection, polygons: Polygons, path: Path) -> list[Remark]:
    """Add the polygons of a file, and update those of paddocks with the same name; others are left alone."""
    ids = Paddocks.read(connection, path).ids
    shapes = dict(zip(polygons.names, polygons.shapes, strict=True))
    new = [name for name in polygons.names if name not in ids]
    add_shapes(connection, {ids[name]: shape for name, shape in shapes.items() if name in ids})
    add_names(connection, new, polygons)
    geopackage.touch(connection, "paddocks")
    updated = [name for name in polygons.names if name in ids]
    said = [("paddocks_added", new, "added"), ("paddocks_updated", updated, "updated")]
    return [
        Remark.of(what, names, f"{counted(len(names), 'paddock')} {how}", is_warning=False)
        for what, names, how in said
        if names
    ]


def _new_id() -> str:
    return uuid4().hex[:12]


def _id(value: Any) -> str:
    """An id as text; it is compared as it is written, since SQL compares it so."""
    return "" if value is None or not clean(str(value)) else str(value)


def _text(value: Any) -> str:
    return "" if value is None else clean(str(value))


def _check_ids(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    counts = Counter(row["id"] for row in rows)
    for own, count in counts.items():
        if count > 1:
            names = " and ".join(_text(row.get("name")) or "one without a name" for row in rows if row["id"] == own)
            raise InputInvalid(
                f"{path}: the paddocks {names} have the same id, {own}. Clear the id of the new one in a GIS, such as "
                f"QGIS, and it gets an id of its own."
            )


def _number(value: Any, column: str, label: str, path: Path) -> float | None:
    """A positive number, or None for an empty cell."""
    if value is None or value == "":
        return None
    if isinstance(value, (int, float)) and 0 < value < float("inf"):
        return float(value)
    raise InputInvalid(f"{path}: {column} of the paddock {label} is {value!r}; expected a number above 0, or no value.")


def _shape(blob: bytes | None, label: str, path: Path) -> Any:
    """The valid polygon of a geometry; None where there is none."""
    if blob is None:
        return None
    try:
        import pyproj  # noqa: F401  # for areas
        import shapely
    except ImportError as error:
        raise InputInvalid(f"{path} has polygons, which need geopandas: pip install 'herbage[gis]'") from error
    try:
        shape = shapely.make_valid(shapely.force_2d(geopackage.shape_of(blob)))
    except (ValueError, shapely.errors.ShapelyError) as error:
        raise InputInvalid(f"{path}: the shape of the paddock {label} is damaged: {error}.") from error
    parts = [part for part in shapely.get_parts(shape) if part.geom_type in ("Polygon", "MultiPolygon")]
    # Areas have signs: only in a normalised polygon do holes run against the exterior, whichever way they were drawn.
    return shapely.normalize(shapely.union_all(parts)) if parts else None


def _blob(shape: Any) -> bytes | None:
    if shape is None:
        return None
    import shapely

    return geopackage.shape_blob(shapely.MultiPolygon(shapely.get_parts(shape).tolist()))
