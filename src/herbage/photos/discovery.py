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

    Paths in a text file are relative to the file's folder. Hidden files are ignored and links to folders are not
    followed. Unreadable folders are logged as warnings. Raises PhotosMissing if there is no photo.
    """
    root = Path(where)
    if root.is_dir():
        found = PhotoList(root, list(_walk(root, "")))
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


def _walk(root: Path, folder: str) -> Iterator[str]:
    """Photo paths relative to `root`, sorted by their path components."""
    try:
        with os.scandir(root / folder) as entries:
            found = sorted(
                (entry.name, _is_folder(entry)) for entry in entries if _is_folder(entry) or _is_photo(entry)
            )
    except OSError as error:
        log.warning("Could not search %s for photos: %s", root / folder, error.strerror)
        return
    for name, is_folder in found:
        if is_folder:
            yield from _walk(root, f"{folder}{name}{os.sep}")
        else:
            yield folder + name


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_photo(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
        return False
    with suppress(OSError):  # a symbolic link to itself
        return entry.is_file()
    return False
