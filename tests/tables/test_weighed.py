import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.tables.spreadsheet import TableFormat
from herbage.tables.weighed import read_weighed_table
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


def test_paths_that_leave_the_folder_are_not_followed(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    (tmp_path / "photos").mkdir()
    wide.loc[0, "image_path"] = f"../{weighed_photos.name}/train/ID0.png"
    wide.loc[1, "image_path"] = str(weighed_photos / "train/ID1.png")
    with pytest.raises(TableInvalid, match="none of its photos was found in .*photos: is `photos` correct"):
        read_weighed_table(wide, tmp_path / "photos")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("photos/ID3.HEIC", "photos/ID3.HEIC and the photo train/ID3.png differ in their endings"),
        ("ID3", "ID3 and the photo train/ID3.png differ in their endings"),
        ("sward_1.png", "is `photos` correct. The table has sward_1.png, the folder .*ID0.png"),
    ],
)
def test_paths_none_of_which_is_a_photo_are_compared_with_the_folder(weighed_photos, path, words):
    with pytest.raises(TableInvalid, match=words):
        read_weighed_table(pd.DataFrame({"image_path": [path], "Dry_Total_g": [30.0]}), weighed_photos)


@pytest.mark.parametrize(
    "name", ["Dry_clover_g", "dry clover g", "DRY-CLOVER-G", "Dry.Clover_(g)", "DryCloverG", "Dry_Clover__g"]
)
def test_a_mistyped_column_of_weights_is_refused_and_one_beside_the_right_one_named(weighed_photos, name):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    table = wide.rename(columns={"Dry_Clover_g": name})
    with pytest.raises(TableInvalid) as caught:
        read_weighed_table(table, weighed_photos)
    assert f"column {name} looks like Dry_Clover_g: rename it, or name it with `columns`" in str(caught.value)
    read = read_weighed_table(table, weighed_photos, TableFormat({"Dry_Clover_g": name}))
    np.testing.assert_allclose(read.grams[:, 0], wide["Dry_Clover_g"])
    assert read.remarks == ()
    (remark,) = read_weighed_table(wide.assign(**{name: 1}), weighed_photos).remarks
    assert (remark.what, remark.names) == ("unused_lookalikes", (f"{name} (beside Dry_Clover_g)",))


def test_mistyped_corners_and_columns_of_the_long_form_are_refused_and_other_columns_are_not(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    upper = {f"{axis}{number}": 5 for axis in "XY" for number in range(1, 5)}
    with pytest.raises(TableInvalid, match="column X1 looks like x1, column Y1 looks like y1"):
        read_weighed_table(wide.assign(**upper), weighed_photos)
    assert read_weighed_table(wide.assign(X1=5, Target="yes"), weighed_photos).remarks == ()
    long = pd.read_csv(weighed_photos / "train.csv")
    with pytest.raises(TableInvalid, match="column Target looks like target"):
        read_weighed_table(long.rename(columns={"target": "Target"}), weighed_photos)
    with pytest.raises(TableInvalid, match="column image_path is missing.*; did you mean Image_Path[?]"):
        read_weighed_table(wide.rename(columns={"image_path": "Image_Path"}), weighed_photos)


def test_a_table_in_both_forms_is_refused_and_a_stray_name_makes_no_long_table(weighed_photos):
    long, wide = (pd.read_csv(weighed_photos / name) for name in ("train.csv", "wide.csv"))
    for both in (long.assign(Dry_Total_g=30), wide.assign(target=5), wide.assign(target=5, target_name="GDM_g")):
        with pytest.raises(TableInvalid, match="has both the columns? .*Dry_Total_g.* and the column target, which is"):
            read_weighed_table(both, weighed_photos)
    stray = read_weighed_table(wide.assign(target_name="pasture"), weighed_photos)
    np.testing.assert_allclose(stray.grams, wide[list(TARGETS)])


def test_paths_in_the_index_are_named(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv").set_index("image_path")
    with pytest.raises(TableInvalid, match=r"has image_path as its index: pass it with .reset_index\(\)"):
        read_weighed_table(wide, weighed_photos)
    assert len(read_weighed_table(wide.reset_index(), weighed_photos).files) == 24


def test_a_wrong_sum_is_not_a_fault(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[0, "Dry_Total_g"] += 0.31
    assert read_weighed_table(wide, weighed_photos).grams[0, 3] == wide.loc[0, "Dry_Total_g"]


def test_one_photo_has_one_state(weighed_photos):
    long = pd.read_csv(weighed_photos / "train.csv")
    long.loc[0, "State"] = "Mars"
    with pytest.raises(TableInvalid, match="different values in the rows of one photo: .*: State"):
        read_weighed_table(long, weighed_photos)


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
