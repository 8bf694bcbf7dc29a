"""Match the paths in a table to photos.

A path names a photo if both are equal, except for Unicode normalisation; else if they are equal without the leading
folder of either; else if these are equal when upper and lower case are ignored; else if their last folders and file
names are equal; else if their file names alone are. From the last folders on, they have to be unique on both sides. A
path that could name several photos is never matched.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from herbage.errors import PhotosMissing, TableInvalid
from herbage.formatting import clean, counted
from herbage.photos.discovery import PhotoList, find_photos
from herbage.remarks import NAMES_SHOWN, Remark

Key = Callable[[str], str]


@dataclass(frozen=True)
class Matches:
    """The result of `match_paths`: `photo` is the index of the photo that each path names, by the path as written.

    `ambiguous` has a sentence for each path that could name several photos, and for each photo that several paths could
    name. `other_case` has the paths that differ from the photo's in upper and lower case, and `other_folder` those with
    other folders than the photo's.
    """

    photo: dict[str, int] = field(default_factory=dict)
    ambiguous: list[str] = field(default_factory=list)
    other_case: list[str] = field(default_factory=list)
    other_folder: list[str] = field(default_factory=list)

    def refuse_ambiguous(self, where: str) -> None:
        """Raise TableInvalid where a path could name several photos; `where` is the name of the table."""
        if self.ambiguous:
            more = len(self.ambiguous) - NAMES_SHOWN
            named = "; ".join(self.ambiguous[:NAMES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
            raise TableInvalid(
                f"{where} has paths that could name several photos: {named}. Write the photos' paths with their "
                f"folders into image_path."
            )

    def remarks(self, where: str) -> Iterator[Remark]:
        """What a user should know about the matches."""
        if self.other_case:
            message = f"{where} has paths that differ from the photos' in upper and lower case only; they are matched"
            yield Remark.of("paths_in_other_case", self.other_case, message)
        if self.other_folder:
            message = f"{where} has paths with other folders than the photos'; they are matched by the rest of the path"
            yield Remark.of("paths_in_other_folders", self.other_folder, message)


def match_paths(written: Iterable[str], photos: Sequence[str], folder: str = "") -> Matches:
    """Match a table's paths to the photos' paths; `folder` is the name of the folder that contains the photos."""
    paths = {path: _normalised(path) for path in written}
    photo_paths = [_normalised(photo) for photo in photos]
    matches = Matches()
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    unmatched = dict(paths)
    for rank, (of_photo, of_path) in enumerate(_rules(folder)):
        index: dict[str, list[int]] = defaultdict(list)
        for number, photo in enumerate(photo_paths if unmatched else ()):
            index[of_photo(photo)].append(number)
        for path, normalised in list(unmatched.items()):
            key = of_path(normalised)
            candidates = index[key] if key and key in index else []
            if len(candidates) == 1:
                found[candidates[0]].append((rank, path))
            elif candidates:
                matches.ambiguous.append(f"{path} could be {_either([photos[one] for one in candidates])}")
            if candidates:
                del unmatched[path]
    exact = [path for ranked in found.values() for rank, path in ranked if rank < WITHOUT_FOLDER]
    names_folders = any("/" in paths[path] for path in exact)
    for number, ranked in found.items():
        best = min(ranked)[0]
        names = [path for rank, path in ranked if rank == best]
        if len(names) > 1:
            matches.ambiguous.append(f"the photo {photos[number]} could be {_either(names)}")
            continue
        matches.photo[names[0]] = number
        path, photo = paths[names[0]], photo_paths[number]
        if _name(path) != _name(photo) or best in IGNORE_CASE:
            matches.other_case.append(names[0])
        if _folders_differ(path, photo) or (names_folders and best >= WITHOUT_FOLDER and "/" in path):
            matches.other_folder.append(f"{names[0]} = {photos[number]}")
    return matches


class PhotoFinder:
    """Finds the photos of a table in a folder; `found` are their files by the paths as written in the table."""

    def __init__(self, root: Path, written: Iterable[str], where: str) -> None:
        """Raises TableInvalid where a path could name several photos; `where` is the name of the table."""
        if not root.is_dir():
            raise TableInvalid(f"`photos={root}`: expected a folder.")
        self.root, self.where = root, where
        try:
            self.photos = find_photos(root)
        except PhotosMissing:
            self.photos = PhotoList(root, [])
        self._matches = match_paths(written, self.photos.paths, root.resolve().name)
        self._matches.refuse_ambiguous(where)
        self.found = {path: self.photos[number].path for path, number in self._matches.photo.items()}

    def find(self, image_path: str) -> Path | None:
        """The file of a path in the table."""
        return self.found.get(image_path)

    def remarks(self) -> Iterator[Remark]:
        """What a user should know about the matches, and the photos in the folder that the table does not name."""
        yield from self.photos.remarks
        yield from self._matches.remarks(self.where)
        named = set(self._matches.photo.values())
        others = [photo.name for number, photo in enumerate(self.photos) if number not in named]
        if others:
            message = f"{counted(len(others), 'photo')} of the folder {self.root} without a row in {self.where}"
            yield Remark.of("photos_without_row", others, message, is_warning=False)


WITHOUT_FOLDER, IGNORE_CASE = 2, range(4, 8)
"""Ranks of `_rules`: the first that leaves out a folder, and those of the same rules that ignore case."""

MAX_TAIL = 6
"""The most parts of a path that are compared from its end."""


def _rules(folder: str) -> list[tuple[Key, Key]]:
    """What has to be equal of a photo's path and of a table's path, the strictest rule first."""
    exact: list[tuple[Key, Key]] = [
        (str, str),
        (str, lambda path: path.removeprefix(f"{folder}/")),
        (str, _without_first),
        (_without_first, str),
    ]
    folded = [(_folded(of_photo), _folded(of_path)) for of_photo, of_path in exact]
    tails = [_folded(_tail(parts)) for parts in range(MAX_TAIL, 0, -1)]
    return [*exact, *folded, *((tail, tail) for tail in tails)]


def _tail(parts: int) -> Key:
    """The last parts of a path; nothing where it has fewer."""
    return lambda path: "/".join(path.split("/")[-parts:]) if path.count("/") >= parts - 1 else ""


def _folders_differ(path: str, photo: str) -> bool:
    """Whether both have folders before the part that is equal."""
    own, other = path.casefold().split("/")[::-1], photo.casefold().split("/")[::-1]
    return any(part != of_photo for part, of_photo in zip(own, other, strict=False))


def _normalised(path: str) -> str:
    return PurePosixPath(clean(path.replace("\\", "/"))).as_posix()


def _without_first(path: str) -> str:
    return path.partition("/")[2]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folded(key: Key) -> Key:
    return lambda path: key(path).casefold()


def _either(names: Sequence[str]) -> str:
    return " or ".join(names[:NAMES_SHOWN]) + (" or others" if len(names) > NAMES_SHOWN else "")


def paths_of(frame: pd.DataFrame) -> list[str]:
    """The paths in a table, for matching; a table without them is refused later, with all its faults."""
    return [] if "image_path" not in frame else [path for path in frame["image_path"] if isinstance(path, str)]
