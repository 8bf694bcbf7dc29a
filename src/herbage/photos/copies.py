"""Find photos that are in the input more than once: byte-equal copies, and names of one shot stored twice."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from hashlib import file_digest, sha256
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from herbage.photos.photo import PhotoFile

END_BYTES = 64 * 1024
"""Files of equal size are compared by so many bytes at their beginning and end before they are read whole."""

MAX_COMPARED = 20_000
"""Folders with more photos were not filled by hand, and are not searched for shots that are stored twice."""

EDITED = re.compile(r"(?:~\d+|[-_](?:edited|bearbeitet)| ?\(1\))$")
"""What phones, Google Photos and browsers append to the name of an edited or second copy."""

APPLE_EDITED = re.compile(r"img_e(\d+)")
"""An iPhone stores the edited IMG_0001 as IMG_E0001."""


def find_copies(files: Sequence[PhotoFile]) -> Iterator[Sequence[PhotoFile]]:
    """Yield photos that are byte-equal, in groups of two or more; files that cannot be read are left out.

    Two quadrats of one photo are not copies, and a file that is listed twice is no copy of itself. Of most files only
    the size is read, of files of equal size the ends, and of those that still agree all bytes.
    """
    sizes = np.fromiter((_size(file.path) for file in files), np.int64, len(files))
    _, index, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    by_size: dict[Hashable, list[PhotoFile]] = defaultdict(list)
    for row in np.flatnonzero((counts[index] > 1) & (sizes > 0)).tolist():
        by_size[sizes[row], files[row].corners].append(files[row])
    for same_size in by_size.values():
        for same_ends in _groups(_distinct(same_size), lambda file: _digest(file.path, END_BYTES)):
            yield from _groups(same_ends, lambda file: _digest(file.path))


def same_shot_names(files: Iterable[PhotoFile]) -> list[list[PhotoFile]]:
    """Groups of photos that may be one shot by their names: IMG_1.jpg and IMG_1.heic, IMG_E1.jpg or IMG_1-edited.jpg.

    Only names within a folder are compared, whose photos follow each other; no file is read. Quadrats of one photo
    count once. Folders of more than MAX_COMPARED photos are left out, so that memory does not grow with the photos.
    """
    groups: list[list[PhotoFile]] = []
    for _, in_folder in groupby(files, lambda file: file.path.parent):
        some = list(islice(in_folder, MAX_COMPARED + 1))
        groups += _same_shots(some) if len(some) <= MAX_COMPARED else []
    return groups


def _same_shots(files: Sequence[PhotoFile]) -> list[list[PhotoFile]]:
    """`same_shot_names` of one folder."""
    groups: list[list[PhotoFile]] = []
    distinct = _distinct(files)
    series = {(str(file.path.parent), stem[:-3]) for file in distinct if (stem := file.path.stem).endswith("(2)")}

    def shot(file: PhotoFile) -> tuple[str, str]:
        folder, stem = str(file.path.parent), file.path.stem
        is_of_series = stem.endswith("(1)") and (folder, stem[:-3]) in series  # as downloads of different photos are
        return folder, stem.casefold() if is_of_series else _original(file.path)

    for shots in _groups(distinct, shot):
        if any(file.path.stem.casefold() == _original(file.path) for file in shots):
            groups.append(list(shots))
        else:  # a series that is numbered by ~1, ~2, or the edited photo alone, perhaps in two formats
            groups += (list(same) for same in _groups(shots, lambda file: file.path.stem.casefold()))
    return groups


def _distinct(files: Iterable[PhotoFile]) -> Iterable[PhotoFile]:
    """The first entry of each path."""
    by_path: dict[Path, PhotoFile] = {}
    for file in files:
        by_path.setdefault(file.path, file)
    return by_path.values()


def _groups(files: Iterable[PhotoFile], key_of: Callable[[PhotoFile], Hashable]) -> Iterator[Sequence[PhotoFile]]:
    """Groups of two or more files with the same key, in the order of their first files; empty keys are left out."""
    by_key: dict[Hashable, list[PhotoFile]] = defaultdict(list)
    for file in files:
        if key := key_of(file):
            by_key[key].append(file)
    yield from (group for group in by_key.values() if len(group) > 1)


def _original(path: Path) -> str:
    """The name of the shot of which this may be a copy, without an ending, in lower case."""
    stem = path.stem.casefold()
    while (shorter := EDITED.sub("", stem)) and shorter != stem:
        stem = shorter
    return APPLE_EDITED.sub(r"img_\1", stem) if APPLE_EDITED.fullmatch(stem) else stem


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _digest(path: Path, ends: int | None = None) -> bytes:
    """The digest of a file, or of its first and last `ends` bytes; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            if ends is None:
                return file_digest(file, sha256).digest()
            beginning = file.read(ends)
            file.seek(max(0, os.fstat(file.fileno()).st_size - ends))
            return sha256(beginning + file.read(ends)).digest()
    except OSError:
        return b""
