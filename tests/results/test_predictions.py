from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import OutputExists, PhotoUnreadable
from herbage.model.estimate import COLUMNS, Estimate
from herbage.photos.exif import PhotoFacts
from herbage.photos.photo import PhotoFile
from herbage.results.predictions import PredictionsTable, plain_text, spreadsheet_text

PLACE = PhotoFacts(datetime(2015, 9, 4, 10, 30), -42.51, 147.25)


def an_estimate(photo="a.jpg", level=10.0, **more):
    """Total is `level` on the left half of the map and three times that on the right."""
    grams = np.zeros((5, 4, 8))
    grams[:, :, :4], grams[:, :, 4:] = level, 3 * level
    return Estimate(photo, grams=grams.mean((1, 2)), map=grams, quadrat_area_m2=0.21, **more)


def started(path):
    table = PredictionsTable(path, overwrite=True)
    assert table.begin([], {}) == 0
    return table


def test_rows_are_in_the_file_as_soon_as_they_are_added(tmp_path):
    path = tmp_path / "out/predictions.csv"

    def interrupted():
        with started(path).writer() as table:
            table.add(an_estimate(facts=PLACE))
            table.add(Estimate.failed("b.jpg", PhotoUnreadable("b.jpg is broken")))
            assert len(path.read_text("utf-8").splitlines()) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    frame = pd.read_csv(path)
    assert list(frame.columns) == list(COLUMNS)
    assert frame["status"].tolist() == ["ok", "unreadable"]
    assert frame.loc[0, "Dry_Total_g"] == 20
    assert frame.loc[0, "Dry_Total_kg_per_ha"] == pytest.approx(20 / 0.21 * 10)


def test_an_old_table_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("the old table")
    table = started(path)
    with table.writer() as rows:
        rows.add(an_estimate())
        assert path.read_text("utf-8") == "the old table"
    table.finish()
    assert pd.read_csv(path)["photo"].tolist() == ["a.jpg"]
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.csv"]


def test_an_interrupted_table_reuses_the_complete_rows_of_the_same_photos(tmp_path):
    place = tmp_path / "predictions.csv"
    files = [PhotoFile(name, Path(name)) for name in ("a,b.jpg", "=c.jpg", "d.jpg", "e.jpg")]
    estimates = [an_estimate(file.name, facts=PLACE) for file in files]

    def interrupted(at):
        table = PredictionsTable(place, overwrite=False)
        reused = table.begin(files, {"model": 1})
        again = [Estimate.of_row(row, level=0.9, quadrat_area_m2=0.21).row() for row in table.rows(reused)]
        with suppress(KeyboardInterrupt), table.writer() as rows:
            for estimate in estimates[reused:at]:
                rows.add(estimate)
            if at < len(estimates):
                raise KeyboardInterrupt
        return reused, again, table

    assert interrupted(2)[:2] == (0, [])
    with place.open("a") as file:
        file.write("d.jpg,ok,1.5")
    reused, again, _ = interrupted(3)
    assert reused == 2
    assert [row | {"photo": one.photo} for row, one in zip(again, estimates, strict=False)] == [
        one.row() for one in estimates[:2]
    ]
    files[1] = PhotoFile("between.jpg", Path("between.jpg"))
    estimates[1] = an_estimate("between.jpg")
    assert interrupted(4)[0] == 1
    assert pd.read_csv(place)["photo"].tolist() == ["a,b.jpg", "between.jpg", "d.jpg", "e.jpg"]
    reused, _, table = interrupted(4)  # the table is complete, and the files made from it are not
    assert reused == 4
    table.finish()
    with pytest.raises(OutputExists):
        interrupted(4)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


@given(st.text())
def test_text_made_safe_for_spreadsheets_is_recovered(text):
    safe = spreadsheet_text(text)
    assert safe[:1] not in ("=", "+", "-", "@")
    if text[:1] != "'" and text.isprintable():
        assert plain_text(safe) == text


def test_negative_numbers_are_not_escaped_like_text_in_the_table(tmp_path):
    path = tmp_path / "predictions.csv"
    with started(path).writer() as table:
        table.add(an_estimate("-cmd|x.jpg", facts=PLACE))
    row = pd.read_csv(path).iloc[0]
    assert row["photo"] == "'-cmd|x.jpg"
    assert row["latitude"] == -42.51
