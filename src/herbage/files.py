"""Files that appear whole or not at all, outputs that are not replaced unasked, and the machine that a run is on."""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from herbage.errors import OutputExists


def write_whole(path: Path, content: bytes | str) -> None:
    """Write under a name of its own, flush to the disk, rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it had no room for
        raise
    finally:
        temporary.unlink(missing_ok=True)


def is_taken(place: Path) -> bool:
    """Whether something stands there that a folder would replace; an empty folder is nothing."""
    return place.exists() and not (place.is_dir() and not any(place.iterdir()))


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExists where a file stands at `path` already and may not be replaced, or where none could stand."""
    if path.is_dir():
        raise OutputExists(f"{path} is a folder; expected a file to write. Give another name.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} exists already; give --overwrite to replace it, or another name.")
    refuse_closed(path)


def refuse_closed(path: Path) -> None:
    """Raise OSError where nothing can be written at `path`, before long work is done for it; nothing is made yet."""
    home = next(folder for folder in path.absolute().parents if folder.exists())
    if not home.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(home))
    if not os.access(home, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(home))


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A folder to fill, which is put at `place` when the block ends; what stood there goes only then.

    Where the block fails, nothing of it is left.
    """
    place = place.resolve()
    new, old = (place.with_name(f".{place.name}.{uuid4().hex[:12]}.{what}") for what in ("new", "old"))
    try:
        new.mkdir(parents=True)
        yield new
        if place.exists():
            place.rename(old)
        new.rename(place)
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def memory_bytes() -> float:
    """The machine's memory; without a limit where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return float("inf")
