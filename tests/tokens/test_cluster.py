"""Extraction by a Ray cluster of this machine alone, whose workers are killed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from herbage import steps
from herbage.errors import InputInvalid
from herbage.photos.photo import PhotoFile
from herbage.tokens.cluster import MAX_TRIES, _Attempts
from tests.conftest import HERBAGE, PATIENCE_S, photos_that_differ, posix_only, stop_midway

pytest.importorskip("ray")

WORKER = b"ray::MapWorker"

POISON = """
import os, signal, sys, time
from functools import partial
from pathlib import Path
from herbage.photos.discovery import find_photos
from herbage.tokens.cluster import Cluster, stream_on_cluster

def make_task(folder):
    def task(files):
        for file in files:
            (folder / f"{file.name}.{os.getpid()}").touch()
            if file.name == "ID5.png":
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGKILL)
            yield file, "broken" if file.name == "ID3.png" else file.name
    return task

if __name__ == "__main__":
    files = find_photos(sys.argv[1])
    folder = Path(sys.argv[2])
    for file, result in stream_on_cluster(files, partial(make_task, folder), Cluster("auto", folder / ".attempts", "ask again", worker_cpus=1)):
        print(file.name, result, sep="|")
"""


@pytest.fixture(scope="module")
def photos(weighed_photos, tmp_path_factory):
    """Forty-eight photos that all differ, and a broken one."""
    place = photos_that_differ(weighed_photos, tmp_path_factory.mktemp("cluster") / "photos", copies=2)
    (place / "broken.jpg").write_bytes(b"not a photo")
    return place


def workers(of):
    """The processes of this cluster's workers that have started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line, parents = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
        except OSError:
            continue
        if line.startswith(WORKER) and str(of).encode() in parents:
            found.append(int(place.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found below /proc")
def test_a_killed_worker_is_replaced_and_the_bytes_equal_those_without_a_cluster(photos, tmp_path):
    store = tmp_path / "cluster"
    command = [*HERBAGE, "extract", str(photos), "--store", str(store), "--backbone", "texture", "--recipe", "seed"]
    process = stop_midway(
        [*command, "--cluster", "auto", "--worker-cpus", "1", "--quiet"],
        lambda: len(list(store.rglob("*.safetensors"))), least=5, most=47, again=lambda: shutil.rmtree(store),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"HERBAGE_TEST": str(tmp_path)},
    )  # fmt: skip
    found = workers(tmp_path)
    assert found, "a worker is running"
    os.kill(found[0], signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, errors
    made, present, failed = map(int, re.findall(r"\d+", out.splitlines()[0]))
    assert (made + present, failed) == (48, 1)
    assert "broken.jpg is not a readable image" in out
    assert "was skipped" not in errors
    plain = steps.extract(photos, store=tmp_path / "plain", recipe="seed", backbone="texture")
    assert plain.made == 48

    def content(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}

    assert content(store) == content(tmp_path / "plain")
    assert list((store / ".attempts").iterdir()) == []


@posix_only(reason="Windows has no signal that kills")
def test_a_photo_that_kills_its_worker_twice_is_skipped_and_named(weighed_photos, tmp_path):
    script = tmp_path / "poison.py"
    script.write_text(POISON, "utf-8")
    (tmp_path / "attempted").mkdir()
    done = subprocess.run(
        [sys.executable, str(script), str(weighed_photos / "train"), str(tmp_path / "attempted")],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [path.name for path in sorted((weighed_photos / "train").iterdir())]
    for name, result in rows:
        if name == "ID5.png":
            assert "ID5.png was skipped: 2 workers died while processing it" in result
        else:
            assert result == ("broken" if name == "ID3.png" else name)
    assert len(list((tmp_path / "attempted").glob("ID5.png.*"))) == 2, "tried twice, by two workers"
    assert len(list((tmp_path / "attempted/.attempts").iterdir())) == 1


def test_a_run_that_was_stopped_from_outside_skips_nothing(tmp_path):
    attempts = _Attempts(tmp_path, "say so")
    deadly, harmless = PhotoFile("deadly", Path("deadly")), PhotoFile("harmless", Path("harmless"))
    for _ in range(MAX_TRIES):
        attempts.begin(deadly)
    for _ in range(3):
        attempts.begin(harmless)  # and then the run is stopped
        _Attempts(tmp_path, "say so").clear_unfinished()
    assert (attempts.count(deadly), attempts.count(harmless)) == (MAX_TRIES, 0)
    assert str(attempts.skipped(deadly)).endswith("To try it again, say so")


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found below /proc")
def test_predict_with_a_killed_worker_resumes_and_writes_the_same_files_as_without_a_cluster(
    quick_model, photos, tmp_path
):
    model, out = tmp_path / "model", tmp_path / "cluster"
    quick_model.save_pretrained(model)
    command = [*HERBAGE, "predict", str(model), str(photos), "--out", str(out), "--paddocks", "folder", "--maps"]
    command += ["--cluster", "auto", "--worker-cpus", "1"]
    rows, killed = out / "predictions.csv", []

    def kill_a_worker():
        killed[:] = workers(tmp_path)[:1]
        for one in killed:
            with suppress(ProcessLookupError):  # the worker ended by itself
                os.kill(one, signal.SIGKILL)
        time.sleep(1)

    process = stop_midway(
        command, lambda: rows.read_bytes().count(b"\n") if rows.exists() else 0, least=10, most=49,
        before=kill_a_worker, again=lambda: shutil.rmtree(out),
        stderr=subprocess.PIPE, text=True, env=os.environ | {"HERBAGE_TEST": str(tmp_path)},
    )  # fmt: skip
    assert killed, "a worker is running"
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert again.returncode == 1, again.stderr
    assert re.search(r"\d+ of 49 photos are already in the table", again.stderr)
    steps.predict(model, photos, out=tmp_path / "plain", paddocks="folder", maps=True)

    def content(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    ended, plain = content(out), content(tmp_path / "plain")
    assert set(ended) == set(plain)
    assert [str(name) for name in ended if ended[name] != plain[name]] == ["run.json"]


def test_a_cluster_that_cannot_be_reached_is_one_message(weighed_photos, tmp_path):
    with pytest.raises(InputInvalid, match="`cluster=no-such-place:1`: no Ray cluster answers at this address"):
        steps.extract(
            weighed_photos / "train", store=tmp_path, recipe="seed", backbone="texture", cluster="no-such-place:1"
        )
