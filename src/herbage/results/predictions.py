"""predictions.csv, written row by row as the estimates are made; one that was cut off is gone on with."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from herbage.errors import OutputExists
from herbage.files import refuse_existing, write_whole
from herbage.model.estimate import COLUMNS, Estimate
from herbage.photos.photo import PhotoFile
from herbage.targets import TARGETS

FIGURES = (*TARGETS, *(f"{target}_{end}" for target in TARGETS for end in ("low", "high")), "latitude", "longitude")

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""


class PredictionsWriter:
    """Appends a row a photo; a row is on its way to the disk as soon as it is added."""

    def __init__(self, file: Any, *, begun: bool = False) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not begun:
            self._writer.writeheader()

    def add(self, estimate: Estimate) -> None:
        """Write one estimate's row."""
        self.add_row(estimate.row())

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Write the cells of a row, as `Estimate.row` gives them."""
        self._writer.writerow({name: spreadsheet_text(row[name]) for name in COLUMNS})
        self._file.flush()


class PredictionsTable:
    """predictions.csv of a run, and what an earlier run left of it.

    While it grows, a mark stands beside it that says what its rows are made from. Where a whole table stands already,
    the new one grows in `predictions.partial.csv` and takes its place when it is whole too.
    """

    def __init__(self, place: Path, *, overwrite: bool) -> None:
        """Raises OutputExists where a whole table stands that may not be replaced."""
        self.place, self.overwrite = place, overwrite
        self._mark = place.with_name(f".{place.stem}.unfinished.json")
        self._left = self._read_mark()
        partial = place.with_suffix(".partial.csv")
        whole = place.exists() and (self._left is None or self._left["table"] == partial.name)
        if whole or self._left is None:
            refuse_existing(place, overwrite=overwrite)
        self.growing = partial if whole else place

    def photos(self) -> Iterator[str]:
        """The photos of the table that an earlier run left, whole or not."""
        with suppress(OSError), self.place.open(newline="", encoding="utf-8", errors="replace") as table:
            for row in csv.DictReader(table):
                yield plain_text(row.get("photo") or "")

    def begin(self, files: Sequence[PhotoFile], made_from: Mapping[str, Any]) -> int:
        """How many rows of an earlier run are the first of these photos' rows; what stands behind them is taken away.

        `made_from`: whatever changes a row, in plain values; rows are kept only if it is equal. Raises OutputExists
        where they are not and may not be replaced.
        """
        made_from = json.loads(json.dumps(made_from))
        kept = 0
        if self._left is not None and self.growing.exists():
            if self._left["made_from"] == made_from:
                kept = self._keep(files)
            elif not self.overwrite:
                raise OutputExists(
                    f"{self.growing} was begun with another model or other settings, and cut off; give --overwrite to "
                    f"begin anew, or another name."
                )
        if not kept:
            self.growing.unlink(missing_ok=True)
        write_whole(self._mark, json.dumps({"table": self.growing.name, "made_from": made_from}, indent=2))
        return kept

    def _keep(self, files: Sequence[PhotoFile]) -> int:
        with self.growing.open("r+b") as table:
            if table.readline() != (",".join(COLUMNS) + "\n").encode():
                return 0
            kept, end = 0, table.tell()
            for file in files:
                line = table.readline()
                if not line.endswith(b"\n") or _first_cell(line) != spreadsheet_text(file.name):
                    break
                kept, end = kept + 1, end + len(line)
            table.truncate(end)
        return kept

    def kept_rows(self, count: int) -> Iterator[dict[str, Any]]:
        """The first rows, with the cells that `Estimate.of_row` takes."""
        if not count:
            return
        with self.growing.open(newline="", encoding="utf-8") as table:
            for row in islice(csv.DictReader(table), count):
                cells: dict[str, Any] = {name: plain_text(row[name]) or None for name in COLUMNS}
                cells |= {name: float(row[name]) if row[name] else None for name in FIGURES}
                cells["in_domain"] = {"True": True, "False": False}.get(row["in_domain"])
                cells["taken_at"] = datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None
                yield cells

    @contextmanager
    def grow(self) -> Iterator[PredictionsWriter]:
        """A writer behind the rows that are kept; the table takes its place when all is done."""
        begun = self.growing.exists()
        with self.growing.open("a", newline="", encoding="utf-8") as file:
            yield PredictionsWriter(file, begun=begun)
            file.flush()
            os.fsync(file.fileno())
        self.growing.replace(self.place)
        self._mark.unlink()

    def _read_mark(self) -> dict[str, Any] | None:
        """What a run that was cut off left beside its table."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            left = json.loads(self._mark.read_text("utf-8"))
            return {"table": str(left["table"]), "made_from": left["made_from"]}
        return None


def spreadsheet_text(value: Any) -> Any:
    """Numbers as they are; text in one line, and as text again where a spreadsheet would take it for a formula."""
    if not isinstance(value, str):
        return value
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", value)
    return "'" + line if line.lstrip()[:1] in FORMULA or value[:1] in ("\t", "\r") else line


def plain_text(cell: str) -> str:
    """A cell's text as it was before `spreadsheet_text`."""
    return cell[1:] if cell[:1] == "'" and cell[1:].lstrip()[:1] in FORMULA else cell


def _first_cell(line: bytes) -> str:
    return next(csv.reader([line.decode("utf-8", "replace")]), [""])[0]
