import os
import shutil

import pytest

from herbage.errors import PhotosMissing, PhotoUnreadable
from herbage.photos.discovery import find_photos
from herbage.photos.photo import open_photo
from tests.conftest import needs_links, posix_only
from tests.photos.encoded import encoded
from tests.photos.test_photo import corner_photo


def test_photos_are_found_in_a_folder_a_file_and_a_list(tmp_path):
    (tmp_path / "sub dir").mkdir()
    for name in ("b.jpg", "a.PNG", "sub dir/c é.webp", ".hidden.jpg"):
        corner_photo().save(tmp_path / name)
    (tmp_path / "notes.md").write_text("no photo")
    assert [f.name for f in find_photos(tmp_path)] == ["a.PNG", "b.jpg", "sub dir/c é.webp"]
    assert [f.name for f in find_photos(tmp_path / "b.jpg")] == ["b.jpg"]
    (tmp_path / "list.txt").write_text("sub dir/c é.webp\n\ngone.jpg\n", "utf-8")
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


@needs_links
def test_circular_links_end(weighed_photos, tmp_path):
    shutil.copy(weighed_photos / "train/ID1.png", tmp_path / "a.png")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [file.name for file in find_photos(tmp_path)] == ["a.png"]


@needs_links
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


def keys(found):
    return {remark.what: (remark.count, remark.names) for remark in found.remarks}


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_every_ending_of_a_jpeg_is_found(tmp_path):
    for name in ("a.jfif", "b.JPE", "c.jpg"):
        (tmp_path / name).write_bytes(encoded(corner_photo(), "JPEG"))
    found = find_photos(tmp_path)
    assert [open_photo(file).pixels().shape for file in found] == [(4, 8, 3)] * 3
    assert (found.remarks, found.skipped) == ((), ())


def test_images_that_are_not_read_are_named(tmp_path):
    touch(tmp_path, "a.jpg", "b.BMP", "c.gif", "north/IMG_1.CR2", "north/IMG_2.avif")
    found = find_photos(tmp_path)
    assert [file.name for file in found] == ["a.jpg"]
    names = ("b.BMP", "c.gif", "north/IMG_1.CR2", "north/IMG_2.avif")
    assert keys(found) == {"files_not_read": (4, names)}
    assert found.skipped == names
    assert found.remarks[0].message.startswith(
        "4 files of a kind that is not read (convert to JPEG what is a photo): b."
    )


@needs_links
def test_what_usually_lies_beside_photos_is_not_remarked_on(tmp_path):
    touch(tmp_path, "IMG_1.CR2", "IMG_1.JPG", "IMG_2.dng", "img_2.heic", "a.mp4", "a.csv", "a.xmp", ".a.bmp", "LICENSE")
    (tmp_path / "b.bmp").mkdir()
    (tmp_path / "a.csv link.csv").symlink_to("nowhere.csv")
    assert find_photos(tmp_path).remarks == ()
    touch(tmp_path, "other/IMG_1.CR2")
    assert keys(find_photos(tmp_path)) == {"files_not_read": (1, ("other/IMG_1.CR2",))}


@needs_links
def test_broken_links_and_photos_in_icloud_are_named(tmp_path):
    touch(tmp_path, "a.jpg", ".IMG_3.HEIC.icloud", ".notes.txt.icloud")
    (tmp_path / "b.jpg").symlink_to(".git/annex/objects/b.jpg")
    (tmp_path / "disk").symlink_to(tmp_path / "not mounted")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "c.jpg").symlink_to("a.jpg")
    found = find_photos(tmp_path)
    assert [file.name for file in found] == ["a.jpg", "c.jpg"]
    assert keys(found) == {
        "broken_links": (3, ("b.jpg", "disk", "self.png")), "files_not_downloaded": (1, (".IMG_3.HEIC.icloud",)),
    }  # fmt: skip
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(
        PhotosMissing, match=r"contains no photos: .* 4 links to nothing \(fetch .*git annex get.*b.jpg"
    ):
        find_photos(tmp_path)
    with pytest.raises(PhotosMissing, match="b.jpg is a link to a file that is missing: fetch"):
        find_photos(tmp_path / "b.jpg")


def test_a_folder_of_other_images_says_so(tmp_path):
    touch(tmp_path, "a.bmp")
    with pytest.raises(PhotosMissing, match=r"contains no photos: .* 1 file of a kind that is not read .*: a\.bmp"):
        find_photos(tmp_path)
    with pytest.raises(PhotosMissing, match="a.bmp is an image of a kind that is not read: convert it to JPEG"):
        find_photos(tmp_path / "a.bmp")


def test_names_of_many_files_that_are_not_read_take_little_memory(tmp_path):
    touch(tmp_path, "a.jpg", *(f"{number:04}.gif" for number in range(1005)))
    found = find_photos(tmp_path)
    assert (len(found.skipped), found.skipped[-1], found.remarks[0].count) == (1000, "0999.gif", 1005)
    assert len(found.remarks[0].names) == 100


def listed(folder, text, encoding="utf-8"):
    (folder / "list.txt").write_bytes(text.encode(encoding))
    return find_photos(folder / "list.txt")


def test_repeated_lines_of_a_list_are_used_once(tmp_path):
    touch(tmp_path, "a.jpg", "sub/b.jpg")
    whole = f"{tmp_path.as_posix()}/a.jpg"
    found = listed(tmp_path, f"a.jpg\n./a.jpg\nA.jpg\nsub//b.jpg\nsub/b.jpg\n{whole}\ngone.jpg\na.jpg\n")
    assert [file.name for file in found] == ["a.jpg", "A.jpg", "sub//b.jpg", "gone.jpg"]
    assert keys(found) == {"repeated_lines": (4, ("./a.jpg", "sub/b.jpg", whole, "a.jpg"))}
    assert found.remarks[0].message.startswith("4 lines of the list repeated a photo, which is used once: ./a.jpg, ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lists_of_windows_are_read(tmp_path, encoding):
    touch(tmp_path, "Süd/a.jpg", "Süd/b c.jpg", "Süd/d.jpg")
    text = 'Süd\\a.jpg\r\n\r\n"Süd\\b c.jpg"\r\n\'Süd/d.jpg\'\r\n# a comment\r\n"gone\\e.jpg"\r\n'
    found = listed(tmp_path, ("\ufeff" if encoding.endswith(("le", "be")) else "") + text, encoding)
    assert [file.path.is_file() for file in found] == [True, True, True, False]
    assert [file.name for file in found] == [
        "Süd/a.jpg",
        "Süd/b c.jpg",
        "Süd/d.jpg",
        "gone\\e.jpg".replace(os.sep, "/"),
    ]
    assert found.remarks == ()


@posix_only(reason="Windows has no names with quotation marks and backslashes")
def test_what_names_a_file_as_it_stands_is_that_file(tmp_path):
    names = ["#1.jpg", '"a".jpg', "'b'", "c\\d.jpg", "e, f.jpg"]
    touch(tmp_path, *names)
    assert [file.name for file in listed(tmp_path, "\n".join(names))] == names
    assert [file.name for file in listed(tmp_path, "e, f.jpg\n")] == ["e, f.jpg"]


@pytest.mark.parametrize("text", [
    "image_path,mass\na.jpg,3\n", '"mass";"Image_Path"\n3;a.jpg\n', "image_path\na.jpg\n", "photo\tmass\na.jpg\t3\n",
    "a.jpg,3\nb.jpg,4\n",
])  # fmt: skip
def test_a_table_is_no_list_of_paths(tmp_path, text):
    touch(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(PhotosMissing, match="list.txt is a table, not a list of paths: pass it as `table`"):
        listed(tmp_path, text)


def test_an_excel_table_is_no_list_of_paths_and_other_encodings_are_named(tmp_path):
    touch(tmp_path, "a.xlsx")
    with pytest.raises(PhotosMissing, match="pass it as `table`"):
        find_photos(tmp_path / "a.xlsx")
    with pytest.raises(PhotosMissing, match="nor a text file of paths in UTF-8 or UTF-16"):
        listed(tmp_path, "Süd.jpg\n", "latin-1")


def test_a_list_of_a_hundred_thousand_photos_is_read_fast(tmp_path):
    found = listed(tmp_path, "".join(f"north/{number}.jpg\n" for number in range(100_000)))
    assert (len(found), found[99_999].path) == (100_000, tmp_path / "north/99999.jpg")
