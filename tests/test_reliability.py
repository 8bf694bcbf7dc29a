"""Faults made on purpose: what is promised in docs/reliability.md."""

import csv
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import ExifTags, Image
from safetensors.torch import load_file, save_file

from herbage import steps
from herbage.errors import ModelInvalid, OutputExists
from herbage.model.model import HerbageModel
from herbage.photos.discovery import find_photos
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


def test_predict_killed_at_any_moment_goes_on_behind_its_rows_and_ends_the_same(model_folder, many, tmp_path):
    out = tmp_path / "out"
    command = [*HERBAGE, "predict", model_folder, many, "--out", out, "--paddocks", "folder", "--maps"]
    process = subprocess.Popen([*command, "--quiet"])
    rows = out / "predictions.csv"
    deadline = time.monotonic() + 60
    while (not rows.exists() or rows.read_bytes().count(b"\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.4))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with rows.open(newline="") as file:
        found = list(csv.reader(file))
    assert all(len(row) == len(found[0]) for row in found[:-1]), "but for the last, every row is whole"
    again = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert re.search(r"\d+ of 48 photos have their rows already", again.stderr)
    steps.predict(model_folder, many, out=tmp_path / "unbroken", paddocks="folder", maps=True)
    ended, unbroken = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (out, tmp_path / "unbroken")
    )
    assert set(ended) == set(unbroken)
    assert [str(name) for name in ended if ended[name] != unbroken[name]] == ["run.json"]


def stops_after(count):
    """A track that is interrupted after so many items."""

    def track(items, *_):
        for number, item in enumerate(items):
            if number == count:
                raise KeyboardInterrupt
            yield item

    return track


def test_a_run_that_goes_on_counts_and_reports_as_one_that_was_never_cut_off(model, weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "S", 2: (42.0, 30.0, 36.0), 3: "E", 4: (147.0, 15.0, 0.0)})
    for number in range(6):
        with Image.open(weighed_photos / f"train/ID{number}.png") as image:
            image.save(photos / f"p{number}.jpg", **({"exif": exif} if number % 2 else {}))
    (photos / "=a.jpg").write_bytes(b"no photo")

    with pytest.raises(KeyboardInterrupt):
        steps.predict(model, photos, out=tmp_path / "cut", coordinates=False, track=stops_after(4))
    went_on, plain = (steps.predict(model, photos, out=tmp_path / name, coordinates=False) for name in ("cut", "plain"))
    assert went_on == plain
    assert (plain.without_position, list(plain.failed)) == (3, ["=a.jpg"])
    for name in ("predictions.csv", "report.html"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_rows_of_another_model_are_never_gone_on_with(model, weighed_photos, tmp_path):
    """A run that is cut off after two rows, by a listing that fails."""
    photos, out = weighed_photos / "train", tmp_path / "out"

    with pytest.raises(KeyboardInterrupt):
        steps.predict(model, photos, out=out, track=stops_after(2))
    cut_off = (out / "predictions.csv").read_text()
    assert cut_off.count("\n") == 3
    with pytest.raises(OutputExists, match="begun with another model or other settings"):
        steps.predict(model, photos, out=out, level=0.5)
    assert (out / "predictions.csv").read_text() == cut_off
    steps.predict(model, photos, out=out, level=0.5, overwrite=True)
    steps.predict(model, photos, out=tmp_path / "other", level=0.5)
    assert (out / "predictions.csv").read_bytes() == (tmp_path / "other/predictions.csv").read_bytes()
    with pytest.raises(OutputExists, match="exists already"):
        steps.predict(model, photos, out=out, level=0.5)


def tokens_of(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
