"""Files that appear whole or not at all, and outputs that are not replaced unasked."""

import os
import shutil
from pathlib import Path

from herbage.errors import OutputExists


def write_whole(path: Path, content: bytes | str) -> None:
    """Write under a name of its own, flush to the disk, rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExists where something stands at `path` already, unless it may be replaced."""
    if path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
        raise OutputExists(f"{path} exists already; give --overwrite to replace it, or another name.")


def replace_folder(new: Path, place: Path) -> None:
    """Put a finished folder in its place; what stood there goes only when the new one is whole."""
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
