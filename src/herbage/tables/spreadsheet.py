"""Read tables into data frames: columns of numbers as numbers, and every other column as text, exactly as written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import clean, listed
from herbage.remarks import Remark
from herbage.tables.cells import Cell, Grid, cell_of, column_letter, text_of, without_comments
from herbage.tables.delimited import read_delimited
from herbage.tables.numbers import POSSIBLE_CODES, DecimalSign, Written, decimal_sign, read_cell
from herbage.tables.validation import FIRST_ROW, did_you_mean
from herbage.tables.workbook import OTHER_SPREADSHEETS, WORKBOOKS, read_workbook
from herbage.targets import TARGETS

DateOrder = Literal["day-first", "month-first"]

CORNERS = tuple(f"{axis}{number}" for number in range(1, 5) for axis in "xy")
COVARIATES = ("Height_Ave_cm", "Pre_GSHH_NDVI")
"""Measured columns that are numbers."""

NUMERIC_COLUMNS = (*TARGETS, "target", *CORNERS, *COVARIATES)
TEXT_COLUMNS = ("sample_id", "image_path", "State", "Sampling_Date", "Species", "target_name")
"""Columns of text that herbage uses by name."""

CELLS_SHOWN = 3
"""Cells in a message about a column without a name."""


@dataclass(frozen=True)
class TableFormat:
    """How to read a table where its text alone does not decide it.

    `columns` maps herbage's column names to the file's. `decimal` is the decimal sign of its numbers, `sheet` a sheet
    of a workbook, and `dates` the order of dates such as 4/9/2025; None leaves the decision to the table's own values.
    `measured` are further columns of numbers, under herbage's names.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    decimal: DecimalSign | None = None
    sheet: str | None = None
    dates: DateOrder | None = None
    measured: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns of numbers, under herbage's names."""
        return (*NUMERIC_COLUMNS, *self.measured)

    def for_sidecar(self, measured: Sequence[str]) -> "TableFormat":
        """How to read a table of measured values beside another table: only names of measured columns apply to it."""
        columns = {new: old for new, old in self.columns.items() if new in measured}
        return replace(self, columns=columns, sheet=None, measured=tuple(measured))

    def without(self, names: Sequence[str]) -> "TableFormat":
        """How to read a table whose columns of these names are in another table."""
        return replace(self, columns={new: old for new, old in self.columns.items() if new not in names}, measured=())

    def name_in_file(self, name: str) -> str:
        """The file's name of one of herbage's columns."""
        return self.columns.get(name, name)


DEFAULT_FORMAT = TableFormat()


@dataclass(frozen=True)
class Table:
    """A table as read: `where` is its name for messages, `remarks` is how it was read where that could be doubted.

    `frame` has the columns of `TableFormat.numeric` as floats, in which a cell that is not a number is still text, and
    all other columns as text; an empty cell is NaN. `codes` are the cells that were read as empty because they have a
    code for a missing value, by row label and column.
    """

    frame: pd.DataFrame
    where: str
    remarks: tuple[Remark, ...] = ()
    codes: Mapping[tuple[int, str], str] = field(default_factory=dict)


def read_frame(table: str | Path | pd.DataFrame, how: TableFormat = DEFAULT_FORMAT) -> Table:
    """Read a table; raises TableInvalid."""
    how = replace(how, columns={new: clean(old) for new, old in how.columns.items()})
    grid = without_comments(_read_grid(table, how))
    if not grid.rows:
        raise TableInvalid(f"{grid.where} has no rows: expected a header and at least one row.")
    names = _renamed(_unique_names(grid, how), how.columns, grid.where)
    texts = {name: grid.column(index) for index, name in names.items() if name not in how.numeric}
    numeric = {name: grid.column(index) for index, name in names.items() if name in how.numeric}
    sign = _decimal_sign(numeric, grid, how)
    read = {name: [read_cell(cell, sign) for cell in cells] for name, cells in numeric.items()}
    frame = pd.DataFrame(
        {
            name: _number_column(read[name], grid.index) if name in read else _text_column(texts[name], grid.index)
            for name in names.values()
        },
        index=grid.index,
    )
    codes = {
        (label, name): text_of(cell)
        for name, cells in numeric.items()
        for label, cell, value in zip(grid.index, cells, read[name], strict=True)
        if isinstance(value, float) and np.isnan(value) and text_of(cell)
    }
    return Table(frame, grid.where, (*grid.remarks, *_code_remarks(frame, codes, how, grid.where)), codes)


def _read_grid(table: str | Path | pd.DataFrame, how: TableFormat) -> Grid:
    is_workbook = not isinstance(table, pd.DataFrame) and Path(table).suffix.lower() in WORKBOOKS
    if how.sheet is not None and not is_workbook:
        name = "a data frame" if isinstance(table, pd.DataFrame) else table
        raise TableInvalid(f"`sheet={how.sheet}`: {name} has no sheets; expected a workbook.")
    if isinstance(table, pd.DataFrame):
        return _grid_of_frame(table, how.name_in_file("image_path"))
    path = Path(table)
    _check_kind(path)
    if path.suffix.lower() in OTHER_SPREADSHEETS:
        raise TableInvalid(f"{path} could not be read: expected .csv or .xlsx; save it as .xlsx.")
    wanted = {how.name_in_file(name) for name in (*how.numeric, *TEXT_COLUMNS)} | set(how.columns.values())
    try:
        if is_workbook:
            return read_workbook(path, wanted, how.name_in_file("image_path"), how.sheet)
        return read_delimited(path, wanted)
    except TableInvalid:
        raise
    except FileNotFoundError as error:
        raise TableInvalid(f"{path} does not exist: expected a table, as .csv or .xlsx.") from error
    except Exception as error:  # openpyxl raises many types
        kind = "an Excel workbook" if is_workbook else "a CSV table"
        raise TableInvalid(f"{path} could not be read as {kind}: {error}") from error


def _check_kind(path: Path) -> None:
    """Raise TableInvalid for a folder, a web page and a JSON file, whatever its name ends in."""
    if path.is_dir():
        raise TableInvalid(f"{path} is a folder: expected a table, as .csv or .xlsx.")
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(1000).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if re.match(rb"<(!doctype html|html|table|head|meta|\?xml)", start):
            raise TableInvalid(
                f"{path} is a web page or XML, not a table: open it in a spreadsheet program, save as .xlsx."
            )
        if re.match(rb"[\[{]\s*[\[{\"]", start):
            raise TableInvalid(f"{path} is JSON, not a table: expected .csv or .xlsx.")


def _grid_of_frame(frame: pd.DataFrame, photo_column: str) -> Grid:
    """A data frame as a grid; columns that pandas named itself have no name."""
    if photo_column in frame.index.names and photo_column not in frame.columns:
        raise TableInvalid(f"the table has {photo_column} as its index: pass it with .reset_index().")
    header = ["" if re.fullmatch(r"Unnamed: \d+", str(name)) else clean(str(name)) for name in frame.columns]
    columns = [[cell_of(value) for value in frame.iloc[:, index].tolist()] for index in range(len(header))]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Grid("the table", header, rows, list(range(FIRST_ROW, FIRST_ROW + len(rows))))


def _unique_names(grid: Grid, how: TableFormat) -> dict[int, str]:
    """The names of the columns by their place; a name that stands twice is followed by the column's letter.

    Raises TableInvalid for a column with cells but without a name, and for two columns with one name that is used.
    """
    used = {*how.numeric, *TEXT_COLUMNS, *how.columns.values()}
    names: dict[int, str] = {}
    for index, name in enumerate(grid.header):
        twins = [column_letter(other) for other, one in enumerate(grid.header) if one == name]
        if not name:
            _check_nameless(grid, index)
        elif len(twins) > 1 and name in used:
            raise TableInvalid(
                f"{grid.where} has the column {name} more than once (columns {', '.join(twins)}): rename or remove one."
            )
        else:
            names[index] = name if len(twins) == 1 else f"{name} (column {column_letter(index)})"
    return names


def _check_nameless(grid: Grid, index: int) -> None:
    """Raise TableInvalid where a column without a name has cells, unless it is the row numbers that programs add."""
    texts = [text_of(cell) for cell in grid.column(index)]
    filled = [(number, text) for number, text in zip(grid.row_numbers, texts, strict=True) if text]
    if not filled or (index == 0 and len(set(texts)) == len(texts) and all(map(str.isdigit, texts))):
        return
    cells = ", ".join(f"row {number}: {text!r}" for number, text in filled[:CELLS_SHOWN])
    hint = " If they are the decimals of the numbers before them, separate the cells with semicolons."
    raise TableInvalid(
        f"{grid.where} has cells in column {column_letter(index)}, which has no name ({cells}): name or remove it."
        f"{hint if grid.separator == ',' else ''}"
    )


def _renamed(names: dict[int, str], columns: Mapping[str, str], where: str) -> dict[int, str]:
    present = names.values()
    if missing := [name for name in columns.values() if name not in present]:
        raise TableInvalid(
            f"`columns`: {where} lacks {listed('column', missing)}; its columns are {', '.join(present)}"
            f"{did_you_mean(missing, present) or '.'}"
        )
    clashing = [new for new, old in columns.items() if new in present and new != old and new not in columns.values()]
    if clashing:
        raise TableInvalid(f"`columns`: {where} already has {listed('column', clashing)}; rename or remove it.")
    if len(set(columns.values())) < len(columns):
        raise TableInvalid("`columns` maps two names to the same column.")
    new_names = {old: new for new, old in columns.items()}
    return {index: new_names.get(name, name) for index, name in names.items()}


def _decimal_sign(columns: Mapping[str, Sequence[Cell]], grid: Grid, how: TableFormat) -> DecimalSign:
    """The decimal sign of the text cells; a file separated by commas without commas in its numbers has points."""
    written = [
        Written(f"row {number}, column {how.name_in_file(name)}", cell)
        for name, cells in columns.items()
        for number, cell in zip(grid.row_numbers, cells, strict=True)
        if isinstance(cell, str)
    ]
    has_points = grid.separator == "," and not any("," in cell.text for cell in written)
    return decimal_sign(written, grid.where, how.decimal, "point" if has_points else None)


def _code_remarks(
    frame: pd.DataFrame, codes: Mapping[tuple[int, str], str], how: TableFormat, where: str
) -> list[Remark]:
    """Remarks about the cells that were read as codes for a missing value, and about numbers that may be such codes."""
    missing = [f"row {label + FIRST_ROW}, column {name} ({text})" for (label, name), text in codes.items()]
    possible = [
        f"row {label + FIRST_ROW}, column {name} ({value:g})"
        for name in ("target", *TARGETS, *how.measured)
        if name in frame
        for label, value in zip(frame.index.tolist(), frame[name].tolist(), strict=True)
        if value in POSSIBLE_CODES
    ]
    remarks = []
    if missing:
        message = f"{where}: cells with a code for a missing value were read as empty"
        remarks.append(Remark.of("missing_codes", missing, message, is_warning=False))
    if possible:
        message = f"{where}: numbers that may be codes for a missing value are used unchanged; empty the cells if so"
        remarks.append(Remark.of("possible_missing_codes", possible, message))
    return remarks


def _number_column(values: Sequence[float | str], index: Sequence[int]) -> "pd.Series[Any]":
    is_number = not any(isinstance(value, str) for value in values)
    return pd.Series(np.array(values, float if is_number else object), list(index))


def _text_column(cells: Sequence[Cell], index: Sequence[int]) -> "pd.Series[str]":
    return pd.Series([text_of(cell) or None for cell in cells], list(index), dtype="str")
