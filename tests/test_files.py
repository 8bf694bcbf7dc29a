from contextlib import suppress

from herbage.files import new_folder


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
