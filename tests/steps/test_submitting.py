"""`herbage submit` and `steps.submit`."""

import shutil

import numpy as np
import pandas as pd
import pytest

from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid


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


def test_a_submission_and_the_crosspvt_recipe_need_all_five_weights(farm, tmp_path):
    pd.DataFrame({"sample_id": ["a"], "image_path": ["photos/sward_00.jpg"], "target_name": ["GDM_g"]}).to_csv(
        tmp_path / "test.csv", index=False
    )
    with pytest.raises(
        InputInvalid,
        match="The competition needs all five weights; this model does not estimate Dry_Clover_g, Dry_Dead_g, ",
    ):
        steps.submit(farm / "model", tmp_path / "test.csv", photos=farm, out=tmp_path / "s.csv")
    table = pd.read_excel(farm / "weighed.xlsx").rename(columns={"Photo": "image_path", "Yield (kg/ha)": "Dry_Total_g"})
    with pytest.raises(InputInvalid, match="Recipe crosspvt needs all five weights, and the table lacks Dry_Clover_g"):
        steps.train(
            table, photos=farm, recipe="crosspvt", backbone="texture", group_by=["Farm"], folds=3, unit="kg_per_ha"
        )
