import json
from pathlib import Path

import numpy as np
import pytest

from herbage.errors import InputInvalid
from herbage.photos.exif import NO_FACTS, PhotoFacts
from herbage.photos.photo import PhotoFile
from herbage.results.paddock_assignment import read_assignment
from herbage.results.paddock_polygons import Polygons
from herbage.tables.spreadsheet import TableFormat
from tests.results.farms import feature, square, write_farm

shapely = pytest.importorskip("shapely")
pytest.importorskip("geopandas")


def assigned(files, paddocks, table=None, paddock_name=None):
    return read_assignment(files, Path("photos"), paddocks, table, TableFormat(), paddock_name)


def read(place, *features, **more):
    """The polygons, and their remarks by key."""
    farm = Polygons.read(write_farm(place, *features), **more)
    return farm, {remark.what: remark for remark in farm.remarks}


def test_a_photo_belongs_to_the_polygon_that_it_was_taken_in(tmp_path):
    path = write_farm(tmp_path, feature(square(147), Name="River"), feature(square(150)))
    file = PhotoFile("a.jpg", Path("a.jpg"))
    assignment = assigned([file], str(path)).assignment
    for place, name in (
        ((-41.5, 147.5), "River"),
        ((-42.0, 147.0), "River"),  # its corner
        ((-41.5, 150.2), "polygon 2"),
        ((-41.5, 149.0), None),
        ((None, None), None),
    ):
        assert assignment.paddock_of(file, PhotoFacts(None, *place)) == name


def test_features_of_one_name_are_one_paddock_with_all_its_blocks(tmp_path):
    hole = square(149)
    hole["coordinates"].append([[149.4, -41.6], [149.6, -41.6], [149.6, -41.4], [149.4, -41.4], [149.4, -41.6]])
    farm, remarks = read(
        tmp_path, feature(square(147), name="A"), feature(square(151), name="B"), feature(hole, name="A")
    )
    assert farm.names == ["A", "B"]
    blocks = farm.geometry("A")
    assert blocks["type"] == "MultiPolygon"
    assert shapely.geometry.shape(blocks).area == pytest.approx(2 - 0.04)
    assert [farm.containing(x, -41.5) for x in (147.5, 149.2, 149.5, 151.5)] == ["A", "A", None, "B"]
    assert remarks["polygons_of_one_name"].message == "farm.geojson: polygons of one name are one paddock: A (2)."
    assert not remarks["polygons_of_one_name"].is_warning
    assert remarks.keys() == {"polygons_named_by", "polygons_of_one_name"}
    _, remarks = read(tmp_path, feature(square(147), name="Untitled"), feature(square(149), name="Untitled"))
    assert remarks["polygons_of_one_name"].is_warning


def test_a_polygon_is_written_as_it_was_read(tmp_path):
    farm, _ = read(tmp_path, feature(square(147), name="A"))
    assert json.loads(json.dumps(farm.geometry("A"))) == square(147)


def test_the_property_that_names_paddocks_can_be_given(tmp_path):
    features = [feature(square(147), name="A", block="North"), feature(square(149), name="B", block="North")]
    assert read(tmp_path, *features)[0].names == ["A", "B"]
    assert read(tmp_path, *features, paddock_name="block")[0].names == ["North"]
    with pytest.raises(InputInvalid, match=r"`paddock_name=field` is not a property .* name \(A, B\), block \(North\)"):
        read(tmp_path, *features, paddock_name="field")


def test_overlapping_paddocks_are_named_and_the_first_one_wins(tmp_path):
    features = [
        feature(square(147), name="A"),
        feature(square(147.75), name="B"),
        feature(square(148.75, -41), name="C"),
    ]
    farm, remarks = read(tmp_path, *features)
    assert farm.containing(147.9, -41.5) == "A"
    assert "comes first in the file: A and B (25% of the smaller one)." in remarks["polygons_overlap"].message
    sliver = feature(square(147.995), name="B")
    assert "polygons_overlap" not in read(tmp_path, features[0], sliver)[1]


def test_repaired_polygons_are_named(tmp_path):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    farm, remarks = read(tmp_path, feature(bow, name="bow"), feature(square(147), name="A"))
    assert "repaired polygons whose edges cross or overlap: bow." in remarks["polygons_repaired"].message
    assert farm.containing(0.9, 0.5) == "bow"
    assert farm.containing(0.5, 0.9) is None


def test_the_first_of_many_polygons_is_found_as_by_asking_each(tmp_path):
    rng = np.random.default_rng(0)
    corners = rng.uniform(-20, 20, (60, 2))
    farm, _ = read(tmp_path, *(feature(square(x, y, 4), name=f"P{row}") for row, (x, y) in enumerate(corners)))
    for x, y in rng.uniform(-25, 25, (300, 2)):
        inside = ((corners <= (x, y)) & ((x, y) <= corners + 4)).all(1)
        assert farm.containing(x, y) == (f"P{inside.argmax()}" if inside.any() else None)


@pytest.mark.parametrize(("places", "said"), [
    ([(-41.5, 147.5), (10, 10)], "No photo is in a paddock, but 1 of 2 would be with longitude and latitude swapped"),
    ([(147.5, 41.5)], "but 1 of 1 would be with the sign of the latitude changed"),
    ([(-147.5, -41.5)], "but 1 of 1 would be with the sign of the longitude changed"),
    ([(147.5, -40.5), (150, -41)], "No photo is in a paddock; the nearest is about 55.6 km away from one"),
])  # fmt: skip
def test_photos_that_miss_all_paddocks_are_explained(tmp_path, places, said):
    farm, _ = read(tmp_path, feature(square(147), name="A"))
    assert said in farm.explain_misses(places).message


def test_photos_in_paddocks_need_no_explanation(tmp_path):
    farm, _ = read(tmp_path, feature(square(147), name="A"))
    assert farm.explain_misses([(147.5, -41.5), (0, 0)]) is None
    assert farm.explain_misses([]) is None


def test_paddocks_that_are_neither_a_file_nor_a_column_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [PhotoFile("a.jpg", Path("a.jpg"))]
    with pytest.raises(
        InputInvalid, match=r"`paddocks=Paddock`: expected a column of `table`, .* GeoPackage .* There is no file"
    ):
        assigned(files, "Paddock")
    with pytest.raises(InputInvalid, match=r"`paddocks=gone.gpkg`: No such file or directory"):
        assigned(files, "gone.gpkg")
    with pytest.raises(InputInvalid, match="`paddock_name=NAME`: expected a file of polygons"):
        assigned(files, "folder", paddock_name="NAME")
    (tmp_path / "Paddock").mkdir()
    with pytest.raises(InputInvalid, match="`paddocks=Paddock` is a folder without a Shapefile"):
        assigned(files, "Paddock")
    (tmp_path / "corners.csv").write_text("image_path,Paddock\na.jpg,River\n")
    assignment = assigned(files, "Paddock", tmp_path / "corners.csv").assignment
    assert assignment.paddock_of(files[0], NO_FACTS) == "River"
