"""What other programs make of a farm file, and what herbage makes of their edits."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import PurePosixPath, PureWindowsPath

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import InputInvalid
from herbage.farm import geopackage
from herbage.farm.farm import Farm
from tests.farm.walks import DAY, a_model, a_photo, a_walk


def test_geopandas_reads_layers_and_tables(walked):
    layers = dict(pyogrio.list_layers(walked.path))
    assert layers == {"photos": "Point", "paddocks": "MultiPolygon", "visits": None, "models": None}
    photos = geopandas.read_file(walked.path, layer="photos")
    assert photos.crs.to_epsg() == 4326
    assert {(point.x, point.y) for point in photos.geometry} == {(147.001, -41.499)}
    assert photos["in_domain"].all()
    assert photos["taken_at"].tolist() == ["2025-09-01T10:00:00"] * 8  # local time, which GeoPackage has no type for
    paddocks = geopandas.read_file(walked.path, layer="paddocks").set_index("name")
    assert paddocks.loc["North"].geometry.bounds == pytest.approx((147, -41.5, 147.003, -41.498))
    visits = geopandas.read_file(walked.path, layer="visits").sort_values("paddock")
    assert visits["kg_per_ha"].tolist() == pytest.approx([2000, 1500])
    assert pd.to_datetime(visits["date"]).dt.date.tolist() == [DAY, DAY]
    assert pyogrio.read_info(walked.path, layer="photos")["total_bounds"] == pytest.approx((147.001, -41.499) * 2)


def test_plain_sqlite_reads_it(walked):
    with closing(sqlite3.connect(walked.path)) as plain, plain:
        assert plain.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert plain.execute("PRAGMA user_version").fetchone() == (10300,)
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
        count = (
            "SELECT p.name, count(*) FROM photos JOIN paddocks p ON p.id = paddock_id GROUP BY p.name ORDER BY p.name"
        )
        assert plain.execute(count).fetchall() == [("North", 4), ("South", 4)]


def add_spatial_index(path, layer, tmp_path):
    """The R-tree and its triggers as GDAL writes them, taken from a file that GDAL wrote."""
    shape = shapely.Point(0, 0) if layer == "photos" else shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])
    other = tmp_path / f"gdal-{layer}.gpkg"
    geopandas.GeoDataFrame(geometry=[shape], crs=4326).to_file(
        other, layer=layer, GEOMETRY_NAME="geom", SPATIAL_INDEX="YES"
    )
    with closing(sqlite3.connect(other)) as made, made:
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
    with (
        closing(sqlite3.connect(walked.path)) as plain,
        plain,
        pytest.raises(sqlite3.OperationalError, match="no such function: ST_"),
    ):
        plain.execute("UPDATE photos SET geom = geom")
    walked.add_estimates([a_photo("new.jpg", 1000, place=(-41.495, 147.002), paddock="East")], a_model())
    walked.drop_visit("South", DAY)
    with closing(sqlite3.connect(walked.path)) as plain, plain:
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


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # so that pages are written before the end of the transaction
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE photos SET Dry_Total_g = 0, message = hex(randomblob(4000))")
os._exit(9)
"""


def test_a_reader_takes_back_what_a_killed_writer_left(walked):
    before = walked.visits()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(walked.path)], check=False)
    journal = walked.path.with_name("farm.gpkg-journal")
    assert killed.returncode == 9
    assert journal.stat().st_size > 0
    pd.testing.assert_frame_equal(Farm(walked.path).visits(), before)
    assert not journal.exists()


@pytest.mark.parametrize(("path", "uri"), [
    (PurePosixPath("/home/a b/farm?.gpkg"), "file:///home/a%20b/farm%3F.gpkg"),
    (PureWindowsPath("C:/Höfe/farm.gpkg"), "file:///C:/H%C3%B6fe/farm.gpkg"),
    (PureWindowsPath("//nas/farms/farm.gpkg"), "file:////nas/farms/farm.gpkg"),
])  # fmt: skip
def test_uris_of_other_systems_are_those_that_sqlite_documents(path, uri):
    assert geopackage._uri(path) == uri


def test_a_reader_of_a_write_protected_file_leaves_it_as_it_is(walked):
    content = walked.path.read_bytes()
    walked.path.chmod(0o444)
    assert len(Farm(walked.path).visits()) == 2
    with geopackage.reading(walked.path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM photos")
    assert walked.path.read_bytes() == content
    assert os.listdir(walked.path.parent).count("farm.gpkg-journal") == 0


def test_a_file_in_the_mode_of_an_open_gis_can_be_used(walked):
    with closing(sqlite3.connect(walked.path)) as gis, gis:
        gis.execute("PRAGMA journal_mode = WAL")
        gis.execute("UPDATE paddocks SET name = 'Top' WHERE name = 'North'")
        gis.commit()
        copy = walked.drop_visit("Top", DAY)
        assert walked.visits()["paddock"].tolist() == ["South"]
    assert len(Farm(copy).visits()) == 2


@pytest.mark.parametrize("epsg", [28355, 3857])
def test_a_layer_saved_in_another_coordinate_system_is_refused(walked, epsg):
    paddocks = geopandas.read_file(walked.path, layer="paddocks")
    paddocks.to_crs(epsg).to_file(walked.path, layer="paddocks", driver="GPKG")
    with pytest.raises(InputInvalid, match=f"the layer paddocks has the coordinate system {epsg}; expected 4326"):
        walked.visits()
    paddocks.to_file(walked.path, layer="paddocks", driver="GPKG")
    assert walked.visits()["kg_per_ha"].tolist() == pytest.approx([2000, 1500])


def test_layers_that_geopandas_saved_again_are_the_same_farm(walked):
    """It has no type for days, and does not keep that keys are unique."""
    before = walked.season()
    for layer in ("photos", "paddocks"):
        geopandas.read_file(walked.path, layer=layer).to_file(walked.path, layer=layer, driver="GPKG")
    after = walked.season()
    pd.testing.assert_frame_equal(after.visits_table(), before.visits_table())
    assert repr(after.feed()) == repr(before.feed())  # a cell that is not known is NaN
    changes = walked.add_estimates(a_walk(DAY, {"North": 2000, "South": 1500}, place=(-41.499, 147.001)), a_model())
    assert str(changes) == "0 photos added, 8 already there"
    assert list(changes.remarks()) == []
    with geopackage.writing(walked.path) as connection:
        columns = ", ".join(name for name in geopackage.columns(connection, "photos") if name != "fid")
        connection.execute(f"INSERT INTO photos ({columns}) SELECT {columns} FROM photos LIMIT 1")
    with pytest.raises(InputInvalid, match="The table photos has 2025-09-01/North/0.jpg twice"):
        walked.visits()


def test_other_programs_read_the_file_without_warnings(walked):
    ogrinfo = shutil.which("ogrinfo")
    if ogrinfo is None:
        pytest.skip("there is no ogrinfo")
    read = subprocess.run([ogrinfo, "-al", walked.path], capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert "added_at (DateTime)" in read.stdout
