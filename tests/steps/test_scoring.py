"""`herbage score` and `steps.score`."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid
from herbage.model.model import HerbageModel
from herbage.targets import TARGETS


def test_score_prints_a_table_or_json(trained, weighed_photos, capsys):
    assert run(["score", str(trained / "model"), "--quiet"]) == 0
    assert "weighted R2" in capsys.readouterr().out
    assert run(["score", str(trained / "model"), str(trained / "model"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["models"][0]["weighted_r2"] > 0.5
    assert printed["difference"]["value"] == 0
    assert printed["average"]["weighted_r2"] == pytest.approx(printed["models"][0]["weighted_r2"])
    assert run(["score", *[str(trained / "model")] * 3, "--quiet"]) == 0
    assert "Average of the 3 models' estimates" in capsys.readouterr().out
    table = ["--table", str(weighed_photos / "wide.csv"), "--photos", str(weighed_photos)]
    assert run(["score", str(trained / "model"), *table, "--json", "--quiet"]) == 0
    (scored,) = json.loads(capsys.readouterr().out)["models"]
    assert scored["weighted_r2"] > printed["models"][0]["weighted_r2"]
    assert scored["quadrat_area_m2"] == 0.21
    weighed = pd.read_csv(weighed_photos / "wide.csv")
    assert scored["mean_g"] == pytest.approx({name: weighed[name].mean() for name in TARGETS})


def test_scoring_on_the_training_photos_gives_a_warning(models, weighed_photos, caplog):
    steps.score([models / "ridge"], table=weighed_photos / "wide.csv", photos=weighed_photos)
    assert "The model was trained on 24 of these 24 photos, so this score is too high" in caplog.text


def test_scores_of_one_or_several_models_as_a_data_frame(models, weighed_photos):
    opened = HerbageModel.from_pretrained(models / "ridge")
    frame = steps.score(opened).frame()
    assert frame["name"].tolist() == [opened.recipe.name, *(f"baseline: {name}" for name in opened.evidence.baselines)]
    # oof.csv has six decimal places.
    assert frame["weighted_r2"][0] == pytest.approx(opened.evidence.alone.score.weighted_r2, abs=1e-6)
    assert frame["Dry_Dead_g_bias_g"][0] == pytest.approx(
        opened.evidence.alone.score.targets["Dry_Dead_g"].bias_g, abs=1e-6
    )
    table = pd.read_csv(weighed_photos / "wide.csv").iloc[:9]
    new = steps.score([models / "ridge", opened], table=table, photos=weighed_photos)
    assert new.difference.value == 0
    assert new.frame()["photos"].tolist() == [9, 9]
    assert len(steps.score([opened, opened]).frame()) == 2 * len(frame)


def test_a_table_of_other_targets_cannot_be_scored(recipes, weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    facts = [name for name in wide if name not in TARGETS]
    clover = steps.train(wide[[*facts, "Dry_Clover_g"]], photos=weighed_photos, recipe=recipes / "ridge.toml")
    with pytest.raises(InputInvalid, match="The table has no weights of the targets that the model estimates"):
        steps.score(clover, table=wide[[*facts, "Dry_Dead_g"]], photos=weighed_photos)


def test_models_of_different_areas_are_not_compared(trained, weighed_photos):
    model = trained / "model"
    larger = HerbageModel.from_pretrained(model)
    training = larger.evidence.training.model_copy(update={"quadrat_area_m2": 0.25})
    larger.evidence = replace(larger.evidence, training=training)
    with pytest.raises(InputInvalid, match=r"quadrats of 0\.21 m2, .* of 0\.25 m2: their grams cannot be compared"):
        steps.score([model, larger], table=weighed_photos / "wide.csv", photos=weighed_photos)


def test_the_tokens_of_a_new_table_are_cached(trained, weighed_photos, tmp_path):
    new = {"table": weighed_photos / "wide.csv", "photos": weighed_photos, "store": tmp_path / "tokens"}
    first, again = (steps.score(trained / "model", **new).models[0].score for _ in range(2))
    assert first == again
    assert len(list((tmp_path / "tokens").rglob("*.safetensors"))) == 24
