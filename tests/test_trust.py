"""Own weights and own cuts, as a farm has them: the total alone, in kg DM/ha, in a workbook with names of its own."""

import re

import numpy as np
import pandas as pd
import pytest

from herbage import steps
from herbage.app.cli import run
from herbage.app.demo import draw_photos
from herbage.errors import InputInvalid, ModelInvalid, OutputExists, TableInvalid
from herbage.model.estimate import COLUMNS
from herbage.model.model import HerbageModel
from herbage.targets import TARGETS, TOTAL

KG_PER_HA_PER_G = 10 / 0.25
SMALL = """
backbone = "texture"
crops = "halves"
grid = 12
views = 1
heterogeneity = true
heads = "ridge"
balance = true
"""
NAMES = ["--columns", "image_path=Photo,Dry_Total_g=Yield (kg/ha),State=Farm,Sampling_Date=Day", "--unit", "kg_per_ha"]


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """Drawn swards of 12 groups; of the last three somebody cut ten, which weigh half as much again as they look."""
    place = tmp_path_factory.mktemp("farm")
    truth = pd.DataFrame(draw_photos(place / "photos"))
    table = pd.DataFrame({
        "Photo": truth["image_path"], "Farm": truth["State"], "Day": pd.to_datetime(truth["Sampling_Date"]),
        "Yield (kg/ha)": (truth["Dry_Total_g"] * KG_PER_HA_PER_G).round(1),
    })  # fmt: skip
    old, new = truth["group"] < 9, truth["group"] >= 9
    table[old].to_excel(place / "weighed.xlsx", index=False)
    cuts = table[new].assign(**{"Yield (kg/ha)": table["Yield (kg/ha)"] * 1.5})
    cuts.iloc[:10].to_excel(place / "cuts.xlsx", index=False)
    rest = truth[new].iloc[10:]
    (place / "rest.txt").write_text("\n".join(rest["image_path"]))
    truth[new].iloc[:10].to_csv(place / "all_weights.csv", index=False)
    command = ["train", place / "weighed.xlsx", "--photos", place, "--model", place / "model", *NAMES]
    (place / "small.toml").write_text(SMALL)
    command += ["--recipe", place / "small.toml", "--quadrat-area", 0.25, "--quiet"]
    assert run([*map(str, command)]) == 0
    return place


def rows(place):
    return pd.read_csv(place / "predictions.csv").set_index("photo")


def test_the_total_alone_is_trained_judged_and_estimated(farm, capsys):
    assert (
        run(["predict", str(farm / "model"), str(farm / "photos"), "--out", str(farm / "r"), "--maps", "--quiet"]) == 0
    )
    frame = pd.read_csv(farm / "r/predictions.csv")
    assert list(frame.columns) == list(COLUMNS)
    others = [name for name in TARGETS if name != "Dry_Total_g"]
    assert frame[others].isna().all(axis=None)
    assert frame["GDM_kg_per_ha"].isna().all()
    assert frame[["Dry_Total_g", "Dry_Total_g_low", "Dry_Total_g_high", "Dry_Total_kg_per_ha"]].notna().all(axis=None)
    weighed = pd.read_excel(farm / "weighed.xlsx").set_index("Photo")["Yield (kg/ha)"]
    estimated = frame.set_index("photo")["Dry_Total_kg_per_ha"].reindex(weighed.index.str.removeprefix("photos/"))
    assert np.corrcoef(weighed, estimated)[0, 1] > 0.7
    oof = pd.read_csv(farm / "model/oof.csv")
    np.testing.assert_allclose(oof["Dry_Total_g"] * KG_PER_HA_PER_G, weighed, rtol=1e-6)
    assert oof["GDM_g"].isna().all()
    assert run(["score", str(farm / "model"), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "Dry_Total" in said
    assert "GDM" not in said
    for page in (farm / "model/report.html", farm / "model/README.md", farm / "r/report.html"):
        assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page.read_text().lower()))
    assert len(list((farm / "r/maps").glob("*.png"))) == len(frame)


def test_what_the_model_does_not_know_is_no_number_and_not_promised(farm):
    model = HerbageModel.from_pretrained(farm / "model")
    frame = model.predict(farm / "photos/sward_40.jpg")
    assert frame["Dry_Green_g"].dtype == frame["latitude"].dtype == float
    assert frame["Dry_Green_g"].isna().all()
    card = (farm / "model/README.md").read_text()
    assert "Estimates Dry_Total_g (dry matter" in card


def test_a_model_without_all_weights_makes_no_submission_and_crosspvt_wants_them_all(farm, tmp_path):
    pd.DataFrame({"sample_id": ["a"], "image_path": ["photos/sward_00.jpg"], "target_name": ["GDM_g"]}).to_csv(
        tmp_path / "test.csv", index=False
    )
    with pytest.raises(InputInvalid, match="asks for all five weights; this model has no Dry_Clover_g"):
        steps.submit(farm / "model", tmp_path / "test.csv", photos=farm, out=tmp_path / "s.csv")
    table = pd.read_excel(farm / "weighed.xlsx").rename(columns={"Photo": "image_path", "Yield (kg/ha)": "Dry_Total_g"})
    with pytest.raises(InputInvalid, match="learns all weights at once, and the table lacks Dry_Clover_g"):
        steps.train(table, photos=farm, recipe="crosspvt", backbone="texture", group_by=["Farm"], folds=3)


def test_ten_cuts_correct_it_for_the_new_place(farm, capsys):
    command = ["calibrate", farm / "model", farm / "cuts.xlsx", "--photos", farm, "--model-out", farm / "mine", *NAMES]
    assert run([*map(str, command), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "10 cuts: corrected by" in said
    assert "Dry_Total_g: RMSE" in said
    assert "made from the cuts" in said
    for name in ("model", "mine"):
        assert (
            run(["predict", str(farm / name), str(farm / "rest.txt"), "--out", str(farm / f"r-{name}"), "--quiet"]) == 0
        )
    assert run(["score", str(farm / "model"), str(farm / "mine")]) == 0
    out, err = capsys.readouterr()
    assert "minus" not in out
    assert "A --table of cuts that were kept back says what they did" in err
    before, after = rows(farm / "r-model")["Dry_Total_g"], rows(farm / "r-mine")["Dry_Total_g"]
    assert 1.2 < (after / before).median() < 1.7
    mine = HerbageModel.from_pretrained(farm / "mine")
    record = mine.about.calibration
    assert record.rmse_g[1] < 0.8 * record.rmse_g[0]
    assert "Corrected by own cuts" in (farm / "mine/report.html").read_text()
    assert "10 cuts: corrected by" in (farm / "mine/README.md").read_text()
    estimate = mine.estimate(farm / "photos/sward_47.jpg")
    assert estimate.grams[TOTAL] == pytest.approx(after["photos/sward_47.jpg"], rel=1e-5)
    np.testing.assert_allclose(estimate.map[TOTAL].mean(), estimate.grams[TOTAL], rtol=1e-6)


def test_a_second_calibration_starts_from_the_model_as_it_was(farm):
    names = {"image_path": "Photo", "Dry_Total_g": "Yield (kg/ha)"}
    first = steps.calibrate(farm / "model", farm / "cuts.xlsx", photos=farm, columns=names, unit="kg_per_ha")
    second = steps.calibrate(first, farm / "cuts.xlsx", photos=farm, columns=names, unit="kg_per_ha")
    assert first.about == second.about
    np.testing.assert_array_equal(first.knowledge.intervals.ratio, second.knowledge.intervals.ratio)


def test_what_is_no_calibration_is_one_message(farm, tmp_path):
    cuts = pd.read_csv(farm / "all_weights.csv")
    with pytest.raises(TableInvalid, match="2 cuts are too few to correct a model: give at least 3"):
        steps.calibrate(farm / "model", cuts.iloc[:2], photos=farm)
    only_clover = cuts[["image_path", "Dry_Clover_g"]]
    with pytest.raises(InputInvalid, match="weigh none of the targets that the model estimates"):
        steps.calibrate(farm / "model", only_clover, photos=farm)
    imported = HerbageModel.from_pretrained(farm / "model")
    imported.about = imported.about.model_copy(update={"training": None})
    with pytest.raises(ModelInvalid, match="Imported heads"):
        steps.calibrate(imported, cuts, photos=farm)
    assert run(["train", "t.csv", "--photos", ".", "--model", str(tmp_path / "m"), "--columns", "Dry_Total_g"]) == 2


def test_cuts_in_another_unit_are_asked_after(farm, caplog):
    names = {"image_path": "Photo", "Dry_Total_g": "Yield (kg/ha)"}
    steps.calibrate(farm / "model", farm / "cuts.xlsx", photos=farm, columns=names)
    assert "times what the model says of their photos: are --unit" in caplog.text
    caplog.clear()
    steps.calibrate(farm / "model", farm / "cuts.xlsx", photos=farm, columns=names, unit="kg_per_ha")
    assert "are --unit" not in caplog.text


def test_the_plan_of_cuts_is_a_table_to_fill_in(farm, capsys):
    command = ["plan-cuts", farm / "model", farm / "photos", "--count", 5, "--out", farm / "plan.csv", "--quiet"]
    assert run([*map(str, command)]) == 0
    assert "herbage calibrate" in capsys.readouterr().out
    plan = pd.read_csv(farm / "plan.csv")
    assert len(plan) == plan["image_path"].nunique() == 5
    assert plan["Dry_Total_g"].isna().all()
    plan["Dry_Total_g"] = plan["Dry_Total_g_estimated"] * 1.2
    mine = steps.calibrate(farm / "model", plan, photos=farm / "photos")
    assert mine.about.calibration.cuts == 5
    plan.loc[0, "Dry_Total_g"] = None
    assert steps.calibrate(farm / "model", plan, photos=farm / "photos").about.calibration.cuts == 4
    with pytest.raises(OutputExists, match=r"--model-out .* holds .*tokens, which the model is made from"):
        steps.calibrate(farm / "model", plan, photos=farm / "photos", store=farm / "new/tokens", model_out=farm / "new")
    some = [f"photos/sward_{number:02}.jpg" for number in range(12)]
    (farm / "some.txt").write_text("\n".join(some))
    of_a_list = steps.plan_cuts(farm / "model", farm / "some.txt", count=3)
    assert {f"photos/{name}" for name in of_a_list["image_path"]} <= set(some)
    assert of_a_list.attrs["photos"] == str(farm / "photos")
    (farm / "broken").mkdir()
    (farm / "broken/a.jpg").write_bytes(b"no photo")
    (farm / "mixed.txt").write_text(f"{farm}/photos/sward_01.jpg\nbroken/../photos/sward_02.jpg\nbroken/a.jpg\n")
    mixed = ["plan-cuts", farm / "model", farm / "mixed.txt", "--count", 2, "--out", farm / "mixed.csv", "--quiet"]
    assert run([*map(str, mixed)]) == 1
    assert "failed: broken/a.jpg is not a readable image" in capsys.readouterr().out
    assert sorted(pd.read_csv(farm / "mixed.csv")["image_path"]) == ["sward_01.jpg", "sward_02.jpg"]
    assert run([*map(str, command)]) == 2
    assert run([*map(str, [*command[:4], 999, *command[5:], "--overwrite"])]) == 2
    assert "expected 1 to 48" in capsys.readouterr().err


def test_a_photo_of_another_shape_is_remarked_on_until_its_corners_are_given(farm, tmp_path, caplog):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    with Image.open(farm / "photos/sward_40.jpg") as image:
        width, height = image.size
        wide = Image.new("RGB", (width, height * 2), (90, 90, 90))
        wide.paste(image, (0, height // 2))
        wide.save(tmp_path / "photos/with edges.png")
    corners = [0, height / 2, width, height / 2, width, height * 1.5, 0, height * 1.5]
    sidecar = pd.DataFrame(
        [["with edges.png", *corners]], columns=["image_path", *(f"{a}{n}" for n in "1234" for a in "xy")]
    )
    sidecar.to_csv(tmp_path / "corners.csv", index=False)
    steps.predict(farm / "model", tmp_path / "photos", out=tmp_path / "plain")
    assert "another shape than the training photos" in caplog.text
    assert "give its corners" in rows(tmp_path / "plain")["message"].iloc[0]
    steps.predict(farm / "model", tmp_path / "photos", out=tmp_path / "cut", table=tmp_path / "corners.csv")
    cut, alone = (
        rows(tmp_path / "cut").iloc[0],
        HerbageModel.from_pretrained(farm / "model").estimate(farm / "photos/sward_40.jpg"),
    )
    assert cut["message"] != cut["message"]
    assert cut["Dry_Total_g"] == pytest.approx(alone.grams[TOTAL], rel=0.02)
