"""run.json, which each command that writes leaves next to its results."""

import json
import subprocess
from pathlib import Path

import pandas as pd

from herbage import steps
from herbage.model.model import HerbageModel


def test_every_command_that_writes_records_what_it_ran_on(model_folder, weighed_photos, tmp_path):
    photos, store = weighed_photos / "train", tmp_path / "store"
    steps.extract(photos, store=store, recipe="seed", backbone="texture", shard="1/2")
    steps.predict(model_folder, photos, out=tmp_path / "results")
    steps.submit(model_folder, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "submission.csv")
    steps.plan_cuts(model_folder, photos, count=3, out=tmp_path / "cuts.csv")
    cuts = pd.read_csv(weighed_photos / "wide.csv")[::5]
    steps.calibrate(model_folder, cuts, photos=weighed_photos, model_out=tmp_path / "mine")
    places = {
        "extract": store / "run-1-of-2.json",
        "predict": tmp_path / "results/run.json",
        "submit": tmp_path / "submission.run.json",
        "plan-cuts": tmp_path / "cuts.run.json",
        "calibrate": tmp_path / "mine/run.json",
    }
    digest = HerbageModel.from_pretrained(model_folder).digest
    for command, place in places.items():
        record = json.loads(place.read_text("utf-8"))
        assert record["command"] == command
        assert record["backbone"]["weights_sha256"]
        assert record["versions"]["torch"]
        assert record["seconds"] >= 0
        if command in ("predict", "submit", "plan-cuts"):
            assert record["model_sha256"] == digest
    assert json.loads(places["calibrate"].read_text("utf-8"))["source_sha256"] == digest
    assert (
        json.loads(places["calibrate"].read_text("utf-8"))["model_sha256"]
        == HerbageModel.from_pretrained(tmp_path / "mine").digest
    )
    commit = json.loads(places["predict"].read_text("utf-8"))["git_commit"]
    there = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert commit is None if there.returncode else commit.removesuffix("-dirty") == there.stdout.strip()
