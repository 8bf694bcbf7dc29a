import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.photos.spreadsheet import TableFormat
from herbage.photos.tables import read_sidecar, read_test_table, read_weighed_table
from herbage.targets import TARGETS


def test_long_and_wide_form_are_equivalent(weighed_photos):
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


def test_paths_that_leave_the_folder_are_not_followed(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    (tmp_path / "photos").mkdir()
    wide.loc[0, "image_path"] = f"../{weighed_photos.name}/train/ID0.png"
    wide.loc[1, "image_path"] = str(weighed_photos / "train/ID1.png")
    with pytest.raises(TableInvalid, match="none of its photos was found in .*photos: is `photos` correct"):
        read_weighed_table(wide, tmp_path / "photos")


@pytest.mark.parametrize("content", ["", "image_path\n", "\x00\xff"])
def test_an_unreadable_table_is_one_message(tmp_path, content):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TableInvalid):
        read_weighed_table(tmp_path / "t.csv", tmp_path)
    with pytest.raises(TableInvalid, match="does not exist"):
        read_weighed_table(tmp_path / "gone.csv", tmp_path)


def test_a_wrong_sum_is_not_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[0, "Dry_Total_g"] += 0.31
    assert read_weighed_table(wide, weighed_photos).grams[0, 3] == wide.loc[0, "Dry_Total_g"]


def test_one_photo_has_one_state(weighed_photos):
    long = pd.read_csv(weighed_photos / "train.csv")
    long.loc[0, "State"] = "Mars"
    with pytest.raises(TableInvalid, match="different values in the rows of one photo: .*: State"):
        read_weighed_table(long, weighed_photos)


def test_a_test_table_lists_each_photo_once(weighed_photos):
    frame, files = read_test_table(weighed_photos / "test.csv", weighed_photos)
    assert len(frame) == 24 * len(TARGETS)
    assert len(files) == 24


def test_a_missing_test_photo_stays_in_the_list_unless_all_are_missing(weighed_photos, tmp_path):
    frame = pd.read_csv(weighed_photos / "test.csv")
    frame.loc[frame["image_path"] == "train/ID3.png", "image_path"] = "train/gone.png"
    frame.to_csv(tmp_path / "test.csv", index=False)
    _, files = read_test_table(tmp_path / "test.csv", weighed_photos)
    assert len(files) == 24
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableInvalid, match="None of the 24 photos in .* was found in .*: is `photos` correct"):
        read_test_table(tmp_path / "test.csv", tmp_path / "empty")


def test_forms_of_csv_from_spreadsheets_are_read_or_refused(weighed_photos, tmp_path):
    lines = (weighed_photos / "wide.csv").read_text().splitlines()
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert len(read_weighed_table(tmp_path / "bom.csv", weighed_photos).files) == 24
    (tmp_path / "comma.csv").write_text("\n".join([lines[0], *(line + "," for line in lines[1:])]))
    with pytest.raises(TableInvalid, match="rows with more cells than its header"):
        read_weighed_table(tmp_path / "comma.csv", weighed_photos)
    european = "\n".join(lines).replace(",", ";").replace(".", ",").replace(",png", ".png")
    (tmp_path / "semicolon.csv").write_text(european)
    np.testing.assert_array_equal(
        read_weighed_table(tmp_path / "semicolon.csv", weighed_photos).grams,
        read_weighed_table(weighed_photos / "wide.csv", weighed_photos).grams,
    )


@pytest.mark.parametrize(
    ("weighed", "derived"),
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
def test_targets_that_the_sums_determine_are_derived_and_others_are_nan(weighed_photos, weighed, derived, form):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    if form == "wide":
        table = wide.drop(columns=[name for name in TARGETS if name not in weighed])
    else:
        long = pd.read_csv(weighed_photos / "train.csv")
        table = long[long["target_name"].isin(weighed)]
    read = read_weighed_table(table, weighed_photos)
    rows = wide.set_index("image_path").loc[read.frame["image_path"]]
    for t, name in enumerate(TARGETS):
        if name in weighed | derived:
            np.testing.assert_allclose(read.grams[:, t], rows[name], atol=1e-9)
        else:
            assert np.isnan(read.grams[:, t]).all()


def test_an_empty_column_is_ignored_and_one_with_empty_cells_is_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    read = read_weighed_table(wide.assign(Dry_Dead_g=np.nan, Dry_Total_g=np.nan), weighed_photos)
    assert np.isnan(read.grams[:, [1, 3]]).all()
    wide.loc[3, "Dry_Dead_g"] = np.nan
    with pytest.raises(TableInvalid, match="row 5, column Dry_Dead_g: empty"):
        read_weighed_table(wide, weighed_photos)
    with pytest.raises(TableInvalid, match=r"none of the columns Dry_Clover_g.*`columns`, such as Dry_Total_g=NAME"):
        read_weighed_table(wide.drop(columns=list(TARGETS)), weighed_photos)


@pytest.mark.parametrize(("unit", "factor"), [("g", 1.0), ("g_per_m2", 4.0), ("kg_per_ha", 40.0)])
def test_a_workbook_with_other_names_and_units_is_equivalent(weighed_photos, tmp_path, unit, factor):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    odd = pd.DataFrame({
        "Photo file": wide["image_path"], "State": wide["State"],
        "Sampling_Date": pd.to_datetime(wide["Sampling_Date"]), "yield, dry": wide["Dry_Total_g"] * factor,
    })  # fmt: skip
    odd.to_excel(tmp_path / "cuts.xlsx", index=False)
    names = {"image_path": "Photo file", "Dry_Total_g": "yield, dry"}
    read = read_weighed_table(
        tmp_path / "cuts.xlsx", weighed_photos, TableFormat(names), unit=unit, quadrat_area_m2=0.25
    )
    np.testing.assert_allclose(read.grams[:, 3], wide["Dry_Total_g"])
    assert read.frame["Sampling_Date"].iloc[0] == "2015-01-01"
    for wrong, message in (
        ({"Dry_Total_g": "dry"}, "lacks the column dry; its columns are Photo file"),
        ({**names, "State": "Sampling_Date"}, "already has the column State; rename or remove it"),
        ({**names, "GDM_g": "yield, dry"}, "`columns` maps two names to the same column"),
    ):
        with pytest.raises(TableInvalid, match=message):
            read_weighed_table(tmp_path / "cuts.xlsx", weighed_photos, TableFormat(wrong))


def test_weights_that_do_not_add_up_are_logged_by_photo_and_used(weighed_photos, caplog):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[2, "Dry_Total_g"] += 0.31
    wide.loc[7, "GDM_g"] -= 2
    wide.loc[9, "Dry_Dead_g"] += 0.05
    read = read_weighed_table(wide, weighed_photos)
    np.testing.assert_allclose(read.grams, wide[list(TARGETS)])
    (message,) = [record.getMessage() for record in caplog.records]
    assert "train/ID2.png: Dry_Total_g differs from Dry_Clover_g + Dry_Dead_g + Dry_Green_g by +0.31 g" in message
    assert "train/ID7.png: GDM_g differs from Dry_Clover_g + Dry_Green_g by -2.00 g" in message
    assert "ID9" not in message
    caplog.clear()
    read_weighed_table(wide.drop(columns=["Dry_Clover_g", "Dry_Green_g"]), weighed_photos)
    assert "train/ID7.png: Dry_Total_g differs from GDM_g + Dry_Dead_g by +2.00 g" in caplog.text


CORNERS = ["x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"]


def test_corners_are_read_and_refused_where_they_form_no_quadrat(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide[CORNERS] = np.nan
    wide.loc[1, CORNERS] = [10, 5, 100, 8, 95, 50, 12, 52]
    files = read_weighed_table(wide, weighed_photos).files
    assert files[0].corners is None
    assert files[1].corners == ((10, 5), (100, 8), (95, 50), (12, 52))
    for corners in ([10, 5, 95, 50, 100, 8, 12, 52], [10, 5, 12, 52, 95, 50, 100, 8], [0, 0, 0, 0, 1, 1, 1, 1]):
        wide.loc[3, CORNERS] = corners
        with pytest.raises(TableInvalid, match="row 5: expected the quadrat's upper left, .* corner in pixels, got "):
            read_weighed_table(wide, weighed_photos)
    wide.loc[3, CORNERS] = [10, 5, 100, 8, 95, 50, 12, np.nan]
    with pytest.raises(TableInvalid, match="row 5: expected the quadrat's upper left, .* corner in pixels, got "):
        read_weighed_table(wide, weighed_photos)
    with pytest.raises(TableInvalid, match="has some of the corner columns but lacks y4"):
        read_weighed_table(wide.drop(columns="y4"), weighed_photos)


def test_a_sidecar_gives_corners_to_the_photos_that_it_lists(tmp_path):
    files = [PhotoFile("farm/a.jpg", tmp_path / "a.jpg"), PhotoFile("b.jpg", tmp_path / "b.jpg")]
    sidecar = pd.DataFrame([["a.jpg", 0, 0, 9, 0, 9, 9, 0, 9]], columns=["image_path", *CORNERS])
    sidecar.to_csv(tmp_path / "side.csv", index=False)
    read = read_sidecar(tmp_path / "side.csv", files)
    first, second = read.files
    assert read.text == {}
    assert [(one.what, one.names) for one in read.remarks] == [("photos_without_row", ("b.jpg",))]
    assert first.corners == ((0, 0), (9, 0), (9, 9), (0, 9))
    assert second == files[1]
    with pytest.raises(TableInvalid, match="no image_path matches any of the photos"):
        read_sidecar(tmp_path / "side.csv", files[1:])
    sidecar.assign(Paddock=["Home"]).to_csv(tmp_path / "side.csv", index=False)
    read = read_sidecar(tmp_path / "side.csv", files, "Paddock")
    assert read.files[0].corners is not None
    assert read.text == {"farm/a.jpg": "Home"}
    renamed = sidecar.assign(Paddock=["Home"]).rename(columns={"image_path": "Bild"})
    renamed.to_csv(tmp_path / "theirs.csv", index=False)
    theirs = read_sidecar(tmp_path / "theirs.csv", files, "Paddock", TableFormat({"image_path": "Bild"}))
    assert (theirs.files, theirs.text) == (read.files, read.text)
    (tmp_path / "numbers.csv").write_text("image_path,Paddock\na.jpg,07\nb.jpg,\n")
    with pytest.raises(TableInvalid, match="lacks the column Field; its columns are image_path"):
        read_sidecar(tmp_path / "side.csv", files, "Field")
    sidecar.drop(columns="x3").to_csv(tmp_path / "side.csv", index=False)
    with pytest.raises(TableInvalid, match="lacks the column x3"):
        read_sidecar(tmp_path / "side.csv", files)


def test_impossibly_many_grams_are_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[3, "Dry_Total_g"] = 1e38
    with pytest.raises(TableInvalid, match=r"row 5, column Dry_Total_g: more than 100,000 g"):
        read_weighed_table(wide, weighed_photos)


def test_a_state_called_na_is_a_state(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.assign(State="NA").to_csv(tmp_path / "na.csv", index=False)
    assert read_weighed_table(tmp_path / "na.csv", weighed_photos).frame["State"].eq("NA").all()


def test_an_empty_column_of_weights_is_named_and_no_other_is_proposed(tmp_path):
    (tmp_path / "a.jpg").touch()
    cuts = pd.DataFrame({"image_path": ["a.jpg"], "Dry_Total_g_estimated": [30.0], "Dry_Total_g": [None]})
    with pytest.raises(
        TableInvalid, match="has no weights in the column Dry_Total_g; enter one weight per photo"
    ) as caught:
        read_weighed_table(cuts, tmp_path)
    assert "`columns`" not in str(caught.value)


@pytest.mark.parametrize("form", ["wide.csv", "train.csv"])
def test_rows_without_a_weight_are_skipped_on_request_and_faults_keep_their_row_numbers(weighed_photos, form):
    table = pd.read_csv(weighed_photos / form)
    of_photo = table["image_path"].isin(table["image_path"].unique()[[0, 2]])
    weights = ["target"] if form == "train.csv" else list(TARGETS)
    weighed = read_weighed_table(table[~of_photo], weighed_photos)
    table.loc[of_photo, weights] = np.nan
    some = read_weighed_table(table, weighed_photos, skip_empty=True)
    assert [file.name for file in some.files] == [file.name for file in weighed.files]
    np.testing.assert_array_equal(some.grams, weighed.grams)
    pd.testing.assert_frame_equal(some.frame, weighed.frame)
    with pytest.raises(TableInvalid, match="empty"):
        read_weighed_table(table, weighed_photos)
    last = len(table) - 1
    table.loc[last, weights[0]] = -1.0
    with pytest.raises(TableInvalid, match=f"row {last + 2}, column {weights[0]}: negative grams"):
        read_weighed_table(table, weighed_photos, skip_empty=True)
    with pytest.raises(TableInvalid, match="has no weights.*; enter one weight per photo"):
        read_weighed_table(table.assign(**dict.fromkeys(weights, np.nan)), weighed_photos, skip_empty=True)


@pytest.mark.parametrize(("factor", "warns"), [(1, False), (10 / 0.21, True), (1e-3, True)])
def test_an_implausible_mean_weight_is_a_warning(weighed_photos, caplog, factor, warns):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide[list(TARGETS)] *= factor
    read_weighed_table(wide, weighed_photos)
    assert ("are `unit` and `quadrat_area_m2` correct?" in caplog.text) == warns


def test_rows_have_the_numbers_of_a_spreadsheet(weighed_photos, tmp_path):
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
    with pytest.raises(
        TableInvalid, match=f"row {int(np.flatnonzero(of_third)[0]) + 2}: expected the quadrat's upper left, "
    ):
        read_weighed_table(long, weighed_photos)


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
