"""Counts, lists of names and file sizes as text."""

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """A count with its noun: 0 photos, 1 photo, 2 photos."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(noun: str, names: Sequence[str]) -> str:
    """Names after their noun: the column a, or the columns a, b."""
    return f"the {noun}{'' if len(names) == 1 else 's'} {', '.join(names)}"


def file_size(count: float) -> str:
    """Bytes in the largest fitting unit, to three digits: 1.23 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
