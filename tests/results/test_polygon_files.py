"""Files of polygons in every format, and what is wrong with them in the field."""

import json
import sys
import zipfile

import numpy as np
import pytest

from herbage.errors import InputInvalid
from herbage.results.polygon_files import FORMATS, read_areas
from tests.results.farms import feature, kml, placemark, square, write_farm

geopandas = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")

FARM = [feature(square(147), name="Süd", n=1), feature(square(149), name="牧場", n=2)]


def read(path):
    """Shapes by name, and the remarks by their key."""
    areas, remarks = read_areas(path)
    shapes = {next((v for k, v in area.properties.items() if k.lower() == "name"), None): area.shape for area in areas}
    return shapes, {remark.what: remark for remark in remarks}


@pytest.fixture
def frame():
    return geopandas.GeoDataFrame.from_features(FARM, crs=4326)


def as_json(frame, place):
    return write_farm(place, *FARM, name="farm.json")


def as_kml(frame, place):
    (place / "farm.kml").write_text(kml(placemark("Süd", 147), placemark("牧場", 149)), "utf-8")
    return place / "farm.kml"


def as_kmz(frame, place):
    with zipfile.ZipFile(place / "farm.kmz", "w") as archive:
        archive.write(as_kml(frame, place), "doc.kml")
    return place / "farm.kmz"


def as_gpkg(frame, place):
    frame.to_crs(28355).to_file(place / "farm.gpkg")
    return place / "farm.gpkg"


def as_folder(frame, place):
    (place / "farm").mkdir()
    frame.to_crs(3857).to_file(place / "farm/farm.shp", encoding="utf-8")
    return place / "farm"


def as_shapefile(frame, place):
    return as_folder(frame, place) / "farm.shp"


def as_zip(frame, place):
    folder = as_folder(frame, place)
    with zipfile.ZipFile(place / "farm.zip", "w") as archive:
        for one in folder.iterdir():
            archive.write(one, f"My farm {{2025}}/{one.name.upper()}")
        archive.writestr("__MACOSX/._FARM.SHP", b"\0")
        archive.writestr("readme.txt", "farm")
    return place / "farm.zip"


@pytest.mark.parametrize("write", [as_json, as_kml, as_kmz, as_gpkg, as_folder, as_shapefile, as_zip])
def test_every_format_and_coordinate_system_gives_the_same_polygons_without_a_remark(frame, tmp_path, write):
    shapes, remarks = read(write(frame, tmp_path))
    assert list(shapes) == ["Süd", "牧場"]
    assert remarks == {}
    for shape, x in zip(shapes.values(), (147, 149), strict=True):
        assert not shape.has_z
        np.testing.assert_allclose(shape.bounds, (x, -42, x + 1, -41), atol=1e-4)


@pytest.mark.parametrize("write", [as_json, as_kml, as_gpkg])
def test_the_content_tells_the_format_where_the_suffix_does_not(frame, tmp_path, write):
    path = write(frame, tmp_path)
    path.rename(tmp_path / "farm.bin")
    assert list(read(tmp_path / "farm.bin")[0]) == ["Süd", "牧場"]


@pytest.mark.parametrize("content", [square(), FARM[0], {"type": "GeometryCollection", "geometries": [square()]}])
def test_a_bare_geometry_or_feature_is_read(tmp_path, content):
    (tmp_path / "one.geojson").write_text(json.dumps(content), "utf-8")
    (area,), remarks = read_areas(tmp_path / "one.geojson")
    assert area.shape.bounds == (147, -42, 148, -41)
    assert remarks == []


def test_text_that_looks_like_a_date_or_a_number_stays_text(tmp_path):
    path = write_farm(tmp_path, feature(square(147), name="2024/02/05"), feature(square(149), name="01"))
    assert list(read(path)[0]) == ["2024/02/05", "01"]
    path = write_farm(tmp_path, feature(square(147), name="10:30"), feature(square(149), name="11:30"))
    assert list(read(path)[0]) == ["10:30", "11:30"]


def test_points_and_lines_are_left_out_and_said(tmp_path):
    line = [[147, -42], [148, -42], [148, -41]]
    path = write_farm(
        tmp_path, *FARM, feature({"type": "Point", "coordinates": [147, -42]}, name="gate"),
        feature({"type": "LineString", "coordinates": line}, name="fence"),
        feature({"type": "LineString", "coordinates": [*line, line[0]]}, name="border"),
        feature(None, name="none"), feature({"type": "Polygon", "coordinates": [[*line[:2], line[0]]]}, name="flat"),
    )  # fmt: skip
    shapes, remarks = read(path)
    assert list(shapes) == ["Süd", "牧場"]
    assert [(one.message, one.is_warning) for one in remarks.values()] == [
        ("farm.geojson: left out 2 features without an area: none, flat.", True),
        ("farm.geojson: left out 1 line: fence.", False),
        ("farm.geojson: left out 1 point: gate.", False),
        ("farm.geojson: left out 1 closed line, which is no polygon: border.", True),
    ]
    only = write_farm(tmp_path, feature({"type": "LineString", "coordinates": line}, name="fence"))
    with pytest.raises(InputInvalid, match=r"has no polygon. farm.geojson: left out 1 line: fence."):
        read(only)


def test_the_polygons_of_a_collection_are_taken_from_it(tmp_path):
    point = {"type": "Point", "coordinates": [147.5, -41.5]}
    several = {"type": "GeometryCollection", "geometries": [point, square(147), square(149)]}
    shapes, remarks = read(write_farm(tmp_path, feature(several, name="A")))
    assert shapes["A"].geom_type == "MultiPolygon"
    assert shapes["A"].area == pytest.approx(2)
    assert remarks == {}


def test_all_folders_of_a_kml_file_are_read(tmp_path):
    inner = f"<Folder><name>Hills</name>{placemark('B', 149)}</Folder>"
    folders = f"<Folder><name>North</name>{placemark('A', 147)}{inner}</Folder><Folder><name>North</name>{placemark('C', 151)}</Folder>"
    (tmp_path / "farm.kml").write_text(kml(placemark("root", 145), folders), "utf-8")
    shapes, remarks = read(tmp_path / "farm.kml")
    assert sorted(shapes) == ["A", "B", "C", "root"]
    assert not remarks["polygons_layers"].is_warning


def test_layers_of_a_geopackage_with_polygons_are_read_and_said(frame, tmp_path):
    path = tmp_path / "farm.gpkg"
    frame.to_file(path, layer="paddocks")
    frame.set_geometry(frame.to_crs(28355).centroid.to_crs(4326)).to_file(path, layer="gates")
    shapes, remarks = read(path)
    assert list(shapes) == ["Süd", "牧場"]
    assert "left out 2 points" in remarks["polygons_left_out_point"].message
    assert "polygons_layers" not in remarks
    frame.assign(name=["shed", "house"]).to_file(path, layer="buildings")
    shapes, remarks = read(path)
    assert list(shapes) == ["Süd", "牧場", "shed", "house"]
    assert remarks["polygons_layers"].message == "farm.gpkg: polygons were read from 2 layers: paddocks, buildings."
    assert remarks["polygons_layers"].is_warning


def test_edges_that_cross_are_repaired_and_a_ring_is_closed(tmp_path):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    (area,), _ = read_areas(write_farm(tmp_path, feature(bow, name="bow")))
    assert area.is_repaired
    assert area.shape.is_valid
    assert area.shape.area == pytest.approx(0.5)
    open_ring = {"type": "Polygon", "coordinates": [square()["coordinates"][0][:-1]]}
    (area,), (told,) = read_areas(write_farm(tmp_path, feature(open_ring, name="open")))
    assert area.shape.area == pytest.approx(1)
    assert told.message == "farm.geojson: Non closed ring detected."


def without(frame, place, *suffixes):
    """The Shapefile without some of its files."""
    path = as_shapefile(frame, place)
    for suffix in suffixes:
        path.with_suffix(suffix).unlink()
    return path


def test_a_file_without_a_coordinate_system_is_read_where_its_numbers_fit(frame, tmp_path):
    (tmp_path / "farm").mkdir()
    path = tmp_path / "farm/farm.shp"
    frame.to_file(path, encoding="utf-8")
    path.with_suffix(".prj").unlink()
    shapes, remarks = read(path)
    assert shapes["Süd"].bounds == (147, -42, 148, -41)
    assert (
        "names no coordinate system; its coordinates are 147 to 150 and -42 to -41"
        in remarks["polygons_without_system"].message
    )
    frame.to_crs(28355).to_file(path, encoding="utf-8")
    path.with_suffix(".prj").unlink()
    with pytest.raises(
        InputInvalid, match=r"names no coordinate system, but .* no longitudes and latitudes\. .* its \.prj file"
    ):
        read(path)


@pytest.mark.parametrize(("crs", "change", "fault"), [
    (4326, lambda c: c[:, ::-1], "-42 to -41 and 147 to 150, so latitude comes first. Save it again with longitude first"),
    (4326, lambda c: c * 1000, "has the coordinate system WGS 84, but its coordinates are 147000 to 150000"),
    (28355, lambda c: c, "names the coordinate system GDA94 / MGA zone 55, but .* look like longitude and latitude"),
    (28355, lambda c: c * 1e12, "outside the coordinate system GDA94 / MGA zone 55"),
])  # fmt: skip
def test_coordinates_that_are_not_of_their_system_are_refused(frame, tmp_path, crs, change, fault):
    geometry = [shapely.transform(shape, change) for shape in frame.geometry]
    geopandas.GeoDataFrame({"name": ["A", "B"]}, geometry=geometry, crs=crs).to_file(tmp_path / "farm.gpkg")
    with pytest.raises(InputInvalid, match=fault):
        read(tmp_path / "farm.gpkg")


def test_a_shapefile_without_an_encoding_is_utf_8_if_it_can_be(frame, tmp_path):
    path = without(frame, tmp_path, ".cpg")
    assert list(read(path)[0]) == ["Süd", "牧場"]
    frame.assign(name=["Süd", "Höhe"]).to_file(path, encoding="ISO-8859-1")
    path.with_suffix(".cpg").unlink()
    shapes, remarks = read(path)
    assert list(shapes) == ["Süd", "Höhe"]
    assert (
        "does not name the encoding of its text (no .cpg file); read as ISO-8859-1: Süd, Höhe."
        in remarks["polygons_encoding"].message
    )


def test_a_shapefile_without_its_table_is_read_and_said(frame, tmp_path):
    areas, (remark,) = read_areas(without(frame, tmp_path, ".dbf"))
    assert [area.properties for area in areas] == [{}, {}]
    assert remark.is_warning
    assert "its .dbf file is missing" in remark.message


def test_a_shapefile_without_its_index_is_refused_by_what_is_missing(frame, tmp_path):
    with pytest.raises(
        InputInvalid, match=r"farm\.shp` could not be read: a Shapefile needs its \.shx and \.dbf files"
    ):
        read(without(frame, tmp_path, ".shx"))


@pytest.mark.parametrize(("name", "content", "fault"), [
    ("farm.geojson", b"<html><body>Sign in</body></html>", "begins with '<html><body>Sign in<', so it is in none of the formats"),
    ("farm.geojson", b"version https://git-lfs.github.com/spec/v1\n", "begins with 'version https://git-'"),
    ("farm.kml", b"", "is empty"),
    ("farm.geojson", b'{"type": "FeatureCollection", "features": [', "could not be read: Failed to read GeoJSON data; "),
    ("farm.geojson", b'{"type": "FeatureCollection", "features": []}', "has no polygon"),
    ("farm.kml", kml(placemark("A", 147)).encode()[:-90], "could not be read: ERROR parsing kml"),
    ("farm.zip", b"PK\x03\x04 broken", "could not be read"),
    ("farm.gpkg", b"SQLite format 3\x00 broken", "could not be read"),
    ("farm.geojson", json.dumps(feature(square(), name="A")).replace("148.0", "NaN").encode(), r"the coordinates of a polygon \(A\) are not numbers"),
])  # fmt: skip
def test_a_file_without_paddocks_is_refused_with_the_reason(tmp_path, name, content, fault):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputInvalid, match=fault) as error:
        read(tmp_path / name)
    assert name in str(error.value)
    assert FORMATS in str(error.value) or "has no polygon" in str(error.value)


def test_what_is_no_file_of_polygons_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"gone\.kml`: No such file or directory. Formats: GeoJSON"):
        read(tmp_path / "gone.kml")
    with pytest.raises(InputInvalid, match="is a folder without a Shapefile. Formats: GeoJSON"):
        read(tmp_path)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(InputInvalid, match=r"the archive contains no file that ends in \.shp"):
        read(tmp_path / "photos.zip")


def test_without_the_libraries_of_the_extra_the_message_says_how_to_get_them(tmp_path, monkeypatch):
    path = write_farm(tmp_path, *FARM)
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(InputInvalid, match=r"needs geopandas: pip install 'herbage\[gis\]'"):
        read(path)
