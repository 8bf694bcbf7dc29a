import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.photos.tables import read_test_table, read_weighed_table
from herbage.targets import TARGETS


def test_long_and_wide_say_the_same(weighed_photos):
    long = read_weighed_table(weighed_photos / "train.csv", weighed_photos)
    wide = read_weighed_table(weighed_photos / "wide.csv", weighed_photos)
    order = [long.frame["image_path"].tolist().index(path) for path in wide.frame["image_path"]]
    np.testing.assert_allclose(long.grams[order], wide.grams)
    assert wide.grams.shape == (24, 5)
    assert long.frame["State"].iloc[order].tolist() == wide.frame["State"].tolist()


@pytest.mark.parametrize("photos", [".", "train"])
def test_photos_are_found_with_or_without_their_leading_folder(weighed_photos, photos):
    table = read_weighed_table(weighed_photos / "train.csv", weighed_photos / photos)
    assert all(file.path.is_file() for file in table.files)


def test_all_faults_of_a_long_table_are_in_one_message_with_row_and_column(weighed_photos, tmp_path):
    long = pd.read_csv(weighed_photos / "train.csv").sort_values("sample_id").reset_index(drop=True)
    long["target"] = long["target"].astype(object)
    long.loc[0, "target"] = -3.0
    long.loc[1, "target"] = "inf"
    long.loc[2, "target"] = None
    long.loc[3, "target"] = "many"
    long.loc[6, "target_name"] = "Dry_Moss_g"
    long.loc[11, "target_name"] = long.loc[10, "target_name"]
    long.loc[15:19, "image_path"] = "train/gone.png"
    long = long.drop(index=24)
    long.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(TableInvalid) as caught:
        read_weighed_table(tmp_path / "bad.csv", weighed_photos)
    said = str(caught.value)
    for part in (
        "bad.csv has", "row 2, column target: negative grams (got -3.0)", "row 3, column target: grams not finite",
        "row 4, column target: empty", "row 5, column target: not a number (got 'many')",
        "row 8, column target_name: unknown target", "'Dry_Moss_g'", "row 12: duplicate of another row",
        "row 17, column image_path: photo not found", "has no GDM_g",
    ):  # fmt: skip
        assert part in said, f"{part!r} is not in\n{said}"


def test_all_faults_of_a_wide_table_are_in_one_message(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv").drop(columns="GDM_g")
    wide.loc[2, "Dry_Green_g"] = np.nan
    wide.loc[4, "image_path"] = wide.loc[3, "image_path"]
    wide.loc[5, "Dry_Dead_g"] = -1
    wide.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(TableInvalid) as caught:
        read_weighed_table(tmp_path / "bad.csv", weighed_photos)
    said = str(caught.value)
    for part in (
        "column GDM_g is missing", "row 4, column Dry_Green_g: empty", "row 6: duplicate", "row 7, column Dry_Dead_g",
    ):  # fmt: skip
        assert part in said, f"{part!r} is not in\n{said}"


def test_paths_that_leave_the_folder_are_not_followed(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    (tmp_path / "photos").mkdir()
    wide.loc[0, "image_path"] = f"../{weighed_photos.name}/train/ID0.png"
    wide.loc[1, "image_path"] = str(weighed_photos / "train/ID1.png")
    with pytest.raises(TableInvalid, match="none of its photos is below"):
        read_weighed_table(wide, tmp_path / "photos")


@pytest.mark.parametrize("content", ["", "image_path\n", "\x00\xff"])
def test_what_is_no_table_is_one_message(tmp_path, content):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TableInvalid):
        read_weighed_table(tmp_path / "t.csv", tmp_path)
    with pytest.raises(TableInvalid, match="is not there"):
        read_weighed_table(tmp_path / "gone.csv", tmp_path)


def test_the_competitions_one_odd_sum_is_no_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[0, "Dry_Total_g"] += 0.31
    assert read_weighed_table(wide, weighed_photos).grams[0, 3] == wide.loc[0, "Dry_Total_g"]


def test_one_photo_has_one_state(weighed_photos):
    long = pd.read_csv(weighed_photos / "train.csv")
    long.loc[0, "State"] = "Mars"
    with pytest.raises(TableInvalid, match="different things of one photo.*State"):
        read_weighed_table(long, weighed_photos)


def test_a_test_table_lists_each_photo_once(weighed_photos):
    frame, files = read_test_table(weighed_photos / "test.csv", weighed_photos)
    assert len(frame) == 24 * len(TARGETS)
    assert len(files) == 24


def test_a_test_photo_that_is_gone_keeps_its_place_unless_all_are(weighed_photos, tmp_path):
    frame = pd.read_csv(weighed_photos / "test.csv")
    frame.loc[frame["image_path"] == "train/ID3.png", "image_path"] = "train/gone.png"
    frame.to_csv(tmp_path / "test.csv", index=False)
    _, files = read_test_table(tmp_path / "test.csv", weighed_photos)
    assert len(files) == 24
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableInvalid, match="None of the 24 photos"):
        read_test_table(tmp_path / "test.csv", tmp_path / "empty")


def test_spreadsheet_habits_are_understood_or_named(weighed_photos, tmp_path):
    lines = (weighed_photos / "wide.csv").read_text().splitlines()
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert len(read_weighed_table(tmp_path / "bom.csv", weighed_photos).files) == 24
    (tmp_path / "comma.csv").write_text("\n".join([lines[0], *(line + "," for line in lines[1:])]))
    with pytest.raises(TableInvalid, match="more cells than its header names"):
        read_weighed_table(tmp_path / "comma.csv", weighed_photos)
    (tmp_path / "semicolon.csv").write_text("\n".join(lines).replace(",", ";"))
    with pytest.raises(TableInvalid, match="column image_path is missing; there are image_path;"):
        read_weighed_table(tmp_path / "semicolon.csv", weighed_photos)


def test_grams_that_no_quadrat_bears_are_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[3, "Dry_Total_g"] = 1e38
    with pytest.raises(TableInvalid, match=r"row 5, column Dry_Total_g: more than 100,000 g"):
        read_weighed_table(wide, weighed_photos)


def test_a_state_called_na_is_a_state(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.assign(State="NA").to_csv(tmp_path / "na.csv", index=False)
    assert read_weighed_table(tmp_path / "na.csv", weighed_photos).frame["State"].eq("NA").all()
