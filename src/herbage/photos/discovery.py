"""Which photos there are: below a folder, in a text file of paths, or one alone. A million of them take some 100 MB."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from herbage.errors import PhotosMissing
from herbage.photos.photo import SUFFIXES, PhotoFile

log = logging.getLogger("herbage")


class PhotoList(Sequence[PhotoFile]):
    """Photos below `root`, kept as the paths they have from there; a PhotoFile is made when it is asked for."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, row: int) -> PhotoFile: ...
    @overload
    def __getitem__(self, row: slice) -> "PhotoList": ...
    def __getitem__(self, row: Any) -> Any:
        """One photo, or a list of some."""
        if isinstance(row, slice):
            return PhotoList(self.root, self.paths[row])
        return PhotoFile(shown_name(self.paths[row]), self.root / self.paths[row])


def find_photos(where: str | Path) -> PhotoList:
    """The photos of a folder (searched below, sorted by path), of one photo, or of a text file of paths.

    Paths in a list are relative to the list's folder. Hidden files are passed over, links to folders not followed; a
    folder that cannot be read is warned about. Raises PhotosMissing.
    """
    root = Path(where)
    if root.is_dir():
        found = PhotoList(root, list(_walk(root, "")))
        if not found:
            raise PhotosMissing(f"No photo below {root}: expected files ending in {', '.join(SUFFIXES)}.")
        return found
    if not root.exists():
        raise PhotosMissing(f"{root} is not there: expected a folder of photos, a photo, or a text file of paths.")
    if root.suffix.lower() in SUFFIXES:
        return PhotoList(root.parent, [root.name])
    try:
        with root.open(encoding="utf-8-sig") as file:
            listed = PhotoList(root.parent, [line.strip() for line in file if line.strip()])
    except (OSError, UnicodeDecodeError) as error:
        raise PhotosMissing(f"{root} is neither a photo ({', '.join(SUFFIXES)}) nor a text file of paths.") from error
    if not listed:
        raise PhotosMissing(f"{root} lists no photo: expected one path a line.")
    return listed


def shown_name(name: str) -> str:
    """A name that every table can hold: bytes that are no UTF-8, and line breaks, become the replacement character."""
    text = name.replace(os.sep, "/").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _walk(root: Path, folder: str) -> Iterator[str]:
    """Paths of photos from the root, in the order of their parts."""
    try:
        with os.scandir(root / folder) as entries:
            found = sorted(
                (entry.name, _is_folder(entry)) for entry in entries if _is_folder(entry) or _is_photo(entry)
            )
    except OSError as error:
        log.warning("%s cannot be searched for photos: %s", root / folder, error.strerror)
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
    with suppress(OSError):  # a link that leads back to itself
        return entry.is_file()
    return False
