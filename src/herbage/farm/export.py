"""The tables of a farm file as CSV, and its layers as GeoJSON."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from herbage.farm import geopackage
from herbage.files import write_atomic
from herbage.results.predictions import spreadsheet_text

LAYERS = ("photos", "paddocks")
TABLES = (*LAYERS, "visits", "models")
EXPORTED = (*(f"{table}.csv" for table in TABLES), *(f"{layer}.geojson" for layer in LAYERS))
"""The files of an export."""


def export_tables(connection: sqlite3.Connection, out: Path) -> list[Path]:
    """Write each table as CSV, and each layer as GeoJSON as well; columns that people added are included."""
    files = {f"{table}.csv": _csv(connection, table) for table in TABLES}
    files |= {f"{layer}.geojson": _geojson(connection, layer) for layer in LAYERS}
    for name, text in files.items():
        write_atomic(out / name, text)
    return [out / name for name in files]


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    types = {name: kind for name, kind in geopackage.columns(connection, table).items() if name != "fid"}
    for row in connection.execute(f"SELECT {', '.join(map(geopackage.quoted, types))} FROM {table} ORDER BY fid"):
        cells = zip(types.items(), row, strict=True)
        yield {name: bool(value) if kind == "BOOLEAN" and value is not None else value for (name, kind), value in cells}


def _csv(connection: sqlite3.Connection, table: str) -> str:
    names = [name for name in geopackage.columns(connection, table) if name not in ("fid", "geom")]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in _rows(connection, table):
        writer.writerow({name: spreadsheet_text(row[name]) for name in names})
    return text.getvalue()


def _geojson(connection: sqlite3.Connection, layer: str) -> str:
    features = [
        {"type": "Feature", "geometry": _geometry(row.pop("geom")), "properties": row}
        for row in _rows(connection, layer)
    ]
    return (
        json.dumps({"type": "FeatureCollection", "features": features}, indent=1, ensure_ascii=False, default=bytes.hex)
        + "\n"
    )


def _geometry(blob: bytes | None) -> Any:
    if blob is None:
        return None
    if (point := geopackage.point_of(blob)) is not None:
        return {"type": "Point", "coordinates": list(point)}
    import shapely

    return shapely.geometry.mapping(geopackage.shape_of(blob))
