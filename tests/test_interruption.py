"""Commands that are killed or interrupted and run again, as docs/reliability.md describes."""

import csv
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest
from PIL import ExifTags, Image

from herbage import steps
from herbage.errors import OutputExists
from herbage.farm.farm import Farm
from tests.conftest import HERBAGE, PATIENCE_S, photos_that_differ, posix_only, stop_midway
from tests.farm.walks import DAY, a_model, a_walk


def test_predict_killed_at_any_moment_resumes_after_its_rows_with_the_same_results(model_folder, many, tmp_path):
    out = tmp_path / "out"
    command = [*HERBAGE, "predict", model_folder, many, "--out", out, "--paddocks", "folder", "--maps"]
    rows = out / "predictions.csv"
    process = stop_midway(
        [*command, "--quiet"],
        lambda: rows.read_bytes().count(b"\n") if rows.exists() else 0,
        least=3, most=48, before=lambda: time.sleep(random.uniform(0, 0.4)), again=lambda: shutil.rmtree(out),
    )  # fmt: skip
    process.kill()
    process.wait()
    with rows.open(newline="") as file:
        found = list(csv.reader(file))
    assert all(len(row) == len(found[0]) for row in found[:-1]), "every row except the last is complete"
    again = subprocess.run(command, timeout=PATIENCE_S, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert re.search(r"\d+ of 48 photos are already in the table", again.stderr)
    steps.predict(model_folder, many, out=tmp_path / "uninterrupted", paddocks="folder", maps=True)
    resumed, uninterrupted = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (out, tmp_path / "uninterrupted")
    )
    assert set(resumed) == set(uninterrupted)
    assert [str(name) for name in resumed if resumed[name] != uninterrupted[name]] == ["run.json"]


def stops_after(count):
    """A `track` that is interrupted after `count` items."""

    def track(items, *_):
        for number, item in enumerate(items):
            if number == count:
                raise KeyboardInterrupt
            yield item

    return track


def test_a_resumed_run_counts_and_reports_like_an_uninterrupted_one(model, weighed_photos, tmp_path):
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
    resumed, plain = (steps.predict(model, photos, out=tmp_path / name, coordinates=False) for name in ("cut", "plain"))
    assert resumed == plain
    assert (plain.without_position, list(plain.failed)) == (3, ["=a.jpg"])
    for name in ("predictions.csv", "report.html"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_rows_of_another_request_are_never_reused(model, weighed_photos, tmp_path):
    """The run is interrupted after two rows."""
    photos, out = weighed_photos / "train", tmp_path / "out"

    with pytest.raises(KeyboardInterrupt):
        steps.predict(model, photos, out=out, track=stops_after(2))
    interrupted = (out / "predictions.csv").read_text("utf-8")
    assert interrupted.count("\n") == 3
    with pytest.raises(OutputExists, match="belongs to an interrupted run with another model or other settings"):
        steps.predict(model, photos, out=out, level=0.5)
    assert (out / "predictions.csv").read_text("utf-8") == interrupted
    steps.predict(model, photos, out=out, level=0.5, overwrite=True)
    steps.predict(model, photos, out=tmp_path / "other", level=0.5)
    assert (out / "predictions.csv").read_bytes() == (tmp_path / "other/predictions.csv").read_bytes()
    with pytest.raises(OutputExists, match="already exists; pass `overwrite=True`"):
        steps.predict(model, photos, out=out, level=0.5)


@pytest.mark.parametrize("death", ["SIGKILL", "SIGINT"])
def test_an_interrupted_extraction_resumes(weighed_photos, tmp_path, death):
    """After an interruption a second run extracts the rest; the files equal those of an uninterrupted run."""
    photos = photos_that_differ(weighed_photos, tmp_path / "photos", copies=3)
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    command = [*HERBAGE, "extract", str(photos), "--store", str(broken)]
    command += ["--backbone", "texture", "--recipe", "seed", "--quiet"]
    process = stop_midway(
        command, lambda: len(list(broken.rglob("*.safetensors"))), least=5, most=70,
        again=lambda: shutil.rmtree(broken), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.send_signal(getattr(signal, death))
    process.send_signal(signal.SIGCONT)
    errors = process.communicate()[1].decode()
    assert process.returncode == (130 if death == "SIGINT" else -signal.SIGKILL), errors
    if death == "SIGINT":
        assert "Interrupted; finished work is saved." in errors
    done = len(list(broken.rglob("*.safetensors")))
    assert done >= 5
    after = steps.extract(photos, store=broken, recipe="seed", backbone="texture")
    assert after.made == 72 - after.present
    assert after.present >= min(done, 72)
    steps.extract(photos, store=whole, recipe="seed", backbone="texture")

    def content(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}

    assert content(broken) == content(whole)


@posix_only(reason="Windows gives a file that replaces another one within 15 seconds its time of creation")
def test_rows_of_photos_that_were_replaced_since_are_estimated_again(model, weighed_photos, tmp_path):
    """A damaged photo that was copied again, with the time of its last change, and another one that was exchanged."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(6):
        shutil.copy2(weighed_photos / f"train/ID{number}.png", photos / f"p{number}.png")
    (photos / "p3.png").write_bytes((photos / "p3.png").read_bytes()[:300])
    with pytest.raises(KeyboardInterrupt):
        steps.predict(model, photos, out=tmp_path / "cut", track=stops_after(5))
    for number, other in ((3, 3), (4, 9)):
        (photos / f"p{number}.png").unlink()
        shutil.copy2(weighed_photos / f"train/ID{other}.png", photos / f"p{number}.png")
    resumed, plain = (steps.predict(model, photos, out=tmp_path / name) for name in ("cut", "plain"))
    assert resumed == plain
    assert not plain.failed
    assert (tmp_path / "cut/predictions.csv").read_bytes() == (tmp_path / "plain/predictions.csv").read_bytes()


def test_a_farm_whose_file_was_half_written_is_as_it_was_before(tmp_path):
    """Copies of the file and its journal from the middle of a transaction are what a kill leaves."""
    farm = Farm(tmp_path / "farm.gpkg")
    farm.add_estimates(a_walk(DAY, {"North": 2000.0, "South": 1500.0}, photos=100), a_model())
    before, cut = farm.visits(), tmp_path / "cut.gpkg"
    with closing(sqlite3.connect(farm.path)) as connection:
        connection.execute("PRAGMA cache_size = 5")  # so that pages are written before the transaction ends
        connection.execute("UPDATE photos SET Dry_Total_g = 0")
        shutil.copy(farm.path, cut)
        shutil.copy(f"{farm.path}-journal", f"{cut}-journal")
    with closing(sqlite3.connect(f"{cut.as_uri()}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT min(Dry_Total_g) FROM photos").fetchone() == (0,), "nothing was half written"
    assert Farm(cut).visits().equals(before)
    assert not (tmp_path / "cut.gpkg-journal").exists()
