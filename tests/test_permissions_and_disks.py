"""Folders and photos without permissions, and full disks."""

import os
import shutil
import signal
import subprocess

import pytest

from herbage import steps
from tests.conftest import HERBAGE, PATIENCE_S, photos_that_differ, stop_midway, tokens_of

resource = pytest.importorskip("resource", reason="Windows has other permissions, and no limits of a process")

BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Root ignores permissions, so as root commands are started without the capabilities that allow this."""

TEXTURE = ["--recipe", "seed", "--backbone", "texture", "--quiet"]


with_permissions = pytest.mark.skipif(
    bool(BOUND) and not shutil.which("setpriv"), reason="root without setpriv: permissions cannot be tested"
)


def herbage(*arguments, **options):
    return subprocess.run(
        [*BOUND, *HERBAGE, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S, **options
    )


@with_permissions
def test_a_folder_that_is_not_writable_is_one_message(model_folder, weighed_photos, tmp_path):
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


@with_permissions
def test_a_read_only_store_is_read(weighed_photos, model_folder, tmp_path):
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


@with_permissions
def test_a_run_that_loses_a_permission_resumes_after_its_rows(weighed_photos, model_folder, tmp_path):
    photos = photos_that_differ(weighed_photos, tmp_path / "photos", copies=2)
    out = tmp_path / "out"
    command = ["predict", model_folder, photos, "--out", out, "--maps"]
    process = stop_midway(
        [*BOUND, *HERBAGE, *command], lambda: len(list((out / "maps").glob("*.npy"))), least=3, most=46,
        again=lambda: shutil.rmtree(out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    (out / "maps").chmod(0o555)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "Permission denied" in errors
    assert "maps" in errors
    assert "Traceback" not in errors
    reused = (out / "predictions.csv").read_bytes().count(b"\n") - 1
    (out / "maps").chmod(0o755)
    again = herbage(*command)
    assert again.returncode == 0, again.stderr
    assert f"{reused} of 48 photos are already in the table" in again.stderr
    steps.predict(model_folder, photos, out=tmp_path / "uninterrupted", maps=True)
    for name in ("predictions.csv", "report.html", "maps/1__ID9.png.png", "maps/1__ID9.png.npy"):
        assert (out / name).read_bytes() == (tmp_path / "uninterrupted" / name).read_bytes()


@with_permissions
def test_photos_and_folders_without_read_permission_are_named(weighed_photos, tmp_path):
    photos = photos_that_differ(weighed_photos, tmp_path / "photos", copies=1)
    shutil.copytree(photos / "0", photos / "closed")
    (photos / "closed").chmod(0)
    (photos / "0/ID3.png").chmod(0)
    done = herbage("extract", photos, "--store", tmp_path / "store", *TEXTURE)
    (photos / "closed").chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert "0/ID3.png could not be read: Permission denied" in done.stdout
    assert f"Could not search {photos / 'closed'} for photos: Permission denied" in done.stderr
    assert done.stdout.startswith("23 photos extracted")


def test_a_full_disk_is_one_message_and_the_next_run_completes(weighed_photos, tmp_path):
    command = [*HERBAGE, "extract", weighed_photos / "train", "--store", tmp_path / "store", "--recipe", "seed"]
    command += ["--backbone", "texture", "--quiet"]
    first = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: limit_files(100_000), timeout=PATIENCE_S
    )
    assert first.returncode == 2
    assert "File too large" in first.stderr
    assert ".safetensors" in first.stderr
    assert "Traceback" not in first.stderr
    assert tokens_of(tmp_path / "store") == {}
    assert list((tmp_path / "store").rglob("*.tmp")) == []
    assert subprocess.run(command, timeout=PATIENCE_S).returncode == 0
    assert len(tokens_of(tmp_path / "store")) == 24


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
