from contextlib import suppress
from pathlib import Path

import pytest

from herbage.files import new_folder


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
