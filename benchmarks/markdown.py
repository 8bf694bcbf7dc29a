"""Markdown made of the JSON in docs/data."""

from collections.abc import Iterable
from typing import Any

Results = list[dict[str, Any]]
"""The JSON files of a block, in order of their names."""


def table(head: str, rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; `head` names the columns, separated by |."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([f"| {head} |", "|---" * (head.count(" | ") + 1) + "|", *lines])


def percent(share: float) -> str:
    """A share, rounded to a percent."""
    return f"{100 * share:.0f} %"


def lines_of(results: Results) -> Results:
    """The lines of all results."""
    return [line for result in results for line in result["lines"]]
