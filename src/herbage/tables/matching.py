"""Match the paths in a table to photos.

A path names a photo if both are equal, except for Unicode normalisation; else if they are equal without the leading
folder of either; else if these are equal when upper and lower case are ignored; else if their file names are equal and
unique on both sides. A path that could name several photos is never matched.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from herbage.errors import PhotosMissing, TableInvalid
from herbage.formatting import counted
from herbage.photos.discovery import PhotoList, find_photos
from herbage.remarks import NAMES_SHOWN, Remark

Key = Callable[[str], str]


@dataclass(frozen=True)
class Matches:
    """The result of `match_paths`: `photo` is the index of the photo that each path names, by the path as written.

    `ambiguous` has a sentence for each path that could name several photos, and for each photo that several paths could
    name. `other_case` has the paths that differ from the photo's in upper and lower case.
    """

    photo: dict[str, int] = field(default_factory=dict)
    ambiguous: list[str] = field(default_factory=list)
    other_case: list[str] = field(default_factory=list)


def ambiguous_paths(matches: Matches, where: str) -> str:
    """The message about paths that could name several photos; `where` is the name of the table."""
    more = len(matches.ambiguous) - NAMES_SHOWN
    return (
        f"{where} has paths that could name several photos: {'; '.join(matches.ambiguous[:NAMES_SHOWN])}"
        f"{f'; and {more} more' if more > 0 else ''}. Write the photos' paths with their folders into image_path."
    )


def other_case(matches: Matches, where: str) -> tuple[Remark, ...]:
    """The remark about paths that differ from the photos' in upper and lower case."""
    if not matches.other_case:
        return ()
    message = f"{where} has paths that differ from the photos' in upper and lower case only; they are matched"
    return (Remark.of("paths_in_other_case", matches.other_case, message),)


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
    for number, ranked in found.items():
        best = min(ranked)[0]
        names = [path for rank, path in ranked if rank == best]
        if len(names) > 1:
            matches.ambiguous.append(f"the photo {photos[number]} could be {_either(names)}")
            continue
        matches.photo[names[0]] = number
        if not photo_paths[number].endswith(_name(paths[names[0]])) or best in IGNORE_CASE:
            matches.other_case.append(names[0])
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
        if self._matches.ambiguous:
            raise TableInvalid(ambiguous_paths(self._matches, where))
        self.found = {path: self.photos[number].path for path, number in self._matches.photo.items()}

    def find(self, image_path: str) -> Path | None:
        """The file of a path in the table."""
        return self.found.get(image_path)

    def remarks(self) -> tuple[Remark, ...]:
        """Paths in another case, and the photos in the folder that the table does not name."""
        named = set(self._matches.photo.values())
        others = [photo.name for number, photo in enumerate(self.photos) if number not in named]
        if not others:
            return other_case(self._matches, self.where)
        message = f"{counted(len(others), 'photo')} of the folder {self.root} without a row in {self.where}"
        unnamed = Remark.of("photos_without_row", others, message, is_warning=False)
        return (*other_case(self._matches, self.where), unnamed)


IGNORE_CASE = range(4, 8)
"""The ranks of `_rules` that ignore upper and lower case."""


def _rules(folder: str) -> list[tuple[Key, Key]]:
    """What has to be equal of a photo's path and of a table's path, the strictest rule first."""
    exact: list[tuple[Key, Key]] = [
        (str, str),
        (str, lambda path: path.removeprefix(f"{folder}/")),
        (str, _without_first),
        (_without_first, str),
    ]
    folded = [(_folded(of_photo), _folded(of_path)) for of_photo, of_path in exact]
    return [*exact, *folded, (_folded(_name), _folded(_name))]


def _normalised(path: str) -> str:
    return PurePosixPath(unicodedata.normalize("NFC", path.strip().replace("\\", "/"))).as_posix()


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
