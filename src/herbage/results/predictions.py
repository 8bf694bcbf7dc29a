"""predictions.csv, written row by row; an interrupted run resumes after its last complete row."""

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
from herbage.files import write_atomic
from herbage.model.estimate import COLUMNS, FLAGS, NUMBERS, Estimate
from herbage.outputs import check_output_file
from herbage.photos.photo import PhotoFile

FORMULA = ("=", "+", "-", "@")
"""Characters that begin a formula in a spreadsheet."""


class PredictionsWriter:
    """Appends one row per photo; each row is flushed as soon as it is added."""

    def __init__(self, file: Any, *, has_header: bool = False) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not has_header:
            self._writer.writeheader()

    def add(self, estimate: Estimate) -> None:
        """Write the row of an estimate."""
        self.add_row(estimate.row())

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Write the cells of a row, as returned by `Estimate.row`."""
        self._writer.writerow({name: spreadsheet_text(row[name]) for name in COLUMNS})
        self._file.flush()


class PredictionsTable:
    """predictions.csv of a run, and the rows of an interrupted run that can be reused.

    While the table grows, a marker file next to it records the request that its rows are made from. Where a complete
    table exists already, the new one grows in `predictions.partial.csv` and replaces it when it is complete too.
    """

    def __init__(self, place: Path, *, overwrite: bool) -> None:
        """Raises OutputExists where a complete table exists that may not be replaced."""
        self.place, self.overwrite = place, overwrite
        self._marker = place.with_name(f".{place.stem}.unfinished.json")
        self._interrupted = self._read_marker()
        partial = place.with_suffix(".partial.csv")
        is_complete = place.exists() and (self._interrupted is None or self._interrupted["table"] == partial.name)
        if is_complete or self._interrupted is None:
            check_output_file(place, overwrite=overwrite)
        self.growing = partial if is_complete else place
        self._request: Mapping[str, Any] = {}

    def photos(self) -> Iterator[str]:
        """The photos in the table of an earlier run, complete or not."""
        with suppress(OSError), self.place.open(newline="", encoding="utf-8", errors="replace") as table:
            for row in csv.DictReader(table):
                yield plain_text(row.get("photo") or "")

    def begin(self, files: Sequence[PhotoFile], request: Mapping[str, Any]) -> int:
        """Return how many leading rows can be reused; truncate the rest.

        Rows are reused only if they were made from an equal `request`, a mapping of plain values. Raises OutputExists
        where they were not and may not be replaced.
        """
        request = json.loads(json.dumps(request))
        reused = 0
        if self._interrupted is not None and self.growing.exists():
            if self._interrupted["made_from"] == request:
                reused = self._truncate(files)
            elif not self.overwrite:
                raise OutputExists(
                    f"{self.growing} belongs to an interrupted run with another model or other settings; pass "
                    f"`overwrite=True` to start again, or choose another path."
                )
        if not reused:
            self.growing.unlink(missing_ok=True)
        self._request = request
        self._write_marker(request)
        return reused

    def _write_marker(self, request: Mapping[str, Any]) -> None:
        write_atomic(self._marker, json.dumps({"table": self.growing.name, "made_from": request}, indent=2))

    def _truncate(self, files: Sequence[PhotoFile]) -> int:
        """Cut the table after the last complete row that belongs to its photo; returns the number of rows left.

        The row of a photo that was replaced since, such as a damaged one that was copied again, is cut as well.
        """
        written_ns = self.growing.stat().st_mtime_ns
        with self.growing.open("r+b") as table:
            if table.readline() != (",".join(COLUMNS) + "\n").encode():
                return 0
            reused, end = 0, table.tell()
            for file in files:
                line = table.readline()
                if not line.endswith(b"\n") or _first_cell(line) != spreadsheet_text(file.name):
                    break
                if _changed_ns(file.path) > written_ns:
                    break
                reused, end = reused + 1, end + len(line)
            table.truncate(end)
        return reused

    def rows(self, count: int) -> Iterator[dict[str, Any]]:
        """The first rows, with the cells that `Estimate.of_row` takes."""
        if not count:
            return
        with self.growing.open(newline="", encoding="utf-8") as table:
            for row in islice(csv.DictReader(table), count):
                cells: dict[str, Any] = {name: plain_text(row[name]) or None for name in COLUMNS}
                cells |= {name: float(row[name]) if row[name] else None for name in NUMBERS}
                cells |= {name: {"True": True, "False": False}.get(row[name]) for name in FLAGS}
                cells["taken_at"] = datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None
                yield cells

    @contextmanager
    def writer(self) -> Iterator[PredictionsWriter]:
        """A writer that appends to the reused rows; the table is complete when the block ends without an error.

        An interrupted run can be resumed until `finish`, even if nothing but its other files is missing.
        """
        has_header = self.growing.exists()
        with self.growing.open("a", newline="", encoding="utf-8") as file:
            yield PredictionsWriter(file, has_header=has_header)
            file.flush()
            os.fsync(file.fileno())
        self.growing.replace(self.place)
        self.growing = self.place
        self._write_marker(self._request)

    def finish(self) -> None:
        """Declare the run complete, so that its table may not be replaced."""
        self._marker.unlink(missing_ok=True)

    def _read_marker(self) -> dict[str, Any] | None:
        """The marker of an interrupted run."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            marker = json.loads(self._marker.read_text("utf-8"))
            return {"table": str(marker["table"]), "made_from": marker["made_from"]}
        return None


def check_results_place(out: Path, *, overwrite: bool) -> None:
    """Raise OutputExists where complete results exist that may not be replaced, before long work is done for them."""
    PredictionsTable(out / "predictions.csv", overwrite=overwrite)


def spreadsheet_text(value: Any) -> Any:
    """Numbers unchanged; text on one line, with a leading apostrophe where a spreadsheet would read it as a formula."""
    if not isinstance(value, str):
        return value
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", value)
    return "'" + line if line.lstrip()[:1] in FORMULA or value[:1] in ("\t", "\r") else line


def plain_text(cell: str) -> str:
    """The text from which `spreadsheet_text` made this cell."""
    return cell[1:] if cell[:1] == "'" and cell[1:].lstrip()[:1] in FORMULA else cell


def _changed_ns(path: Path) -> int:
    """When a file was last written or put in its place; a copy may keep the time of the original's last change."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0
    return max(status.st_mtime_ns, status.st_ctime_ns)


def _first_cell(line: bytes) -> str:
    return next(csv.reader([line.decode("utf-8", "replace")]), [""])[0]
