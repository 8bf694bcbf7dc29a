"""Read a column of dates as ISO days; None where a value is not a year-first date."""

import re
from collections.abc import Sequence

from herbage.photos.spreadsheet import DateOrder


def read_days(text: Sequence[str], order: DateOrder | None, column: str, labels: Sequence[str]) -> list[str] | None:
    """Read a column of dates as ISO days; None where a value is not a year-first date."""
    out = []
    for value in text:
        if date := re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2}).*", value):
            year, month, day = date.groups()
            out.append(f"{year}-{int(month):02}-{int(day):02}")
        else:
            return None
    return out
