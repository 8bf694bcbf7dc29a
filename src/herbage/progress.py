"""How a step shows that it is getting on."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""(items, what is done, how many there are) to the same items."""


def silent(items: Iterable[Any], _: str, __: int) -> Iterable[Any]:
    """No progress."""
    return items
