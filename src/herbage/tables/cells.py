"""The cells of a table before it is known which columns are numbers: text, and numbers that a file stores as such."""

import datetime
import numbers
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import clean
from herbage.remarks import Remark
from herbage.tables.validation import FIRST_ROW

HEADER_ROWS = 20
"""Rows in which the header is searched where the first row has no known name."""

SHOWN_DIGITS = 15
"""Significant digits of a number as text, as in a spreadsheet."""


@dataclass(frozen=True, slots=True)
class Number:
    """A cell that a workbook or a data frame stores as a number; `text` is what it shows."""

    value: float
    text: str


Cell = str | Number
"""Text as `clean` leaves it, "" if the cell is empty, or a number."""


@dataclass(frozen=True)
class Grid:
    """A header and the rows below it, each as long as the header and with its row number in a spreadsheet.

    `separator` is that of a text file. `where` is the table's name for messages.
    """

    where: str
    header: list[str]
    rows: list[list[Cell]]
    row_numbers: list[int]
    separator: str | None = None
    remarks: tuple[Remark, ...] = ()

    def column(self, index: int) -> list[Cell]:
        """All cells of one column."""
        return [row[index] for row in self.rows]

    @property
    def index(self) -> list[int]:
        """The rows' labels in a data frame: row FIRST_ROW of the spreadsheet is 0."""
        return [number - FIRST_ROW for number in self.row_numbers]


def text_of(cell: Cell) -> str:
    """What a cell shows."""
    return cell if isinstance(cell, str) else cell.text


def cell_of(value: Any, number_format: str = "") -> Cell:
    """A value of a workbook or a data frame as a cell; a number format such as 000 shows 1 as 001."""
    if isinstance(value, str):
        return clean(value)
    if value is None or pd.isna(value) is True:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, numbers.Real | Decimal):
        number = int(value) if isinstance(value, numbers.Integral) else float(value)
        return Number(float(number), _shown(number, number_format))
    return clean(str(value))


def check_header(where: str, rows: Iterable[tuple[int, Iterable[str]]], wanted: Collection[str]) -> None:
    """Raise TableInvalid where a row below the first is the header: it has at least two wanted names, the first none.

    `rows` are the first rows, with their numbers.
    """
    found = [(number, len(set(wanted).intersection(cells))) for number, cells in rows]
    header = next((number for number, count in found[1:] if count > 1), None)
    if header is not None and found[0][1] == 0:
        raise TableInvalid(f"{where}: row {header} looks like the header: remove the rows above it.")


def without_comments(grid: Grid) -> Grid:
    """Leave out the rows that begin with # and are otherwise like the others, or have no other cell; a remark says so.

    A # that begins the header or more than half of the rows belongs to the values.
    """
    first = [text_of(cell) for cell in grid.column(0)] if grid.header else []
    marked = [row for row, text in enumerate(first) if text.startswith("#")]
    if not marked or grid.header[0].startswith("#") or len(marked) > len(first) / 2:
        return grid
    usual = {_shape(text) for text in first if not text.startswith("#")}
    comments = [
        row
        for row in marked
        if first[row].startswith("# ") or _shape(first[row].lstrip("# ")) in usual or not any(grid.rows[row][1:])
    ]
    if not comments:
        return grid
    names = [f"row {grid.row_numbers[row]} ({first[row]})" for row in comments]
    message = f"{grid.where}: rows that begin with # are comments and were left out"
    kept = [row for row in range(len(first)) if row not in set(comments)]
    return replace(
        grid,
        rows=[grid.rows[row] for row in kept],
        row_numbers=[grid.row_numbers[row] for row in kept],
        remarks=(*grid.remarks, Remark.of("commented_rows", names, message)),
    )


def _shape(text: str) -> str:
    """A text with each number as 0 and each word as a: photos/sward_03.jpg is a/a_0.a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def column_letter(index: int) -> str:
    """The name of a column in a spreadsheet: A for 0, AA for 26."""
    name = ""
    while index >= 0:
        index, letter = divmod(index, 26)
        name = chr(ord("A") + letter) + name
        index -= 1
    return name


def _shown(value: float, number_format: str) -> str:
    if isinstance(value, int) or value.is_integer():
        return str(int(value)).zfill(len(number_format) if set(number_format) == {"0"} else 0)
    return f"{value:.{SHOWN_DIGITS}g}"
