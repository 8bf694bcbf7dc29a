"""The recipe crosspvt through the same commands as every other."""

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
    (out / "small.toml").write_text(RECIPE)
    how = ["--photos", str(weighed_photos), "--store", str(out / "tokens"), "--quiet"]
    for name, recipe in (("model", str(out / "small.toml")), ("other", "field")):
        table = str(weighed_photos / "train.csv")
        options = ["--model", str(out / name), "--recipe", recipe, "--backbone", "texture"]
        assert run(["train", table, *options, *how]) == 0
    return out


def test_training_leaves_a_model_that_adds_up_and_nothing_unfinished(place, weighed_photos):
    assert {p.name for p in place.iterdir()} == {"small.toml", "model", "other", "tokens"}
    model = herbage.HerbageModel.from_pretrained(place / "model")
    assert model.about.score.photos == 24
    estimate = model.estimate(weighed_photos / "train/ID3.png")
    assert estimate.map is None
    assert "--maps" not in (place / "model/README.md").read_text()
    np.testing.assert_allclose(estimate.grams, SUMS @ estimate.grams[:3], atol=1e-9)
    oof = pd.read_csv(place / "model/oof.csv")
    estimated = oof[[f"{target}_estimated" for target in TARGETS]].to_numpy()
    np.testing.assert_allclose(estimated, estimated[:, :3] @ SUMS.T, atol=5e-6)


def test_it_is_scored_beside_another_recipe_on_the_same_folds(place, capsys):
    assert run(["score", str(place / "model"), str(place / "other"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    of_model, of_other = (one["weighted_r2"] for one in said["models"])
    assert said["difference"]["value"] == pytest.approx(of_other - of_model)
    assert said["difference"]["low"] <= said["difference"]["value"] <= said["difference"]["high"]


def test_it_predicts_without_a_map_and_says_so_in_one_line(place, weighed_photos, tmp_path, capsys):
    photos, out = str(weighed_photos / "train"), tmp_path / "results"
    assert run(["predict", str(place / "model"), photos, "--out", str(out), "--maps", "--level", "0.7", "--quiet"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Recipe small has no patch map, so --maps writes none."
    assert [line.partition(":")[0] for line in said[1:]] == ["24 photos of the model's own training"]
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


def test_a_width_that_heads_cannot_share_is_said_before_anything_is_extracted(weighed_photos, tmp_path):
    recipe = tmp_path / "tiles.toml"
    recipe.write_text(RECIPE.replace("inner_width = 12", ""))
    with pytest.raises(RecipeInvalid, match=r"37 numbers, which 6 attention heads cannot share; set inner_width"):
        steps.train(weighed_photos / "wide.csv", photos=weighed_photos, store=tmp_path / "tokens", recipe=recipe)
    assert not (tmp_path / "tokens").exists()
