"""Names that the console cannot show never end a command, whatever its encoding is."""

import json
import os
import shutil
import subprocess

import pandas as pd
import pytest

from tests.conftest import HERBAGE, NAMES_ARE_BYTES, posix_only

ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
WINDOWS = {"PYTHONIOENCODING": "cp1252"}

BROKEN = [b"broken\xff.jpg"] if NAMES_ARE_BYTES else []

follows_locale = posix_only(reason="on Windows the encodings do not follow the locale")


def herbage(environment, *arguments):
    """Exit code, and what was printed as bytes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONUTF8", "PYTHONIO"))}
    done = subprocess.run(
        [*HERBAGE, *map(os.fsencode, arguments)], capture_output=True, env=inherited | environment, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def named(weighed_photos, tmp_path):
    """Two photos and files that are none, under names of several scripts and of no encoding."""
    photos = tmp_path / "Fotos_Süd"
    photos.mkdir()
    for name in ("Süd.png", "牧場.png"):
        shutil.copy(weighed_photos / "train/ID1.png", photos / name)
    for name in ("käse.jpg".encode(), "草地.jpg".encode(), *BROKEN):
        with open(os.fsencode(photos) + b"/" + name, "wb") as file:
            file.write(b"no photo")
    return photos


@pytest.mark.parametrize(("environment", "shown"), [
    pytest.param(ASCII, [rb"k\xe4se.jpg", rb"\u8349\u5730.jpg", rb"broken\ufffd.jpg"], marks=follows_locale, id="ascii"),
    pytest.param(WINDOWS, [b"k\xe4se.jpg", rb"\u8349\u5730.jpg", rb"broken\ufffd.jpg"], id="cp1252"),
    pytest.param({"PYTHONUTF8": "1"}, [name.encode() for name in ("käse.jpg", "草地.jpg", "broken\ufffd.jpg")], id="utf-8"),
])  # fmt: skip
def test_names_that_the_console_lacks_are_escaped_and_written_as_they_are(trained, named, tmp_path, environment, shown):
    out = tmp_path / "Ergebnis_ü"
    code, printed, errors = herbage(environment, "predict", trained / "model", named, "--out", out, "--maps")
    assert code == 1, errors
    assert b"2 photos estimated, %d failed" % (2 + len(BROKEN)) in printed
    assert all(b"failed: " + name in printed for name in shown[: 2 + len(BROKEN)]), printed
    assert b"unexpected error" not in errors
    table = pd.read_csv(out / "predictions.csv", encoding="utf-8").set_index("photo")
    assert list(table.index) == [
        "Süd.png",
        *(["broken\ufffd.jpg"] if BROKEN else []),
        "käse.jpg",
        "牧場.png",
        "草地.jpg",
    ]
    assert {path.name for path in (out / "maps").glob("*.npy")} == {"Süd.png.npy", "牧場.png.npy"}
    assert "牧場.png" in (out / "report.html").read_text("utf-8")


@follows_locale
def test_a_list_of_names_is_read_where_the_locale_has_no_such_letters(trained, named, tmp_path):
    (named / "list.txt").write_text("Süd.png\n牧場.png\n", "utf-8")
    code, printed, errors = herbage(ASCII, "predict", trained / "model", named / "list.txt", "--out", tmp_path / "r")
    assert code == 0, errors
    assert b"2 photos estimated, 0 failed" in printed


@follows_locale
def test_an_ascii_console_gets_messages_json_and_help(trained, tmp_path):
    missing = os.fsencode(tmp_path) + "/Süd".encode() + (b"\xff" if NAMES_ARE_BYTES else b"")
    code, _, errors = herbage(ASCII, "predict", trained / "model", missing, "--out", tmp_path / "r")
    assert code == 2
    assert (rb"S\xfcd\udcff" if NAMES_ARE_BYTES else rb"S\xfcd") + b" does not exist" in errors
    code, printed, _ = herbage(ASCII, "predict", "--help")
    assert code == 0
    assert printed.isascii()
    shutil.copytree(trained / "model", tmp_path / "modèle")
    code, printed, errors = herbage(ASCII, "score", tmp_path / "modèle", "--json")
    assert code == 0, errors
    assert json.loads(printed)["models"][0]["model"] == str(tmp_path / "modèle")
    code, printed, errors = herbage(ASCII, "score", tmp_path / "modèle")
    assert code == 0, errors
    assert rb"mod\xe8le" in printed
