import io
import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from herbage.errors import PhotoUnreadable
from herbage.model.estimate import COLUMNS, Estimate
from herbage.photos.photo import PhotoFacts, PhotoFile
from herbage.results.geojson import open_photos_geojson
from herbage.results.overlay import draw_overlay, map_files
from herbage.results.predictions import PredictionsTable, plain_text, spreadsheet_text
from herbage.results.submission import submission_table
from herbage.targets import TARGETS, TOTAL

GREY = np.full((60, 120, 3), 128, np.uint8)
PLACE = PhotoFacts(datetime(2015, 9, 4, 10, 30), -42.51, 147.25)


def an_estimate(photo="a.jpg", level=10.0, **more):
    """Total is `level` on the left half of the map and three times that on the right."""
    shown = np.zeros((5, 4, 8))
    shown[:, :, :4], shown[:, :, 4:] = level, 3 * level
    return Estimate(photo, grams=shown.mean((1, 2)), map=shown, quadrat_area_m2=0.21, **more)


def picture(estimate, **options):
    return Image.open(io.BytesIO(draw_overlay(GREY, estimate, **options))).convert("RGB")


def brightness_of_halves(image):
    """Mean brightness of the left and the right half of the mapped photo, the lower of the two."""
    grey = np.asarray(image.convert("L"), float)
    lower = grey[50 + 450 + 8 : 50 + 450 + 8 + 450]
    return lower[:, :350].mean(), lower[:, 550:].mean()


def test_the_overlay_is_brighter_where_it_is_heavier():
    left, right = brightness_of_halves(picture(an_estimate(), scale_g_per_m2=None))
    assert right > left + 30


def test_two_pictures_with_one_scale_compare():
    scale = np.full(5, 60.0 / 0.21)
    light, heavy = (brightness_of_halves(picture(an_estimate(level=g), scale_g_per_m2=scale)) for g in (5.0, 20.0))
    assert heavy[0] > light[1]
    own = [brightness_of_halves(picture(an_estimate(level=g), scale_g_per_m2=None)) for g in (5.0, 20.0)]
    np.testing.assert_allclose(own[0], own[1], atol=1)


def test_the_colours_mean_the_same_on_whatever_quadrat():
    """The same sward on twice the area weighs twice as much and is drawn alike."""
    one = an_estimate()
    two = replace(one, grams=2 * one.grams, map=2 * one.map, quadrat_area_m2=2 * one.quadrat_area_m2)
    pictures = [brightness_of_halves(picture(e, scale_g_per_m2=np.full(5, 200.0))) for e in (one, two)]
    assert pictures[0] == pictures[1]


def test_the_same_estimate_is_the_same_picture_and_any_name_and_size_can_be_drawn():
    assert draw_overlay(GREY, an_estimate(), scale_g_per_m2=None) == draw_overlay(
        GREY, an_estimate(), scale_g_per_m2=None
    )
    assert picture(an_estimate("é 牧草 " * 40 + ".jpg"), scale_g_per_m2=None).width == 900
    for size in ((1, 1, 3), (3, 700, 3), (2000, 10, 3)):
        assert draw_overlay(np.zeros(size, np.uint8), an_estimate(), scale_g_per_m2=np.zeros(5))


def test_maps_of_one_name_in_two_folders_do_not_meet():
    assert len({map_files(n) for n in ("a/x.jpg", "b/x.jpg", "x.jpg", "x.png")}) == 4
    assert not set("/\\") & set("".join(map_files("a/b\\c.jpg")))


def test_geojson_is_longitude_first_and_leaves_out_what_has_no_place(tmp_path):
    with open_photos_geojson(tmp_path / "photos.geojson") as written:
        for estimate in (an_estimate(facts=PLACE), an_estimate("b.jpg"), an_estimate("c.jpg", facts=PLACE)):
            written.add(estimate)
    points = json.loads((tmp_path / "photos.geojson").read_text())
    assert points["type"] == "FeatureCollection"
    feature, other = points["features"]
    assert other["properties"]["photo"] == "c.jpg"
    assert feature["geometry"] == {"type": "Point", "coordinates": [147.25, -42.51]}
    assert feature["properties"]["photo"] == "a.jpg"
    assert feature["properties"]["taken_at"] == "2015-09-04T10:30:00"


def begun(path):
    table = PredictionsTable(path, overwrite=True)
    assert table.begin([], {}) == 0
    return table


def test_rows_stand_in_the_file_as_they_are_made(tmp_path):
    path = tmp_path / "out/predictions.csv"

    def interrupted():
        with begun(path).grow() as table:
            table.add(an_estimate(facts=PLACE))
            table.add(Estimate.failed("b.jpg", PhotoUnreadable("b.jpg is broken")))
            assert len(path.read_text().splitlines()) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    frame = pd.read_csv(path)
    assert list(frame.columns) == list(COLUMNS)
    assert frame["status"].tolist() == ["ok", "unreadable"]
    assert frame.loc[0, "Dry_Total_g"] == 20
    assert frame.loc[0, "Dry_Total_kg_per_ha"] == pytest.approx(20 / 0.21 * 10)


def test_an_old_table_stays_whole_until_the_new_one_is(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("the old table")
    with begun(path).grow() as table:
        table.add(an_estimate())
        assert path.read_text() == "the old table"
    assert pd.read_csv(path)["photo"].tolist() == ["a.jpg"]
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.csv"]


def test_a_table_that_was_cut_off_keeps_the_whole_rows_of_the_same_photos(tmp_path):
    place = tmp_path / "predictions.csv"
    files = [PhotoFile(name, Path(name)) for name in ("a,b.jpg", "=c.jpg", "d.jpg", "e.jpg")]
    estimates = [an_estimate(file.name, facts=PLACE) for file in files]

    def cut_off(at):
        table = PredictionsTable(place, overwrite=False)
        kept = table.begin(files, {"model": 1})
        again = [Estimate.of_row(row, level=0.9, quadrat_area_m2=0.21).row() for row in table.kept_rows(kept)]
        with suppress(KeyboardInterrupt), table.grow() as rows:
            for estimate in estimates[kept:at]:
                rows.add(estimate)
            if at < len(estimates):
                raise KeyboardInterrupt
        return kept, again

    assert cut_off(2) == (0, [])
    with place.open("a") as file:
        file.write("d.jpg,ok,1.5")
    kept, again = cut_off(3)
    assert kept == 2
    assert [row | {"photo": one.photo} for row, one in zip(again, estimates, strict=False)] == [
        one.row() for one in estimates[:2]
    ]
    files[1] = PhotoFile("between.jpg", Path("between.jpg"))
    estimates[1] = an_estimate("between.jpg")
    assert cut_off(4)[0] == 1
    assert pd.read_csv(place)["photo"].tolist() == ["a,b.jpg", "between.jpg", "d.jpg", "e.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


@given(st.text())
def test_text_that_was_made_safe_for_spreadsheets_comes_back(text):
    safe = spreadsheet_text(text)
    assert safe[:1] not in ("=", "+", "-", "@")
    if text[:1] != "'" and text.isprintable():
        assert plain_text(safe) == text


def test_numbers_below_0_and_text_are_told_apart_in_the_table(tmp_path):
    path = tmp_path / "predictions.csv"
    with begun(path).grow() as table:
        table.add(an_estimate("-cmd|x.jpg", facts=PLACE))
    row = pd.read_csv(path).iloc[0]
    assert row["photo"] == "'-cmd|x.jpg"
    assert row["latitude"] == -42.51


def test_a_submission_follows_the_test_table_and_is_never_below_0():
    test = pd.DataFrame(
        {
            "sample_id": ["z", "a", "m"],
            "image_path": ["p", "q", "p"],
            "target_name": ["GDM_g", "Dry_Total_g", "Dry_Dead_g"],
        }
    )
    grams = {"p": np.arange(5.0) - 2, "q": np.full(5, 7.5)}
    table = submission_table(test, grams)
    assert table.to_dict("list") == {"sample_id": ["z", "a", "m"], "target": [2.0, 7.5, 0.0]}
    assert TARGETS[TOTAL] == "Dry_Total_g"
