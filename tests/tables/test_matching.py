import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import TableInvalid
from herbage.tables.matching import PhotoFinder, match_paths
from tests.photos.test_photo import corner_photo


@pytest.mark.parametrize(("written", "photo"), [
    ("North/a.jpg", "North/a.jpg"),
    ("farm/North/a.jpg", "North/a.jpg"),  # with the folder of the photos
    ("North/a.jpg", "x/North/a.jpg"),
    ("North\\a.jpg", "North/a.jpg"),
    ("./North/a.jpg ", "North/a.jpg"),
    ("C:\\Users\\me\\a.jpg", "North/a.jpg"),
    ("a.jpg", "media/anna/attachments/a1b2/0f3c/a.jpg"),  # KoboToolbox's and ODK's folders
    ("Wiese_Süd.jpg", unicodedata.normalize("NFD", "Wiese_Süd.jpg")),
])  # fmt: skip
def test_a_path_names_a_photo(written, photo):
    others = ["South/b.jpg", "c.jpg"]
    matches = match_paths([written, "South/b.jpg"], [*others, photo], "farm")
    assert matches.photo == {written: 2, "South/b.jpg": 0}
    assert not matches.ambiguous
    assert not matches.other_case


def test_the_stricter_rule_wins_and_the_other_path_has_no_photo():
    """A table of the whole farm, and the photos of one paddock."""
    matches = match_paths(["North/a.jpg", "South/a.jpg"], ["a.jpg"], "North")
    assert matches.photo == {"North/a.jpg": 0}
    assert not matches.ambiguous
    exact = match_paths(["North/a.jpg", "a.jpg"], ["North/a.jpg"])
    assert exact.photo == {"North/a.jpg": 0}


@pytest.mark.parametrize(("written", "photo"), [
    ("D:\\data\\North\\a.jpg", "North/a.jpg"),
    ("/home/me/farm/North/a.jpg", "North/a.jpg"),
    ("../farm/x/North/a.jpg", "x/North/a.jpg"),
])  # fmt: skip
def test_longer_paths_name_the_photo_whose_last_folders_they_share(written, photo):
    matches = match_paths([written], ["South/a.jpg", photo, "a/b/South/a.jpg"])
    assert matches.photo == {written: 1}
    assert not list(matches.remarks("t.csv"))


@pytest.mark.parametrize(("written", "photos", "said"), [
    (["South/IMG_1.jpg"], ["North/IMG_1.jpg"], "South/IMG_1.jpg = North/IMG_1.jpg"),  # photos of another paddock
    (["farm1/A/1.jpg"], ["farm2/A/1.jpg"], "farm1/A/1.jpg = farm2/A/1.jpg"),
    (["North/1.jpg", "South/2.jpg"], ["North/1.jpg", "2.jpg"], "South/2.jpg = 2.jpg"),  # a stray photo
])  # fmt: skip
def test_a_match_with_other_folders_is_said(written, photos, said):
    matches = match_paths(written, photos)
    assert len(matches.photo) == len(written)
    (remark,) = matches.remarks("t.csv")
    assert (remark.what, remark.names, remark.is_warning) == ("paths_in_other_folders", (said,), True)


@pytest.mark.parametrize(("written", "photos", "named"), [
    (["a.jpg"], ["North/a.jpg", "South/a.jpg"], "a.jpg could be North/a.jpg or South/a.jpg"),
    (["A/a.jpg", "B/a.jpg"], ["North/a.jpg"], "North/a.jpg could be A/a.jpg or B/a.jpg"),
    (["North/a.jpg", "South/a.jpg"], ["a.jpg"], "a.jpg could be North/a.jpg or South/a.jpg"),
    (["img_1.JPG"], ["x/IMG_1.jpg", "y/img_1.jpg"], "img_1.JPG could be x/IMG_1.jpg or y/img_1.jpg"),
    (["ü.jpg"], ["ü.jpg", unicodedata.normalize("NFD", "ü.jpg")], "ü.jpg could be"),
])  # fmt: skip
def test_a_path_that_could_name_several_photos_is_not_matched(written, photos, named):
    matches = match_paths(written, photos)
    assert not matches.photo
    assert named in matches.ambiguous[0]


def test_another_case_is_matched_and_said(tmp_path):
    matches = match_paths(["north/IMG_1.JPG", "a.JPG"], ["North/img_1.jpg", "South/a.jpg"])
    assert matches.photo == {"north/IMG_1.JPG": 0, "a.JPG": 1}
    assert matches.other_case == ["north/IMG_1.JPG", "a.JPG"]
    corner_photo().save(tmp_path / "a.png")
    (remark,) = PhotoFinder(tmp_path, ["A.PNG"], "t.csv").remarks()
    assert (remark.what, remark.names) == ("paths_in_other_case", ("A.PNG",))


@given(st.lists(st.sampled_from(["a", "b", "A"]).flatmap(lambda d: st.sampled_from([f"{d}/x.jpg", f"{d}/y.jpg", "x.jpg"]))),
       st.sets(st.sampled_from(["a/x.jpg", "b/x.jpg", "b/y.jpg", "A/x.jpg", "x.jpg"])))  # fmt: skip
def test_no_photo_has_two_paths_and_exact_paths_are_always_matched(written, photos):
    listed = sorted(photos)
    matches = match_paths(written, listed)
    assert len(set(matches.photo.values())) == len(matches.photo)
    for path in set(written) & photos:
        assert listed[matches.photo[path]] == path


def test_photos_that_the_table_does_not_name_are_counted(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        corner_photo().save(tmp_path / name)
    finder = PhotoFinder(tmp_path, ["b.png", "gone.png"], "t.csv")
    assert finder.found == {"b.png": tmp_path / "b.png"}
    (remark,) = finder.remarks()
    assert (remark.what, remark.count, remark.names) == ("photos_without_row", 2, ("a.png", "c.png"))
    with pytest.raises(TableInvalid, match="expected a folder"):
        PhotoFinder(tmp_path / "none", [], "t.csv")
