"""What other programs make of a farm file, and what herbage makes of their edits."""

import sqlite3

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from herbage.farm import geopackage
from tests.farm.walks import DAY, a_model, a_photo


def test_geopandas_reads_layers_and_tables(walked):
    layers = dict(pyogrio.list_layers(walked.path))
    assert layers == {"photos": "Point", "paddocks": "MultiPolygon", "visits": None, "models": None}
    photos = geopandas.read_file(walked.path, layer="photos")
    assert photos.crs.to_epsg() == 4326
    assert {(point.x, point.y) for point in photos.geometry} == {(147.001, -41.499)}
    assert photos["in_domain"].all()
    assert photos["taken_at"].tolist() == ["2026-09-01T10:00:00"] * 8  # local time, which GeoPackage has no type for
    paddocks = geopandas.read_file(walked.path, layer="paddocks").set_index("name")
    assert paddocks.loc["North"].geometry.bounds == pytest.approx((147, -41.5, 147.003, -41.498))
    visits = geopandas.read_file(walked.path, layer="visits").sort_values("paddock")
    assert visits["kg_per_ha"].tolist() == pytest.approx([2000, 1500])
    assert pd.to_datetime(visits["date"]).dt.date.tolist() == [DAY, DAY]
    assert pyogrio.read_info(walked.path, layer="photos")["total_bounds"] == pytest.approx((147.001, -41.499) * 2)


def test_plain_sqlite_reads_it(walked):
    with sqlite3.connect(walked.path) as plain:
        assert plain.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert plain.execute("PRAGMA user_version").fetchone() == (10300,)
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
        count = "SELECT p.name, count(*) FROM photos JOIN paddocks p ON p.id = paddock_id GROUP BY p.name ORDER BY p.name"
        assert plain.execute(count).fetchall() == [("North", 4), ("South", 4)]


def add_spatial_index(path, layer, tmp_path):
    """The R-tree and its triggers as GDAL writes them, taken from a file that GDAL wrote."""
    shape = shapely.Point(0, 0) if layer == "photos" else shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])
    other = tmp_path / f"gdal-{layer}.gpkg"
    geopandas.GeoDataFrame(geometry=[shape], crs=4326).to_file(
        other, layer=layer, GEOMETRY_NAME="geom", SPATIAL_INDEX="YES"
    )
    with sqlite3.connect(other) as made:
        sql = "SELECT sql FROM sqlite_master WHERE name LIKE 'rtree_%' AND (type = 'trigger' OR sql LIKE 'CREATE VIRTUAL%')"
        statements = [own for (own,) in made.execute(sql)]
    assert any("ST_MinX" in statement for statement in statements)
    with geopackage.writing(path) as connection:
        for statement in sorted(statements, key=lambda own: "TRIGGER" in own):
            connection.execute(statement)
        bounds = ", ".join(f"ST_{end}(geom)" for end in ("MinX", "MaxX", "MinY", "MaxY"))
        connection.execute(f"INSERT INTO rtree_{layer}_geom SELECT fid, {bounds} FROM {layer}")


def test_layers_with_the_spatial_index_of_a_gis_can_be_written(walked, tmp_path):
    for layer in ("photos", "paddocks"):
        add_spatial_index(walked.path, layer, tmp_path)
    with sqlite3.connect(walked.path) as plain, pytest.raises(sqlite3.OperationalError, match="no such function: ST_"):
        plain.execute("UPDATE photos SET geom = geom")
    walked.add_estimates([a_photo("new.jpg", 1000, place=(-41.495, 147.002), paddock="East")], a_model())
    walked.drop_visit("South", DAY)
    with sqlite3.connect(walked.path) as plain:
        boxes = np.array(plain.execute("SELECT minx, maxx, miny, maxy FROM rtree_photos_geom").fetchall())
    assert len(boxes) == 5
    assert boxes.max(0) == pytest.approx([147.002, 147.002, -41.495, -41.495], abs=1e-4)


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_points_are_read_back(longitude, latitude):
    blob = geopackage.point_blob(longitude, latitude)
    assert geopackage.point_of(blob) == (longitude, latitude)
    assert geopackage.shape_of(blob).equals(shapely.Point(longitude, latitude))


@pytest.mark.parametrize("order", [0, 1])
def test_bounds_of_geometries_as_other_programs_write_them(order):
    """Without an envelope, with big-endian numbers, with heights; and empty."""
    shape = shapely.box(1, 2, 3, 5)
    head = b"GP\x00" + bytes([order]) + (4326).to_bytes(4, "little" if order else "big")
    for own in (shape, shapely.force_3d(shape, 7), shapely.Point(1, 2), shapely.Point(1, 2, 9)):
        blob = head + shapely.to_wkb(own, byte_order=order)
        bounds = [geopackage._bound(number, blob) for number in range(4)]
        west, south, east, north = own.bounds
        assert bounds == [west, east, south, north]
    own = geopackage.shape_blob(shape)
    assert [geopackage._bound(number, own) for number in range(4)] == [1, 3, 2, 5]
    empty = b"GP\x00\x11" + (4326).to_bytes(4, "little") + shapely.to_wkb(shapely.Point(), byte_order=1)
    assert geopackage._is_empty(empty)
    assert geopackage._bound(0, empty) is None
    assert geopackage._bound(0, None) is None
