"""Find byte-equal copies among photos."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from herbage.photos.photo import PhotoFile


def find_copies(files: Iterable[PhotoFile]) -> Iterator[Sequence[PhotoFile]]:
    """Yield photos that are byte-equal, in groups of two or more; files that cannot be read are left out.

    Two quadrats of one photo are not copies. Only files of equal size are read.
    """
    by_size: dict[object, list[PhotoFile]] = defaultdict(list)
    for file in files:
        if size := _size(file.path):
            by_size[size, file.corners].append(file)
    for same_size in by_size.values():
        if len(same_size) > 1:
            by_digest: dict[bytes, list[PhotoFile]] = defaultdict(list)
            for file in same_size:
                if digest := _digest(file.path):
                    by_digest[digest].append(file)
            yield from (copies for copies in by_digest.values() if len(copies) > 1)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _digest(path: Path) -> bytes:
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return b""
