"""Find photos: in a folder, in a text file of paths, or a single one. A million paths take about 100 MB of memory."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from herbage.errors import InputInvalid, PhotosMissing
from herbage.photos.photo import SUFFIXES, PhotoFile

log = logging.getLogger("herbage")

SYSTEM_FOLDERS = {
    "@eadir",
    "__macosx",
    "#recycle",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
}
"""Folders of operating systems and file servers with thumbnails, copies and deleted files, in lower case."""


class PhotoList(Sequence[PhotoFile]):
    """Photos below `root`, stored as relative paths; each PhotoFile is created on access."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, row: int) -> PhotoFile: ...
    @overload
    def __getitem__(self, row: slice) -> "PhotoList": ...
    def __getitem__(self, row: Any) -> Any:
        """One photo, or a PhotoList for a slice."""
        if isinstance(row, slice):
            return PhotoList(self.root, self.paths[row])
        return PhotoFile(display_name(self.paths[row]), self.root / self.paths[row])


def find_photos(where: str | Path) -> PhotoList:
    """Find the photos in a folder (recursively, sorted by path) or a text file of paths, or return a single photo.

    Paths in a text file are relative to the file's folder. Files and folders whose names begin with a dot, and
    SYSTEM_FOLDERS, are not searched. Links to folders outside `where` are followed, each folder once. Unreadable
    folders are logged as warnings. Raises PhotosMissing if there is no photo.
    """
    root = Path(where)
    if root.is_dir():
        found = PhotoList(root, list(_walk(root, "", root.resolve(), set())))
        if not found:
            raise PhotosMissing(f"{root} contains no photos: expected files ending in {', '.join(SUFFIXES)}.")
        return found
    if not root.exists():
        raise PhotosMissing(f"{root} does not exist: expected a folder of photos, a photo, or a text file of paths.")
    if root.suffix.lower() in SUFFIXES:
        return PhotoList(root.parent, [root.name])
    try:
        with root.open(encoding="utf-8-sig") as file:
            listed = PhotoList(root.parent, [line.strip() for line in file if line.strip()])
    except (OSError, UnicodeDecodeError) as error:
        raise PhotosMissing(f"{root} is neither a photo ({', '.join(SUFFIXES)}) nor a text file of paths.") from error
    if not listed:
        raise PhotosMissing(f"{root} lists no photos: expected one path per line.")
    return listed


def display_name(name: str) -> str:
    """The name as shown in tables and messages: invalid UTF-8 and unprintable characters are replaced by U+FFFD."""
    text = name.replace(os.sep, "/").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def parse_shard(shard: str) -> tuple[int, int]:
    """Parse "i/n" into (index, count): this run processes part i of n, a share of the photos.

    `count` is at least 1. Parts may be numbered from 0 or from 1, so `index` is from 0 to `count`. Raises InputInvalid.
    """
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError as error:
        raise InputInvalid(f"`shard={shard}`: expected i/n, such as 1/4.") from error
    if count < 1 or not 0 <= index <= count:
        raise InputInvalid(f"`shard={shard}`: expected i/n with n at least 1 and i from 0 to n.")
    return index, count


def _walk(root: Path, folder: str, home: Path, seen: set[Path], *, behind_link: bool = False) -> Iterator[str]:
    """Photo paths relative to `root`, sorted by their path components.

    A link is followed if it leads out of `home`, the resolved root, to a folder that is not in `seen`: other folders
    are searched where they are.
    """
    try:
        with os.scandir(root / folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            found = sorted((one.name, _is_searched(one), one.is_symlink()) for one in visible if _is_wanted(one))
    except OSError as error:
        log.warning("Could not search %s for photos: %s", root / folder, error.strerror)
        return
    for name, is_folder, is_link in found:
        inner = f"{folder}{name}{os.sep}"
        if not is_folder:
            yield folder + name
        elif not (is_link or behind_link):
            yield from _walk(root, inner, home, seen)
        elif not (target := (root / inner).resolve()).is_relative_to(home) and target not in seen:
            seen.add(target)
            yield from _walk(root, inner, home, seen, behind_link=True)


def _is_wanted(entry: "os.DirEntry[str]") -> bool:
    return _is_searched(entry) or _is_photo(entry)


def _is_searched(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):  # a symbolic link to itself
        return entry.is_dir() and entry.name.casefold() not in SYSTEM_FOLDERS
    return False


def _is_photo(entry: "os.DirEntry[str]") -> bool:
    if not entry.name.lower().endswith(SUFFIXES):
        return False
    with suppress(OSError):  # a symbolic link to itself
        return entry.is_file()
    return False
