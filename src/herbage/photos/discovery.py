"""Find photos: in a folder, in a text file of paths, or a single one. A million paths take about 100 MB of memory."""

import logging
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from herbage.errors import InputInvalid, PhotosMissing
from herbage.formatting import counted
from herbage.photos.photo import SUFFIXES, PhotoFile
from herbage.remarks import NAMES_STORED, Remark

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


RAW = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".hif", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"),
    *(".rw2", ".rwl", ".sr2", ".srf", ".srw"),
)
"""Endings of camera files that are not read. Beside a photo of the same name they are its original, as usual."""

NOT_READ = (*RAW, ".avif", ".bmp", ".gif", ".j2k", ".jp2", ".jxl", ".psd")
"""Endings of images that are not read."""

SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
SEPARATORS = ",;\t"

RESTORE = "fetch the files with `git annex get`, or copy the files that the links name"

IS_TABLE = "is a table, not a list of paths: pass it as `table`, and the folder of the photos as `photos`."

SKIPPED = {
    "files_not_read": "{} of a kind that is not read (convert to JPEG what is a photo)",
    "files_not_downloaded": "{} of photos that iCloud has not downloaded yet (download them, then run again)",
    "broken_links": f"{{}} to nothing ({RESTORE})",
    "repeated_lines": "{} of the list repeated a photo, which is used once",
}
"""What the remarks say after a count, by their keys."""
NOUNS = {"broken_links": "link", "repeated_lines": "line"}

NAMES_KEPT = 1000
"""So many names of skipped files are kept."""


class PhotoList(Sequence[PhotoFile]):
    """Photos below `root`, stored as relative paths; each PhotoFile is created on access.

    Paths of a folder have / between their parts on every system. `remarks` name what was found but is no photo, and
    `skipped` are the first NAMES_KEPT of these names.
    """

    def __init__(
        self, root: Path, paths: Sequence[str], remarks: Sequence[Remark] = (), skipped: Sequence[str] = ()
    ) -> None:
        self.root, self.paths, self.remarks, self.skipped = root, paths, tuple(remarks), tuple(skipped)

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
    folders are logged as warnings. Images that are not read and broken links are named in the list's remarks.

    In a text file (UTF-8 or UTF-16), lines that begin with # are comments, quotation marks around a path are dropped,
    and a path that is repeated is used once, with a remark. Raises PhotosMissing if there is no photo, and for a table.
    """
    root = Path(where)
    if root.is_dir():
        skipped = _Skipped()
        paths = list(_walk(root, "", root.resolve(), set(), skipped))
        remarks = skipped.remarks()
        if not paths:
            missing = f"{root} contains no photos: expected files ending in {', '.join(SUFFIXES)}."
            raise PhotosMissing(" ".join([missing, *(remark.message for remark in remarks)]))
        return PhotoList(root, paths, remarks, skipped.names)
    if root.is_symlink() and not root.exists():
        raise PhotosMissing(f"{root} is a link to a file that is missing: {RESTORE}.")
    if not root.exists():
        raise PhotosMissing(f"{root} does not exist: expected a folder of photos, a photo, or a text file of paths.")
    if root.suffix.lower() in SUFFIXES:
        return PhotoList(root.parent, [root.name])
    if root.suffix.lower() in NOT_READ:
        raise PhotosMissing(f"{root} is an image of a kind that is not read: convert it to JPEG.")
    return _read_list(root)


def _read_list(place: Path) -> PhotoList:
    """The photos that a text file lists; raises PhotosMissing."""
    if place.suffix.lower() in SPREADSHEETS:
        raise PhotosMissing(f"{place} {IS_TABLE}")
    try:
        with place.open("rb") as file:
            is_utf16 = file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
        with place.open(encoding="utf-16" if is_utf16 else "utf-8-sig") as text:
            lines = [line.strip() for line in text if line.strip()]
    except (OSError, UnicodeError) as error:
        raise PhotosMissing(
            f"{place} is neither a photo ({', '.join(SUFFIXES)}) nor a text file of paths in UTF-8 or UTF-16."
        ) from error
    if _is_table(place.parent, lines):
        raise PhotosMissing(f"{place} {IS_TABLE}")
    seen: set[str] = set()
    paths: list[str] = []
    repeated = _Skipped()
    for path in (_listed_path(place.parent, line) for line in lines):
        if path is None:
            continue
        if (key := _plain(place.parent, path)) in seen:
            repeated.add("repeated_lines", display_name(path))
        else:
            seen.add(key)
            paths.append(path)
    if not paths:
        raise PhotosMissing(f"{place} lists no photos: expected one path per line.")
    return PhotoList(place.parent, paths, repeated.remarks())


def _is_table(folder: Path, lines: Sequence[str]) -> bool:
    """Whether the lines are rows: with a heading, or with a separator in each, and no file of that name."""
    if not lines:
        return False
    headings = re.split(f"[{SEPARATORS}]", lines[0].casefold())
    if "image_path" in (heading.strip("\"' ") for heading in headings):
        return True
    is_separated = any(all(separator in line for line in lines) for separator in SEPARATORS)
    return is_separated and not any(_exists(folder / line.strip("\"'")) for line in lines[:2])


def _listed_path(folder: Path, line: str) -> str | None:
    """The path of a line, None for a comment. What names a file as it stands is that file."""
    if (line[0] not in "#\"'" and "\\" not in line) or _exists(folder / line):
        return line
    if line[0] == "#":
        return None
    if len(line) > 2 and line[0] in "\"'" and line[-1] == line[0]:
        line = line[1:-1].strip()
    other = line.replace("\\", "/")
    return other if not _exists(folder / line) and _exists(folder / other) else line


def _plain(folder: Path, path: str) -> str:
    """The same text for all spellings of a path: with and without ./, or absolute and relative to the list."""
    if os.sep == "/" and path[0] != "/" and "./" not in path and "//" not in path:
        return path  # the usual case, at once
    plain = Path(path)
    home = folder.absolute()
    return str(plain.relative_to(home) if plain.is_relative_to(home) else plain)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a zero byte
        return False


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


class _Skipped:
    """Counts of files that are not used, by the key of their remark, with the first of their names."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.by_key: dict[str, tuple[int, list[str]]] = {}

    def add(self, key: str, name: str) -> None:
        """Count one file."""
        count, names = self.by_key.get(key, (0, []))
        if len(names) < NAMES_STORED:
            names.append(name)
        if len(self.names) < NAMES_KEPT:
            self.names.append(name)
        self.by_key[key] = count + 1, names

    def search(self, folder: str, entries: "Sequence[os.DirEntry[str]]") -> None:
        """Count the images of a folder that are not read."""
        names = [entry.name.lower() for entry in entries]
        stems = {name.rpartition(".")[0] for name in names if name.endswith(SUFFIXES)}
        for entry in sorted(entries, key=lambda entry: entry.name):
            stem, dot, ending = entry.name.lower().rpartition(".")
            ending = dot + ending if dot else ""
            if ending == ".icloud" and stem.endswith((*SUFFIXES, *NOT_READ)):
                self.add("files_not_downloaded", display_name(folder + entry.name))
            elif entry.name.startswith("."):
                continue
            elif ending in (*SUFFIXES, "") and entry.is_symlink() and not _exists(Path(entry.path)):
                self.add("broken_links", display_name(folder + entry.name))
            elif ending in NOT_READ and not (ending in RAW and stem in stems) and not _is_searched(entry):
                self.add("files_not_read", display_name(folder + entry.name))

    def remarks(self) -> tuple[Remark, ...]:
        """One remark per key."""
        return tuple(
            Remark.of(key, names, SKIPPED[key].format(counted(count, NOUNS.get(key, "file"))), count=count)
            for key, (count, names) in self.by_key.items()
        )


def _walk(
    root: Path, folder: str, home: Path, seen: set[Path], skipped: _Skipped, *, behind_link: bool = False
) -> Iterator[str]:
    """Photo paths relative to `root`, sorted by their path components.

    A link is followed if it leads out of `home`, the resolved root, to a folder that is not in `seen`: other folders
    are searched where they are.
    """
    try:
        with os.scandir(root / folder) as entries:
            present = list(entries)
            visible = [entry for entry in present if not entry.name.startswith(".")]
            found = sorted((one.name, _is_searched(one), one.is_symlink()) for one in visible if _is_wanted(one))
    except OSError as error:
        log.warning("Could not search %s for photos: %s", root / folder, error.strerror)
        return
    skipped.search(folder, present)
    for name, is_folder, is_link in found:
        inner = f"{folder}{name}/"
        if not is_folder:
            yield folder + name
        elif not (is_link or behind_link):
            yield from _walk(root, inner, home, seen, skipped)
        elif not (target := (root / inner).resolve()).is_relative_to(home) and target not in seen:
            seen.add(target)
            yield from _walk(root, inner, home, seen, skipped, behind_link=True)


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
