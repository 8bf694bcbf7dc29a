import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.tables.sidecar import read_sidecar
from herbage.tables.spreadsheet import TableFormat
from herbage.tables.weighed import read_weighed_table
from herbage.targets import TARGETS


def test_an_impossible_weight_is_a_fault_that_names_row_photo_and_mass(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[5, "Dry_Total_g"] = 999
    wide.loc[20, "GDM_g"] = 9999
    with pytest.raises(TableInvalid) as caught:
        read_weighed_table(wide, weighed_photos)
    message = str(caught.value)
    assert "has 2 faults" in message
    assert "row 7, column Dry_Total_g: 47,571 kg DM/ha, more than 20,000 (got 999), photo train/ID5.png" in message
    assert "row 22, column GDM_g: 476,143 kg DM/ha, more than 20,000 (got 9999), photo train/ID20.png" in message


@pytest.mark.parametrize(("unit", "limit"), [("g", 500), ("g_per_m2", 2000), ("kg_per_ha", 20_000)])
def test_the_limit_is_a_mass_per_area_in_any_unit(weighed_photos, unit, limit):
    wide = pd.read_csv(weighed_photos / "wide.csv")[["image_path", "Dry_Total_g"]]
    wide.loc[3, "Dry_Total_g"] = limit
    read_weighed_table(wide, weighed_photos, unit=unit, quadrat_area_m2=0.25)
    wide.loc[3, "Dry_Total_g"] = limit * 1.001
    with pytest.raises(TableInvalid, match="row 5, column Dry_Total_g: 20,020 kg DM/ha, more than 20,000"):
        read_weighed_table(wide, weighed_photos, unit=unit, quadrat_area_m2=0.25)


def test_many_impossible_weights_are_one_fault_that_asks_for_the_unit(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[:2, "Dry_Total_g"] *= 1000
    with pytest.raises(TableInvalid, match="has 1 fault:\n.*Dry_Total_g: 3 of 24 weights are .*are `unit` and"):
        read_weighed_table(wide, weighed_photos)


def test_names_without_endings_are_named_with_a_name_that_has_one(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[0, "image_path"] = "ID0"
    with pytest.raises(TableInvalid, match=r"row 2, .* write names with their endings, such as ID0\.png \(got 'ID0'\)"):
        read_weighed_table(wide, weighed_photos)


def test_weights_that_are_mostly_impossible_are_in_another_unit(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide[list(TARGETS)] *= 1000
    with pytest.raises(
        TableInvalid, match="column Dry_Total_g: 24 of 24 weights are .*`unit` and `quadrat_area_m2`"
    ) as caught:
        read_weighed_table(wide, weighed_photos)
    assert len(str(caught.value).splitlines()) <= 1 + len(TARGETS)


def test_a_code_for_a_missing_weight_is_a_fault_that_shows_it_or_is_skipped_on_request(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")[["image_path", "Dry_Total_g"]].astype(object)
    wide.loc[3, "Dry_Total_g"] = -9999
    wide.loc[4, "Dry_Total_g"] = "n/a"
    wide.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableInvalid) as caught:
        read_weighed_table(tmp_path / "t.csv", weighed_photos)
    assert "row 5, column Dry_Total_g: a code for a missing value (got '-9999'), photo train/ID3.png" in str(
        caught.value
    )
    assert "row 6, column Dry_Total_g: a code for a missing value (got 'n/a'), photo train/ID4.png" in str(caught.value)
    read = read_weighed_table(tmp_path / "t.csv", weighed_photos, skip_empty=True)
    assert len(read.files) == 22
    assert [remark.what for remark in read.remarks] == ["missing_codes", "rows_without_weights"]
    assert read.remarks[1].names == ("train/ID3.png", "train/ID4.png")


def test_a_corner_that_is_no_number_is_named(tmp_path):
    header = "image_path;x1;y1;x2;y2;x3;y3;x4;y4\n"
    (tmp_path / "t.csv").write_text(header + "a.jpg;0;0;9;0;9;9 px;0;9\n", "utf-8")
    with pytest.raises(TableInvalid, match="row 2, column y3: not a number .got '9 px'."):
        read_sidecar(tmp_path / "t.csv", [PhotoFile("a.jpg", tmp_path / "a.jpg")])
    (tmp_path / "t.csv").write_text(header + "a.jpg;0;0;1.024;0;1.024;900;0;900\n", "utf-8")
    with pytest.raises(TableInvalid, match="row 2, column x2: '1.024' is 1.024 with a decimal point, 1024 with"):
        read_sidecar(tmp_path / "t.csv", [PhotoFile("a.jpg", tmp_path / "a.jpg")])
    how = TableFormat(decimal="comma")
    read = read_sidecar(tmp_path / "t.csv", [PhotoFile("a.jpg", tmp_path / "a.jpg")], how=how)
    assert read.files[0].corners[1] == (1024, 0)


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
    message = str(caught.value)
    for part in (
        "bad.csv has", "row 2, column target: negative grams (got -3.0)", "row 3, column target: grams not finite",
        "row 4, column target: empty", "row 5, column target: not a number (got 'many')",
        "row 8, column target_name: unknown target", "'Dry_Moss_g'", "row 12: duplicate of another row",
        "row 17, column image_path: photo not found", "has no GDM_g",
    ):  # fmt: skip
        assert part in message, f"{part!r} is not in\n{message}"


def test_all_faults_of_a_wide_table_are_in_one_message(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv").drop(columns="GDM_g")
    wide.loc[2, "Dry_Green_g"] = np.nan
    wide.loc[4, "image_path"] = wide.loc[3, "image_path"]
    wide.loc[5, "Dry_Dead_g"] = -1
    wide.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(TableInvalid) as caught:
        read_weighed_table(tmp_path / "bad.csv", weighed_photos)
    message = str(caught.value)
    for part in (
        "row 4, column Dry_Green_g: empty", "row 6: duplicate", "row 7, column Dry_Dead_g",
    ):  # fmt: skip
        assert part in message, f"{part!r} is not in\n{message}"


def test_a_row_without_a_photo_is_named_by_its_number(weighed_photos, tmp_path):
    for form in ("train.csv", "wide.csv"):
        table = pd.read_csv(weighed_photos / form)
        table.loc[4, "image_path"] = None
        for skip_empty in (False, True):
            with pytest.raises(TableInvalid, match="row 6, column image_path: empty"):
                read_weighed_table(table, weighed_photos, skip_empty=skip_empty)
    pd.DataFrame({"image_path": ["a.jpg", None], "Paddock": ["x", "y"]}).to_csv(tmp_path / "side.csv", index=False)
    with pytest.raises(TableInvalid, match="no image_path in row 3"):
        read_sidecar(tmp_path / "side.csv", [PhotoFile("a.jpg", tmp_path / "a.jpg")], "Paddock")
