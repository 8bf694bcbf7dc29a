import shutil

import pytest

from herbage.errors import PhotosMissing, PhotoUnreadable
from herbage.photos.discovery import find_photos
from herbage.photos.photo import open_photo
from tests.photos.test_photo import corner_photo


def test_photos_are_found_in_a_folder_a_file_and_a_list(tmp_path):
    (tmp_path / "sub dir").mkdir()
    for name in ("b.jpg", "a.PNG", "sub dir/c é.webp", ".hidden.jpg"):
        corner_photo().save(tmp_path / name)
    (tmp_path / "notes.md").write_text("no photo")
    assert [f.name for f in find_photos(tmp_path)] == ["a.PNG", "b.jpg", "sub dir/c é.webp"]
    assert [f.name for f in find_photos(tmp_path / "b.jpg")] == ["b.jpg"]
    (tmp_path / "list.txt").write_text("sub dir/c é.webp\n\ngone.jpg\n")
    listed = find_photos(tmp_path / "list.txt")
    assert [f.name for f in listed] == ["sub dir/c é.webp", "gone.jpg"]
    assert listed[0].path.is_file()


@pytest.mark.parametrize(("make", "message"), [
    (lambda p: p.mkdir(), "contains no photos"),
    (lambda p: None, "does not exist"),
    (lambda p: p.write_text("\n\n"), "lists no photos"),
    (lambda p: p.write_bytes(b"\xff\xfe\x00"), "neither a photo"),
])  # fmt: skip
def test_finding_nothing_is_one_message(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(PhotosMissing, match=message):
        find_photos(tmp_path / "x")


def test_a_list_from_a_spreadsheet_with_a_line_that_is_not_a_path(tmp_path):
    corner_photo().save(tmp_path / "a.jpg")
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.jpg\r\nb\x00.jpg\r\n")
    good, bad = find_photos(tmp_path / "list.txt")
    assert open_photo(good).pixels().shape == (4, 8, 3)
    with pytest.raises(PhotoUnreadable):
        open_photo(bad)


def test_circular_links_end(weighed_photos, tmp_path):
    shutil.copy(weighed_photos / "train/ID1.png", tmp_path / "a.png")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [file.name for file in find_photos(tmp_path)] == ["a.png"]


def test_links_out_of_the_folder_are_followed_once(tmp_path):
    farm, disk = tmp_path / "farm", tmp_path / "disk"
    for place in (farm / "North", disk / "South"):
        place.mkdir(parents=True)
        corner_photo().save(place / "a.png")
    (disk / "South/back").symlink_to(tmp_path)  # contains the farm, the disk and this link
    (farm / "first").symlink_to(disk)
    (farm / "second").symlink_to(disk)
    (farm / "North/again").symlink_to(farm / "North")
    assert [file.name for file in find_photos(farm)] == ["North/a.png", "first/South/a.png"]


@pytest.mark.parametrize("folder", [
    ".thumbnails", ".Trash-1000", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "#recycle", "System Volume Information",
])  # fmt: skip
def test_folders_of_the_operating_system_are_not_searched(folder, tmp_path):
    for place in (tmp_path / "North", tmp_path / "North" / folder / "inner", tmp_path / folder):
        place.mkdir(parents=True)
        corner_photo().save(place / "a.png")
    assert [file.name for file in find_photos(tmp_path)] == ["North/a.png"]
