"""The tables of a farm file, and the checks before one is used."""

import sqlite3
from pathlib import Path

import herbage
from herbage.errors import InputInvalid
from herbage.farm import geopackage
from herbage.model.estimate import COLUMNS, FLAGS

VERSION = 1
"""The version of these tables; it rises when an older herbage could misread them."""

SUFFIX = ".gpkg"

PHOTO_COLUMNS = (*COLUMNS, "key", "paddock_id", "assigned_as", "model", "date", "quadrat_area_m2", "level", "added_at")
"""The columns of `photos`: those of predictions.csv, and further ones.

`key` identifies the photo and its corners; `assigned_as` is the name by which it was assigned to its paddock; `date` is
the day of the capture time or, without one, the day that was given.
"""

PADDOCK_COLUMNS = ("id", "name", "effective_area_ha", "pre_grazing_kg_per_ha", "residual_kg_per_ha")
"""The columns of `paddocks`. People edit them in a GIS; only `id` must be there."""

VISIT_COLUMNS = (
    "paddock_id", "paddock", "date", "photos", "kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "sampling_kg_per_ha",
    "model_kg_per_ha", "GDM_kg_per_ha", "green_share", "legume_share", "in_domain_share", "growth_kg_per_ha_day",
    "growth_low", "growth_high", "growth_since", "growth_note", "possible_grazing", "model",
)  # fmt: skip
"""The columns of `visits`, which is computed from `photos`. `growth_note` says why growth is empty."""

MODEL_COLUMNS = ("digest", "name", "targets", "quadrat_area_m2", "errors")
"""The columns of `models`. `errors` is JSON: the errors of means by this model (`herbage.farm.models`)."""

_TEXT = {
    "photo", "status", "taken_at", "message", "key", "paddock_id", "assigned_as", "model", "paddock", "growth_note",
    "days_note", "id", "name", "digest", "targets", "errors",
}  # fmt: skip
_TYPES = {
    **dict.fromkeys(_TEXT, "TEXT"),
    **dict.fromkeys((*FLAGS, "possible_grazing"), "BOOLEAN"),
    **dict.fromkeys(("date", "since", "growth_since"), "DATE"),
    **dict.fromkeys(("photos", "paddocks"), "INTEGER"),
    "added_at": "DATETIME",
    "key": "TEXT NOT NULL UNIQUE",
    "digest": "TEXT NOT NULL UNIQUE",
}
"""SQL types of the columns of a farm file and of the tables of a season; others are REAL.

A capture time is local, and GeoPackage's DATETIME is UTC: it is text.
"""

_TABLES = {
    "photos": (PHOTO_COLUMNS, "POINT", "The estimates of photos, as in predictions.csv"),
    "paddocks": (PADDOCK_COLUMNS, "MULTIPOLYGON", "Paddocks: edit names, shapes, areas and targets here"),
    "visits": (VISIT_COLUMNS, None, "Cover and growth per visit, computed from photos"),
    "models": (MODEL_COLUMNS, None, "What the means of photos need to know about the models"),
}


def sql_type(column: str) -> str:
    """The SQL type of a column."""
    return _TYPES.get(column, "REAL")


def check_place(path: Path) -> None:
    """Raise InputInvalid where this path cannot be a farm file, whether or not it exists."""
    if path.suffix.lower() != SUFFIX:
        raise InputInvalid(f"`farm={path}`: expected the name of a GeoPackage, which ends in {SUFFIX}.")
    if not path.parent.is_dir():
        raise InputInvalid(f"`farm={path}`: the folder {path.parent} does not exist.")
    if path.is_dir():
        raise InputInvalid(f"`farm={path}` is a folder; expected a file.")


def is_new(path: Path) -> bool:
    """Whether there is no farm yet: no file, or an empty one, as a run leaves it that was killed at its first write."""
    if not path.exists() or not path.stat().st_size:
        return True
    with geopackage.reading(path) as connection:
        return not geopackage.tables(connection)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise InputInvalid where the file is no farm, is from a newer version, or lacks a table or column."""
    present = geopackage.tables(connection)
    if "herbage_farm" not in present:
        raise InputInvalid(
            f"{path} is not a farm file. To import its polygons, pass it as `paddocks`, and another path as `farm`."
        )
    version, by = connection.execute("SELECT max(version), herbage FROM herbage_farm").fetchone()
    if version is None:
        raise InputInvalid(f"{path}: the table herbage_farm is empty: use an earlier copy.")
    if version > VERSION:
        raise InputInvalid(
            f"{path} has version {version}, written by herbage {by}; this is herbage {herbage.__version__}, which "
            f"reads version {VERSION}. Upgrade with pip install --upgrade herbage."
        )
    for table, (needed, geometry, _) in _TABLES.items():
        if table not in present:
            raise InputInvalid(f"{path} has no table {table}, so it is damaged: use an earlier copy.")
        there = geopackage.columns(connection, table)
        needed = ("id",) if table == "paddocks" else needed
        missing = [column for column in ("fid", *needed, *(["geom"] if geometry else [])) if column not in there]
        if missing:
            raise InputInvalid(f"{path}: the table {table} has no column {', '.join(missing)}: use an earlier copy.")
        system = geopackage.reference_system(connection, table) if geometry else geopackage.WGS84
        if system != geopackage.WGS84:
            raise InputInvalid(
                f"{path}: the layer {table} has the coordinate system {system}; expected {geopackage.WGS84} (WGS 84). "
                f"Save it in EPSG:{geopackage.WGS84} under the same name, or use an earlier copy."
            )


def create(connection: sqlite3.Connection) -> None:
    """Create the tables of a farm in an empty database."""
    geopackage.create(connection)
    for table, (own, geometry, description) in _TABLES.items():
        types = {column: sql_type(column) for column in own}
        geopackage.create_table(connection, table, types, geometry=geometry, description=description)
    connection.execute("CREATE INDEX photos_paddock ON photos (paddock_id)")
    connection.execute("CREATE TABLE herbage_farm (version INTEGER NOT NULL, herbage TEXT NOT NULL)")
    connection.execute("INSERT INTO herbage_farm VALUES (?, ?)", (VERSION, herbage.__version__))
