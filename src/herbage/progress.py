"""Progress reporting for long steps."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Wraps an iterable, given a description and its length, to show progress; yields the same items."""


def silent(items: Iterable[Any], _: str, __: int) -> Iterable[Any]:
    """Show no progress."""
    return items
