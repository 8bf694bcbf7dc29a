"""GeoPackage (OGC 12-128r19), the SQLite format that GIS programs open: connections, tables and geometries.

It is written with Python's own sqlite3, because one transaction must hold everything that a command changes.
"""

import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from herbage.errors import InputInvalid

APPLICATION_ID = 0x47504B47
"""The letters GPKG."""
VERSION = 10300
"""GeoPackage 1.3.0, as SQLite's user_version."""
WGS84 = 4326
WAIT_S = 60.0
"""How long a command waits for another program that writes to the file."""

_ENVELOPES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}
"""Numbers in the envelope of a geometry, by its kind in the header's flags."""
_POINT = 1
"""The type of a point in well-known binary."""

_SYSTEMS = (
    """CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT
)""",
    """CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
)""",
    """CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
)""",
)
_WGS84_WKT = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,'
    'AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]'
)
_REFERENCE_SYSTEMS = (
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian coordinate reference system"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
    ("WGS 84 geodetic", WGS84, "EPSG", WGS84, _WGS84_WKT, "longitude and latitude in decimal degrees on WGS 84"),
)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads; raises InputInvalid where the file cannot be read as SQLite."""
    # Not mode=ro: SQLite could not roll back the transaction of a process that was killed, and would refuse the file.
    with _reported(path), closing(_connect(path, "rw")) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction: everything is written when the block ends without an error, otherwise nothing.

    The file is created if it does not exist. Raises InputInvalid where another program is still writing after WAIT_S.
    """
    with _reported(path), closing(_connect(path, "rwc")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{_uri(path.absolute())}?mode={mode}", uri=True, timeout=WAIT_S)
    connection.isolation_level = None  # transactions begin and end where this module says so
    # The triggers of a spatial index, which QGIS adds to a layer, call these functions; their order is that of _bounds.
    for number, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        connection.create_function(name, 1, partial(_bound, number), deterministic=True)
    connection.create_function("ST_IsEmpty", 1, _is_empty, deterministic=True)
    return connection


def _uri(path: PurePath) -> str:
    """The URI of an absolute path. SQLite takes a share of Windows (//server/share) as a path, not as a host."""
    place = path.as_posix()
    return f"file://{'' if place[0] == '/' else '/'}{quote(os.fsencode(place), safe='/:')}"


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite into messages that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        reason = str(error)
        if "locked" in reason or "busy" in reason:
            raise InputInvalid(
                f"{path} is being written by another program (waited {WAIT_S:.0f} s), such as QGIS with unsaved edits "
                f"or another run of herbage. Save or close it there, and try again."
            ) from error
        if "readonly" in reason:
            raise InputInvalid(f"{path} could not be written: {reason}. Is the file write-protected?") from error
        if "unable to open" in reason:
            raise InputInvalid(f"{path} could not be opened: check that its folder exists and is writable.") from error
        if "full" in reason:
            raise InputInvalid(f"{path} could not be written: the disk is full. The file is as it was.") from error
        raise InputInvalid(
            f"{path} could not be used as a GeoPackage: {reason}. If it was edited or copied while another program "
            f"wrote to it, use an earlier copy."
        ) from error


def create(connection: sqlite3.Connection) -> None:
    """Make an empty database a GeoPackage."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    for statement in _SYSTEMS:
        connection.execute(statement)
    connection.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", _REFERENCE_SYSTEMS)


def create_table(
    connection: sqlite3.Connection, name: str, columns: Mapping[str, str], *, geometry: str | None, description: str
) -> None:
    """Create and register a table; `columns` maps names to SQL types, `geometry` is the type of the column geom."""
    own = {"fid": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", **({"geom": geometry} if geometry else {}), **columns}
    connection.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in own.items())})")
    kind, system = ("attributes", None) if geometry is None else ("features", WGS84)
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) VALUES (?, ?, ?, ?, ?)",
        (name, kind, name, description, system),
    )
    if geometry is not None:
        connection.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, 0, 0)", (name, geometry, WGS84))


def back_up(connection: sqlite3.Connection, place: Path) -> None:
    """Write a copy of the whole database to a new file; nothing is left of one that fails, as on a full disk."""
    try:
        with closing(sqlite3.connect(place)) as copy:
            connection.backup(copy)
    except sqlite3.Error:
        place.unlink(missing_ok=True)
        raise


def tables(connection: sqlite3.Connection) -> set[str]:
    """The names of the tables and views."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}


def columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The SQL types of a table's columns by name, in order."""
    return {name: kind for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({table})")}


def quoted(name: str) -> str:
    """A name as it is written in SQL."""
    return '"' + name.replace('"', '""') + '"'


def reference_system(connection: sqlite3.Connection, layer: str) -> str | int | None:
    """The code of a layer's coordinate system, with the organisation where that is not EPSG; None where it has none."""
    row = connection.execute(
        "SELECT organization, organization_coordsys_id FROM gpkg_geometry_columns JOIN gpkg_spatial_ref_sys "
        "USING (srs_id) WHERE table_name = ?",
        (layer,),
    ).fetchone()
    if row is None:
        return None
    organisation, code = row
    return int(code) if str(organisation).upper() == "EPSG" else f"{organisation}:{code}"


def now() -> str:
    """The time in UTC as GeoPackage writes it, with milliseconds: GDAL warns of others."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def touch(connection: sqlite3.Connection, table: str) -> None:
    """Record that the table was changed: the time, and for a layer the bounds of its geometries."""
    connection.execute("UPDATE gpkg_contents SET last_change = ? WHERE table_name = ?", (now(), table))
    if "geom" in columns(connection, table):
        every = [bounds for (blob,) in connection.execute(f"SELECT geom FROM {table}") if (bounds := _bounds(blob))]
        wests, easts, souths, norths = zip(*every, strict=True) if every else ((None,),) * 4
        connection.execute(
            "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?",
            (min(wests), min(souths), max(easts), max(norths), table),
        )


def insert(
    connection: sqlite3.Connection, table: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Insert rows, given as mappings with a value for each of these columns."""
    own = tuple(columns)
    statement = f"INSERT INTO {table} ({', '.join(own)}) VALUES ({', '.join(f':{column}' for column in own)})"
    connection.executemany(statement, rows)


def point_blob(longitude: float | None, latitude: float | None) -> bytes | None:
    """A point as a GeoPackage geometry; None where its place is unknown."""
    if longitude is None or latitude is None:
        return None
    return b"GP\x00\x01" + struct.pack("<iBIdd", WGS84, 1, _POINT, longitude, latitude)


def point_of(blob: bytes) -> tuple[float, float] | None:
    """The longitude and latitude of a point; None for another geometry, and an empty one."""
    start = _wkb_start(blob)
    order = "<" if blob[start] else ">"
    if _is_empty(blob) or struct.unpack_from(order + "I", blob, start + 1)[0] % 1000 != _POINT:
        return None
    longitude, latitude = struct.unpack_from(order + "2d", blob, start + 5)
    return longitude, latitude


def shape_blob(shape: Any) -> bytes:
    """A shapely geometry, which is not empty, as a GeoPackage geometry with its envelope."""
    import shapely

    west, south, east, north = shape.bounds
    head = b"GP\x00\x03" + struct.pack("<idddd", WGS84, west, east, south, north)
    return bytes(head + shapely.to_wkb(shape, byte_order=1))


def shape_of(blob: bytes) -> Any:
    """The shapely geometry of a GeoPackage geometry; raises ValueError where it is none."""
    import shapely

    try:
        return shapely.from_wkb(blob[_wkb_start(blob) :])
    except shapely.errors.ShapelyError as error:
        raise ValueError(str(error)) from error


def _order(flags: int) -> str:
    return "<" if flags & 1 else ">"


def _wkb_start(blob: bytes) -> int:
    if blob[:2] != b"GP" or len(blob) < 8:
        raise ValueError("not a GeoPackage geometry")
    return 8 + 8 * _ENVELOPES[blob[3] >> 1 & 7]


def _is_empty(blob: bytes | None) -> bool | None:
    return None if blob is None else bool(blob[3] >> 4 & 1)


def _bounds(blob: bytes | None) -> tuple[float, ...] | None:
    """West, east, south and north of a geometry, in the order of its envelope; None where it has none."""
    if blob is None or _is_empty(blob):
        return None
    if _wkb_start(blob) > 8:
        return struct.unpack_from(_order(blob[3]) + "4d", blob, 8)
    if (point := point_of(blob)) is not None:
        longitude, latitude = point
        return longitude, longitude, latitude, latitude
    west, south, east, north = shape_of(blob).bounds
    return west, east, south, north


def _bound(number: int, blob: bytes | None) -> float | None:
    bounds = _bounds(blob)
    return None if bounds is None else bounds[number]
