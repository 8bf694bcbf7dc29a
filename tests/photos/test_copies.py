from herbage.photos.copies import find_copies
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
    assert len(list(find_copies([quadrats[0], quadrats[0]]))) == 1
