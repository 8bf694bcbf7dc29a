import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from herbage.app.cli import run
from herbage.model.model import HerbageModel
from herbage.targets import TARGETS

COMMANDS = ["demo", "extract", "train", "score", "predict", "submit", "import-heads", "check"]
TEXTURE = ["--backbone", "texture", "--quiet"]


@pytest.fixture(scope="module")
def trained(weighed_photos, tmp_path_factory):
    out, recipe = tmp_path_factory.mktemp("cli"), tmp_path_factory.mktemp("recipe") / "small.toml"
    recipe.write_text('backbone="texture"\ncrops="halves"\ngrid=8\nviews=1\nheads="ridge"\nbalance=true\n')
    command = ["train", weighed_photos / "train.csv", "--photos", weighed_photos, "--model", out / "model"]
    assert run([*map(str, [*command, "--recipe", recipe]), *TEXTURE]) == 0
    return out


def test_help_lists_every_command_and_each_has_examples(capsys):
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in COMMANDS)
    for command in COMMANDS:
        assert run([command, "--help"]) == 0
        assert f"herbage {command}" in capsys.readouterr().out.split("For example:")[1]


@pytest.mark.parametrize(("arguments", "said"), [
    (["trian"], 'Did you mean "train"?'),
    (["extract", "p", "--stroe", "s"], 'Did you mean --store'),
    (["extract"], "--photos"),
    (["train", "t.csv", "--photos", "p", "--model", "m", "--folds", "many"], "many"),
    (["predict", "m", "p", "--out", "o", "--precision", "fp8"], "fp8"),
    (["predict", "no/such/model", "p", "--out", "o"], "neither a model folder here nor"),
    (["extract", "no/such/folder", "--store", "s"], "is not there"),
])  # fmt: skip
def test_a_wrong_call_is_one_message_on_standard_error_and_exit_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_train_leaves_the_model_and_tokens_beside_it_and_prints_the_score(trained, weighed_photos, tmp_path, capsys):
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
    about = HerbageModel.from_pretrained(tmp_path / "m").about
    error, mean = about.score.targets["Dry_Total_g"].rmse_g, about.training.mean_g[3]
    assert f"Dry_Total_g: RMSE {error:.1f} g a quadrat, mean {mean:.1f} g" in out
    assert f"in kg DM/ha {error * 10 / 0.21:,.0f} and {mean * 10 / 0.21:,.0f} (quadrats of 0.21 m2)" in out
    assert all(line.startswith("The floor «") for line in err.splitlines())


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


def test_predict_takes_away_its_own_old_maps_and_nothing_else(trained, survey, tmp_path):
    out = tmp_path / "results"
    (out / "maps").mkdir(parents=True)
    for name in ("farm.png", "soil.npy"):
        (out / "maps" / name).touch()
    command = ["predict", str(trained / "model"), str(survey), "--out", str(out), "--quiet"]
    assert run([*command, "--maps", "--paddocks", "folder"]) == 1
    of_paddocks = {"paddocks.csv", "paddocks.geojson", "wedge.png"}
    assert of_paddocks <= {path.name for path in out.iterdir()}
    (survey / "b <script>.png").unlink()
    assert run([*command, "--maps", "--overwrite"]) == 1
    assert {path.name for path in (out / "maps").iterdir()} == {"farm.png", "soil.npy", "a.jpg.png", "a.jpg.npy"}
    assert not of_paddocks & {path.name for path in out.iterdir()}
    assert run([*command, "--overwrite"]) == 1
    assert {path.name for path in (out / "maps").iterdir()} == {"farm.png", "soil.npy"}


def test_a_call_that_fails_leaves_no_folder_behind(trained, survey, tmp_path, capsys):
    here, model = tmp_path / "deep" / "results", str(trained / "model")
    assert run(["predict", model, str(survey / "none"), "--out", str(here)]) == 2
    assert run(["predict", str(survey), str(survey), "--out", str(here)]) == 2
    assert run(["submit", model, str(tmp_path / "no.csv"), "--photos", str(survey), "--out", str(here / "s.csv")]) == 2
    assert run(["train", str(tmp_path / "no.csv"), "--photos", str(survey), "--model", str(here), *TEXTURE]) == 2
    assert not here.parent.exists()
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert run(["predict", model, str(survey), "--out", str(tmp_path / "file" / "results")]) == 2
    assert "Not a directory" in capsys.readouterr().err


@pytest.fixture
def survey(weighed_photos, tmp_path):
    """Two photos, one with GPS, and a broken one."""
    photos = tmp_path / "survey"
    photos.mkdir()
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "S", (42.0, 30.0, 36.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (147.0, 15.0, 0.0)
    Image.open(weighed_photos / "train/ID0.png").save(photos / "a.jpg", exif=exif)
    shutil.copy(weighed_photos / "train/ID1.png", photos / "b <script>.png")
    (photos / "c.jpg").write_bytes(b"broken")
    return photos


def test_predict_writes_every_kind_of_result_and_names_what_failed(trained, survey, tmp_path, capsys):
    out = tmp_path / "results"
    command = ["predict", str(trained / "model"), str(survey), "--out", str(out), "--maps", "--level", "0.7", "--quiet"]
    assert run(command) == 1
    said = capsys.readouterr().out
    assert "2 photos estimated, 1 failed, 1 without GPS, " in said
    assert "failed: c.jpg is not a readable image" in said
    frame = pd.read_csv(out / "predictions.csv")
    assert frame["status"].tolist() == ["ok", "ok", "unreadable"]
    assert frame.loc[2, list(TARGETS)].isna().all()
    assert "not a readable image" in frame.loc[2, "message"]
    assert frame.loc[0, "latitude"] == -42.51
    points = json.loads((out / "photos.geojson").read_text())["features"]
    assert [p["geometry"]["coordinates"] for p in points] == [[147.25, -42.51]]
    assert points[0]["properties"]["Dry_Total_g"] == frame.loc[0, "Dry_Total_g"]
    for kind in ("png", "npy"):
        names = sorted(p.name for p in (out / "maps").glob(f"*.{kind}"))
        assert names == [f"a.jpg.{kind}", f"b <script>.png.{kind}"]
    report = (out / "report.html").read_text()
    assert "b &lt;script&gt;.png" in report
    assert "<script" not in report
    assert run(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run([*command, "--overwrite"]) == 1


@pytest.mark.parametrize(("option", "latitude"), [(["--no-coordinates"], None), (["--round-coordinates", "1"], -42.5)])
def test_coordinates_can_be_kept_back_everywhere(trained, survey, tmp_path, option, latitude):
    out = tmp_path / "results"
    run(["predict", str(trained / "model"), str(survey), "--out", str(out), "--quiet", *option])
    row = pd.read_csv(out / "predictions.csv").iloc[0]
    assert pd.isna(row["latitude"]) if latitude is None else row["latitude"] == latitude
    assert "42.51" not in "".join(p.read_text() for p in out.iterdir() if p.is_file())


def test_a_file_name_that_is_a_formula_stays_text(trained, weighed_photos, tmp_path):
    (tmp_path / "p").mkdir()
    shutil.copy(weighed_photos / "train/ID0.png", tmp_path / "p/=1+1.png")
    run(["predict", str(trained / "model"), str(tmp_path / "p"), "--out", str(tmp_path / "r"), "--quiet"])
    assert pd.read_csv(tmp_path / "r/predictions.csv").loc[0, "photo"] == "'=1+1.png"


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


def test_extract_says_what_is_there_and_what_is_missing(weighed_photos, tmp_path, capsys):
    command = ["extract", str(weighed_photos / "train"), "--store", str(tmp_path / "s"), "--recipe", "seed", *TEXTURE]
    assert run([*command, "--shard", "1/2"]) == 0
    assert run([*command, "--status"]) == 0
    assert run(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "12 photos extracted, 0 in the store, 0 failed",
        "12 photos in the store, 12 missing, 0 failed",
        "12 photos extracted, 12 in the store, 0 failed",
    ]


def test_check_says_what_this_machine_has(capsys):
    assert run(["check", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert "texture" in "".join(facts)


def test_output_that_nobody_reads_is_no_traceback(trained):
    code = "from herbage.app.cli import main; main()"
    result = subprocess.run(
        f"{sys.executable} -c '{code}' score {trained / 'model'} | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr
