"""Atomic writes of files and folders, and the user's cache."""

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from uuid import uuid4

from herbage.errors import InputInvalid


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a temporary file, flush it to disk and rename it: a reader never sees a partial file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # "no space left on device" comes without a file name
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _replace(new: Path, place: Path) -> None:
    """Rename a file; on Windows, wait a moment for others who have the old one open, such as a virus scanner."""
    for wait_s in (0.01, 0.1, 1.0) if os.name == "nt" else ():
        try:
            new.replace(place)
            return
        except PermissionError:
            time.sleep(wait_s)
    new.replace(place)


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A temporary folder that replaces `place` when the block ends without an error; after an error it is deleted."""
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
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def common_folder(folders: Iterable[PurePath]) -> Path:
    """The deepest folder that contains all of these; raises InputInvalid where they are on several drives."""
    try:
        return Path(os.path.commonpath(list(folders)))
    except ValueError as error:  # on Windows
        raise InputInvalid("The photos are on several drives: copy them below one folder.") from error


def user_cache(name: str) -> Path:
    """The folder of this name in herbage's part of the user's cache, which may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "herbage" / name
