"""`herbage score` and `steps.score`."""

import json

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
    said = json.loads(capsys.readouterr().out)
    assert said["models"][0]["weighted_r2"] > 0.5
    assert said["difference"]["value"] == 0
    assert said["average"]["weighted_r2"] == pytest.approx(said["models"][0]["weighted_r2"])
    assert run(["score", *[str(trained / "model")] * 3, "--quiet"]) == 0
    assert "The plain average of the 3 models' estimates" in capsys.readouterr().out
    table = ["--table", str(weighed_photos / "wide.csv"), "--photos", str(weighed_photos)]
    assert run(["score", str(trained / "model"), *table, "--json", "--quiet"]) == 0
    (judged,) = json.loads(capsys.readouterr().out)["models"]
    assert judged["weighted_r2"] > said["models"][0]["weighted_r2"]
    assert judged["quadrat_area_m2"] == 0.21
    weighed = pd.read_csv(weighed_photos / "wide.csv")
    assert judged["mean_g"] == pytest.approx({name: weighed[name].mean() for name in TARGETS})


def test_scoring_on_the_training_photos_is_said_loudly(models, weighed_photos, caplog):
    steps.score([models / "ridge"], table=weighed_photos / "wide.csv", photos=weighed_photos)
    assert "24 of these 24 photos are the model's own training photos" in caplog.text


def test_a_score_is_a_frame_too_of_one_model_or_several(models, weighed_photos):
    opened = HerbageModel.from_pretrained(models / "ridge")
    frame = steps.score(opened).frame()
    assert frame["name"].tolist() == [opened.recipe.name, *(f"floor: {name}" for name in opened.about.floors)]
    # oof.csv has six decimal places.
    assert frame["weighted_r2"][0] == pytest.approx(opened.about.score.weighted_r2, abs=1e-6)
    assert frame["Dry_Dead_g_bias_g"][0] == pytest.approx(opened.about.score.targets["Dry_Dead_g"].bias_g, abs=1e-6)
    table = pd.read_csv(weighed_photos / "wide.csv").iloc[:9]
    new = steps.score([models / "ridge", opened], table=table, photos=weighed_photos)
    assert new.difference.value == 0
    assert new.frame()["photos"].tolist() == [9, 9]
    assert len(steps.score([opened, opened]).frame()) == 2 * len(frame)


def test_a_table_of_what_the_model_does_not_know_is_no_score(recipes, weighed_photos):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    facts = [name for name in wide if name not in TARGETS]
    clover = steps.train(wide[[*facts, "Dry_Clover_g"]], photos=weighed_photos, recipe=recipes / "ridge.toml")
    with pytest.raises(InputInvalid, match="weighs none of the targets that the model estimates"):
        steps.score(clover, table=wide[[*facts, "Dry_Dead_g"]], photos=weighed_photos)
