"""Atomic writes of files and folders, and the user's cache."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a temporary file, flush it to disk and rename it: a reader never sees a partial file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # "no space left on device" comes without a file name
        raise
    finally:
        temporary.unlink(missing_ok=True)


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


def user_cache(name: str) -> Path:
    """The folder of this name in herbage's part of the user's cache, which may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "herbage" / name
