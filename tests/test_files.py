import os
from contextlib import suppress
from pathlib import Path

import pytest

from herbage.errors import OutputExists
from herbage.files import new_folder, refuse_existing
from herbage.model.folder import refuse_place
from herbage.results.export import refuse_export


def test_a_new_folder_takes_its_place_only_when_it_is_whole(tmp_path):
    place = tmp_path / "model"
    with new_folder(place) as new:
        (new / "a").write_text("first")
        assert not place.exists()
    with suppress(KeyError), new_folder(place) as new:
        (new / "a").write_text("second")
        raise KeyError
    assert (place / "a").read_text() == "first"
    with new_folder(place) as new:
        (new / "b").write_text("third")
        assert (place / "a").read_text() == "first"
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "b"]


def test_what_stood_there_comes_back_where_the_new_folder_cannot_be_put(tmp_path, monkeypatch):
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
    assert [path.read_text() for path in tmp_path.rglob("a")] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    for place in (tmp_path / "new/deep", tmp_path / "empty"):
        for refuse in (refuse_place, refuse_export):
            with pytest.raises(PermissionError):
                refuse(place, overwrite=False)
    with pytest.raises(PermissionError):
        refuse_existing(tmp_path / "new/table.csv", overwrite=False)
    with pytest.raises(OutputExists, match="is a folder; expected a file"):
        refuse_existing(tmp_path / "empty", overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
