from pathlib import Path

import numpy as np
import pytest

from herbage.photos import copies as module
from herbage.photos.copies import find_copies, same_shot_names
from herbage.photos.photo import PhotoFile

CORNERS = ((0, 0), (9, 0), (9, 9), (0, 9))


def test_byte_equal_files_are_found_and_equal_sizes_are_not_enough(tmp_path):
    contents = {"a": b"one", "b": b"two", "c": b"one", "d": b"longer", "e": b"one", "empty": b"", "empty too": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [PhotoFile(name, tmp_path / name) for name in [*contents, "gone", "gone too"]]
    assert [[file.name for file in group] for group in find_copies(files)] == [["a", "c", "e"]]


def test_quadrats_of_a_photo_are_not_copies(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    quadrats = [
        PhotoFile(f"a#{number}", tmp_path / "a", corners) for number, corners in ((1, CORNERS), (2, CORNERS[::-1]))
    ]
    assert not list(find_copies(quadrats))
    assert not list(find_copies([quadrats[0], quadrats[0]])), "a file is no copy of itself"
    (tmp_path / "b").write_bytes(b"one")
    (group,) = find_copies([quadrats[0], PhotoFile("b#1", tmp_path / "b", CORNERS), quadrats[0]])
    assert [file.name for file in group] == ["a#1", "b#1"]


def test_files_are_read_whole_only_where_their_ends_agree(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    equal = bytearray(rng.bytes(300_000))
    inner, last = equal.copy(), equal.copy()
    inner[150_000] ^= 1
    last[-1] ^= 1
    for name, content in {"a": equal, "b": inner, "c": last, "d": equal}.items():
        (tmp_path / name).write_bytes(content)
    read, digest = [], module._digest
    monkeypatch.setattr(
        module, "_digest", lambda path, ends=None: (ends or read.append(path.name), digest(path, ends))[1]
    )
    groups = find_copies([PhotoFile(name, tmp_path / name) for name in "abcd"])
    assert [[file.name for file in group] for group in groups] == [["a", "d"]]
    assert read == ["a", "b", "d"]


def shots(*names):
    return [[file.name for file in group] for group in same_shot_names([PhotoFile(name, Path(name)) for name in names])]


@pytest.mark.parametrize("names", [
    ("IMG_1.jpg", "IMG_1.heic"), ("IMG_1.jpg", "IMG_E1.jpg"), ("IMG_1.HEIC", "IMG_E1.JPG"), ("IMG_1.jpg", "IMG_1~2.jpg"),
    ("IMG_1.jpg", "IMG_1-edited.jpg"), ("a/b_edited.png", "a/b.jpg"), ("b-bearbeitet.jpg", "b.jpg"), ("b.jpg", "b (1).jpg"),
    ("b.jpg", "b(1)-edited.jpg"), ("PXL_1.jpg", "PXL_1~2.jpg", "PXL_1~3.jpg"), ("b-edited.jpg", "b-edited.heic"),
])  # fmt: skip
def test_names_that_may_be_of_one_shot(names):
    assert shots(*names) == [list(names)]


@pytest.mark.parametrize("names", [
    ("IMG_1.jpg", "IMG_10.jpg"), ("a.jpg", "b.jpg"), ("DSC0001.jpg", "DSC0001_2.jpg"), ("a/IMG_1.jpg", "b/IMG_1.heic"),
    ("North (1).jpg", "North (2).jpg", "North (3).jpg"), ("IMG_E1.jpg", "IMG_2.jpg"), ("image~1.jpg", "image~2.jpg"),
    ("IMG_EAST.jpg", "IMG_AST.jpg"), ("(1).jpg", "(2).jpg"), ("a-1.jpg", "a-2.jpg"), ("a.1.jpg", "a.2.jpg"),
    ("image.jpg", "image (2).jpg"), ("image.jpg", "image (1).jpg", "image (2).jpg"), ("IMG_1.jpg", "IMG_1.jpg"), ("edited.jpg", "-edited.jpg", "~1.jpg"),
])  # fmt: skip
def test_names_of_different_shots(names):
    assert shots(*names) == []


def test_quadrats_of_a_photo_are_one_shot():
    quadrats = [PhotoFile(f"a.jpg#{number}", Path("a.jpg"), corners) for number, corners in ((1, CORNERS), (2, None))]
    assert same_shot_names(quadrats) == []


def test_many_names_take_linear_time():
    files = [PhotoFile(f"{number}.jpg", Path(f"north/{number}.jpg")) for number in range(50_000)]
    assert same_shot_names(files) == []
