"""The JavaScript packages of the static site are the pinned ones, or a message says how to get them."""

import re
import shutil

import pytest

from herbage.errors import InputInvalid
from herbage.page import runtime as module
from herbage.page.runtime import PACK, PACKAGES, runtime_files
from tests.conftest import posix_only


def test_a_package_that_is_another_one_is_refused(runtime, tmp_path):
    folder = shutil.copytree(runtime, tmp_path / "runtime")
    place = folder / PACKAGES[1].tarball
    place.write_bytes(place.read_bytes() + b" ")
    with pytest.raises(InputInvalid, match=re.escape(f"{place} is not exifreader@4.46.0: its sha512")):
        dict(runtime_files(folder))
    place.unlink()
    with pytest.raises(InputInvalid, match=re.escape(f"has no readable exifreader-4.46.0.tgz. To get it, run: {PACK}")):
        dict(runtime_files(folder))


@posix_only(reason="the npm of this test is a shell script")
def test_packages_are_fetched_once_and_failures_name_the_way_out(runtime, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputInvalid, match=re.escape("needs npm, once") + ".*" + re.escape(PACK)):
        dict(runtime_files())
    npm = tmp_path / "bin/npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho npm error network down >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(InputInvalid, match=re.escape("(npm error network down). Without a network, pass as `runtime`")):
        dict(runtime_files())

    def pack(command, **options):
        for spec in command[command.index("--pack-destination") + 2 :]:
            name = f"{spec.replace('@', '-')}.tgz"
            shutil.copy(runtime / name, options["cwd"] / name)
        calls.append(command)

    calls = []
    monkeypatch.setattr(module.subprocess, "run", pack)
    first, second = dict(runtime_files()), dict(runtime_files())
    assert first == second
    assert len(calls) == 1
    assert {"ort.wasm.min.js", "ort.LICENSE.txt", "exif-reader.js", "exif-reader.LICENSE.txt"} <= set(first)
