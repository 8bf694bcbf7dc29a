"""The cells of a table before it is known which columns are numbers: text, and numbers that a file stores as such."""

import datetime
import numbers
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from herbage.remarks import Remark
from herbage.tables.validation import FIRST_ROW

SHOWN_DIGITS = 15
"""Significant digits of a number as text, as in a spreadsheet."""


@dataclass(frozen=True, slots=True)
class Number:
    """A cell that a workbook or a data frame stores as a number; `text` is what it shows."""

    value: float
    text: str


Cell = str | Number
"""Text without outer spaces, "" if the cell is empty, or a number."""


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
        return value.strip()
    if value is None or pd.isna(value) is True:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, numbers.Real | Decimal):
        number = int(value) if isinstance(value, numbers.Integral) else float(value)
        return Number(float(number), _shown(number, number_format))
    return str(value).strip()


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
