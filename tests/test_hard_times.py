"""Places that cannot be written, clocks that go back, very many photos, and models of strangers."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from herbage import steps
from herbage.errors import CheckpointRefused, ModelInvalid, WeightsMissing
from herbage.model.model import HerbageModel
from herbage.model.notebook import read_head
from herbage.photos.discovery import find_photos
from tests.conftest import HERBAGE, photos_that_differ

BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Root may do everything; so that a permission means something, it is started without that power."""

TEXTURE = ["--recipe", "seed", "--backbone", "texture", "--quiet"]


@pytest.fixture(scope="module", autouse=True)
def _permissions_mean_something(tmp_path_factory):
    if BOUND and not shutil.which("setpriv"):
        pytest.skip("root without setpriv: permissions cannot be tried")


@pytest.fixture(scope="module")
def model_folder(quick_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("hard") / "model"
    quick_model.save_pretrained(place)
    return place


def herbage(*arguments, **options):
    return subprocess.run(
        [*BOUND, *HERBAGE, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def test_a_folder_that_cannot_be_written_is_one_message(model_folder, weighed_photos, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    photos = weighed_photos / "train"
    for command in (
        ["extract", photos, "--store", closed / "store", *TEXTURE],
        ["predict", model_folder, photos, "--out", closed / "out", "--quiet"],
    ):
        done = herbage(*command)
        assert done.returncode == 2
        assert "Permission denied" in done.stderr
        assert str(closed) in done.stderr
        assert "Traceback" not in done.stderr
    assert list(closed.iterdir()) == []


def test_a_store_that_may_only_be_read_is_read(weighed_photos, model_folder, tmp_path):
    photos, store = weighed_photos / "train", tmp_path / "store"
    steps.predict(model_folder, photos, out=tmp_path / "first", store=store)
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    for path in store.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    store.chmod(0o555)
    done = herbage("predict", model_folder, photos, "--out", tmp_path / "out", "--store", store, "--quiet")
    for folder in folders:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/predictions.csv").read_bytes() == (tmp_path / "first/predictions.csv").read_bytes()


def test_a_permission_lost_half_way_costs_what_is_left_and_nothing_else(weighed_photos, model_folder, tmp_path):
    photos = photos_that_differ(weighed_photos, tmp_path / "photos", copies=2)
    out = tmp_path / "out"
    command = ["predict", model_folder, photos, "--out", out, "--maps"]
    process = subprocess.Popen(
        [*BOUND, *HERBAGE, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(list((out / "maps").glob("*.npy"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    (out / "maps").chmod(0o555)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Permission denied" in said
    assert "maps" in said
    assert "Traceback" not in said
    kept = (out / "predictions.csv").read_bytes().count(b"\n") - 1
    (out / "maps").chmod(0o755)
    again = herbage(*command)
    assert again.returncode == 0, again.stderr
    assert f"{kept} of 48 photos have their rows already" in again.stderr
    steps.predict(model_folder, photos, out=tmp_path / "unbroken", maps=True)
    for name in ("predictions.csv", "report.html", "maps/1__ID9.png.png", "maps/1__ID9.png.npy"):
        assert (out / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()


def test_photos_and_folders_that_may_not_be_read_are_named(weighed_photos, tmp_path):
    photos = photos_that_differ(weighed_photos, tmp_path / "photos", copies=1)
    shutil.copytree(photos / "0", photos / "closed")
    (photos / "closed").chmod(0)
    (photos / "0/ID3.png").chmod(0)
    done = herbage("extract", photos, "--store", tmp_path / "store", *TEXTURE)
    (photos / "closed").chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert "0/ID3.png cannot be read: Permission denied" in done.stdout
    assert f"{photos / 'closed'} cannot be searched for photos: Permission denied" in done.stderr
    assert done.stdout.startswith("23 photos extracted")


def test_a_clock_that_was_set_back_costs_nothing(weighed_photos, tmp_path, monkeypatch):
    photos, store = tmp_path / "photos", tmp_path / "store"
    shutil.copytree(weighed_photos / "train", photos)
    options = {"store": store, "recipe": "seed", "backbone": "texture"}
    future = time.time() + 80 * 365 * 86_400
    for path in photos.iterdir():
        os.utime(path, (future, future))
    steps.extract(photos, **options)
    for path in store.rglob("*"):
        os.utime(path, (future, future))
    assert steps.extract(photos, **options).present == 24
    size = (photos / "ID0.png").stat().st_size
    other = (photos / "ID1.png").read_bytes()
    (photos / "ID0.png").write_bytes(other[:size] + b"\0" * max(0, size - len(other)))
    clock = iter([future, *[0.0] * 1000])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    assert steps.extract(photos, **options).present == 23, "the photo that changed, though it is older, is seen"
    assert json.loads((store / "run.json").read_text())["seconds"] == 0


def test_ten_thousand_photos_in_one_folder(weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(10_000):
        os.link(weighed_photos / "train/ID0.png", photos / f"{number:05}.png")
    options = {"store": tmp_path / "store", "recipe": "seed", "backbone": "texture"}
    assert [file.name for file in find_photos(photos)[9_998:]] == ["09998.png", "09999.png"]
    first = steps.extract(photos, **options)
    assert (first.made + first.present, first.failed) == (10_000, {})
    assert steps.extraction_status(photos, **options).present == 10_000


class Canary:
    """What a pickle may do when it is loaded."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def test_a_model_that_names_a_backbone_elsewhere_runs_nothing_of_it(model_folder, tiny_dinov2, tmp_path):
    stranger, elsewhere, sung = tmp_path / "stranger", tmp_path / "elsewhere", tmp_path / "sung"
    shutil.copytree(model_folder, stranger)
    elsewhere.mkdir()
    shutil.copy(tiny_dinov2 / "config.json", elsewhere)
    (elsewhere / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(sung)))
    config = json.loads((stranger / "config.json").read_text())
    config["backbone"]["name"] = str(stranger / "../elsewhere")
    (stranger / "config.json").write_text(json.dumps(config))
    model = HerbageModel.from_pretrained(stranger)
    with pytest.raises(WeightsMissing, match="cannot be had"):
        model.open_backbone()
    assert not sung.exists()
    pickle.loads((elsewhere / "pytorch_model.bin").read_bytes())
    assert sung.exists(), "it would have sung"


@pytest.mark.parametrize("name", ["model.safetensors", "report.html", "oof.csv", "config.json"])
def test_a_models_file_that_is_a_link_out_of_its_folder_is_not_opened(model_folder, tmp_path, name):
    stranger, secret = tmp_path / "stranger", tmp_path / "secret"
    shutil.copytree(model_folder, stranger)
    (stranger / name).rename(secret)
    (stranger / name).symlink_to(secret)
    with pytest.raises(ModelInvalid, match="leads out of the model's folder"):
        HerbageModel.from_pretrained(stranger)
    snapshot = tmp_path / "models--x/snapshots/abc"
    shutil.copytree(model_folder, snapshot)
    (tmp_path / "models--x/blobs").mkdir()
    (snapshot / name).rename(tmp_path / "models--x/blobs/123")
    (snapshot / name).symlink_to("../../blobs/123")
    HerbageModel.from_pretrained(snapshot)


def test_archives_with_names_that_climb_out_write_nothing(tmp_path):
    place = tmp_path / "a/b/c"
    place.mkdir(parents=True)
    for name in ("fold0.pt", "table.xlsx"):
        with zipfile.ZipFile(place / name, "w") as archive:
            for inside in ("../../../out.txt", "/tmp/herbage-out.txt", "archive/data.pkl"):
                archive.writestr(inside, b"out")
    with pytest.raises(CheckpointRefused):
        read_head(place / "fold0.pt")
    with pytest.raises(Exception, match="xlsx"):
        steps.train(place / "table.xlsx", photos=place, backbone="texture")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place / "fold0.pt", place / "table.xlsx"]
    assert not Path("/tmp/herbage-out.txt").exists()


def test_every_command_that_writes_says_what_it_ran_on(model_folder, weighed_photos, tmp_path):
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
        record = json.loads(place.read_text())
        assert record["command"] == command
        assert record["backbone"]["weights_sha256"]
        assert record["versions"]["torch"]
        assert record["seconds"] >= 0
        if command in ("predict", "submit", "plan-cuts"):
            assert record["model_sha256"] == digest
    assert json.loads(places["calibrate"].read_text())["source_sha256"] == digest
    assert (
        json.loads(places["calibrate"].read_text())["model_sha256"]
        == HerbageModel.from_pretrained(tmp_path / "mine").digest
    )
    commit = json.loads(places["predict"].read_text())["git_commit"]
    there = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert commit is None if there.returncode else commit.removesuffix("-dirty") == there.stdout.strip()
