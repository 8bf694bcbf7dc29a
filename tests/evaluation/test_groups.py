import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.evaluation.groups import name_groups


def table(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"image_path": [f"{number}.jpg" for number in range(count)], **columns})


def test_the_day_groups_whatever_its_time_or_spelling():
    dates = ["2025-09-04", "2025-09-04 10:12", "2025/9/4", "2025-09-05T08:00:00", "2025-09-05"]
    groups = name_groups(table(State=["Tas"] * 5, Sampling_Date=dates))
    assert groups.names == ["Tas 2025-09-04"] * 3 + ["Tas 2025-09-05"] * 2
    assert groups.grouped_by == ("State", "Sampling_Date")
    assert not groups.remarks


def test_the_order_of_day_and_month_is_shown_by_the_column_or_given():
    assert name_groups(table(Day=["4/9/2025", "25/9/2025"] * 2), ["Day"]).names == ["2025-09-04", "2025-09-25"] * 2
    unclear = table(Day=["4/9/2025", "5/9/2025"] * 2)
    with pytest.raises(TableInvalid, match="4/9/2025"):
        name_groups(unclear, ["Day"])
    assert name_groups(unclear, ["Day"], dates="day-first").names == ["2025-09-04", "2025-09-05"] * 2
    assert name_groups(unclear, ["Day"], dates="month-first").names == ["2025-04-09", "2025-05-09"] * 2


def test_groups_that_are_no_dates_stay_as_they_are():
    seasons = ["autumn 2025", "spring 2025"] * 2
    assert name_groups(table(Season=seasons), ["Season"]).names == seasons


def test_case_and_runs_of_spaces_do_not_make_a_group():
    groups = name_groups(table(Farm=["Long  Hill", "long hill", "Creek", "Creek "]), ["Farm"])
    assert groups.names == ["Long Hill", "Long Hill", "Creek", "Creek"]
    (remark,) = groups.remarks
    assert (remark.what, remark.names) == ("group_spellings", ("Long Hill = long hill",))


def test_the_quadrats_of_a_photo_are_one_group():
    farms = ["A", "B", "B", "C", "D", "D"]
    groups = name_groups(table(Farm=farms), ["Farm"], photos=["p", "p", "q", "q", "r", "s"])
    assert groups.names == ["A + B + C"] * 4 + ["D"] * 2


def test_groups_of_single_photos_warn_as_loudly_as_no_groups():
    """Time stamps: photos of one place and day are then in training and evaluation."""
    alone = name_groups(table(Plot=["a", "b", "c", "d", "d"]), ["Plot"])
    none = name_groups(table(Plot=["a", "b", "c", "d", "d"]))
    for groups in (alone, none):
        (remark,) = groups.remarks
        assert remark.is_warning
        assert remark.message.startswith("UNGROUPED FOLDS: ")
    assert "3 of 4 groups have a single photo" in alone.remarks[0].message
    assert not name_groups(table(Plot=["a", "a", "c", "d", "d"]), ["Plot"]).remarks


def test_a_missing_value_or_column_is_named():
    with pytest.raises(TableInvalid, match=r"1 photo without Farm, which `group_by` needs: 1\.jpg\."):
        name_groups(table(Farm=["A", None]), ["Farm"])
    with pytest.raises(TableInvalid, match=r"7 photos without Farm.*: 1\.jpg, .*, 5\.jpg and 2 more\."):
        name_groups(table(Farm=["A", *[None] * 7]), ["Farm"])
    with pytest.raises(TableInvalid, match="no column Paddock; it has image_path, Farm"):
        name_groups(table(Farm=["A", "B"]), ["Paddock"])
    with pytest.raises(TableInvalid, match="no column farm; it has image_path, Farm; did you mean Farm[?]"):
        name_groups(table(Farm=["A", "B"]), ["farm"])


def test_a_mistyped_column_of_groups_is_named():
    (remark,) = name_groups(table(state=["Tas"] * 2, Sampling_Date=["2025-09-04"] * 2)).remarks
    assert "the table lacks State or Sampling_Date (it has state: rename it), so" in remark.message
    (remark,) = name_groups(table(Farm=["Tas"] * 2)).remarks
    assert "the table lacks State or Sampling_Date, so" in remark.message


def test_without_columns_a_group_is_a_photo_by_its_path_in_the_table():
    """The table's path, which oof.csv shows, and not the file's place on this machine."""
    frame = pd.DataFrame({"image_path": ["a.jpg#1", "a.jpg#2", "b.jpg"]})
    groups = name_groups(frame, photos=["/here/a.jpg", "/here/a.jpg", "/here/b.jpg"])
    assert groups.names == ["a.jpg#1", "a.jpg#1", "b.jpg"]
