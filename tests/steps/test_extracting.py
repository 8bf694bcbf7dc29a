"""`herbage extract` and `steps.extract`."""

import json
import os
import shutil
import subprocess
import time

from herbage import steps
from herbage.app.cli import run
from herbage.photos.discovery import find_photos
from tests.conftest import HERBAGE, PATIENCE_S, TEXTURE, tokens_of


def test_extract_prints_what_is_stored_and_what_is_missing(weighed_photos, tmp_path, capsys):
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


def test_status_counts_photos_done_missing_and_failed_until_they_are_repaired(weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(weighed_photos / "train", photos)
    (photos / "ID3.png").write_bytes(b"not a photo")
    options = {"store": tmp_path / "store", "recipe": "seed", "backbone": "texture"}
    assert steps.extraction_status(photos, **options) == steps.ExtractionStatus(0, 24, {})
    steps.extract(photos, **options, shard="1/2")
    shards = [steps.extraction_status(photos, **options, shard=shard) for shard in ("1/2", "2/2")]
    assert [(shard.present, shard.missing, len(shard.failed)) for shard in shards] == [(11, 0, 1), (0, 12, 0)]
    assert "ID3.png is not a readable image" in shards[0].failed["ID3.png"]
    shutil.copy(weighed_photos / "train/ID3.png", photos / "ID3.png")
    assert steps.extract(photos, **options).made == 13
    assert steps.extraction_status(photos, **options) == steps.ExtractionStatus(24, 0, {})


def test_two_processes_fill_one_store(many, tmp_path):
    both = [
        subprocess.Popen(
            [*HERBAGE, "extract", many, "--store", tmp_path / "store", "--backbone", "texture", "--recipe", "seed", "--quiet"]
        )
        for _ in range(2)
    ]  # fmt: skip
    assert [one.wait(PATIENCE_S) for one in both] == [0, 0]
    alone = steps.extract(many, store=tmp_path / "alone", recipe="seed", backbone="texture")
    assert alone.made == 48
    assert tokens_of(tmp_path / "store") == tokens_of(tmp_path / "alone")


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
    assert json.loads((store / "run.json").read_text("utf-8"))["seconds"] == 0


def test_ten_thousand_photos_in_one_folder(weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(10_000):
        place = photos / f"{number:05}.png"
        if number % 1000 == 0:  # a file has at most 1024 links on Windows
            source = shutil.copy(weighed_photos / "train/ID0.png", place)
        else:
            os.link(source, place)
    options = {"store": tmp_path / "store", "recipe": "seed", "backbone": "texture"}
    assert [file.name for file in find_photos(photos)[9_998:]] == ["09998.png", "09999.png"]
    first = steps.extract(photos, **options)
    assert (first.made + first.present, first.failed) == (10_000, {})
    assert steps.extraction_status(photos, **options).present == 10_000
