"""Commands that are killed or interrupted, and run again: docs/reliability.md has the promises."""

import csv
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from PIL import ExifTags, Image

from herbage import steps
from herbage.errors import OutputExists
from tests.conftest import HERBAGE, PATIENCE_S, photos_that_differ, stop_midway


def test_predict_killed_at_any_moment_goes_on_behind_its_rows_and_ends_the_same(model_folder, many, tmp_path):
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
    assert all(len(row) == len(found[0]) for row in found[:-1]), "but for the last, every row is whole"
    again = subprocess.run(command, timeout=PATIENCE_S, capture_output=True, text=True)
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


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT])
def test_what_is_done_when_it_dies_stays_done(weighed_photos, tmp_path, death):
    """The command is killed half way; run again, it does the rest, and the files equal those of an unbroken run."""
    photos = photos_that_differ(weighed_photos, tmp_path / "photos", copies=3)
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    command = [*HERBAGE, "extract", str(photos), "--store", str(broken)]
    command += ["--backbone", "texture", "--recipe", "seed", "--quiet"]
    process = stop_midway(
        command, lambda: len(list(broken.rglob("*.safetensors"))), least=5, most=70,
        again=lambda: shutil.rmtree(broken), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.send_signal(death)
    process.send_signal(signal.SIGCONT)
    said = process.communicate()[1].decode()
    assert process.returncode == (130 if death == signal.SIGINT else -death), said
    if death == signal.SIGINT:
        assert "Interrupted; finished work is kept." in said
    done = len(list(broken.rglob("*.safetensors")))
    assert done >= 5
    after = steps.extract(photos, store=broken, recipe="seed", backbone="texture")
    assert after.made == 72 - after.present
    assert after.present >= min(done, 72)
    steps.extract(photos, store=whole, recipe="seed", backbone="texture")

    def content(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}

    assert content(broken) == content(whole)
