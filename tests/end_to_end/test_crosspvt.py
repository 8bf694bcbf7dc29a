"""The recipe crosspvt through the same commands as all other recipes."""

import json

import numpy as np
import pandas as pd
import pytest

import herbage
from herbage import steps
from herbage.app.cli import run
from herbage.errors import RecipeInvalid
from herbage.targets import SUMS, TARGETS

RECIPE = """
backbone = "texture"
crops = "tiles"
grid = 2
views = 3
keep = "class"
heads = "crosspvt"
balance = true
[crosspvt]
inner_width = 12
widths = [8, 8, 8]
epochs = 2
"""


@pytest.fixture(scope="module")
def place(weighed_photos, tmp_path_factory):
    """A folder with a recipe of few weights and a model trained by it."""
    out = tmp_path_factory.mktemp("crosspvt")
    (out / "small.toml").write_text(RECIPE, "utf-8")
    how = ["--photos", str(weighed_photos), "--store", str(out / "tokens"), "--quiet"]
    for name, recipe in (("model", str(out / "small.toml")), ("other", "field")):
        table = str(weighed_photos / "train.csv")
        options = ["--model", str(out / name), "--recipe", recipe, "--backbone", "texture"]
        assert run(["train", table, *options, *how]) == 0
    return out


def test_training_writes_a_model_whose_weights_add_up_and_leaves_no_checkpoint(place, weighed_photos):
    assert {p.name for p in place.iterdir()} == {"small.toml", "model", "other", "tokens"}
    model = herbage.HerbageModel.from_pretrained(place / "model")
    assert model.evidence.alone.score.photos == 24
    estimate = model.estimate(weighed_photos / "train/ID3.png")
    assert estimate.map is None
    assert "--maps" not in (place / "model/README.md").read_text("utf-8")
    np.testing.assert_allclose(estimate.grams, SUMS @ estimate.grams[:3], atol=1e-9)
    oof = pd.read_csv(place / "model/oof.csv")
    estimated = oof[[f"{target}_estimated" for target in TARGETS]].to_numpy()
    np.testing.assert_allclose(estimated, estimated[:, :3] @ SUMS.T, atol=5e-6)


def test_it_is_compared_with_another_recipe_on_the_same_folds(place, capsys):
    assert run(["score", str(place / "model"), str(place / "other"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    of_model, of_other = (one["weighted_r2"] for one in printed["models"])
    assert printed["difference"]["value"] == pytest.approx(of_other - of_model)
    assert printed["difference"]["low"] <= printed["difference"]["value"] <= printed["difference"]["high"]


def test_it_predicts_without_a_map_and_warns_in_one_line(place, weighed_photos, tmp_path, capsys):
    photos, out = str(weighed_photos / "train"), tmp_path / "results"
    assert run(["predict", str(place / "model"), photos, "--out", str(out), "--maps", "--level", "0.7", "--quiet"]) == 0
    of_targets, *printed = capsys.readouterr().err.splitlines()
    assert of_targets.startswith("Not shown to be better than the mean of the training photos")
    assert printed[0] == "Recipe small has no patch map, so no maps are written."
    assert [line.partition(":")[0] for line in printed[1:]] == ["The model was trained on 24 of these photos"]
    assert not (out / "maps").exists()
    frame = pd.read_csv(out / "predictions.csv")
    assert frame["status"].eq("ok").all()
    assert (frame["Dry_Total_g_low"] <= frame["Dry_Total_g"]).all()


def test_it_submits(place, weighed_photos, tmp_path):
    out = tmp_path / "submission.csv"
    test = weighed_photos / "test.csv"
    how = ["--photos", str(weighed_photos), "--out", str(out), "--quiet"]
    assert run(["submit", str(place / "model"), str(test), *how]) == 0
    assert pd.read_csv(out)["sample_id"].tolist() == pd.read_csv(test)["sample_id"].tolist()


def test_a_width_that_attention_heads_cannot_share_is_refused_before_extraction(weighed_photos, tmp_path):
    recipe = tmp_path / "tiles.toml"
    recipe.write_text(RECIPE.replace("inner_width = 12", ""), "utf-8")
    with pytest.raises(
        RecipeInvalid, match=r"37 dimensions, which 6 attention heads cannot share evenly; set inner_width"
    ):
        steps.train(weighed_photos / "wide.csv", photos=weighed_photos, store=tmp_path / "tokens", recipe=recipe)
    assert not (tmp_path / "tokens").exists()
