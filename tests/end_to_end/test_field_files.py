"""Files as they come from phones, drones, spreadsheets and GIS: each gives the right result, or says what is wrong.

A test makes the faulty files of one situation, and next to them the plain ones whose result is right.
"""

import io
import json
import logging
import os
import shutil
import subprocess
import unicodedata
import zipfile

import numpy as np
import pandas as pd
import pytest
import tifffile
from openpyxl import Workbook
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from herbage import steps
from herbage.errors import FoldLeak, TableInvalid
from herbage.photos.icc import DISPLAY_P3, profile_of
from herbage.recipe import load_recipe
from tests.conftest import HERBAGE, PATIENCE_S

DAY = "2025:09:04 10:00:00"
SOUTH, EAST = (38, 30, 0), (145, 15, 0)


@pytest.fixture
def photo(weighed_photos):
    """Opens one of the training photos, enlarged so that its file is as long as a photo's."""

    def load(number):
        return Image.open(weighed_photos / f"train/ID{number}.png").convert("RGB").resize((600, 300))

    return load


@pytest.fixture
def predict(quick_model, tmp_path, caplog):
    """Runs `predict` and returns predictions.csv, paddocks.csv and what was logged."""
    runs = []

    def run(photos, **options):
        caplog.clear()
        with caplog.at_level(logging.INFO, "herbage"):
            out = tmp_path / f"results{len(runs)}"
            runs.append(out)
            steps.predict(quick_model, photos, out=out, **options)
        paddocks = pd.read_csv(out / "paddocks.csv").set_index("paddock") if "paddocks" in options else None
        return pd.read_csv(out / "predictions.csv").set_index("photo"), paddocks, caplog.text

    run.runs = runs
    return run


def exif(taken=None, place=None, sides="SE", **more):
    block = Image.Exif()
    if taken:
        block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    for name, value in more.items():
        inner = block if name in ("DateTime", "Software") else block.get_ifd(ExifTags.IFD.Exif)
        inner[ExifTags.Base[name]] = value
    if place:
        gps = block.get_ifd(ExifTags.IFD.GPSInfo)
        for tag, value in zip((ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude), place, strict=True):
            gps[tag] = tuple(IFDRational(*part) if isinstance(part, tuple) else IFDRational(part) for part in value)
        for tag, side in zip((ExifTags.GPS.GPSLatitudeRef, ExifTags.GPS.GPSLongitudeRef), sides, strict=False):
            gps[tag] = side
    return block


def save(picture, place, **options):
    place.parent.mkdir(parents=True, exist_ok=True)
    picture.save(place, quality=95, **options)


def rectangle(x, y, width=600, height=300):
    points = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return {f"{axis}{n}": point["xy".index(axis)] for n, point in enumerate(points, 1) for axis in "xy"}


def train(table, photos, **options):
    recipe = load_recipe("field").model_copy(update={"grid": 6, "views": 1})
    return steps.train(table, photos=photos, recipe=recipe, backbone="texture", **options)


def mean_kg_per_ha(model):
    return model.evidence.oof.weighed_g[:, 3].mean() / 0.21 * 10


# Photos and what they say of themselves


def test_gps_zero(photo, predict, tmp_path):
    for row in range(3):
        save(photo(row), tmp_path / f"farm/North/IMG_{row}.jpg", exif=exif(DAY, (SOUTH, EAST)))
    save(photo(3), tmp_path / "farm/North/IMG_3.jpg", exif=exif(DAY, ((0, 0, 0), (0, 0, 0)), "NE"))
    rows, _, _ = predict(tmp_path / "farm", paddocks="folder")
    assert rows.loc["North/IMG_3.jpg", ["latitude", "longitude"]].isna().all()
    (point,) = json.loads((predict.runs[0] / "paddocks.geojson").read_text("utf-8"))["features"]
    assert point["geometry"]["coordinates"] == [145.25, -38.5]
    assert len(json.loads((predict.runs[0] / "photos.geojson").read_text("utf-8"))["features"]) == 3


@pytest.mark.parametrize(("latitude", "longitude", "degrees"), [
    ((38, 30, (5999, 100)), (145, 14, (5999, 100)), (-38.5167, 145.25)),
    ((38, 30, (6000, 100)), (145, 14, (5999, 100)), (-38.5167, 145.25)),
    ((38, 31, (0, 0)), (145, 15, (0, 0)), (-38.5167, 145.25)),
    ((38, (309998, 10000), 0), (145, (149998, 10000), 0), (-38.5167, 145.25)),
    (((38516661, 1000000), 0, 0), ((145249994, 1000000), 0, 0), (-38.5167, 145.25)),
    ((38, (600000, 10000), 0), (145, (149998, 10000), 0), (-39.0, 145.25)),
])  # fmt: skip
def test_gps_spellings(photo, predict, tmp_path, latitude, longitude, degrees):
    save(photo(0), tmp_path / "p/a.jpg", exif=exif(DAY, (latitude, longitude)))
    rows, _, _ = predict(tmp_path / "p")
    assert rows.loc["a.jpg", ["latitude", "longitude"]].tolist() == pytest.approx(degrees, abs=1e-4)


def test_gps_hemisphere(photo, predict, tmp_path):
    save(photo(0), tmp_path / "p/a.jpg", exif=exif(DAY, (SOUTH, EAST)))
    save(photo(1), tmp_path / "p/b.jpg", exif=exif(DAY, (SOUTH, EAST), ""))
    rows, _, _ = predict(tmp_path / "p")
    assert rows.loc["a.jpg", ["latitude", "longitude"]].tolist() == [-38.5, 145.25]
    assert rows.loc["b.jpg", ["latitude", "longitude"]].isna().all()
    assert "hemisphere" in rows.loc["b.jpg", "message"]


def test_dates(photo, predict, tmp_path):
    edited = {"DateTime": "2026:02:01 21:00:00", "Software": "Resizer 1.0"}
    north = tmp_path / "farm/North"
    save(photo(0), north / "a.jpg", exif=exif(DAY))
    save(photo(1), north / "b.jpg", exif=exif(**edited))
    save(photo(2), north / "c.jpg", exif=exif(DateTimeDigitized="2025:09:04 10:05:00", **edited))
    save(photo(3), north / "d.jpg", exif=exif("0000:00:00 00:00:00", **edited))
    save(photo(4), north / "e.jpg", exif=exif("2025-09-04T10:00:00"))
    rows, paddocks, _ = predict(tmp_path / "farm", paddocks="folder")
    taken = rows["taken_at"].tolist()
    assert taken[0] == taken[4] == "2025-09-04T10:00:00"
    assert taken[2] == "2025-09-04T10:05:00"
    assert pd.isna(taken[1])
    assert pd.isna(taken[3])
    assert paddocks.loc["North", ["photos", "taken_on"]].tolist() == [5, "2025-09-04"]


def test_half_dated(photo, predict, tmp_path):
    for row in range(6):
        save(photo(row), tmp_path / f"farm/North/IMG_{row}.jpg", exif=exif(None if row % 3 else DAY))
    _, paddocks, _ = predict(tmp_path / "farm", paddocks="folder")
    assert paddocks.loc["North", ["photos", "undated_photos"]].tolist() == [6, 0]


def test_jpeg_damaged(photo, predict, tmp_path):
    noise = np.random.default_rng(0).integers(-20, 20, (300, 600, 3))
    picture = Image.fromarray((np.array(photo(0)) + noise).clip(0, 255).astype(np.uint8))
    contents = {}
    for name, progressive in (("whole", False), ("progressive", True)):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=95, progressive=progressive)
        contents[f"{name}.jpg"] = whole = file.getvalue()
        contents[f"{name}_cut.jpg"] = whole[: len(whole) // 2]
        contents[f"{name}_cut_and_closed.jpg"] = whole[: len(whole) * 2 // 5] + b"\xff\xd9"
    whole = contents["whole.jpg"]
    contents["missing.jpg"] = whole[: len(whole) // 4] + whole[len(whole) // 4 + 32768 :]
    (tmp_path / "p").mkdir()
    for name, content in contents.items():
        (tmp_path / "p" / name).write_bytes(content)
    rows, _, _ = predict(tmp_path / "p")
    assert set(rows.index[rows["status"] == "ok"]) == {"whole.jpg", "progressive.jpg"}
    assert set(rows["status"]) == {"ok", "unreadable"}
    assert rows["message"].isna().equals(rows["status"] == "ok")


def test_not_an_image(photo, predict, tmp_path):
    save(photo(0), tmp_path / "p/a.jpg")
    (tmp_path / "p/b.jpg").write_text("<!DOCTYPE html><html><body>Please sign in</body></html>")
    (tmp_path / "p/c.jpg").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n", "utf-8"
    )
    rows, _, _ = predict(tmp_path / "p")
    assert "web page" in rows.loc["b.jpg", "message"]
    assert "git lfs pull" in rows.loc["c.jpg", "message"]


def test_copies(photo, predict, tmp_path):
    for row in range(4):
        for farm, name in (("once", ""), ("copied", ""), ("copied", " (1)"), ("copied", " - Copy")):
            save(photo(row), tmp_path / farm / f"North/IMG_{row}{name}.jpg", exif=exif(DAY))
    (_, once, _), (_, copied, said) = (predict(tmp_path / farm, paddocks="folder") for farm in ("once", "copied"))
    pd.testing.assert_frame_equal(once, copied)
    assert "byte-equal" in said
    run = json.loads((predict.runs[1] / "run.json").read_text("utf-8"))
    assert [(one["what"], one["count"]) for one in run["remarks"]] == [("copies", 8), ("no_better_than_mean", 1)]
    assert "byte-equal" in (predict.runs[1] / "report.html").read_text("utf-8")


# Folders and paddocks


def test_hidden_folders(photo, predict, tmp_path):
    for row in range(4):
        save(photo(row), tmp_path / f"farm/{'NS'[row % 2]}/IMG_{row}.jpg")
        save(photo(row).resize((60, 30)), tmp_path / f"farm/S/.thumbnails/{row}.jpg")
        save(photo(row), tmp_path / f"farm/N/@eaDir/{row}.jpg")
    rows, paddocks, _ = predict(tmp_path / "farm", paddocks="folder")
    assert len(rows) == 4
    assert sorted(paddocks.index) == ["N", "S"]


def test_camera_folders(photo, predict, tmp_path):
    names = [f"DJI_{number:04d}.JPG" for number in range(4)]
    for number in range(8):
        save(photo(number), tmp_path / "farm" / ("North" if number < 4 else "South") / "100MEDIA" / names[number % 4])
    rows, paddocks, _ = predict(tmp_path / "farm", paddocks="folder")
    weights = rows["Dry_Total_kg_per_ha"].to_numpy().reshape(2, 4).mean(1)
    assert paddocks.loc[["North", "South"], "kg_per_ha"].tolist() == pytest.approx(weights, abs=1e-3)
    both = [{"image_path": name, "paddock": paddock} for paddock in ("North", "South") for name in names]
    for table in (both, both[:4]):
        pd.DataFrame(table).to_csv(tmp_path / "names.csv", index=False)
        with pytest.raises(TableInvalid, match="DJI_0000.JPG could be North/100MEDIA/DJI_0000.JPG or South/100MEDIA"):
            predict(tmp_path / "farm", table=tmp_path / "names.csv", paddocks="paddock")


def test_unicode_names(photo, predict, tmp_path, weighed_photos):
    for number in range(4):
        picture = Image.new("RGB", (900, 500), (120, 108, 95))
        picture.paste(photo(number), (200, 100))
        save(picture, tmp_path / "new" / unicodedata.normalize("NFD", f"Süd_{number}.png"))
        save(photo(number), tmp_path / f"plain/Süd_{number}.png")
    rows = [{"image_path": f"Süd_{number}.png", "paddock": "Süd", **rectangle(200, 100)} for number in range(4)]
    pd.DataFrame(rows).to_csv(tmp_path / "corners.csv", index=False)
    found, paddocks, _ = predict(tmp_path / "new", table=tmp_path / "corners.csv", paddocks="paddock")
    plain, _, _ = predict(tmp_path / "plain")
    assert found["Dry_Total_g"].tolist() == pytest.approx(plain["Dry_Total_g"].tolist(), rel=0.02)
    assert paddocks.loc["Süd", "photos"] == 4
    table = pd.read_csv(weighed_photos / "wide.csv")
    names = [f"Wiese_Süd_{number}.png" for number in table.index]
    for name, path in zip(names, table["image_path"], strict=True):
        shutil.copy(weighed_photos / path, tmp_path / unicodedata.normalize("NFD", name))
    model = train(table.assign(image_path=names), tmp_path)
    assert model.evidence.training.photos == 24


# Tables


def test_two_quadrats(photo, predict, tmp_path):
    rows = []
    for left, right in ((0, 4), (1, 5), (2, 6)):
        picture = Image.new("RGB", (1400, 500), (120, 108, 95))
        picture.paste(photo(left), (50, 100))
        picture.paste(photo(right), (750, 100))
        save(picture, tmp_path / f"p/plot_{left}.png")
        rows.append({"image_path": f"plot_{left}.png", "paddock": "Left", **rectangle(50, 100)})
        rows.append({"image_path": f"plot_{left}.png", "paddock": "Right", **rectangle(750, 100)})
    grams = {}
    for name, own in (("left", rows[::2]), ("right", rows[1::2]), ("both", rows)):
        pd.DataFrame(own).to_csv(tmp_path / f"{name}.csv", index=False)
        grams[name], paddocks, _ = predict(tmp_path / "p", table=tmp_path / f"{name}.csv", paddocks="paddock")
    both = grams["both"]["Dry_Total_g"]
    assert both.index.tolist() == [f"plot_{plot}.png#{quadrat}" for plot in range(3) for quadrat in (1, 2)]
    assert both[::2].tolist() == grams["left"]["Dry_Total_g"].tolist()
    assert both[1::2].tolist() == grams["right"]["Dry_Total_g"].tolist()
    assert paddocks["photos"].to_dict() == {"Left": 3, "Right": 3}


def test_percent_corners(photo, predict, tmp_path):
    save(photo(0).resize((1600, 800)), tmp_path / "p/plot.jpg")
    for unit, quadrat in (("pixels", rectangle(400, 200, 800, 400)), ("percent", rectangle(25, 25, 50, 50))):
        pd.DataFrame([{"image_path": "plot.jpg", **quadrat}]).to_csv(tmp_path / f"{unit}.csv", index=False)
    rows, _, _ = predict(tmp_path / "p", table=tmp_path / "pixels.csv")
    assert rows["status"].tolist() == ["ok"]
    rows, _, _ = predict(tmp_path / "p", table=tmp_path / "percent.csv")
    assert rows["status"].tolist() == ["unreadable"]
    assert "percent" in rows["message"].iloc[0]


def test_kobo_export(weighed_photos, tmp_path):
    table = pd.read_csv(weighed_photos / "wide.csv")
    rows = []
    for number, (path, grams) in enumerate(zip(table["image_path"], table["Dry_Total_g"], strict=True)):
        name = f"1725{number:09d}.png"
        place = tmp_path / "media/anna/attachments/a1b2c3d4" / f"{number:032x}" / name
        place.parent.mkdir(parents=True)
        shutil.copy(weighed_photos / path, place)
        rows.append({"paddock": f"P{number // 4}", "quadrat/photo": name, "quadrat/dry_total": round(grams, 1)})
    pd.DataFrame(rows).to_csv(tmp_path / "export.csv", index=False, sep=";")
    columns = {"image_path": "quadrat/photo", "Dry_Total_g": "quadrat/dry_total"}
    model = train(tmp_path / "export.csv", tmp_path / "media", columns=columns, group_by=["paddock"])
    assert model.evidence.training.photos == 24
    assert mean_kg_per_ha(model) == pytest.approx(table["Dry_Total_g"].mean() / 0.21 * 10, rel=1e-3)


@pytest.fixture
def yields(weighed_photos):
    """A table of kg DM/ha by photo and paddock, as a function of its text."""
    wide = pd.read_csv(weighed_photos / "wide.csv")
    kg = [round(grams / 0.21 * 10) for grams in wide["Dry_Total_g"]]
    table = pd.DataFrame({"Photo": wide["image_path"], "Paddock": [f"P{row // 4}" for row in wide.index], "Yield": kg})
    options = {"columns": {"image_path": "Photo", "Dry_Total_g": "Yield"}, "unit": "kg_per_ha", "group_by": ["Paddock"]}

    def write(place, mark, separator):
        table.assign(Yield=[f"{value:,}".replace(",", mark) for value in kg]).to_csv(place, index=False, sep=separator)
        return place

    write.options, write.mean = options, float(np.mean(kg))
    return write


@pytest.mark.parametrize(("mark", "separator", "decimal"), [
    ("", ",", None), (",", "\t", "point"), (",", ";", "point"), (".", ";", "comma"), (" ", ";", None), ("'", "\t", None),
    ("\N{NARROW NO-BREAK SPACE}", ";", None),
])  # fmt: skip
def test_thousands(weighed_photos, yields, tmp_path, mark, separator, decimal):
    table = yields(tmp_path / "yields.csv", mark, separator)
    if decimal is not None:
        with pytest.raises(TableInvalid, match=r"row \d+, column Yield.*`decimal"):
            train(table, weighed_photos, **yields.options)
    model = train(table, weighed_photos, decimal=decimal, **yields.options)
    assert mean_kg_per_ha(model) == pytest.approx(yields.mean)


def test_table_encodings(weighed_photos, tmp_path):
    table = pd.read_csv(weighed_photos / "wide.csv").rename(columns={"State": "Betrieb_Süd"})
    semicolons = table.to_csv(index=False, sep=";", decimal=",")
    files = {
        "utf16_tabs.txt": table.to_csv(index=False, sep="\t").encode("utf-16"),
        "utf16_commas.csv": table.to_csv(index=False).encode("utf-16"),
        "cp1252.csv": semicolons.encode("cp1252"),
        "sep_line.csv": f"sep=;\n{semicolons}".encode(),
        "pipes.csv": table.to_csv(index=False, sep="|").encode(),
        "comment.csv": f"# exported in 2025\n{table.to_csv(index=False)}".encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        model = train(tmp_path / name, weighed_photos, group_by=["Betrieb_Süd", "Sampling_Date"])
        assert model.evidence.training.photos == 24, name
        assert mean_kg_per_ha(model) == pytest.approx(table["Dry_Total_g"].mean() / 0.21 * 10), name
    lines = [f"{row.image_path},B{number // 4},{row.Dry_Total_g:.1f}".replace(".1f", "") for number, row in
             enumerate(table.itertuples())]  # fmt: skip
    decimal_commas = "".join(f"{','.join(line.rsplit('.', 1))},\n" for line in lines)
    (tmp_path / "no_name.csv").write_text("image_path,Betrieb,Dry_Total_g,,\n" + decimal_commas, "utf-8")
    with pytest.raises(TableInvalid, match="column D, which has no name"):
        train(tmp_path / "no_name.csv", weighed_photos, group_by=["Betrieb"])


def write_workbook(place, sheets):
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(place)


def test_workbooks(weighed_photos, tmp_path, caplog):
    table = pd.read_csv(weighed_photos / "wide.csv")
    rows = [list(table.columns), *table.to_numpy(object).tolist()]
    write_workbook(
        tmp_path / "two.xlsx", {"notes": [["made by", "me"]], "autumn": rows[:17], "spring": [rows[0], *rows[17:]]}
    )
    with caplog.at_level(logging.INFO, "herbage"):
        model = train(tmp_path / "two.xlsx", weighed_photos, folds=3)
    assert model.evidence.training.photos == 16
    assert "spring" in caplog.text
    model = train(tmp_path / "two.xlsx", weighed_photos, folds=2, sheet="spring")
    assert model.evidence.training.photos == 8
    days = pd.to_datetime(table["Sampling_Date"])
    serials = [day.to_pydatetime() if row % 2 else (day - pd.Timestamp("1899-12-30")).days for row, day in days.items()]
    half = table.assign(Sampling_Date=pd.Series(serials, dtype=object))
    write_workbook(tmp_path / "half.xlsx", {"cuts": [list(half.columns), *half.to_numpy(object).tolist()]})
    plain, mixed = (train(place, weighed_photos) for place in (weighed_photos / "wide.csv", tmp_path / "half.xlsx"))
    assert mixed.evidence.training.groups == plain.evidence.training.groups == 6
    assert mixed.evidence.alone.score.weighted_r2 == pytest.approx(plain.evidence.alone.score.weighted_r2)


@pytest.mark.parametrize("code", [999, 9999])
def test_missing_codes(weighed_photos, tmp_path, code):
    table = pd.read_csv(weighed_photos / "wide.csv")[["image_path", "State", "Sampling_Date", "Dry_Total_g"]].round(1)
    table.loc[[5, 20], "Dry_Total_g"] = code
    table.to_csv(tmp_path / "code.csv", index=False)
    with pytest.raises(TableInvalid) as refusal:
        train(tmp_path / "code.csv", weighed_photos)
    assert all(row in str(refusal.value) for row in ("row 7", "row 22"))


def test_groups(weighed_photos, tmp_path):
    table = pd.read_csv(weighed_photos / "wide.csv")
    place = [f"P{row // 4}" for row in table.index]
    days = table.assign(State=place, Sampling_Date=[f"2025-09-{4 + row // 4:02d}" for row in table.index])
    times = days.assign(Sampling_Date=[f"{day} 10:{row % 4 * 7:02d}:00" for row, day in days["Sampling_Date"].items()])
    plain, timed = (train(one, weighed_photos) for one in (days, times))
    assert timed.evidence.training.groups == plain.evidence.training.groups == 6
    assert timed.evidence.alone.score.weighted_r2 == plain.evidence.alone.score.weighted_r2
    again = days.iloc[:4].assign(State="elsewhere", image_path=[f"copy_{row}.png" for row in range(4)])
    for path, copy in zip(days["image_path"], again["image_path"], strict=False):
        shutil.copy(weighed_photos / path, tmp_path / copy)
    shutil.copytree(weighed_photos / "train", tmp_path / "train")
    with pytest.raises(FoldLeak, match=r"train/ID(\d).png and copy_\1.png are byte-equal"):
        train(pd.concat([days, again]), tmp_path)


BLOCKS = {"A": (8.5, 47.5), "B": (8.7, 47.5), "C": (8.5, 47.7)}


def paddock_file(key, names):
    from shapely import Point
    from shapely.geometry import mapping

    features = [
        {"type": "Feature", "properties": {key: name}, "geometry": mapping(Point(place).buffer(0.05))}
        for name, place in zip(names, BLOCKS.values(), strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_paddock_files(photo, predict, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    for number, (east, north) in enumerate(place for place in BLOCKS.values() for _ in range(2)):
        save(photo(number), tmp_path / f"p/IMG_{number}.jpg", exif=exif(DAY, ((north, 0, 0), (east, 0, 0)), "NE"))
    files = {"plain": ("name", "ABC"), "other_name": ("PADDOCK_NM", ["Home", "Far", "Hill"]), "twice": ("name", "AAC")}
    for name, (key, names) in files.items():
        (tmp_path / f"{name}.geojson").write_text(paddock_file(key, names), "utf-8")
    farm = geopandas.read_file(tmp_path / "plain.geojson")
    farm.to_crs(2056).to_file(tmp_path / "farm.gpkg")
    farm.rename(columns={"name": "Name"}).to_file(tmp_path / "farm.kml", driver="KML")
    (tmp_path / "shapes").mkdir()
    farm.to_file(tmp_path / "shapes/farm.shp")
    with zipfile.ZipFile(tmp_path / "farm.zip", "w") as archive:
        for part in (tmp_path / "shapes").iterdir():
            archive.write(part, part.name)
    found = {
        name: predict(tmp_path / "p", paddocks=str(tmp_path / name))[1]["kg_per_ha"]
        for name in ("plain.geojson", "other_name.geojson", "farm.gpkg", "farm.kml", "farm.zip")
    }
    plain = found["plain.geojson"]
    assert sorted(plain.index) == ["A", "B", "C"]
    for name in ("farm.gpkg", "farm.kml", "farm.zip"):
        assert found[name].to_dict() == plain.to_dict(), name
    assert found["other_name.geojson"].to_dict() == {"Home": plain["A"], "Far": plain["B"], "Hill": plain["C"]}
    _, twice, _ = predict(tmp_path / "p", paddocks=str(tmp_path / "twice.geojson"))
    assert twice.loc["A", "photos"] == 4
    assert twice.loc["A", "kg_per_ha"] == pytest.approx((plain["A"] + plain["B"]) / 2, abs=1e-3)


# The console


def test_ascii_console(photo, quick_model, tmp_path):
    save(photo(0), tmp_path / "p/Süd_Weide.jpg")
    for name in ("käse_kaputt.jpg", "牧場_broken.jpg"):
        (tmp_path / "p" / name).write_bytes(b"\xff\xd8\xff\xe0 no")
    quick_model.save_pretrained(tmp_path / "model")
    ascii_only = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    command = [*HERBAGE, "predict", tmp_path / "model", tmp_path / "p", "--out", tmp_path / "r"]
    ended = subprocess.run(command, env=ascii_only, capture_output=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 1
    assert ended.stdout.count(b"failed: ") == 2
    assert b"unexpected" not in ended.stderr
    assert pd.read_csv(tmp_path / "r/predictions.csv")["photo"].tolist()[0] == "Süd_Weide.jpg"


# Pixels


def test_tiff_fourth_band(photo, predict, tmp_path):
    rgb = np.array(photo(0))
    infrared = np.clip(70 + 1.6 * (2.0 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2]) + 0.25 * rgb.mean(2), 0, 255)
    four = np.dstack([rgb, infrared.astype(np.uint8)])
    (tmp_path / "p").mkdir()
    tifffile.imwrite(tmp_path / "p/a_rgb.tif", rgb, photometric="rgb")
    tifffile.imwrite(tmp_path / "p/b_marked_alpha.tif", four, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(tmp_path / "p/c_grey_bands.tif", four, photometric="minisblack", planarconfig="contig")
    opaque = np.dstack([rgb, np.full_like(rgb[..., 0], 255)])
    Image.fromarray(opaque).save(tmp_path / "p/d_true_alpha.png")
    rows, _, _ = predict(tmp_path / "p")
    grams = rows["Dry_Total_g"].tolist()
    assert grams[0] == grams[1] == grams[3]
    assert "transparency" in rows.loc["b_marked_alpha.tif", "message"]
    assert "4 grey bands" in rows.loc["c_grey_bands.tif", "message"]
    assert rows.loc[["a_rgb.tif", "d_true_alpha.png"], "message"].isna().all()


def test_sixteen_bit(photo, predict, tmp_path):
    rgb = np.array(photo(0))
    (tmp_path / "p").mkdir()
    tifffile.imwrite(tmp_path / "p/a.tif", rgb, photometric="rgb")
    tifffile.imwrite(tmp_path / "p/b.tif", rgb.astype(np.uint16) * 257, photometric="rgb")
    tifffile.imwrite(tmp_path / "p/c.tif", rgb.astype(np.uint16) << 4, photometric="rgb")
    rows, _, _ = predict(tmp_path / "p")
    assert rows.loc["a.tif", "Dry_Total_g"] == rows.loc["b.tif", "Dry_Total_g"]
    assert rows.loc["c.tif", "status"] == "unreadable"
    assert "12 of the 16 bits" in rows.loc["c.tif", "message"]


def test_colour_profile(photo, predict, tmp_path):
    wide, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile_of(DISPLAY_P3))), ImageCms.createProfile("sRGB")
    (tmp_path / "p").mkdir()
    for number in range(4):
        photo(number).save(tmp_path / f"p/{number}_srgb.png")
        same = ImageCms.profileToProfile(photo(number), srgb, wide, renderingIntent=1)
        same.save(tmp_path / f"p/{number}_p3.png", icc_profile=profile_of(DISPLAY_P3))
        same.save(tmp_path / f"p/{number}_stripped.png", icc_profile=None)
    rows, _, _ = predict(tmp_path / "p")
    total = rows["Dry_Total_g"].to_numpy().reshape(4, 3)  # p3, srgb, stripped
    converted, ignored = np.abs(total[:, [0]] - total[:, [1]]).max(), np.abs(total[:, [2]] - total[:, [1]]).max()
    assert converted < ignored / 2
    assert rows["message"].isna().all()
