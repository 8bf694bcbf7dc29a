"""`herbage submit` and `steps.submit`."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from herbage import steps
from herbage.app.cli import run
from herbage.errors import BackboneInvalid, InputInvalid
from herbage.model import model as model_module
from herbage.model.model import HerbageModel, open_model


@pytest.fixture(scope="module")
def coarse(weighed_photos, tmp_path_factory):
    """A second model, of another recipe than that of `trained`."""
    place = tmp_path_factory.mktemp("coarse")
    (place / "coarse.toml").write_text(
        'backbone="texture"\ncrops="halves"\ngrid=4\nviews=1\nheads="ridge"\nbalance=true\n'
    )
    model = place / "model"
    steps.train(weighed_photos / "train.csv", photos=weighed_photos, model=model, recipe=place / "coarse.toml")
    return model


def test_submit_keeps_rows_and_order_and_gives_a_broken_photo_the_training_mean(
    trained, weighed_photos, tmp_path, capsys
):
    shutil.copytree(weighed_photos, tmp_path / "w")
    (tmp_path / "w/train/ID3.png").write_bytes(b"broken")
    test = pd.read_csv(tmp_path / "w/test.csv")
    out = tmp_path / "submission.csv"
    command = [
        "submit",
        str(trained / "model"),
        str(tmp_path / "w/test.csv"),
        "--photos",
        str(tmp_path / "w"),
        "--quiet",
    ]
    assert run([*command, "--out", str(out)]) == 1
    assert "failed: train/ID3.png" in capsys.readouterr().out
    submission = pd.read_csv(out)
    assert submission["sample_id"].tolist() == test["sample_id"].tolist()
    assert np.isfinite(submission["target"]).all()
    assert (submission["target"] >= 0).all()
    mean = pd.read_csv(weighed_photos / "wide.csv")["Dry_Total_g"].mean()
    given = submission.loc[submission["sample_id"] == "ID3__Dry_Total_g", "target"].item()
    assert given == pytest.approx(mean)
    assert not (tmp_path / "tokens").exists()


def test_a_blend_is_the_mean_of_the_submissions_of_its_models(trained, coarse, weighed_photos, tmp_path):
    models = [trained / "model", coarse]
    test = weighed_photos / "test.csv"
    values = []
    for number, one in enumerate(models):
        steps.submit(one, test, photos=weighed_photos, out=tmp_path / f"{number}.csv")
        values.append(pd.read_csv(tmp_path / f"{number}.csv")["target"])
    assert not np.allclose(*values)
    command = ["submit", *map(str, models), str(test), "--photos", str(weighed_photos), "--quiet"]
    assert run([*command, "--out", str(tmp_path / "blend.csv")]) == 0
    blend = pd.read_csv(tmp_path / "blend.csv")
    np.testing.assert_allclose(blend["target"], (values[0] + values[1]) / 2, rtol=1e-12)
    record = json.loads((tmp_path / "blend.run.json").read_text())
    assert [one["model_sha256"] for one in record["models"]] == [open_model(one).digest for one in models]


def test_models_of_a_blend_share_a_backbone(trained, coarse, weighed_photos, tmp_path, monkeypatch):
    opened, open_backbone = [], model_module.open_backbone

    def counted(source, **how):
        opened.append(source)
        return open_backbone(source, **how)

    monkeypatch.setattr(model_module, "open_backbone", counted)
    models = [trained / "model", coarse]
    steps.submit(models, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "s.csv")
    assert [source for source in opened if isinstance(source, str)] == ["texture"]


def test_models_that_cannot_be_blended_are_refused_before_anything_is_estimated(
    trained, coarse, farm, weighed_photos, tmp_path
):
    def refusal(*models):
        with pytest.raises(InputInvalid) as caught:
            steps.submit(models, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "s.csv")
        assert not (tmp_path / "s.csv").exists()
        return str(caught.value)

    shutil.copytree(trained / "model", tmp_path / "copy")
    assert "are the same model" in refusal(trained / "model", coarse, tmp_path / "copy")
    assert "does not estimate Dry_Clover_g" in refusal(trained / "model", farm / "model")
    assert "expected at least one model" in refusal()
    larger = HerbageModel.from_pretrained(coarse)
    training = larger.evidence.training.model_copy(update={"quadrat_area_m2": 0.25})
    larger.evidence = replace(larger.evidence, training=training)
    assert "quadrats of 0.21 m2, coarse on quadrats of 0.25 m2" in refusal(trained / "model", larger)


def test_a_folder_in_place_of_the_test_table_is_named(trained, weighed_photos, tmp_path, capsys):
    command = ["submit", str(trained / "model"), str(trained / "model"), "--photos", str(weighed_photos)]
    assert run([*command, "--out", str(tmp_path / "s.csv")]) == 2
    assert "is a folder: expected a table, as .csv or .xlsx." in capsys.readouterr().err


def test_a_submission_file_and_a_table_in_place_of_a_model_are_named(trained, weighed_photos, tmp_path, capsys):
    model, test, sample = trained / "model", weighed_photos / "test.csv", tmp_path / "sample_submission.csv"
    sample.write_text("sample_id,target\na__GDM_g,0\n")
    options = ["--photos", str(weighed_photos), "--out", str(tmp_path / "s.csv")]
    assert run(["submit", str(model), str(sample), *options]) == 2
    assert "has the columns of a submission: expected the test table, usually test.csv" in capsys.readouterr().err
    assert run(["submit", str(test), str(model), *options]) == 2
    assert "test.csv is a file: expected a model" in capsys.readouterr().err


def test_training_photos_in_a_test_table_and_a_backbone_for_a_blend_are_remarked(
    trained, coarse, weighed_photos, tmp_path, caplog, tiny_dinov2
):
    options = {"photos": weighed_photos, "out": tmp_path / "s.csv"}
    steps.submit(trained / "model", weighed_photos / "test.csv", **options)
    assert "The model was trained on 24 of these 24 photos: is this the test table?" in caplog.text
    with pytest.raises(BackboneInvalid, match="Without `backbone`, each model uses its own"):
        steps.submit(
            [trained / "model", coarse], weighed_photos / "test.csv", **options, overwrite=True, backbone=tiny_dinov2
        )


def test_a_submission_and_the_crosspvt_recipe_need_all_five_weights(farm, tmp_path):
    pd.DataFrame({"sample_id": ["a"], "image_path": ["photos/sward_00.jpg"], "target_name": ["GDM_g"]}).to_csv(
        tmp_path / "test.csv", index=False
    )
    with pytest.raises(
        InputInvalid,
        match="The competition needs all five weights; .*model does not estimate Dry_Clover_g, Dry_Dead_g, ",
    ):
        steps.submit(farm / "model", tmp_path / "test.csv", photos=farm, out=tmp_path / "s.csv")
    table = pd.read_excel(farm / "weighed.xlsx").rename(columns={"Photo": "image_path", "Yield (kg/ha)": "Dry_Total_g"})
    with pytest.raises(InputInvalid, match="Recipe crosspvt needs all five weights, and the table lacks Dry_Clover_g"):
        steps.train(
            table, photos=farm, recipe="crosspvt", backbone="texture", group_by=["Farm"], folds=3, unit="kg_per_ha"
        )
