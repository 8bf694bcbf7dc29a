import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.photos.tables import read_sidecar, read_test_table, read_weighed_table
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
        "row 4, column Dry_Green_g: empty", "row 6: duplicate", "row 7, column Dry_Dead_g",
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
    european = "\n".join(lines).replace(",", ";").replace(".", ",").replace(",png", ".png")
    (tmp_path / "semicolon.csv").write_text(european)
    np.testing.assert_array_equal(
        read_weighed_table(tmp_path / "semicolon.csv", weighed_photos).grams,
        read_weighed_table(weighed_photos / "wide.csv", weighed_photos).grams,
    )


@pytest.mark.parametrize(
    ("weighed", "estimated_too"),
    [
        ({"Dry_Total_g"}, set()),
        ({"Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g"}, {"Dry_Total_g", "GDM_g"}),
        ({"Dry_Total_g", "Dry_Dead_g"}, {"GDM_g"}),
        ({"GDM_g", "Dry_Green_g"}, {"Dry_Clover_g"}),
        ({"Dry_Total_g", "GDM_g", "Dry_Clover_g"}, {"Dry_Dead_g", "Dry_Green_g"}),
        ({"Dry_Total_g", "Dry_Green_g"}, set()),
    ],
)
@pytest.mark.parametrize("form", ["wide", "long"])
def test_what_the_sums_determine_is_derived_and_the_rest_is_not_there(weighed_photos, weighed, estimated_too, form):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    if form == "wide":
        table = wide.drop(columns=[name for name in TARGETS if name not in weighed])
    else:
        long = pd.read_csv(weighed_photos / "train.csv")
        table = long[long["target_name"].isin(weighed)]
    read = read_weighed_table(table, weighed_photos)
    rows = wide.set_index("image_path").loc[read.frame["image_path"]]
    for t, name in enumerate(TARGETS):
        if name in weighed | estimated_too:
            np.testing.assert_allclose(read.grams[:, t], rows[name], atol=1e-9)
        else:
            assert np.isnan(read.grams[:, t]).all()


def test_a_column_that_is_empty_is_absent_and_one_with_holes_is_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    read = read_weighed_table(wide.assign(Dry_Dead_g=np.nan, Dry_Total_g=np.nan), weighed_photos)
    assert np.isnan(read.grams[:, [1, 3]]).all()
    wide.loc[3, "Dry_Dead_g"] = np.nan
    with pytest.raises(TableInvalid, match="row 5, column Dry_Dead_g: empty"):
        read_weighed_table(wide, weighed_photos)
    with pytest.raises(TableInvalid, match=r"none of the columns Dry_Clover_g.*--columns"):
        read_weighed_table(wide.drop(columns=list(TARGETS)), weighed_photos)


@pytest.mark.parametrize(("unit", "factor"), [("g", 1.0), ("g_per_m2", 4.0), ("kg_per_ha", 40.0)])
def test_a_workbook_with_other_names_and_units_says_the_same(weighed_photos, tmp_path, unit, factor):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    odd = pd.DataFrame({
        "Photo file": wide["image_path"], "State": wide["State"],
        "Sampling_Date": pd.to_datetime(wide["Sampling_Date"]), "yield, dry": wide["Dry_Total_g"] * factor,
    })  # fmt: skip
    odd.to_excel(tmp_path / "cuts.xlsx", index=False)
    names = {"image_path": "Photo file", "Dry_Total_g": "yield, dry"}
    read = read_weighed_table(tmp_path / "cuts.xlsx", weighed_photos, columns=names, unit=unit, quadrat_area_m2=0.25)
    np.testing.assert_allclose(read.grams[:, 3], wide["Dry_Total_g"])
    assert read.frame["Sampling_Date"].iloc[0] == "2015-01-01"
    for wrong, said in (
        ({"Dry_Total_g": "dry"}, "lacks the column dry; there are Photo file"),
        ({**names, "State": "Sampling_Date"}, "has a column State already"),
        ({**names, "GDM_g": "yield, dry"}, "two names to one column"),
    ):
        with pytest.raises(TableInvalid, match=said):
            read_weighed_table(tmp_path / "cuts.xlsx", weighed_photos, columns=wrong)


def test_weights_that_do_not_add_up_are_named_row_by_row_and_taken(weighed_photos, caplog):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[2, "Dry_Total_g"] += 0.31
    wide.loc[7, "GDM_g"] -= 2
    wide.loc[9, "Dry_Dead_g"] += 0.05
    read = read_weighed_table(wide, weighed_photos)
    np.testing.assert_allclose(read.grams, wide[list(TARGETS)])
    (said,) = [record.getMessage() for record in caplog.records]
    assert "train/ID2.png: Dry_Total_g is +0.31 g from Dry_Clover_g + Dry_Dead_g + Dry_Green_g" in said
    assert "train/ID7.png: GDM_g is -2.00 g from Dry_Clover_g + Dry_Green_g" in said
    assert "ID9" not in said
    caplog.clear()
    read_weighed_table(wide.drop(columns=["Dry_Clover_g", "Dry_Green_g"]), weighed_photos)
    assert "train/ID7.png: Dry_Total_g is +2.00 g from GDM_g + Dry_Dead_g" in caplog.text


CORNERS = ["x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"]


def test_corners_are_read_and_those_of_no_quadrat_are_refused(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide[CORNERS] = np.nan
    wide.loc[1, CORNERS] = [10, 5, 100, 8, 95, 50, 12, 52]
    files = read_weighed_table(wide, weighed_photos).files
    assert files[0].corners is None
    assert files[1].corners == ((10, 5), (100, 8), (95, 50), (12, 52))
    for corners in ([10, 5, 95, 50, 100, 8, 12, 52], [10, 5, 12, 52, 95, 50, 100, 8], [0, 0, 0, 0, 1, 1, 1, 1]):
        wide.loc[3, CORNERS] = corners
        with pytest.raises(TableInvalid, match="row 5: .* are no corners of a quadrat"):
            read_weighed_table(wide, weighed_photos)
    wide.loc[3, CORNERS] = [10, 5, 100, 8, 95, 50, 12, np.nan]
    with pytest.raises(TableInvalid, match="row 5: "):
        read_weighed_table(wide, weighed_photos)
    with pytest.raises(TableInvalid, match="lacks y4"):
        read_weighed_table(wide.drop(columns="y4"), weighed_photos)


def test_a_sidecar_gives_corners_to_the_photos_that_it_names(tmp_path):
    files = [PhotoFile("farm/a.jpg", tmp_path / "a.jpg"), PhotoFile("b.jpg", tmp_path / "b.jpg")]
    sidecar = pd.DataFrame([["a.jpg", 0, 0, 9, 0, 9, 9, 0, 9]], columns=["image_path", *CORNERS])
    sidecar.to_csv(tmp_path / "side.csv", index=False)
    (first, second), told = read_sidecar(tmp_path / "side.csv", files)
    assert told == {}
    assert first.corners == ((0, 0), (9, 0), (9, 9), (0, 9))
    assert second == files[1]
    with pytest.raises(TableInvalid, match="names none of the photos"):
        read_sidecar(tmp_path / "side.csv", files[1:])
    sidecar.assign(Paddock=["Home"]).to_csv(tmp_path / "side.csv", index=False)
    (first, _), told = read_sidecar(tmp_path / "side.csv", files, "Paddock")
    assert first.corners is not None
    assert told == {"farm/a.jpg": "Home"}
    renamed = sidecar.assign(Paddock=["Home"]).rename(columns={"image_path": "Bild"})
    renamed.to_csv(tmp_path / "theirs.csv", index=False)
    theirs = read_sidecar(tmp_path / "theirs.csv", files, "Paddock", {"image_path": "Bild"})
    assert theirs == read_sidecar(tmp_path / "side.csv", files, "Paddock")
    pd.DataFrame({"image_path": ["a.jpg", "b.jpg"], "Paddock": [7, None]}).to_csv(tmp_path / "numbers.csv", index=False)
    assert read_sidecar(tmp_path / "numbers.csv", files, "Paddock")[1] == {"farm/a.jpg": "7"}
    with pytest.raises(TableInvalid, match="lacks the column Field; there are image_path"):
        read_sidecar(tmp_path / "side.csv", files, "Field")
    sidecar.drop(columns="x3").to_csv(tmp_path / "side.csv", index=False)
    with pytest.raises(TableInvalid, match="lacks the column x3"):
        read_sidecar(tmp_path / "side.csv", files)


def test_grams_that_no_quadrat_bears_are_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[3, "Dry_Total_g"] = 1e38
    with pytest.raises(TableInvalid, match=r"row 5, column Dry_Total_g: more than 100,000 g"):
        read_weighed_table(wide, weighed_photos)


def test_a_state_called_na_is_a_state(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.assign(State="NA").to_csv(tmp_path / "na.csv", index=False)
    assert read_weighed_table(tmp_path / "na.csv", weighed_photos).frame["State"].eq("NA").all()


def test_a_column_that_nobody_filled_in_is_named_and_no_other_is_proposed(tmp_path):
    (tmp_path / "a.jpg").touch()
    cuts = pd.DataFrame({"image_path": ["a.jpg"], "Dry_Total_g_estimated": [30.0], "Dry_Total_g": [None]})
    with pytest.raises(TableInvalid, match=r"Dry_Total_g is empty; fill in what was weighed") as said:
        read_weighed_table(cuts, tmp_path)
    assert "--columns" not in str(said.value)


@pytest.mark.parametrize("form", ["wide.csv", "train.csv"])
def test_rows_without_a_weight_are_left_out_where_they_may_be_and_faults_keep_their_rows(weighed_photos, form):
    table = pd.read_csv(weighed_photos / form)
    of_photo = table["image_path"].isin(table["image_path"].unique()[[0, 2]])
    weights = ["target"] if form == "train.csv" else list(TARGETS)
    whole = read_weighed_table(table[~of_photo], weighed_photos)
    table.loc[of_photo, weights] = np.nan
    some = read_weighed_table(table, weighed_photos, skip_empty=True)
    assert [file.name for file in some.files] == [file.name for file in whole.files]
    np.testing.assert_array_equal(some.grams, whole.grams)
    pd.testing.assert_frame_equal(some.frame, whole.frame)
    with pytest.raises(TableInvalid, match="empty"):
        read_weighed_table(table, weighed_photos)
    last = len(table) - 1
    table.loc[last, weights[0]] = -1.0
    with pytest.raises(TableInvalid, match=f"row {last + 2}, column {weights[0]}: negative grams"):
        read_weighed_table(table, weighed_photos, skip_empty=True)
    with pytest.raises(TableInvalid, match="fill in what was weighed"):
        read_weighed_table(table.assign(**dict.fromkeys(weights, np.nan)), weighed_photos, skip_empty=True)


@pytest.mark.parametrize(("factor", "said"), [(1, False), (10 / 0.21, True), (1e-3, True)])
def test_weights_that_no_pasture_has_on_average_are_asked_after(weighed_photos, caplog, factor, said):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide[list(TARGETS)] *= factor
    read_weighed_table(wide, weighed_photos)
    assert ("are --unit and --quadrat-area right?" in caplog.text) == said


def test_rows_are_told_by_the_numbers_that_a_spreadsheet_gives_them(weighed_photos, tmp_path):
    lines = (weighed_photos / "wide.csv").read_text().splitlines()
    lines[3:3] = ["", ",,"]
    lines[7] = lines[7].replace(lines[7].split(",")[-1], "-1")
    (tmp_path / "gaps.csv").write_text("\n".join(lines) + "\n\n")
    frame = pd.read_csv(tmp_path / "gaps.csv", skip_blank_lines=False)
    frame.to_excel(tmp_path / "gaps.xlsx", index=False)
    for name in ("gaps.csv", "gaps.xlsx"):
        with pytest.raises(TableInvalid, match=r"has 1 fault:\n  row 8, column \w+: negative grams"):
            read_weighed_table(tmp_path / name, weighed_photos)
    long = pd.read_csv(weighed_photos / "train.csv")
    of_third = long["image_path"] == long["image_path"].unique()[2]
    long.loc[of_third, CORNERS] = [0, 0, 0, 0, 1, 1, 1, 1]
    with pytest.raises(TableInvalid, match=f"row {int(np.flatnonzero(of_third)[0]) + 2}: .* are no corners"):
        read_weighed_table(long, weighed_photos)


def test_a_row_without_a_photo_is_told_by_its_number(weighed_photos, tmp_path):
    for form in ("train.csv", "wide.csv"):
        table = pd.read_csv(weighed_photos / form)
        table.loc[4, "image_path"] = None
        for skip_empty in (False, True):
            with pytest.raises(TableInvalid, match="row 6, column image_path: empty"):
                read_weighed_table(table, weighed_photos, skip_empty=skip_empty)
    pd.DataFrame({"image_path": ["a.jpg", None], "Paddock": ["x", "y"]}).to_csv(tmp_path / "side.csv", index=False)
    with pytest.raises(TableInvalid, match="no image_path in row 3"):
        read_sidecar(tmp_path / "side.csv", [PhotoFile("a.jpg", tmp_path / "a.jpg")], "Paddock")
