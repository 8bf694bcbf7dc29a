"""predictions.csv, written row by row as the estimates are made."""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from herbage.model.estimate import COLUMNS, Estimate


class PredictionsWriter:
    """Appends a row a photo; a row is on its way to the disk as soon as it is added."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def add(self, estimate: Estimate) -> None:
        """Write one estimate's row."""
        self.add_row(estimate.row())

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Write the cells of a row, as `Estimate.row` gives them."""
        self._writer.writerow({name: spreadsheet_text(row[name]) for name in COLUMNS})
        self._file.flush()


@contextmanager
def open_predictions(path: Path) -> Iterator[PredictionsWriter]:
    """A writer for predictions.csv. Rows stand in the file as they are made, also when the work is interrupted.

    Where a table stands already, the new one grows in `predictions.partial.csv` and takes its place when whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_suffix(".partial.csv") if path.exists() else path
    with growing.open("w", newline="", encoding="utf-8") as file:
        yield PredictionsWriter(file)
        file.flush()
        os.fsync(file.fileno())
    growing.replace(path)


def spreadsheet_text(value: Any) -> Any:
    """Numbers as they are; text in one line, and as text again where a spreadsheet would take it for a formula."""
    if not isinstance(value, str):
        return value
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", value)
    return "'" + line if line.lstrip()[:1] in ("=", "+", "-", "@") or value[:1] in ("\t", "\r") else line
