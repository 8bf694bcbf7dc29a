"""`herbage train` and `steps.train`."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import herbage
from herbage import steps
from herbage.app.cli import run
from herbage.errors import OutputExists, TrainingFailed
from herbage.model.estimate import COLUMNS
from herbage.model.model import HerbageModel
from herbage.recipe import load_recipe
from herbage.targets import CLOVER, DEAD, GDM, GREEN, TARGETS, TOTAL
from tests.conftest import TEXTURE, files_of
from tests.steps.conftest import KG_PER_HA_PER_G


@pytest.mark.parametrize("kind", ["tiny_dinov2", "tiny_dinov3", "tiny_depth_anything", "texture"])
def test_the_field_recipe_adds_up_maps_its_estimate_and_loads_from_disk_with_every_backbone(
    kind, request, weighed_photos, tmp_path
):
    recipe = load_recipe("field").model_copy(update={"grid": 6})
    backbone = kind if kind == "texture" else request.getfixturevalue(kind)
    steps.train(
        weighed_photos / "wide.csv", photos=weighed_photos, model=tmp_path / "m", recipe=recipe, backbone=backbone
    )
    model = herbage.HerbageModel.from_pretrained(tmp_path / "m")
    estimate = model.estimate(next(iter(sorted((weighed_photos / "train").glob("*.png")))))
    grams = estimate.grams
    np.testing.assert_allclose(grams[TOTAL], grams[CLOVER] + grams[DEAD] + grams[GREEN], atol=1e-9)
    np.testing.assert_allclose(grams[GDM], grams[CLOVER] + grams[GREEN], atol=1e-9)
    assert estimate.map.shape == (5, 6, 12)
    np.testing.assert_allclose(estimate.map.mean((1, 2)), grams, rtol=1e-5, atol=1e-9)


def test_train_writes_the_model_and_tokens_next_to_it_and_prints_the_score(trained, weighed_photos, tmp_path, capsys):
    assert {p.name for p in trained.iterdir()} == {"model", "tokens"}
    run(
        [
            "train",
            str(weighed_photos / "wide.csv"),
            "--photos",
            str(weighed_photos),
            "--model",
            str(tmp_path / "m"),
            *TEXTURE,
        ]
    )
    out, err = capsys.readouterr()
    assert "weighted R2" in out
    assert "each target's mean" in out
    evidence = HerbageModel.from_pretrained(tmp_path / "m").evidence
    error, mean = evidence.alone.score.targets["Dry_Total_g"].rmse_g, evidence.training.mean_g[3]
    assert f"Dry_Total_g: RMSE {error:.1f} g per quadrat, mean {mean:.1f} g" in out
    assert f"in kg DM/ha {error * 10 / 0.21:,.0f} and {mean * 10 / 0.21:,.0f} (quadrats of 0.21 m2)" in out
    assert all(line.startswith(("The baseline “", "Not shown to be better than the mean")) for line in err.splitlines())


def test_the_total_alone_is_trained_scored_and_estimated(farm, capsys):
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
    printed = capsys.readouterr().out
    assert "Dry_Total" in printed
    assert "GDM" not in printed
    for page in (farm / "model/report.html", farm / "model/README.md", farm / "r/report.html"):
        assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page.read_text("utf-8").lower()))
    assert len(list((farm / "r/maps").glob("*.png"))) == len(frame)


def test_an_existing_model_is_replaced_only_on_request_and_kept_when_training_fails(
    models, weighed_photos, recipes, tmp_path, monkeypatch
):
    shutil.copytree(models / "ridge", tmp_path / "m")
    options = {"photos": weighed_photos, "model": tmp_path / "m", "recipe": recipes / "ridge.toml"}
    with pytest.raises(OutputExists, match="pass `overwrite=True` to replace it"):
        steps.train(weighed_photos / "train.csv", **options)
    before = files_of(tmp_path / "m")
    with monkeypatch.context() as patched:
        patched.setattr(
            "herbage.steps.training.fit_out_of_fold", lambda *a: (_ for _ in ()).throw(TrainingFailed("NaN"))
        )
        with pytest.raises(TrainingFailed):
            steps.train(weighed_photos / "train.csv", overwrite=True, **options)
    assert files_of(tmp_path / "m") == before
    steps.train(weighed_photos / "train.csv", overwrite=True, seed=1, **options)
    assert json.loads((tmp_path / "m/config.json").read_text("utf-8"))["training"]["seed"] == 1
    assert not list(tmp_path.glob(".m.*"))


def test_a_photo_that_cannot_be_read_is_dropped_and_named(weighed_photos, recipes, tmp_path):
    shutil.copytree(weighed_photos, tmp_path / "photos")
    (tmp_path / "photos/train/ID5.png").write_bytes(b"broken")
    model = steps.train(tmp_path / "photos/train.csv", photos=tmp_path / "photos", recipe=recipes / "ridge.toml")
    assert list(model.dropped) == ["train/ID5.png"]
    assert (model.evidence.training.photos, len(model.evidence.oof)) == (23, 23)


@pytest.mark.parametrize("inside", ["photos", "table", "store"])
def test_a_folder_that_is_not_a_model_is_never_replaced(weighed_photos, recipes, tmp_path, inside):
    shutil.copytree(weighed_photos, tmp_path / "d/photos")
    shutil.copy(weighed_photos / "wide.csv", tmp_path / "d/wide.csv")
    place = {"photos": tmp_path / "d/photos", "table": tmp_path / "d", "store": tmp_path / "d/tokens"}[inside]
    before = sorted(p for p in tmp_path.rglob("*"))
    with pytest.raises(OutputExists, match="which the model is made from|is not a herbage model"):
        steps.train(
            tmp_path / "d/wide.csv",
            photos=tmp_path / "d/photos",
            model=place,
            recipe=recipes / "ridge.toml",
            overwrite=True,
        )
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_a_model_is_not_written_to_the_working_directory_or_above(tmp_path, monkeypatch, weighed_photos, recipes):
    monkeypatch.chdir(tmp_path)
    for place in (".", ".."):
        with pytest.raises(OutputExists, match="is the working directory, or contains it"):
            steps.train(weighed_photos / "wide.csv", photos=weighed_photos, model=place, recipe=recipes / "ridge.toml")
