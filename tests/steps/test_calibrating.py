"""`herbage calibrate`, `herbage plan-cuts` and their functions, on a farm's own cuts."""

import html
import json

import numpy as np
import pandas as pd
import pytest

from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid, ModelInvalid, OutputExists, TableInvalid
from herbage.model.model import HerbageModel
from herbage.targets import TOTAL
from tests.steps.conftest import NAMES, rows


def test_ten_cuts_correct_a_model_for_a_new_place(farm, capsys):
    command = ["calibrate", farm / "model", farm / "cuts.xlsx", "--photos", farm, "--model-out", farm / "mine", *NAMES]
    assert run([*map(str, command), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "10 cuts: corrected by" in printed
    assert "Dry_Total_g: RMSE" in printed
    assert "The intervals of the weighed targets are computed from the cuts." in printed
    for name in ("model", "mine"):
        assert (
            run(["predict", str(farm / name), str(farm / "rest.txt"), "--out", str(farm / f"r-{name}"), "--quiet"]) == 0
        )
    assert run(["score", str(farm / "model"), str(farm / "mine")]) == 0
    out, err = capsys.readouterr()
    assert "minus" not in out
    assert "this is its score before the correction" in err
    assert "To score the correction, pass a --table of cuts that were not used for it." in err
    before, after = rows(farm / "r-model")["Dry_Total_g"], rows(farm / "r-mine")["Dry_Total_g"]
    assert 1.2 < (after / before).median() < 1.7
    mine = HerbageModel.from_pretrained(farm / "mine")
    record = mine.evidence.alone.calibration
    assert record.rmse_g[1] < 0.8 * record.rmse_g[0]
    assert "Calibration with own cuts" in (farm / "mine/report.html").read_text("utf-8")
    card = (farm / "mine/README.md").read_text("utf-8")
    assert "## Calibration with own cuts" in card
    assert "10 cuts: corrected by" in card
    estimate = mine.estimate(farm / "photos/sward_47.jpg")
    assert estimate.grams[TOTAL] == pytest.approx(after["photos/sward_47.jpg"], rel=1e-5)
    np.testing.assert_allclose(estimate.map[TOTAL].mean(), estimate.grams[TOTAL], rtol=1e-6)


def test_a_second_calibration_starts_from_the_original_model(farm):
    names = {"image_path": "Photo", "Dry_Total_g": "Yield (kg/ha)"}
    first = steps.calibrate(farm / "model", farm / "cuts.xlsx", photos=farm, columns=names, unit="kg_per_ha")
    second = steps.calibrate(first, farm / "cuts.xlsx", photos=farm, columns=names, unit="kg_per_ha")
    assert first.config == second.config
    assert first.evidence.record() == second.evidence.record()
    np.testing.assert_array_equal(first.evidence.alone.intervals.ratio, second.evidence.alone.intervals.ratio)


def test_an_invalid_calibration_is_one_message(farm, tmp_path, capsys):
    cuts = pd.read_csv(farm / "all_weights.csv")
    with pytest.raises(TableInvalid, match="2 cuts are too few to correct a model: expected at least 3"):
        steps.calibrate(farm / "model", cuts.iloc[:2], photos=farm)
    only_clover = cuts[["image_path", "Dry_Clover_g"]]
    with pytest.raises(InputInvalid, match="The cuts have no weights of the targets that the model estimates"):
        steps.calibrate(farm / "model", only_clover, photos=farm)
    trained = HerbageModel.from_pretrained(farm / "model")
    imported = HerbageModel(trained.config, trained.heads)
    with pytest.raises(
        ModelInvalid, match="Calibration needs out-of-fold estimates, which a model with imported heads"
    ):
        steps.calibrate(imported, cuts, photos=farm)
    command = ["train", farm / "all_weights.csv", "--photos", farm, "--model", tmp_path / "m"]
    assert run([*map(str, command), "--columns", "Dry_Total_g"]) == 2
    assert "--columns: Dry_Total_g is not NAME=TABLE_NAME" in capsys.readouterr().err


def test_cuts_that_are_probably_in_another_unit_give_a_warning(farm, caplog):
    names = {"image_path": "Photo", "Dry_Total_g": "Yield (kg/ha)"}
    with pytest.raises(TableInvalid, match="10 of 10 weights are more than 20,000 kg DM/ha, .*are `unit` and"):
        steps.calibrate(farm / "model", farm / "cuts.xlsx", photos=farm, columns=names)
    per_m2 = pd.read_excel(farm / "cuts.xlsx")
    per_m2["Yield (kg/ha)"] /= 10
    steps.calibrate(farm / "model", per_m2, photos=farm, columns=names)
    assert "times the model's estimates: are `unit` and `quadrat_area_m2` correct?" in caplog.text
    caplog.clear()
    steps.calibrate(farm / "model", farm / "cuts.xlsx", photos=farm, columns=names, unit="kg_per_ha")
    assert "are `unit`" not in caplog.text


def named_cuts(farm, cuts, tmp_path, caplog, **options):
    """What calibrate says of these cuts: the remarks in run.json, which are logged and in the report."""
    caplog.clear()
    caplog.set_level("INFO", "herbage")
    steps.calibrate(farm / "model", cuts, photos=farm, model_out=tmp_path / "mine", overwrite=True, **options)
    said = {one["what"]: one for one in json.loads((tmp_path / "mine/run.json").read_text("utf-8"))["remarks"]}
    assert all(one["message"] in caplog.text for one in said.values())
    assert all(
        html.escape(one["message"], quote=False) in html.unescape((tmp_path / "mine/report.html").read_text("utf-8"))
        for one in said.values()
    )
    return {what: one for what, one in said.items() if what != "photos_without_row"}


@pytest.mark.parametrize("count", [3, 10])
@pytest.mark.parametrize(("factor", "fits"), [(10, "a tenth of it would fit"), (0.1, "ten times as much would fit")])
def test_a_slip_of_the_decimal_point_is_named_with_its_photo(farm, tmp_path, caplog, count, factor, fits):
    weights = "Yield (kg/ha)"
    every = pd.read_excel(farm / "cuts.xlsx").sort_values(weights, ascending=factor > 1, ignore_index=True)
    plain = every.iloc[:count]
    options = {"columns": {"image_path": "Photo", "Dry_Total_g": weights}, "unit": "kg_per_ha"}
    assert named_cuts(farm, plain, tmp_path, caplog, **options) == {}
    cuts = plain.copy()
    cuts.loc[0, weights] *= factor
    said = named_cuts(farm, cuts, tmp_path, caplog, **options)
    (name,) = said["outlying_cuts"]["names"]
    assert name.startswith(f"{cuts.loc[0, 'Photo']} (weighed {cuts.loc[0, weights]:,.0f} kg DM/ha, expected ")
    assert name.endswith(f" kg DM/ha; {fits})")
    assert (
        "1 cut far from what the other cuts and the model's errors lead to expect" in said["outlying_cuts"]["message"]
    )


def test_exchanged_weights_are_named_with_both_photos(farm, tmp_path, caplog):
    cuts = pd.read_csv(farm / "all_weights.csv")[["image_path", "Dry_Total_g"]].sort_values(
        "Dry_Total_g", ignore_index=True
    )
    assert cuts["Dry_Total_g"].iloc[-1] > 2 * cuts["Dry_Total_g"].iloc[0]
    light, heavy = cuts["image_path"].iloc[0], cuts["image_path"].iloc[-1]
    cuts.loc[[0, len(cuts) - 1], "Dry_Total_g"] = cuts["Dry_Total_g"].iloc[[-1, 0]].to_numpy()
    names = named_cuts(farm, cuts, tmp_path, caplog)["outlying_cuts"]["names"]
    assert f"the weight of {heavy} would fit" in names[0]
    assert f"the weight of {light} would fit" in names[1]


def test_the_plan_of_cuts_is_a_table_to_fill_in(farm, capsys):
    command = ["plan-cuts", farm / "model", farm / "photos", "--count", 5, "--out", farm / "plan.csv", "--quiet"]
    assert run([*map(str, command)]) == 0
    assert "herbage calibrate" in capsys.readouterr().out
    plan = pd.read_csv(farm / "plan.csv")
    assert len(plan) == plan["image_path"].nunique() == 5
    assert plan["Dry_Total_g"].isna().all()
    plan["Dry_Total_g"] = plan["Dry_Total_g_estimated"] * 1.2
    mine = steps.calibrate(farm / "model", plan, photos=farm / "photos")
    assert mine.evidence.alone.calibration.cuts == 5
    plan.loc[0, "Dry_Total_g"] = None
    assert steps.calibrate(farm / "model", plan, photos=farm / "photos").evidence.alone.calibration.cuts == 4
    with pytest.raises(OutputExists, match=r"`model_out=.*` contains .*tokens, which the model is made from"):
        steps.calibrate(farm / "model", plan, photos=farm / "photos", store=farm / "new/tokens", model_out=farm / "new")
    some = [f"photos/sward_{number:02}.jpg" for number in range(12)]
    (farm / "some.txt").write_text("\n".join(some), "utf-8")
    of_a_list = steps.plan_cuts(farm / "model", farm / "some.txt", count=3)
    assert {f"photos/{name}" for name in of_a_list["image_path"]} <= set(some)
    assert of_a_list.attrs["photos"] == str(farm / "photos")
    (farm / "broken").mkdir()
    (farm / "broken/a.jpg").write_bytes(b"no photo")
    (farm / "mixed.txt").write_text(
        f"{farm}/photos/sward_01.jpg\nbroken/../photos/sward_02.jpg\nbroken/a.jpg\n", "utf-8"
    )
    mixed = ["plan-cuts", farm / "model", farm / "mixed.txt", "--count", 2, "--out", farm / "mixed.csv", "--quiet"]
    assert run([*map(str, mixed)]) == 1
    assert "failed: broken/a.jpg is not a readable image" in capsys.readouterr().out
    assert sorted(pd.read_csv(farm / "mixed.csv")["image_path"]) == ["sward_01.jpg", "sward_02.jpg"]
    assert run([*map(str, command)]) == 2
    assert run([*map(str, [*command[:4], 999, *command[5:], "--overwrite"])]) == 2
    assert "expected 1 to 48" in capsys.readouterr().err
