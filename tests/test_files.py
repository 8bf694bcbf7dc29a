import ntpath
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from herbage.errors import InputInvalid
from herbage.files import _replace, common_folder, new_folder


def test_a_new_folder_replaces_the_old_one_only_when_it_is_complete(tmp_path):
    place = tmp_path / "model"
    with new_folder(place) as new:
        (new / "a").write_text("first")
        assert not place.exists()
    with suppress(KeyError), new_folder(place) as new:
        (new / "a").write_text("second")
        raise KeyError
    assert (place / "a").read_text("utf-8") == "first"
    with new_folder(place) as new:
        (new / "b").write_text("third")
        assert (place / "a").read_text("utf-8") == "first"
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "b"]


def test_the_old_folder_is_restored_where_the_new_one_cannot_be_renamed(tmp_path, monkeypatch):
    place = tmp_path / "model"
    place.mkdir()
    (place / "a").write_text("first")
    rename = Path.rename

    def fails(self, target):
        if self.name.endswith(".new"):
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="no"), new_folder(place) as new:
        (new / "a").write_text("second")
    assert [path.read_text("utf-8") for path in tmp_path.rglob("a")] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_that_another_program_has_open_is_replaced_as_soon_as_it_is_closed(tmp_path, monkeypatch):
    """As on Windows, where a virus scanner opens every new file."""
    new, place, refused = tmp_path / "new", tmp_path / "place", []
    new.write_text("second")
    place.write_text("first")
    replace = Path.replace

    def refuse_twice(self, target):
        if len(refused) < 2:
            refused.append(target)
            raise PermissionError
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse_twice)
    monkeypatch.setattr(os, "name", "nt")
    _replace(new, place)
    monkeypatch.undo()
    assert (place.read_text("utf-8"), len(refused)) == ("second", 2)


def test_folders_on_several_drives_have_nothing_in_common(monkeypatch):
    assert common_folder(map(PurePosixPath, ("/a/b/c", "/a/b/d"))) == Path("/a/b")
    monkeypatch.setattr(os.path, "commonpath", ntpath.commonpath)
    with pytest.raises(InputInvalid, match="The photos are on several drives"):
        common_folder(map(PureWindowsPath, ("C:/photos", "D:/photos")))
