import unicodedata
from pathlib import Path

import pytest

from herbage.errors import InputInvalid
from herbage.photos.discovery import find_photos
from herbage.photos.exif import NO_FACTS
from herbage.results.paddock_assignment import read_assignment
from herbage.tables.spreadsheet import TableFormat


def photos_of(tmp_path, *names, content=None):
    for name in names:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content or name.encode())
    return tmp_path


def by_folder(where):
    files = find_photos(where)
    read = read_assignment(files, Path(where), "folder", None, TableFormat())
    return {file.name: read.assignment.paddock_of(file, NO_FACTS) for file in files}, read


def test_a_paddock_is_the_path_below_the_photos_without_the_cameras_folders(tmp_path):
    names = ["a.jpg", "North/a.jpg", "North/100MEDIA/b.jpg", "South/DCIM/101XYZAB/a.jpg", "South/DCIM/Camera/b.jpg",
             "Home/North/100CANON/a.jpg", "100 Acres/a.jpg", "Creek/100ACRES/a.jpg"]  # fmt: skip
    paddocks, read = by_folder(photos_of(tmp_path, *names))
    assert list(map(paddocks.get, names)) == [
        "(no folder)", "North", "North", "South", "South", "Home/North", "100 Acres", "Creek/100ACRES",
    ]  # fmt: skip
    assert [(one.what, one.names) for one in read.remarks] == [
        ("camera_folders", ("100CANON", "100MEDIA", "101XYZAB", "Camera", "DCIM"))
    ]


@pytest.mark.parametrize(("listed", "paddocks"), [
    (["farm/North/100MEDIA/a.jpg", "farm/South/100MEDIA/a.jpg"], ["North", "South"]),
    (["farm/North/a.jpg", "farm/North/b.jpg"], ["North", "North"]),
    (["farm/a.jpg", "farm/North/a.jpg"], ["farm", "farm/North"]),
])  # fmt: skip
def test_a_list_of_paths_uses_the_folder_that_its_paddocks_have_in_common(tmp_path, listed, paddocks):
    photos_of(tmp_path, *listed)
    (tmp_path / "list.txt").write_text("\n".join(listed), "utf-8")
    assert list(by_folder(tmp_path / "list.txt")[0].values()) == paddocks
    (tmp_path / "list.txt").write_text("\n".join(str(tmp_path / path) for path in listed), "utf-8")
    assert list(by_folder(tmp_path / "list.txt")[0].values()) == paddocks


def test_copies_in_one_paddock_count_once_and_in_two_they_are_refused(tmp_path):
    photos_of(tmp_path, "North/a.jpg", "North/a (1).jpg", "North/a - Copy.jpg", content=b"same")
    photos_of(tmp_path, "North/b.jpg", "South/c.jpg")
    _, read = by_folder(tmp_path)
    assert set(read.assignment.copies) == {"North/a (1).jpg", "North/a - Copy.jpg"}
    (remark,) = read.remarks
    assert (remark.what, remark.count) == ("copies", 2)
    photos_of(tmp_path, "South/a.jpg", content=b"same")
    with pytest.raises(
        InputInvalid, match=r"North/a.jpg and South/a.jpg are byte-equal, but in the paddocks North and"
    ):
        by_folder(tmp_path)


def test_a_column_names_paddocks_as_written_and_nearly_equal_names_are_said(tmp_path):
    names = [f"{letter}.jpg" for letter in "abcdef"]
    photos_of(tmp_path, *names)
    codes = ["01", "1", "1E2", " North 1 ", "north-1", ""]
    rows = [f"{name},{code}" for name, code in zip(names, codes, strict=True)]
    (tmp_path / "t.csv").write_text("image_path,paddock\n" + "\n".join(rows) + "\ngone.jpg,x\n", "utf-8")
    read = read_assignment(find_photos(tmp_path), tmp_path, "paddock", tmp_path / "t.csv", TableFormat())
    paddocks = [read.assignment.paddock_of(file, NO_FACTS) for file in read.files]
    assert paddocks == ["01", "1", "1E2", "North 1", "north-1", None]
    assert {one.what: one.names for one in read.remarks} == {
        "similar_paddocks": ("01 / 1", "North 1 / north-1"), "rows_without_photo": ("gone.jpg",),
    }  # fmt: skip


def test_one_folder_name_in_two_unicode_forms_is_one_paddock(tmp_path):
    photos_of(tmp_path, "Süd/a.jpg", unicodedata.normalize("NFD", "Süd/b.jpg"))
    assert set(by_folder(tmp_path)[0].values()) == {"Süd"}


def test_paddock_codes_that_a_spreadsheet_made_dates_of_are_said(tmp_path):
    photos_of(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text("image_path,paddock\na.jpg,2025-03-01\nb.jpg,2-3\n")
    read = read_assignment(find_photos(tmp_path), tmp_path, "paddock", tmp_path / "t.csv", TableFormat())
    assert [(one.what, one.names) for one in read.remarks] == [("paddocks_like_dates", ("2025-03-01",))]
