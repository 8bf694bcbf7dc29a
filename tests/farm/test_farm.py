"""What goes into a farm file, under which identity, and what may change."""

import csv
import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import chain

import pandas as pd
import pytest
import shapely
from PIL import ExifTags, Image
from pyproj import Transformer

from herbage.errors import InputInvalid, OutputExists
from herbage.farm import geopackage
from herbage.farm.farm import Farm
from herbage.farm.photos import AddOptions, identify
from herbage.farm.walk_file import WalkFile, WalkPhoto
from herbage.photos.photo import PhotoFile
from tests.farm.conftest import polygon, write_polygons
from tests.farm.walks import DAY, a_model, a_photo, a_walk

OTHER = a_model(digest="b" * 64, seed=2)


def rows(farm, query):
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        return plain.execute(query).fetchall()


def edit(farm, *statements):
    """An edit by another program, such as a GIS."""
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        for statement in statements:
            plain.execute(statement)


def cells(farm, name, column):
    return rows(farm, f"SELECT {column} FROM photos WHERE photo = '{name}'")[0][0]


def contents(farm):
    """All rows but the times of changes."""
    tables = ("photos", "paddocks", "visits", "models", "herbage_farm")
    return {table: rows(farm, f"SELECT * FROM {table}") for table in tables}


# Identity


def test_the_same_photos_twice_change_nothing(walked):
    before = contents(walked)
    changes = walked.add_estimates(a_walk(DAY, {"North": 2000, "South": 1500}, place=(-41.499, 147.001)), a_model())
    assert str(changes) == "0 photos added, 8 already there"
    assert list(changes.remarks()) == []
    after = contents(walked)
    assert [row[1:] for row in after["visits"]] == [
        row[1:] for row in before["visits"]
    ]  # their fid is that of a new row
    assert {name: own for name, own in after.items() if name != "visits"} == {
        name: own for name, own in before.items() if name != "visits"
    }


def test_a_photo_under_another_name_is_the_same_photo(farm):
    farm.add_estimates([a_photo("IMG_1.jpg", 2000, paddock="North", key="1" * 64)], a_model())
    changes = farm.add_estimates([a_photo("renamed.jpg", 2000, paddock="North", key="1" * 64)], a_model())
    assert str(changes) == "0 photos added, 1 already there"


def test_another_estimate_replaces_the_first_only_if_asked(farm):
    farm.add_estimates([a_photo("a.jpg", 2000, paddock="North")], a_model())
    edit(farm, "ALTER TABLE photos ADD COLUMN observer TEXT", "UPDATE photos SET observer = 'Kim'")
    new = [a_photo("a.jpg", 2600, paddock="North", measured=True)]
    changes = farm.add_estimates(new, OTHER)
    assert cells(farm, "a.jpg", "Dry_Total_kg_per_ha") == pytest.approx(2000, abs=0.01)
    (remark,) = changes.remarks()
    assert "1 photo already in the farm with another estimate" in remark.message
    assert "`replace_estimates=True`" in remark.message
    changes = farm.add_estimates(new, OTHER, AddOptions(replace_estimates=True))
    assert str(changes) == "0 photos added, 1 replaced"
    assert cells(farm, "a.jpg", "Dry_Total_kg_per_ha") == pytest.approx(2600, abs=0.01)
    assert cells(farm, "a.jpg", "model") == "b" * 64
    assert cells(farm, "a.jpg", "observer") == "Kim"


def test_the_same_model_with_other_figures_is_another_estimate(farm):
    farm.add_estimates([a_photo("a.jpg", 2000, paddock="North")], a_model())
    changes = farm.add_estimates([a_photo("a.jpg", 2001, paddock="North")], a_model())
    assert str(changes) == "0 photos added, 1 already there with another estimate"


def test_photos_change_paddock_only_if_asked(farm):
    farm.add_estimates([a_photo("a.jpg", 2000, paddock="North")], a_model())
    changes = farm.add_estimates([a_photo("a.jpg", 2000, paddock="South")], a_model())
    assert [remark.what for remark in changes.remarks()] == ["farm_elsewhere"]
    assert farm.visits()["paddock"].tolist() == ["North"]
    changes = farm.add_estimates([a_photo("a.jpg", 2000, paddock="South")], a_model(), AddOptions(reassign=True))
    assert "1 moved to another paddock" in str(changes)
    assert farm.visits()["paddock"].tolist() == ["South"]


def test_a_paddock_is_added_only_for_photos_that_go_into_it(walked):
    moved = [a_photo("2025-09-01/North/0.jpg", 2000, paddock="West")]
    changes = walked.add_estimates(moved, a_model())
    assert [changes.counts["elsewhere"], changes.paddocks] == [1, []]
    assert sorted(walked.paddocks().ids) == ["North", "South"]
    new = a_photo("new.jpg", 2000, paddock="West")
    assert walked.add_estimates([*moved, new], a_model()).paddocks == ["West"]
    changes = walked.add_estimates(moved, a_model(), AddOptions(reassign=True))
    assert changes.counts["moved"] == 1
    assert walked.visits().set_index("paddock")["photos"].to_dict() == {"North": 3, "South": 4, "West": 2}


def test_photos_without_a_paddock_are_assigned_when_one_is_known(farm):
    changes = farm.add_estimates([a_photo("a.jpg", 2000)], a_model())
    assert [remark.what for remark in changes.remarks()] == ["farm_unassigned"]
    assert str(farm.add_estimates([a_photo("a.jpg", 2000)], a_model())) == "0 photos added, 1 already there"
    changes = farm.add_estimates([a_photo("a.jpg", 2000, paddock="North")], a_model())
    assert str(changes) == "0 photos added, 1 already there, 1 assigned to a paddock"
    assert farm.visits()["paddock"].tolist() == ["North"]
    farm.add_estimates([a_photo("a.jpg", 2000)], a_model())
    assert farm.visits()["paddock"].tolist() == ["North"]


def test_photos_on_another_day_are_reported(farm):
    farm.add_estimates([a_photo("a.jpg", 2000, at=None, paddock="North")], a_model())
    changes = farm.add_estimates([a_photo("a.jpg", 2000, at=None, day=date(2025, 9, 2), paddock="North")], a_model())
    assert [remark.what for remark in changes.remarks()] == ["farm_other_day"]
    assert farm.visits()["date"].tolist() == ["2025-09-01"]


# Paddocks


def test_a_renamed_paddock_keeps_its_history_and_is_found_by_its_folder(walked):
    edit(walked, "UPDATE paddocks SET name = 'Top North' WHERE name = 'North'")
    walked.add_estimates(a_walk(DAY + timedelta(days=20), {"North": 2500}), a_model())
    visits = walked.visits()
    assert visits["paddock"].tolist() == ["South", "Top North", "Top North"]
    assert visits["growth_kg_per_ha_day"].tolist()[2] == pytest.approx(25)
    assert len(rows(walked, "SELECT * FROM paddocks")) == 2


def test_names_decide_before_those_of_earlier_folders(walked):
    edit(walked, "UPDATE paddocks SET name = CASE name WHEN 'North' THEN 'South' ELSE 'North' END")
    walked.add_estimates([a_photo("new.jpg", 3000, day=DAY + timedelta(days=20), paddock="North")], a_model())
    history = walked.visits().groupby("paddock")["kg_per_ha"].apply(list)
    assert history["North"] == pytest.approx([1500, 3000])


def test_a_name_of_two_paddocks_is_refused(walked):
    edit(walked, "UPDATE paddocks SET name = 'Flat'")
    before = contents(walked)
    with pytest.raises(InputInvalid, match=r"Flat may be Flat \(\w+\) and Flat \(\w+\)"):
        walked.add_estimates([a_photo("new.jpg", 3000, paddock="Flat")], a_model())
    assert contents(walked) == before
    assert sorted(walked.visits()["paddock"].str[:6]) == ["Flat (", "Flat ("]


def test_a_duplicated_id_is_refused_by_name(walked):
    edit(walked, "INSERT INTO paddocks (id, name) SELECT id, 'Copy' FROM paddocks WHERE name = 'North'")
    for use in (walked.visits, lambda: walked.add_estimates([], a_model())):
        with pytest.raises(InputInvalid, match="the paddocks North and Copy have the same id"):
            use()


def test_a_paddock_drawn_in_a_gis_gets_an_id_of_its_own(walked):
    ids = rows(walked, "SELECT id FROM paddocks")
    edit(walked, "INSERT INTO paddocks (name, geom) SELECT 'East', geom FROM paddocks WHERE name = 'North'")
    assert sorted(walked.paddocks().ids) == ["East", "North", "South"]
    after = rows(walked, "SELECT id FROM paddocks")
    assert after[:2] == ids
    assert len({own for (own,) in after if own}) == 3


def test_a_deleted_paddock_leaves_its_photos_and_says_so(walked):
    edit(walked, "DELETE FROM paddocks WHERE name = 'South'")
    season = walked.season()
    assert [remark.what for remark in season.remarks()] == ["photos_unassigned"]
    assert season.visits_table()["paddock"].tolist() == ["North"]
    assert len(rows(walked, "SELECT * FROM photos")) == 8


def test_areas_are_geodesic_and_the_effective_area_wins(farm):
    (north,) = [one for one in farm.paddocks().by_id.values() if one.name == "North"]
    equal_area = Transformer.from_crs(4326, "+proj=laea +lat_0=-41.499 +lon_0=147.0015", always_xy=True)
    flat = shapely.transform(north.shape, equal_area.transform, interleaved=False)
    assert north.area_ha == pytest.approx(flat.area / 10_000, rel=1e-4)
    edit(farm, "UPDATE paddocks SET effective_area_ha = 2.5 WHERE name = 'North'")
    assert next(one for one in farm.paddocks().by_id.values() if one.name == "North").area_ha == 2.5
    edit(farm, "UPDATE paddocks SET effective_area_ha = 'two' WHERE name = 'North'")
    with pytest.raises(InputInvalid, match="effective_area_ha of the paddock North is 'two'"):
        farm.paddocks()


def test_a_hole_is_not_in_the_area_whichever_way_it_was_drawn(farm):
    outer, inner = shapely.box(147, -41.5, 147.003, -41.498), shapely.box(147.001, -41.4995, 147.002, -41.4985)
    areas = []
    for ring in (inner.exterior.coords, inner.exterior.coords[::-1]):
        blob = geopackage.shape_blob(shapely.Polygon(outer.exterior.coords, [ring]))
        with geopackage.writing(farm.path) as connection:
            connection.execute("UPDATE paddocks SET geom = ? WHERE name = 'North'", (blob,))
        areas.append(farm.paddocks().find("North").area_ha)
    plane = Transformer.from_crs(4326, 28355, always_xy=True)
    outside, inside = (
        shapely.transform(shape, plane.transform, interleaved=False).area / 10_000 for shape in (outer, inner)
    )
    assert areas == pytest.approx([outside - inside] * 2, rel=2e-3)


def test_an_id_is_what_is_written_in_the_layer(walked):
    """Photos are counted in SQL, so an id with a space must not be another one in Python."""
    edit(walked, "UPDATE paddocks SET id = id || ' ' WHERE name = 'North'")
    walked.add_estimates(a_walk(DAY + timedelta(days=7), {"North": 2100}), a_model())
    assert walked.season().unassigned == 4
    assert walked.visits()[["paddock", "photos"]].to_numpy().tolist() == [["South", 4], ["North", 4]]


def test_importing_polygons_updates_shapes_and_adds_paddocks(walked, tmp_path):
    ids = dict(rows(walked, "SELECT name, id FROM paddocks"))
    edit(walked, "UPDATE paddocks SET residual_kg_per_ha = 1400 WHERE name = 'North'")
    polygons = write_polygons(tmp_path / "new.geojson", North=polygon(148, -41.5), East=polygon(149, -41.5))
    remarks = {remark.what: remark for remark in walked.import_paddocks(polygons)}
    assert remarks["paddocks_added"].names == ("East",)
    assert remarks["paddocks_updated"].names == ("North",)
    north = walked.paddocks().find("North")
    assert (north.id, north.residual_kg_per_ha) == (ids["North"], 1400)
    assert north.shape.bounds[0] == 148
    assert walked.paddocks().find("South").id == ids["South"]


def test_columns_of_paddocks_that_people_delete_or_add_do_no_harm(walked):
    edit(walked, "ALTER TABLE paddocks DROP COLUMN effective_area_ha", "ALTER TABLE paddocks ADD COLUMN soil TEXT")
    edit(walked, "UPDATE paddocks SET soil = 'clay'")
    walked.add_estimates(a_walk(DAY + timedelta(days=20), {"North": 2500, "West": 1000}), a_model())
    assert len(walked.visits()) == 4
    assert rows(walked, "SELECT name, soil FROM paddocks") == [("North", "clay"), ("South", "clay"), ("West", None)]


# The file


def test_what_is_no_farm_is_refused(tmp_path, walked):
    for name, message in (("farm.sqlite", "ends in .gpkg"), ("no/farm.gpkg", "the folder .*no does not exist")):
        with pytest.raises(InputInvalid, match=message):
            Farm(tmp_path / name)
    (tmp_path / "text.gpkg").write_text("no database, but long enough to be taken for one" * 100, "utf-8")
    with pytest.raises(InputInvalid, match="could not be used as a GeoPackage: file is not a database"):
        Farm(tmp_path / "text.gpkg")
    with closing(sqlite3.connect(tmp_path / "other.gpkg")) as other, other:
        other.execute("CREATE TABLE fields (id)")
    with pytest.raises(InputInvalid, match="is not a farm file"):
        Farm(tmp_path / "other.gpkg")
    edit(walked, "UPDATE herbage_farm SET version = 2, herbage = '9.0.0'")
    with pytest.raises(InputInvalid, match=r"has version 2, written by herbage 9\.0\.0"):
        Farm(walked.path)
    edit(walked, "UPDATE herbage_farm SET version = 1", "ALTER TABLE photos DROP COLUMN level")
    with pytest.raises(InputInvalid, match="the table photos has no column level"):
        Farm(walked.path)
    new = Farm(tmp_path / "new.gpkg")
    with pytest.raises(InputInvalid, match="does not exist, so there is no farm"):
        new.visits()
    assert not new.path.exists()


def test_an_interrupted_change_leaves_the_file_as_it_was(walked):
    before = walked.path.read_bytes()

    def photos():
        yield a_photo("new.jpg", 3000, paddock="East")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walked.add_estimates(photos(), OTHER)
    assert walked.path.read_bytes() == before


def test_a_first_change_that_fails_leaves_no_farm(tmp_path):
    farm = Farm(tmp_path / "farm.gpkg")
    with pytest.raises(RuntimeError):
        farm.add_estimates(chain([a_photo("a.jpg", 2000)], iter(fails, None)), a_model())
    assert Farm(farm.path).is_new
    farm.add_estimates([a_photo("a.jpg", 2000)], a_model())
    assert len(rows(farm, "SELECT * FROM photos")) == 1


def fails():
    raise RuntimeError


def test_a_second_writer_waits_and_then_says_so(walked, monkeypatch):
    monkeypatch.setattr(geopackage, "WAIT_S", 0.2)
    other = sqlite3.connect(walked.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InputInvalid, match="is being written by another program"):
        walked.add_estimates([a_photo("new.jpg", 3000, paddock="East")], a_model())
    assert len(walked.visits()) == 2  # reading does not wait
    monkeypatch.setattr(geopackage, "WAIT_S", 600)
    release = threading.Timer(0.3, other.rollback)
    release.start()
    walked.add_estimates([a_photo("new.jpg", 3000, paddock="East")], a_model())
    release.join()
    other.close()
    assert len(walked.visits()) == 3


def test_a_model_of_another_cover_is_refused(walked):
    green = a_model(digest="c" * 64, targets=("Dry_Green_g", "GDM_g"))
    with pytest.raises(InputInvalid, match="The cover of this farm is Dry_Total_g, and that of the model is GDM_g"):
        walked.add_estimates([a_photo("new.jpg", 3000)], green)


# Days


def test_photos_without_a_capture_time_need_a_day(tmp_path):
    files = []
    for name, taken in (("a.jpg", None), ("b.jpg", "2025:09:04 10:00:00"), ("c.jpg", None)):
        exif = Image.Exif()
        if taken:
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
        Image.new("RGB", (40, 20), (len(files), 90, 40)).save(tmp_path / name, exif=exif)
        files.append(PhotoFile(name, tmp_path / name))
    (tmp_path / "broken.jpg").write_text("no photo")
    files.append(PhotoFile("broken.jpg", tmp_path / "broken.jpg"))
    with pytest.raises(InputInvalid, match=r"2 photos without a capture time .*: a\.jpg, c\.jpg\. Pass the day"):
        identify(files, None, None, {})
    found = identify(files, None, date(2025, 9, 9), {})
    assert {name: str(own.day) for name, own in found.items()} == {
        "a.jpg": "2025-09-09", "b.jpg": "2025-09-04", "c.jpg": "2025-09-09",
    }  # fmt: skip
    for day, message in (
        ("4.9.2025", r"`date=4\.9\.2025`: expected a day as YYYY-MM-DD"),
        ("2925-09-04", "`date=2925-09-04`: expected a day from 1990 to tomorrow"),
        ("0001-01-01", "expected a day from 1990 to tomorrow"),
    ):
        with pytest.raises(InputInvalid, match=message):
            Farm(tmp_path / "f.gpkg").begin(day, AddOptions(), by_position=True)


def test_a_visit_taken_out_is_in_the_copy(walked):
    walked.add_estimates(a_walk(DAY + timedelta(days=20), {"North": 2500, "South": 2100}), a_model())
    copy = walked.drop_visit("North", "2025-09-21")
    assert walked.visits()[["paddock", "date"]].to_numpy().tolist() == [
        ["North", "2025-09-01"], ["South", "2025-09-01"], ["South", "2025-09-21"],
    ]  # fmt: skip
    assert len(Farm(copy).visits()) == 4
    for paddock, day, message in (
        ("North", "2025-09-21", "North has no visit on 2025-09-21. Its visits: 2025-09-01"),
        ("West", "2025-09-01", "The farm has no paddock West. Its paddocks: North, South"),
    ):
        with pytest.raises(InputInvalid, match=message):
            walked.drop_visit(paddock, day)
    assert len(list(walked.path.parent.glob("*.gpkg"))) == 2


# Exchange


def test_a_copy_that_fails_leaves_nothing(walked, monkeypatch):
    class Full(sqlite3.Connection):
        def backup(self, target, **_options):
            raise sqlite3.OperationalError("database or disk is full")

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, **more, factory=Full))
    with pytest.raises(InputInvalid, match="the disk is full. The file is as it was"):
        walked.drop_visit("North", DAY)
    assert list(walked.path.parent.glob("farm.*")) == [walked.path]
    assert len(walked.visits()) == 2


def test_a_day_may_have_a_time(walked):
    walked.drop_visit("North", datetime(2025, 9, 1, 12))
    assert walked.visits()["paddock"].tolist() == ["South"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": 1}, "`level=1`: expected a share between 0 and 1"),
        ({"level": float("nan")}, "`level=nan`"),
        ({"pre_grazing": float("nan")}, "`pre_grazing=nan`: expected kg DM/ha"),
        ({"residual": -5}, "`residual=-5`: expected kg DM/ha"),
        ({"pre_grazing": 1500, "residual": 2800}, "`pre_grazing=1500`: expected more than is left after grazing, 2800"),
    ],
)
def test_figures_without_a_meaning_are_refused(walked, given, message):
    with pytest.raises(InputInvalid, match=message):
        walked.season(**given)


def test_an_export_has_every_table_as_other_programs_read_it(walked, tmp_path):
    edit(walked, "ALTER TABLE paddocks ADD COLUMN soil TEXT", "UPDATE paddocks SET soil = '=clay'")
    walked.export(tmp_path / "out")
    photos = pd.read_csv(tmp_path / "out/photos.csv")
    assert photos["Dry_Total_kg_per_ha"].mean() == pytest.approx(1750, abs=0.01)
    assert photos["in_domain"].tolist() == [True] * 8
    with (tmp_path / "out/paddocks.csv").open() as file:
        assert [row["soil"] for row in csv.DictReader(file)] == ["'=clay", "'=clay"]  # no formula in a spreadsheet
    layer = json.loads((tmp_path / "out/paddocks.geojson").read_text("utf-8"))["features"]
    assert layer[0]["geometry"]["type"] == "MultiPolygon"
    assert layer[0]["properties"]["soil"] == "=clay"
    points = json.loads((tmp_path / "out/photos.geojson").read_text("utf-8"))["features"]
    assert points[0]["geometry"] == {"type": "Point", "coordinates": [147.001, -41.499]}
    with pytest.raises(OutputExists):
        walked.export(tmp_path / "out")


def walk_file(model, **changes):
    photos = [
        WalkPhoto(**{
            **estimate.row(), "photo_sha256": identity.key, "model": model.digest, "paddock": "North",
            "quadrat_area_m2": estimate.quadrat_area_m2, **changes,
        })
        for estimate, identity in a_walk(DAY, {"North": 2000})
    ]  # fmt: skip
    return WalkFile(model=model, photos=photos)


def test_the_file_of_a_walk_is_added_like_photos(farm, tmp_path):
    path = tmp_path / "walk.json"
    path.write_text(walk_file(a_model()).model_dump_json(), "utf-8")
    assert str(farm.add_walk(path)) == "4 photos added"
    assert str(farm.add_walk(path)) == "0 photos added, 4 already there"
    direct = Farm(tmp_path / "direct.gpkg")
    shutil.copy(farm.path, direct.path)
    changes = direct.add_estimates(a_walk(DAY, {"North": 2000}), a_model())
    assert str(changes) == "0 photos added, 4 already there"
    path.write_text(walk_file(a_model(), taken_at=None).model_dump_json(), "utf-8")
    new = Farm(tmp_path / "new.gpkg")
    with pytest.raises(InputInvalid, match="4 photos without a capture time"):
        new.add_walk(path)
    new.add_walk(path, date="2025-10-01")
    assert new.visits()["date"].tolist() == ["2025-10-01"]


def test_other_errors_of_a_known_model_are_reported_and_not_used(farm, tmp_path):
    path, quiet = tmp_path / "walk.json", a_model(shared=0.1, own=0.1)
    farm.add_estimates(a_walk(DAY, {"South": 2000}), a_model())
    path.write_text(walk_file(quiet).model_dump_json(), "utf-8")
    assert [remark.what for remark in farm.add_walk(path).remarks()] == ["farm_model_differs"]
    north, south = farm.visits()["model_kg_per_ha"]
    assert north == pytest.approx(south)
    path.write_text(walk_file(a_model()).model_dump_json(), "utf-8")
    assert list(farm.add_walk(path).remarks()) == []
    path.write_text(
        walk_file(a_model(), taken_at="2925-09-04T10:00:00", photo_sha256="5" * 64).model_dump_json(), "utf-8"
    )
    with pytest.raises(InputInvalid, match="has the day 2925-09-04; expected one from 1990 to tomorrow"):
        farm.add_walk(path)


def test_photos_of_a_walk_without_a_paddock_are_assigned_by_position(farm, tmp_path):
    path = tmp_path / "walk.json"
    walk = walk_file(a_model(), paddock=None, latitude=-41.509, longitude=147.001)
    path.write_text(walk.model_dump_json(), "utf-8")
    farm.add_walk(path)
    assert farm.visits()["paddock"].tolist() == ["South"]


def test_files_without_key_model_or_facts_are_refused(walked, tmp_path):
    whole = json.loads(walk_file(a_model()).model_dump_json())
    for missing, message in (
        (("photos", 0, "photo_sha256"), "has no photo_sha256"),
        (("photos", 0, "model"), "was estimated by another model"),
        (("model", "alone", "own"), "model.alone.own: Field required"),
        (("model", "quadrat_area_m2"), "model.quadrat_area_m2: Field required"),
        (("model",), "model: Field required"),
    ):
        copy = json.loads(json.dumps(whole))
        place = copy
        for key in missing[:-1]:
            place = place[key]
        del place[missing[-1]]
        (tmp_path / "walk.json").write_text(json.dumps(copy))
        with pytest.raises(InputInvalid, match=message):
            walked.add_walk(tmp_path / "walk.json")
    for column, value, message in (
        ("targets", [], "model.targets: Tuple should have at least 1 item"),
        ("targets", ["Dry"], "model.targets.0: Input should be 'Dry_Clover_g'"),
        ("alone", whole["model"]["alone"] | {"own": [-1.0] * 5}, "model.alone.own.0: Input should be greater"),
    ):
        (tmp_path / "walk.json").write_text(json.dumps(whole | {"model": whole["model"] | {column: value}}))
        with pytest.raises(InputInvalid, match=message):
            walked.add_walk(tmp_path / "walk.json")
    (tmp_path / "predictions.csv").write_text("photo,status\na.jpg,ok\n")
    with pytest.raises(InputInvalid, match=r"A table such as predictions\.csv cannot be added"):
        walked.add_walk(tmp_path / "predictions.csv")
