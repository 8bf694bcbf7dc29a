"""Counts, lists of names and file sizes as text, and text as it is compared."""

import unicodedata
from collections.abc import Sequence

INVISIBLE = dict.fromkeys(map(ord, "\u200b\ufeff\u2060\u00ad"))
"""Characters without width that are copied from web pages and documents; two texts that differ in them look equal."""


def clean(text: str) -> str:
    """Text in Unicode's composed form, without characters of no width and without outer spaces."""
    return unicodedata.normalize("NFC", text.translate(INVISIBLE)).strip()


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
