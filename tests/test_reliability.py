"""Faults made on purpose: what is promised in docs/reliability.md."""

import csv
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from herbage import steps
from herbage.errors import ModelInvalid
from herbage.model.model import HerbageModel
from herbage.photos.photo import find_photos
from tests.conftest import HERBAGE, photos_that_differ

NAMES = [
    "a b.png", "quote'\".png", "line\nbreak.png", "שלום.png", "\u202egnp.exe.png", "😀.png", "=1+1.png", "<b>x<&.png",
    "a,b;c.png", "ü" * 100 + ".png", "-rf.png", "%s%n{0}.png",
]  # fmt: skip


@pytest.fixture
def model(quick_model):
    return quick_model


@pytest.fixture
def model_folder(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def many(weighed_photos, tmp_path_factory):
    """Forty-eight photos that all differ."""
    return photos_that_differ(weighed_photos, tmp_path_factory.mktemp("many") / "photos", copies=2)


def test_photos_of_any_name_have_their_rows_maps_and_places_in_the_report(model, weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in NAMES:
        shutil.copy(weighed_photos / "train/ID1.png", photos / name)
    os.link(photos / "a b.png", os.fsencode(photos) + b"/\xff\xfe.png")
    done = steps.predict(model, photos, out=tmp_path / "out", maps=True, paddocks="folder")
    assert (done.estimated, done.failed) == (len(NAMES) + 1, {})
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    assert len(table) == len(NAMES) + 1
    assert table["Dry_Total_g"].nunique() == 1
    assert not table["photo"].str.match(r"[=+\-@]").any()
    assert len(list((tmp_path / "out/maps").glob("*.png"))) == len(NAMES) + 1
    report = (tmp_path / "out/report.html").read_text("utf-8")
    assert "<b>x" not in report
    assert "&lt;b&gt;x&lt;&amp;.png" in report


def test_links_that_go_in_circles_end(weighed_photos, tmp_path):
    shutil.copy(weighed_photos / "train/ID1.png", tmp_path / "a.png")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [file.name for file in find_photos(tmp_path)] == ["a.png"]


def test_a_photo_that_vanishes_after_it_was_listed_is_a_row(model, weighed_photos, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    shutil.copytree(weighed_photos / "train", photos)
    listed = find_photos(photos)
    monkeypatch.setattr("herbage.steps.predicting.find_photos", lambda where: listed)
    (photos / "ID3.png").unlink()
    (photos / "ID4.png").unlink()
    (photos / "ID4.png").mkdir()
    done = steps.predict(model, photos, out=tmp_path / "out")
    assert set(done.failed) == {"ID3.png", "ID4.png"}
    assert "No such file" in done.failed["ID3.png"]
    assert done.estimated == 22


def test_two_processes_fill_one_store(many, tmp_path):
    both = [
        subprocess.Popen(
            [*HERBAGE, "extract", many, "--store", tmp_path / "store", "--backbone", "texture", "--recipe", "seed", "--quiet"]
        )
        for _ in range(2)
    ]  # fmt: skip
    assert [one.wait(120) for one in both] == [0, 0]
    alone = steps.extract(many, store=tmp_path / "alone", recipe="seed", backbone="texture")
    assert alone.made == 48
    assert tokens_of(tmp_path / "store") == tokens_of(tmp_path / "alone")


def test_a_full_disk_is_one_message_and_what_was_done_stays(weighed_photos, tmp_path):
    command = [*HERBAGE, "extract", weighed_photos / "train", "--store", tmp_path / "store", "--recipe", "seed"]
    command += ["--backbone", "texture", "--quiet"]
    first = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: limit_files(100_000), timeout=120
    )
    assert first.returncode == 2
    assert "File too large" in first.stderr
    assert ".safetensors" in first.stderr
    assert "Traceback" not in first.stderr
    assert tokens_of(tmp_path / "store") == {}
    assert list((tmp_path / "store").rglob("*.tmp")) == []
    assert subprocess.run(command, timeout=120).returncode == 0
    assert len(tokens_of(tmp_path / "store")) == 24


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(lambda tensors: dict(list(tensors.items())[1:]), ".", id="a tensor is missing"),
        pytest.param(
            lambda tensors: {k: torch.full_like(v, torch.nan) if v.is_floating_point() and "heads" in k else v for k, v in tensors.items()},
            "not finite", id="NaN",
        ),
        pytest.param(
            lambda tensors: {k: v[..., :1].contiguous() if v.ndim > 1 else v for k, v in tensors.items()}, ".", id="another shape"
        ),
    ],
)  # fmt: skip
def test_a_model_with_harmed_tensors_is_refused(model_folder, harm, said):
    file = model_folder / "model.safetensors"
    save_file(harm(load_file(file)), file)
    with pytest.raises(ModelInvalid, match=said):
        HerbageModel.from_pretrained(model_folder)


def test_a_header_that_lies_about_its_size_is_refused(model_folder):
    file = model_folder / "model.safetensors"
    for length in (2**63, 2**40, 0, 7):
        file.write_bytes(
            length.to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[99999999],"data_offsets":[0,4]}}'
        )
        with pytest.raises(ModelInvalid, match="damaged"):
            HerbageModel.from_pretrained(model_folder)


def test_predict_killed_at_any_moment_leaves_whole_rows_and_ends_the_same(model_folder, many, tmp_path):
    command = [*HERBAGE, "predict", model_folder, many, "--out", tmp_path / "out", "--overwrite", "--quiet"]
    process = subprocess.Popen(command)
    rows = tmp_path / "out/predictions.csv"
    deadline = time.monotonic() + 60
    while not rows.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.4))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with rows.open(newline="") as file:
        found = list(csv.reader(file))
    assert all(len(row) == len(found[0]) for row in found[:-1]), "but for the last, every row is whole"
    assert subprocess.run(command, timeout=120).returncode == 0
    steps.predict(model_folder, many, out=tmp_path / "unbroken")
    for name in ("predictions.csv", "photos.geojson", "report.html"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in (tmp_path / "unbroken").iterdir()
    }


def tokens_of(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
