"""Remarks: what a user should know about the inputs of a run.

Every step logs its remarks and writes them to run.json and to the report, so that nothing is left out silently.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("herbage")

NAMES_SHOWN = 5
"""Names of photos, rows or columns in a message; run.json has the first NAMES_STORED."""
NAMES_STORED = 100


@dataclass(frozen=True)
class Remark:
    """One fact about the inputs: `what` is its key in run.json, such as photos_without_row.

    `count` is the number of photos, rows or columns that it is about, and `names` are the first of them.
    """

    what: str
    message: str
    count: int = 1
    names: tuple[str, ...] = ()
    is_warning: bool = True

    @classmethod
    def of(
        cls, what: str, names: Sequence[str], message: str, *, count: int | None = None, is_warning: bool = True
    ) -> "Remark":
        """A remark about these names; the message is followed by the first of them. `count` is by default theirs."""
        count = len(names) if count is None else count
        return cls(what, f"{message}: {first_names(names)}.", count, tuple(names[:NAMES_STORED]), is_warning)

    def record(self) -> dict[str, Any]:
        """Its entry in run.json."""
        return {"what": self.what, "count": self.count, "message": self.message, "names": list(self.names)}


def first_names(names: Sequence[str]) -> str:
    """The first NAMES_SHOWN names as text."""
    return ", ".join(names[:NAMES_SHOWN]) + (" and more" if len(names) > NAMES_SHOWN else "")


def log_remarks(remarks: Iterable[Remark]) -> None:
    """Log each remark, as a warning or for information."""
    for remark in remarks:
        log.log(logging.WARNING if remark.is_warning else logging.INFO, "%s", remark.message)
