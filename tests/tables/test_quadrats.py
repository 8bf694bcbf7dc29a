import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.tables.sidecar import read_sidecar
from herbage.tables.spreadsheet import CORNERS
from herbage.tables.weighed import read_weighed_table

LEFT, RIGHT = [10, 10, 60, 10, 60, 50, 10, 50], [70, 10, 120, 10, 120, 50, 70, 50]


def sidecar(tmp_path, *rows):
    frame = pd.DataFrame(rows, columns=["image_path", "paddock", *CORNERS])
    frame.to_csv(tmp_path / "corners.csv", index=False)
    return tmp_path / "corners.csv"


def test_two_rows_of_a_photo_are_two_quadrats(tmp_path):
    files = [PhotoFile(name, tmp_path / name) for name in ("a.jpg", "b.jpg")]
    table = sidecar(tmp_path, ["a.jpg", "Left", *LEFT], ["b.jpg", "Left", *LEFT], ["a.jpg", "Right", *RIGHT])
    read = read_sidecar(table, files, "paddock")
    assert read.text == {"a.jpg#1": "Left", "a.jpg#2": "Right", "b.jpg": "Left"}
    assert [(file.name, file.path.name, file.corners[0][0]) for file in read.files] == [
        ("a.jpg#1", "a.jpg", 10), ("a.jpg#2", "a.jpg", 70), ("b.jpg", "b.jpg", 10),
    ]  # fmt: skip


@pytest.mark.parametrize(("second", "fault"), [
    (LEFT, "row 4: a.jpg has the same corners as in row 2"),
    ([None] * 8, "row 4: a.jpg has several rows, but this one has no corners"),
])  # fmt: skip
def test_two_rows_that_are_not_two_quadrats_are_refused(tmp_path, second, fault):
    files = [PhotoFile(name, tmp_path / name) for name in ("a.jpg", "b.jpg")]
    table = sidecar(tmp_path, ["a.jpg", "Left", *LEFT], ["b.jpg", "Left", *LEFT], ["a.jpg", "Right", *second])
    with pytest.raises(TableInvalid, match=fault):
        read_sidecar(table, files, "paddock")


@pytest.mark.parametrize("form", ["wide", "long"])
def test_two_weighed_quadrats_of_a_photo_are_two_rows(weighed_photos, form):
    table = pd.read_csv(weighed_photos / ("wide.csv" if form == "wide" else "train.csv"))
    first = table["image_path"].iloc[0]
    own = table["image_path"] == first
    table[list(CORNERS)] = np.nan
    second = table[own].copy()
    table.loc[own, list(CORNERS)], second.loc[:, list(CORNERS)] = LEFT, RIGHT
    if form == "long":
        second["target"] += 1
        second["sample_id"] += "b"
    read = read_weighed_table(pd.concat([table, second]), weighed_photos)
    names = [file.name for file in read.files]
    assert names[0] == f"{first}#1"
    assert names[-1] == f"{first}#2"
    assert read.files[0].path == read.files[-1].path
    assert read.files[0].corners != read.files[-1].corners
    assert len(names) == 25
    assert list(read.frame["image_path"]) == names
    np.testing.assert_allclose(read.grams[-1], read.grams[0] + (form == "long"))


def test_the_first_corner_is_expected_to_be_the_upper_left_one(tmp_path):
    files = [PhotoFile(name, tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    tilted = [20, 5, 70, 20, 60, 60, 8, 45]
    table = sidecar(tmp_path, ["a.jpg", "A", *LEFT], ["b.jpg", "A", *LEFT[2:], *LEFT[:2]], ["c.jpg", "A", *tilted])
    (remark,) = read_sidecar(table, files, "paddock").remarks
    assert (remark.what, remark.names) == ("turned_quadrats", ("b.jpg",))


def test_corners_as_shares_of_the_photo_are_refused(tmp_path):
    table = sidecar(tmp_path, ["a.jpg", "A", 0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9])
    with pytest.raises(
        TableInvalid, match="corners from 0.1 to 0.9, which look like shares of the photo; expected pixels"
    ):
        read_sidecar(table, [PhotoFile("a.jpg", tmp_path / "a.jpg")], "paddock")
