"""`herbage predict --farm` and `herbage farm`, as a user runs them."""

import json
import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from PIL import ExifTags, Image

import herbage
from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid
from herbage.farm import geopackage
from herbage.farm.farm import Farm
from tests.conftest import draw_photo
from tests.farm.conftest import polygon, write_polygons

PLACES = {"North": (-41.499, 147.001), "South": (-41.509, 147.001)}


def save_photo(image, path, *, day=None, place=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if day:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{day.replace('-', ':')} 10:00:00"
    if place:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "S", (-place[0], 0.0, 0.0)
        gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (place[1], 0.0, 0.0)
    image.save(path, exif=exif)


@pytest.fixture
def walk(tmp_path):
    """Three photos of each of two paddocks, in folders of their names, with time and position."""
    import numpy as np

    rng = np.random.default_rng(11)
    for name, place in PLACES.items():
        for number in range(3):
            image = draw_photo(rng, 0.3 + 0.2 * number)
            save_photo(image, tmp_path / "walk" / name / f"{number}.jpg", day="2026-09-01", place=place)
    return tmp_path / "walk"


def predict(trained, walk, out, *options, overwrite=False):
    command = ["predict", trained / "model", walk, "--out", out, "--quiet", *options]
    return run([*map(str, command), *(["--overwrite"] if overwrite else [])])


def test_photos_are_added_by_folder_and_a_second_run_changes_nothing(trained, walk, tmp_path, capsys):
    farm = tmp_path / "farm.gpkg"
    assert predict(trained, walk, tmp_path / "out", "--farm", farm, "--paddocks", "folder") == 0
    assert f"6 photos added: {farm}" in capsys.readouterr().out
    visits = Farm(farm).visits()
    of_run = pd.read_csv(tmp_path / "out/paddocks.csv").set_index("paddock")
    for row in visits.itertuples():
        own = of_run.loc[row.paddock]
        assert (row.photos, row.date) == (3, "2026-09-01")
        assert row.kg_per_ha == pytest.approx(own["kg_per_ha"], abs=1e-3)
        assert row.green_share == pytest.approx(own["green_share"], abs=1e-4)
    table = pd.read_csv(tmp_path / "out/predictions.csv").set_index("photo")
    with closing(sqlite3.connect(farm)) as plain, plain:
        for name, grams, latitude in plain.execute("SELECT photo, GDM_g, latitude FROM photos"):
            assert (grams, latitude) == tuple(table.loc[name, ["GDM_g", "latitude"]])
    record = json.loads((tmp_path / "out/run.json").read_text("utf-8"))
    assert [remark["what"] for remark in record["remarks"]] == ["no_better_than_mean", "farm_paddocks_added"]
    moved = tmp_path / "renamed"
    shutil.copytree(walk, moved / "again")
    assert predict(trained, moved / "again", tmp_path / "out2", "--farm", farm, "--paddocks", "folder") == 0
    assert "0 photos added, 6 already there" in capsys.readouterr().out


def test_photos_are_assigned_by_position_to_the_farms_own_polygons(trained, walk, tmp_path):
    farm = Farm(tmp_path / "farm.gpkg")
    polygons = {name: polygon(place[1] - 0.001, place[0] - 0.001) for name, place in PLACES.items()}
    farm.import_paddocks(write_polygons(tmp_path / "p.geojson", **polygons))
    save_photo(Image.open(walk / "North/0.jpg").rotate(90), walk / "far.jpg", day="2026-09-01", place=(-42, 147))
    summary = steps.predict(trained / "model", walk, out=tmp_path / "out", farm=farm.path, coordinates=False)
    assert str(summary.farm) == "7 photos added"
    assert [remark.what for remark in summary.farm.remarks()] == ["farm_unassigned"]
    assert farm.visits()["paddock"].tolist() == ["North", "South"]
    assert pd.read_csv(tmp_path / "out/paddocks.csv")["photos"].tolist() == [3, 3]
    with closing(sqlite3.connect(farm.path)) as plain, plain:  # no coordinates are stored, as asked
        assert plain.execute("SELECT count(geom), count(latitude) FROM photos").fetchone() == (0, 0)


def test_python_adds_photos_without_a_results_folder(trained, walk, tmp_path):
    farm = herbage.Farm(tmp_path / "farm.gpkg")
    (walk / "North/broken.jpg").write_text("no photo")
    assert str(farm.add(trained / "model", walk, paddocks="folder")) == "6 photos added"
    other = tmp_path / "other.gpkg"
    steps.predict(trained / "model", walk, out=tmp_path / "out", farm=other, paddocks="folder")
    columns = [name for name in farm.visits().columns if name != "paddock_id"]
    pd.testing.assert_frame_equal(farm.visits()[columns], Farm(other).visits()[columns])


def test_undated_photos_are_refused_before_anything_is_estimated(trained, walk, tmp_path, capsys):
    save_photo(Image.open(walk / "North/0.jpg").rotate(180), walk / "North/undated.jpg")
    farm = tmp_path / "farm.gpkg"
    options = "--farm", farm, "--paddocks", "folder"
    assert predict(trained, walk, tmp_path / "out", *options) == 2
    message = capsys.readouterr().err
    assert "1 photo without a capture time" in message
    assert "North/undated.jpg" in message
    assert "--date 2026-09-04" in message
    assert not farm.exists()
    assert not (tmp_path / "out").exists()
    assert predict(trained, walk, tmp_path / "out", *options, "--date", "2026-09-03") == 0
    assert Farm(farm).visits()["date"].tolist() == ["2026-09-01", "2026-09-01", "2026-09-03"]


def test_a_farm_that_cannot_be_written_loses_nothing_that_is_done(trained, walk, tmp_path, capsys, monkeypatch):
    farm, out = tmp_path / "farm.gpkg", tmp_path / "out"
    options = "--farm", farm, "--paddocks", "folder"
    shutil.move(walk / "South", tmp_path / "earlier/South")
    assert predict(trained, tmp_path / "earlier", tmp_path / "first", *options) == 0
    monkeypatch.setattr(geopackage, "WAIT_S", 0.1)
    other = sqlite3.connect(farm, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert predict(trained, walk, out, *options) == 2
    assert "is being written by another program" in capsys.readouterr().err
    assert len(pd.read_csv(out / "predictions.csv")) == 3
    other.rollback()
    other.close()
    assert predict(trained, walk, out, *options) == 0
    assert json.loads((out / "run.json").read_text("utf-8"))["kept_rows"] == 3  # none was estimated again
    assert Farm(farm).visits()["paddock"].tolist() == ["North", "South"]
    assert predict(trained, walk, out, *options) == 2
    assert "already exists" in capsys.readouterr().err


def test_photos_directly_in_the_given_folder_are_in_no_paddock(trained, walk, tmp_path, capsys):
    farm = tmp_path / "farm.gpkg"
    assert predict(trained, walk / "North", tmp_path / "out", "--farm", farm, "--paddocks", "folder") == 0
    assert "3 photos in the farm without a paddock" in capsys.readouterr().err
    assert Farm(farm).paddocks().by_id == {}


def test_options_that_need_a_farm_are_refused_without_one(trained, walk, tmp_path, capsys):
    for options, message in ((["--date", "2026-09-01"], "--date"), (["--reassign"], "--reassign")):
        assert predict(trained, walk, tmp_path / "out", *options) == 2
        assert f"{message}: expected a farm file as --farm as well" in capsys.readouterr().err
    assert predict(trained, walk, tmp_path / "out", "--farm", tmp_path / "farm.csv") == 2
    assert "expected the name of a GeoPackage" in capsys.readouterr().err


def test_the_command_farm_imports_reports_drops_and_exports(trained, walk, tmp_path, capsys):
    farm, out = tmp_path / "farm.gpkg", tmp_path / "season"
    polygons = {name: polygon(place[1] - 0.001, place[0] - 0.001) for name, place in PLACES.items()}
    path = write_polygons(tmp_path / "p.geojson", **polygons)
    assert run(["farm", str(farm), "--paddocks", str(path)]) == 0
    printed = capsys.readouterr()
    assert "2 paddocks added: North, South" in printed.err
    assert printed.out == "2 paddocks, no visits.\n"
    assert predict(trained, walk, tmp_path / "out", "--farm", farm) == 0
    capsys.readouterr()
    assert run(["farm", str(farm), "--out", str(out), "--pre-grazing", "2800", "--residual", "1500"]) == 0
    printed = capsys.readouterr().out
    assert "Newest walk 2026-09-01: 2 of 2 paddocks" in printed
    assert "Feed on hand above the residual" in printed
    assert (out / "season.html").exists()
    before = farm.read_bytes()
    assert run(["farm", str(farm), "--out", str(out)]) == 2
    assert run(["farm", str(farm), "--export", str(tmp_path / "tables")]) == 0
    assert len(pd.read_csv(tmp_path / "tables/photos.csv")) == 6
    assert run(["farm", str(farm), "--drop-visit", "North,2026-09-01", "--out", str(out)]) == 2
    assert farm.read_bytes() == before
    capsys.readouterr()
    assert run(["farm", str(farm), "--drop-visit", "North,2026-09-01"]) == 0
    assert "A copy of the farm before that: " in capsys.readouterr().out
    assert Farm(farm).visits()["paddock"].tolist() == ["South"]
    for arguments, message in (
        (["--drop-visit", "North"], "--drop-visit North: expected PADDOCK,DATE"),
        (["--drop-visit", "South,1.9.2026"], "expected a day as YYYY-MM-DD"),
        (["--add", str(path)], "is not the file of a walk"),
    ):
        assert run(["farm", str(farm), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_what_the_farm_cannot_take_is_refused_before_anything_is_estimated(trained, walk, tmp_path, capsys):
    farm = Farm(tmp_path / "farm.gpkg")
    assert predict(trained, walk, tmp_path / "first", "--farm", farm.path, "--paddocks", "folder") == 0
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        plain.execute("INSERT INTO paddocks (id, name) VALUES ('1', 'North')")
    capsys.readouterr()
    assert predict(trained, walk, tmp_path / "out", "--farm", farm.path, "--paddocks", "folder") == 2
    assert "North may be North (1) and North (" in capsys.readouterr().err
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        plain.execute("DELETE FROM paddocks WHERE id = '1'")
        plain.execute("UPDATE models SET targets = 'Dry_Green_g'")
    assert predict(trained, walk, tmp_path / "out", "--farm", farm.path, "--paddocks", "folder") == 2
    assert "The cover of this farm is Dry_Green_g" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_farm_is_opened_before_the_model(tmp_path):
    (tmp_path / "farm.gpkg").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(InputInvalid, match="could not be used as a GeoPackage"):
        steps.predict("no model", tmp_path, out=tmp_path / "out", farm=tmp_path / "farm.gpkg")


def test_options_of_added_files_are_refused_without_one(tmp_path, capsys):
    for options, message in (
        (
            ["--date", "2026-09-01", "--reassign"],
            "--date and --reassign: expected the file of a walk as --add as well.",
        ),
        (["--paddock-name", "NAME"], "--paddock-name NAME: expected a file of polygons as --paddocks as well."),
    ):
        assert run(["farm", str(tmp_path / "f.gpkg"), *options]) == 2
        assert message in capsys.readouterr().err
