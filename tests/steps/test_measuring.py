"""Measured columns beside the photo, from training to every step that estimates."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import herbage
from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid, ModelInvalid, TableInvalid
from herbage.model.model import HerbageModel
from herbage.targets import TARGETS, TOTAL

COLUMNS = ("Height_Ave_cm", "sensor 2")


@pytest.fixture(scope="module")
def heights(weighed_photos):
    """The table with a skewed height that tells the weight nearly exactly, and a sensor that tells nothing."""
    table = pd.read_csv(weighed_photos / "wide.csv")
    rng = np.random.default_rng(0)
    table["Height_Ave_cm"] = (np.exp(table["Dry_Total_g"] / 12) * rng.uniform(0.98, 1.02, len(table))).round(3)
    table["sensor 2"] = rng.normal(size=len(table)).round(3)
    return table


@pytest.fixture(scope="module")
def measured(heights, weighed_photos, recipes, tmp_path_factory):
    place = tmp_path_factory.mktemp("measured") / "model"
    steps.train(heights, photos=weighed_photos, model=place, recipe=recipes / "ridge.toml", measured=COLUMNS)
    return place


@pytest.fixture
def sidecar(heights, tmp_path):
    """A table for `predict`: the first three photos lack a value."""
    table = heights[["image_path", *COLUMNS]].copy()
    table.loc[[0, 1], "Height_Ave_cm"] = np.nan
    table.loc[2, "sensor 2"] = np.nan
    table.to_csv(tmp_path / "beside.csv", index=False)
    return tmp_path / "beside.csv"


def test_photos_with_all_values_use_them_and_the_others_do_not(measured, weighed_photos, sidecar, recipes, tmp_path):
    plain = steps.train(weighed_photos / "wide.csv", photos=weighed_photos, recipe=recipes / "ridge.toml")
    alone = plain.predict(weighed_photos / "train").set_index("photo")
    steps.predict(measured, weighed_photos, out=tmp_path / "r", table=sidecar, level=0.8)
    table = pd.read_csv(tmp_path / "r/predictions.csv").set_index("photo").rename(lambda name: name.split("/")[-1])
    lacking = ["ID0.png", "ID1.png", "ID2.png"]
    assert not table.loc[lacking, "measured"].any()
    assert table.drop(lacking)["measured"].all()
    for target in TARGETS:
        np.testing.assert_allclose(table.loc[lacking, target], alone.loc[lacking, target], rtol=1e-5)
        assert (table[f"{target}_low"] <= table[target]).all()
    assert (table.drop(lacking)["Dry_Total_g"] - alone.drop(lacking)["Dry_Total_g"]).abs().max() > 0.1
    run_json = json.loads((tmp_path / "r/run.json").read_text("utf-8"))
    assert run_json["measured"] == 21
    assert "3 photos without Height_Ave_cm or sensor 2" in json.dumps(run_json["remarks"])


def test_an_opened_model_and_the_python_api_give_the_same(measured, heights, weighed_photos):
    opened = HerbageModel.from_pretrained(measured)
    assert opened.measured_names == COLUMNS
    assert [column.logarithm for column in opened.config.measured_columns] == [True, False]
    frame = opened.predict(weighed_photos / "train", table=heights[["image_path", *COLUMNS]]).set_index("photo")
    own = heights.set_index("image_path").loc["train/ID5.png"]
    estimate = opened.estimate(weighed_photos / "train/ID5.png", measured={name: own[name] for name in COLUMNS})
    assert estimate.measured
    np.testing.assert_allclose(frame.loc["ID5.png", list(TARGETS)].to_numpy(float), estimate.grams, rtol=1e-5)
    np.testing.assert_allclose(estimate.map.mean((1, 2)), estimate.grams, rtol=1e-5, atol=1e-6)
    some = opened.estimate(weighed_photos / "train/ID5.png", measured={"sensor 2": 1.0})
    none = opened.estimate(weighed_photos / "train/ID5.png")
    assert not some.measured
    np.testing.assert_array_equal(some.grams, none.grams)
    with pytest.raises(InputInvalid, match="no measured column height; it has Height_Ave_cm, sensor 2"):
        opened.estimate(weighed_photos / "train/ID5.png", measured={"height": 1})


def test_both_sets_have_out_of_fold_estimates_and_the_measured_ones_know_the_height(measured, capsys):
    evidence = HerbageModel.from_pretrained(measured).evidence
    table = pd.read_csv(measured / "oof.csv")
    assert [f"{t}_measured_estimated" for t in TARGETS] == table.columns[-5:].tolist()
    error = {
        name: (table["Dry_Total_g"] - table[f"Dry_Total_g{name}"]).abs().mean()
        for name in ("_estimated", "_measured_estimated")
    }
    assert error["_measured_estimated"] < error["_estimated"]
    assert evidence.measured.score.weighted_r2 > evidence.alone.score.weighted_r2
    for name in ("report.html", "README.md"):
        assert "with Height_Ave_cm and sensor 2" in (measured / name).read_text("utf-8")
    assert run(["score", str(measured)]) == 0
    printed = capsys.readouterr().out
    assert f"{measured} with Height_Ave_cm and sensor 2" in printed
    assert "With Height_Ave_cm and sensor 2 minus photo alone: +" in printed


def test_the_values_of_a_new_weighed_table_are_scored_beside_the_photo_alone(measured, heights, weighed_photos):
    table = heights.copy()
    table.loc[[0, 1], "Height_Ave_cm"] = np.nan
    (scored,) = steps.score(measured, table=table, photos=weighed_photos).models
    assert (scored.score.photos, scored.measured.score.photos) == (24, 22)
    (alone,) = steps.score(measured, table=heights.drop(columns=list(COLUMNS)), photos=weighed_photos).models
    assert alone.measured is None
    assert alone.score == scored.score


def test_a_table_with_holes_trains_on_the_photos_that_have_all_values(heights, weighed_photos, recipes, caplog):
    table = heights.copy()
    table.loc[[0, 9, 17], "Height_Ave_cm"] = np.nan
    table.loc[5, "Height_Ave_cm"] = -3
    model = steps.train(table, photos=weighed_photos, recipe=recipes / "ridge.toml", measured=["Height_Ave_cm"])
    assert np.flatnonzero(np.isnan(model.evidence.oof.measured_g).all(1)).tolist() == [0, 9, 17]
    assert "3 photos without Height_Ave_cm in the table: not used for the heads with measured columns" in caplog.text
    assert not model.config.measured_columns[0].logarithm
    assert model.evidence.measured.score.photos == 21
    positive = table.assign(Height_Ave_cm=heights["Height_Ave_cm"].where(table["Height_Ave_cm"].notna()))
    model = steps.train(positive, photos=weighed_photos, recipe=recipes / "ridge.toml", measured=["Height_Ave_cm"])
    assert model.config.measured_columns[0].logarithm
    assert not model.estimate(weighed_photos / "train/ID5.png", measured={"Height_Ave_cm": 0.0}).measured


@pytest.mark.parametrize(("measured_names", "change", "said"), [
    (["Height"], {}, "`measured`: the table lacks the column Height"),
    (["height_ave_cm"], {}, "did you mean Height_Ave_cm"),
    (["Dry_Total_g"], {}, "Dry_Total_g"),
    (["sensor 2"], {"sensor 2": "low"}, "row 2, column sensor 2: not a number .got 'low'."),
    (["Height_Ave_cm"], {"Height_Ave_cm": None}, "has no two different numbers in the column Height_Ave_cm"),
    (["Height_Ave_cm"], {"Height_Ave_cm": 7.0}, "has no two different numbers in the column Height_Ave_cm"),
    (["sensor 2"], {"sensor 2": np.inf}, "row 2, column sensor 2: not a finite number"),
])  # fmt: skip
def test_columns_without_numbers_are_refused(heights, weighed_photos, recipes, measured_names, change, said):
    table = heights.assign(**change)
    with pytest.raises(TableInvalid, match=said):
        steps.train(table, photos=weighed_photos, recipe=recipes / "ridge.toml", measured=measured_names)


def test_too_few_photos_with_values_are_refused(heights, weighed_photos, recipes):
    table = heights.assign(Height_Ave_cm=heights["Height_Ave_cm"].where(heights.index < 4))
    with pytest.raises(TableInvalid, match="4 of 24 photos have a number in Height_Ave_cm; expected some in each"):
        steps.train(table, photos=weighed_photos, recipe=recipes / "ridge.toml", measured=["Height_Ave_cm"])


def test_heads_other_than_ridge_refuse_measured_columns(heights, weighed_photos, recipes):
    with pytest.raises(InputInvalid, match="`measured`: the patch heads of recipe patch take no measured columns"):
        steps.train(heights, photos=weighed_photos, recipe=recipes / "patch.toml", measured=COLUMNS)


def test_values_outside_the_training_range_are_used_and_told(measured, heights, weighed_photos, tmp_path, caplog):
    table = heights[["image_path", *COLUMNS]].copy()
    table.loc[3, "Height_Ave_cm"] = 40
    table.loc[5, "Height_Ave_cm"] = 0
    table.loc[6, "Height_Ave_cm"] = 9000
    table.to_csv(tmp_path / "beside.csv", index=False)
    steps.predict(measured, weighed_photos, out=tmp_path / "r", table=tmp_path / "beside.csv")
    assert "1 photo with Height_Ave_cm outside the training range" in caplog.text
    rows = pd.read_csv(tmp_path / "r/predictions.csv").set_index("photo")
    assert "1 photo with Height_Ave_cm too far outside the training range" not in caplog.text
    assert "2 photos with Height_Ave_cm too far outside the training range" in caplog.text
    assert "Height_Ave_cm 40 is outside the training range" in rows.loc["train/ID3.png", "message"]
    assert "training range" not in rows.loc["train/ID4.png", "message"]
    for name, value in (("ID5", "0"), ("ID6", "9000")):
        said = f"Height_Ave_cm {value} is not used: it is too far outside the training range"
        assert said in rows.loc[f"train/{name}.png", "message"]
    assert rows["measured"].sum() == 22


def test_a_photo_with_two_different_values_is_refused(measured, heights, weighed_photos, tmp_path):
    table = pd.concat([heights, heights.iloc[:1].assign(Height_Ave_cm=1.0)])[["image_path", *COLUMNS]]
    table.to_csv(tmp_path / "beside.csv", index=False)
    with pytest.raises(TableInvalid, match=r"train/ID0\.png has several values of Height_Ave_cm"):
        steps.predict(measured, weighed_photos, out=tmp_path / "r", table=tmp_path / "beside.csv")
    twice = pd.concat([heights, heights.iloc[:1]])[["image_path", *COLUMNS]]
    twice.to_csv(tmp_path / "beside.csv", index=False)
    assert steps.predict(measured, weighed_photos, out=tmp_path / "r", table=tmp_path / "beside.csv").measured == 24


def test_a_sidecar_without_the_columns_says_so(measured, heights, weighed_photos, tmp_path, caplog):
    heights[["image_path", "Height_Ave_cm"]].to_csv(tmp_path / "one.csv", index=False)
    assert steps.predict(measured, weighed_photos, out=tmp_path / "r", table=tmp_path / "one.csv").measured == 0
    assert "lacks the column sensor 2, so all estimates are from the photo alone" in caplog.text
    heights[["image_path", "State"]].to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(TableInvalid, match="or the measured columns Height_Ave_cm, sensor 2"):
        steps.predict(measured, weighed_photos, out=tmp_path / "r2", table=tmp_path / "none.csv")


def test_submit_takes_values_from_the_test_table_or_from_a_table_beside_it(
    measured, heights, weighed_photos, sidecar, tmp_path
):
    test = pd.read_csv(weighed_photos / "test.csv")
    test.merge(heights[["image_path", *COLUMNS]]).to_csv(tmp_path / "test.csv", index=False)
    heights[["image_path", *COLUMNS]].to_csv(tmp_path / "all.csv", index=False)
    steps.submit(measured, tmp_path / "test.csv", photos=weighed_photos, out=tmp_path / "a.csv")
    steps.submit(
        measured, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "b.csv", table=tmp_path / "all.csv"
    )
    steps.submit(measured, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "c.csv")
    a, b, c = (pd.read_csv(tmp_path / f"{name}.csv").set_index("sample_id")["target"] for name in "abc")
    pd.testing.assert_series_equal(a.sort_index(), b.sort_index())
    assert (a.sort_index() - c.sort_index()).abs().max() > 0.1


def test_a_table_beside_the_test_table_is_for_the_models_of_a_blend_that_have_measured_columns(
    measured, trained, heights, weighed_photos, tmp_path
):
    test, out = weighed_photos / "test.csv", {name: tmp_path / f"{name}.csv" for name in ("alone", "measured", "blend")}
    beside = heights[["image_path", *COLUMNS]]
    steps.submit(trained / "model", test, photos=weighed_photos, out=out["alone"])
    steps.submit(measured, test, photos=weighed_photos, out=out["measured"], table=beside)
    steps.submit([trained / "model", measured], test, photos=weighed_photos, out=out["blend"], table=beside)
    alone, own, blend = (pd.read_csv(out[name])["target"] for name in out)
    np.testing.assert_allclose(blend, (alone + own) / 2)
    with pytest.raises(TableInvalid, match="the model has no measured columns"):
        steps.submit([trained / "model"], test, photos=weighed_photos, out=tmp_path / "s.csv", table=beside)


def test_a_test_table_with_two_values_of_one_photo_is_refused(measured, heights, weighed_photos, tmp_path):
    test = pd.read_csv(weighed_photos / "test.csv").merge(heights[["image_path", *COLUMNS]])
    test.loc[0, "Height_Ave_cm"] += 1
    test.to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(TableInvalid, match="different values of Height_Ave_cm in the rows of"):
        steps.submit(measured, tmp_path / "test.csv", photos=weighed_photos, out=tmp_path / "s.csv")


def cuts_of(heights, factor=1.5):
    """Cuts of half the photos that weigh more than the model was trained on."""
    cuts = heights.iloc[::2].copy()
    cuts[list(TARGETS)] *= factor
    return cuts


def test_cuts_with_values_calibrate_both_sets(measured, heights, weighed_photos, tmp_path):
    mine = steps.calibrate(measured, cuts_of(heights), photos=weighed_photos, model_out=tmp_path / "mine")
    own = heights.set_index("image_path").loc["train/ID5.png"]
    values = {name: own[name] for name in COLUMNS}
    photo = weighed_photos / "train/ID5.png"
    opened, before = HerbageModel.from_pretrained(tmp_path / "mine"), HerbageModel.from_pretrained(measured)
    assert opened.uses_measured
    assert opened.estimate(photo, measured=values).measured
    for given in (values, {}):
        ratio = (
            opened.estimate(photo, measured=given).grams[TOTAL] / before.estimate(photo, measured=given).grams[TOTAL]
        )
        assert 1.2 < ratio < 1.7
    np.testing.assert_allclose(
        mine.estimate(photo, measured=values).grams, opened.estimate(photo, measured=values).grams
    )
    again = opened.without_calibration().estimate(photo, measured=values)
    np.testing.assert_array_equal(again.grams, before.estimate(photo, measured=values).grams)


def test_a_calibrated_model_estimates_from_the_photo_alone_where_the_cuts_have_no_values(
    measured, heights, weighed_photos, caplog
):
    cuts = cuts_of(heights).drop(columns=list(COLUMNS))
    mine = steps.calibrate(measured, cuts, photos=weighed_photos)
    assert "0 cuts with Height_Ave_cm and sensor 2, expected at least 3" in caplog.text
    assert not mine.uses_measured
    assert not mine.estimate(weighed_photos / "train/ID5.png", measured=dict.fromkeys(COLUMNS, 1.0)).measured
    beside = heights[["image_path", *COLUMNS]]
    assert steps.calibrate(measured, cuts, photos=weighed_photos, table=beside).uses_measured


def test_planned_cuts_carry_their_values_into_the_calibration(measured, heights, weighed_photos, tmp_path):
    beside = heights[["image_path", *COLUMNS]]
    plan = steps.plan_cuts(measured, weighed_photos, count=5, table=beside, out=tmp_path / "cuts.csv")
    assert list(plan.columns[-3:]) == [*COLUMNS, "Dry_Total_g"]
    weights = heights.set_index("image_path")["Dry_Total_g"]
    plan["Dry_Total_g"] = [1.3 * weights[path] for path in plan["image_path"]]
    assert steps.calibrate(measured, plan, photos=weighed_photos).uses_measured
    empty = steps.plan_cuts(measured, weighed_photos, count=5)
    assert empty[list(COLUMNS)].isna().all(axis=None)


def test_the_command_line_trains_and_predicts_with_a_column_under_another_name(
    heights, weighed_photos, recipes, tmp_path, capsys
):
    table = heights.rename(columns={"Height_Ave_cm": "Ruler"}).drop(columns="sensor 2")
    table.to_csv(tmp_path / "t.csv", index=False)
    command = ["train", tmp_path / "t.csv", "--photos", weighed_photos, "--model", tmp_path / "m", "--quiet"]
    command += ["--recipe", recipes / "ridge.toml", "--columns", "Height_Ave_cm=Ruler", "--measured", "Height_Ave_cm"]
    assert run([*map(str, command)]) == 0
    assert "with Height_Ave_cm" in capsys.readouterr().out
    command = ["predict", tmp_path / "m", weighed_photos, "--out", tmp_path / "r", "--table", tmp_path / "t.csv"]
    assert run([*map(str, command), "--columns", "Height_Ave_cm=Ruler", "--quiet"]) == 0
    assert "24 with measured columns" in capsys.readouterr().out
    assert run([*map(str, [*command[:4], tmp_path / "r2", "--quiet"])]) == 0
    assert "measured columns" not in capsys.readouterr().out
    assert herbage.HerbageModel.from_pretrained(tmp_path / "m").measured_names == ("Height_Ave_cm",)


def corners_of(path, count=1):
    """Rows of a table with the corners of so many quadrats in a photo of 120 x 60."""
    boxes = [(0, 0, 60, 60), (60, 0, 120, 60)][:count]
    names = [f"{axis}{number}" for number in range(1, 5) for axis in "xy"]
    return [{"image_path": path, **dict(zip(names, (a, b, c, b, c, d, a, d), strict=True))} for a, b, c, d in boxes]


def test_a_table_beside_cuts_or_a_test_table_cannot_split_photos_into_quadrats(
    measured, heights, weighed_photos, tmp_path
):
    """It would pair weights with other photos."""
    beside = pd.DataFrame([
        {**row, "Height_Ave_cm": 5.0, "sensor 2": 0.0} for path in heights["image_path"] for row in corners_of(path, 2)
    ])  # fmt: skip
    beside.to_csv(tmp_path / "beside.csv", index=False)
    for run_it in (
        lambda: steps.calibrate(measured, cuts_of(heights), photos=weighed_photos, table=beside),
        lambda: steps.plan_cuts(measured, weighed_photos, count=3, table=beside),
        lambda: steps.submit(
            measured, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "s.csv",
            table=tmp_path / "beside.csv",
        ),
    ):  # fmt: skip
        with pytest.raises(TableInvalid, match="`table` has corners of quadrats, but is read for measured values only"):
            run_it()


def test_quadrats_of_a_photo_share_the_values_of_a_table_beside_the_cuts(measured, heights, weighed_photos):
    paths = heights["image_path"].iloc[:4]
    cuts = pd.DataFrame([row | {"Dry_Total_g": 20.0} for path in paths for row in corners_of(path, 2)])
    beside = heights[["image_path", *COLUMNS]]
    assert steps.calibrate(measured, cuts, photos=weighed_photos, table=beside).uses_measured


def test_renamed_columns_of_cuts_and_of_the_table_beside_them(measured, heights, weighed_photos):
    cuts = cuts_of(heights).drop(columns=list(COLUMNS)).rename(columns={"Dry_Total_g": "Yield"})
    beside = heights[["image_path", *COLUMNS]].rename(columns={"Height_Ave_cm": "Ruler"})
    names = {"Dry_Total_g": "Yield", "Height_Ave_cm": "Ruler"}
    cuts = cuts[["image_path", "Yield"]]
    assert steps.calibrate(measured, cuts, photos=weighed_photos, table=beside, columns=names).uses_measured


def test_heights_in_another_unit_are_doubted_in_a_calibration(measured, heights, weighed_photos, caplog):
    cuts = cuts_of(heights, 1.0)
    cuts["Height_Ave_cm"] = 1.0 + 0.01 * cuts["Height_Ave_cm"]
    cuts[list(TARGETS)] *= 6
    steps.calibrate(measured, cuts, photos=weighed_photos)
    assert "times the model's estimates: are `unit` and `quadrat_area_m2` correct?" in caplog.text
    assert "times the model's estimates with measured columns: are their units correct?" in caplog.text


@pytest.mark.parametrize("value", [True, np.inf])
def test_what_is_not_a_finite_number_is_refused_in_python(measured, weighed_photos, value):
    model = HerbageModel.from_pretrained(measured)
    with pytest.raises(InputInvalid, match="Height_Ave_cm: expected a finite number or None"):
        model.estimate(weighed_photos / "train/ID5.png", measured={"Height_Ave_cm": value})
    assert not model.estimate(weighed_photos / "train/ID5.png", measured={"Height_Ave_cm": None}).measured


def test_measured_heads_that_are_worse_than_the_photo_alone_are_warned_about(heights, weighed_photos, recipes, caplog):
    table = heights.assign(noise=np.random.default_rng(5).normal(size=24) ** 3)
    steps.train(table, photos=weighed_photos, recipe=recipes / "ridge.toml", measured=["noise"])
    assert "The heads with measured columns score lower" in caplog.text


def test_a_model_of_which_a_part_is_missing_is_refused(measured, tmp_path):
    for number, key in enumerate(("measured", "measured_columns")):
        place = shutil.copytree(measured, tmp_path / str(number))
        config = json.loads((place / "config.json").read_text("utf-8"))
        config[key] = None if key == "measured" else []
        (place / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelInvalid, match="only a part of what belongs to measured columns"):
            HerbageModel.from_pretrained(place)
