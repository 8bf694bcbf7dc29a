import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.tables.plausibility import _median_of_others, remarks_on_weights
from herbage.tables.weighed import read_weighed_table
from herbage.targets import SUMS, TARGETS, TOTAL

RNG = np.random.default_rng(0)


def test_weights_that_do_not_add_up_are_named_by_photo_and_used(weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.loc[2, "Dry_Total_g"] += 0.31
    wide.loc[7, "GDM_g"] -= 2
    wide.loc[9, "Dry_Dead_g"] += 0.05
    read = read_weighed_table(wide, weighed_photos)
    np.testing.assert_allclose(read.grams, wide[list(TARGETS)])
    (message,) = [remark.message for remark in read.remarks]
    assert "train/ID2.png: Dry_Total_g differs from Dry_Clover_g + Dry_Dead_g + Dry_Green_g by +0.31 g" in message
    assert "train/ID7.png: GDM_g differs from Dry_Clover_g + Dry_Green_g by -2.00 g" in message
    assert "ID9" not in message
    fewer = read_weighed_table(wide.drop(columns=["Dry_Clover_g", "Dry_Green_g"]), weighed_photos)
    assert "train/ID7.png: Dry_Total_g differs from GDM_g + Dry_Dead_g by +2.00 g" in fewer.remarks[0].message


@pytest.mark.parametrize(
    ("columns", "heavy", "words"),
    [
        (
            ["Dry_Clover_g", "Dry_Dead_g", "Dry_Total_g"],
            "Dry_Clover_g",
            "Dry_Clover_g + Dry_Dead_g exceeds Dry_Total_g",
        ),
        (["Dry_Clover_g", "Dry_Total_g"], "Dry_Clover_g", "Dry_Clover_g exceeds Dry_Total_g"),
        (["GDM_g", "Dry_Total_g"], "GDM_g", "GDM_g exceeds Dry_Total_g"),
        (["Dry_Green_g", "GDM_g"], "Dry_Green_g", "Dry_Green_g exceeds GDM_g"),
        (["Dry_Dead_g", "Dry_Total_g"], "Dry_Dead_g", "Dry_Dead_g exceeds Dry_Total_g"),
    ],
)
def test_parts_that_are_heavier_than_their_sum_are_named_where_another_part_was_not_weighed(
    weighed_photos, columns, heavy, words
):
    wide = pd.read_csv(weighed_photos / "wide.csv")[["image_path", *columns]]
    known = read_weighed_table(wide, weighed_photos)
    assert "contradicting_weights" not in [remark.what for remark in known.remarks]
    wide.loc[4, heavy] = wide.loc[4, columns[-1]] + 29
    (remark,) = [one for one in read_weighed_table(wide, weighed_photos).remarks if one.what == "contradicting_weights"]
    assert remark.count >= 1
    assert all(name.startswith("train/ID4.png: ") for name in remark.names)
    assert words in remark.names[0]
    assert "a part that would be negative counts as 0" in remark.message


@pytest.mark.parametrize(("factor", "warns"), [(1, False), (1e-3, True)])
def test_an_implausible_mean_weight_is_a_warning(weighed_photos, factor, warns):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide[list(TARGETS)] *= factor
    messages = [remark.message for remark in read_weighed_table(wide, weighed_photos).remarks]
    assert any("are `unit` and `quadrat_area_m2` correct?" in message for message in messages) == warns


def swards(groups=6, size=8, spread=0.4):
    """Weights of groups whose means differ tenfold: components, sums, and the table of their places."""
    means = np.geomspace(8, 80, groups).repeat(size)
    components = np.exp(RNG.normal(np.log(means)[:, None] - 1.1, spread, (groups * size, 3)))
    number = np.arange(groups * size)
    frame = pd.DataFrame({"image_path": [f"{n}.jpg" for n in number], "State": "Tas", "Sampling_Date": number // size})
    return components @ SUMS.T, frame


def total_only(grams):
    return np.where(np.arange(5) == TOTAL, grams, np.nan)


def outliers(grams, frame):
    return [
        name.partition(" ")[0]
        for remark in remarks_on_weights(grams, frame, 0.21, "t.csv")
        if remark.what == "outlying_weights"
        for name in remark.names
    ]


@pytest.mark.parametrize("factor", [10, 0.1, 30])
def test_a_slip_of_the_decimal_point_is_named_within_its_group(factor):
    grams, frame = swards()
    assert outliers(total_only(grams), frame) == []
    slipped = grams.copy()
    # Ten times a light group's weight, or a tenth of a heavy one's, is no weight that the table does not have.
    row = 3 if factor > 1 else 44
    slipped[row, TOTAL] *= factor
    assert outliers(total_only(slipped), frame) == [f"{row}.jpg"]


def test_a_slip_in_a_group_of_four_and_without_groups_is_named():
    grams, frame = swards(size=4)
    grams[5, TOTAL] *= 10
    assert outliers(total_only(grams), frame) == ["5.jpg"]
    alone = total_only(np.full((12, 5), 30.0) + RNG.normal(0, 3, (12, 5)))
    alone[7] *= 10
    (remark,) = remarks_on_weights(alone, frame[["image_path"]].iloc[:12], 0.21, "t.csv")
    assert remark.is_warning
    assert remark.message.startswith("t.csv: weights far from the median of their group are used unchanged")
    assert " 7.jpg (11 x the median)" in remark.message


def test_weights_that_the_sums_confirm_and_bare_ground_are_no_outliers():
    grams, frame = swards()
    grams[3] *= 10
    assert outliers(grams, frame) == []
    grams, frame = swards()
    grams[3, TOTAL], grams[10, TOTAL] = 0, 0.3
    assert outliers(total_only(grams), frame) == []


def test_tables_without_a_comparison_have_no_outliers():
    grams, frame = swards()
    assert outliers(np.full((48, 5), np.nan), frame) == []
    assert outliers(np.zeros((48, 5)), frame) == []
    assert outliers(total_only(grams[:3]) * [[1], [10], [100]], frame.iloc[:3]) == []
    assert outliers(np.zeros((0, 5)), frame.iloc[:0]) == []


@given(st.lists(st.floats(0.1, 1e3), min_size=2, max_size=12))
def test_the_median_of_the_others_is_that_without_the_value(values):
    expected = [np.median(values[:row] + values[row + 1 :]) for row in range(len(values))]
    np.testing.assert_allclose(_median_of_others(np.array(values)), expected)
