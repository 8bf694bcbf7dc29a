"""Read a sheet of an Excel workbook."""

import re
import warnings
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from herbage.errors import TableInvalid
from herbage.formatting import listed
from herbage.remarks import Remark
from herbage.tables.cells import HEADER_ROWS, Cell, Grid, cell_of, check_header, text_of

WORKBOOKS = (".xlsx", ".xlsm")
OTHER_SPREADSHEETS = (".xls", ".xlsb", ".ods", ".numbers")
OLE = b"\xd0\xcf\x11\xe0"
"""First bytes of an .xls file, and of an .xlsx file with a password."""

HIDDEN = re.compile(rb'<(?:\w+:)?(?:row|col)\s[^>]*\bhidden="(?:1|true)"[^>]*>')
"""Tags of a sheet's rows and columns that are hidden."""

FORMULAS_SHOWN = 5


@dataclass(frozen=True)
class _Sheet:
    """A sheet with at least one cell; `is_table` if it has the column of photos and rows below it."""

    sheet: Any
    is_visible: bool
    is_table: bool

    @property
    def title(self) -> str:
        return f"{self.sheet.title}{'' if self.is_visible else ' (hidden)'}"


def read_workbook(path: Path, wanted: Collection[str], photo_column: str, sheet: str | None) -> Grid:
    """Read the sheet named `sheet`, or the first visible one with rows and the column `photo_column`.

    Sheets that are not read are remarks. `wanted` are columns in which a formula must have a result. Raises
    TableInvalid.
    """
    from openpyxl import load_workbook

    # Opened here, since openpyxl leaves a file open that it has not read to its end.
    with path.open("rb") as file, path.open("rb") as again, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of extensions that it does not read
        if file.read(len(OLE)) == OLE:
            raise TableInvalid(f"{path} is an old workbook or has a password: save it as .xlsx without a password.")
        if not zipfile.is_zipfile(file):
            raise TableInvalid(f"{path} is not a workbook, whatever its name: if it is text, rename it to .csv.")
        book = load_workbook(file, read_only=True, data_only=True)
        formulas = load_workbook(again, read_only=True)
        titles = [one.title for one in book.worksheets]
        if sheet is not None and sheet not in titles:
            raise TableInvalid(f"`sheet={sheet}`: {path} has {listed('sheet', titles)}.")
        title, remarks = (sheet, ()) if sheet is not None else _choose(path, book.worksheets, photo_column, wanted)
        where = f"{path}, sheet {title}" if len(titles) > 1 else str(path)
        grid = _grid(book[title], formulas[title], where, wanted, remarks)
        return replace(grid, remarks=(*grid.remarks, *_hidden(book[title], grid, wanted)))


def _choose(
    path: Path, worksheets: Collection[Any], photo_column: str, wanted: Collection[str]
) -> tuple[str, tuple[Remark, ...]]:
    """The title of the sheet to read, and remarks about the others."""
    sheets = []
    for sheet in worksheets:
        rows = ([cell_of(cell.value) for cell in cells] for _, cells in _rows(sheet))
        if first_rows := list(islice(filter(any, rows), 2)):
            is_table = len(first_rows) == 2 and photo_column in first_rows[0]
            sheets.append(_Sheet(sheet, sheet.sheet_state == "visible", is_table))
    visible = [one for one in sheets if one.is_visible]
    tables = [one for one in visible if one.is_table]
    if not tables and (len(visible) != 1 or len(sheets) > 1):
        for one in visible:
            shown = ((number, [text_of(cell_of(cell.value)) for cell in cells]) for number, cells in _rows(one.sheet))
            filled = (row for row in shown if any(row[1]))
            check_header(f"{path}, sheet {one.title}", islice(filled, HEADER_ROWS), wanted)
        raise TableInvalid(
            f"{path} has no visible sheet with rows and the column {photo_column}; its sheets are "
            f"{', '.join(one.title for one in sheets) or 'empty'}. Name another column of photos with `columns`, or a "
            f"sheet with `sheet`."
        )
    chosen = (tables or visible)[0]
    read = f"Only the sheet {chosen.title} of {path} was read"
    unread = [one.title for one in tables[1:]]
    other = [one.title for one in sheets if one not in tables and (one.is_visible or one.is_table)]
    remarks = []
    if unread:
        remarks.append(Remark.of("sheets_not_read", unread, f"{read}; other sheets are tables of photos too"))
    if other and len(sheets) > 1:
        remarks.append(Remark.of("other_sheets", other, f"{read}; other sheets", is_warning=False))
    return chosen.sheet.title, tuple(remarks)


def _grid(sheet: Any, formulas: Any, where: str, wanted: Collection[str], remarks: tuple[Remark, ...]) -> Grid:
    """The filled rows of a sheet, the first of which is the header. `formulas` is the sheet with its formulas."""
    formulas.reset_dimensions()
    numbers: list[int] = []
    rows: list[list[Cell]] = []
    without_result: list[tuple[int, int]] = []
    for (number, cells), written in zip(_rows(sheet), formulas.iter_rows(), strict=True):
        without_result += [
            (number, column)
            for column, (cell, formula) in enumerate(zip(cells, written, strict=True))
            if formula.data_type == "f" and cell.value is None and cell.data_type == "n"
        ]
        row = [cell_of(cell.value, getattr(cell, "number_format", None) or "") for cell in cells]
        if any(row):
            numbers.append(number)
            rows.append(row)
    width = max(map(len, rows), default=0)
    rows = [[*row, *[""] * (width - len(row))] for row in rows]
    header = [text_of(cell) for cell in rows[0]] if rows else []
    first = [list(map(text_of, row)) for row in rows[:HEADER_ROWS]]
    check_header(where, zip(numbers, first, strict=False), wanted)
    if missing := [place for place in without_result if place[1] < len(header) and header[place[1]] in wanted]:
        shown = ", ".join(f"row {row}, column {header[column]}" for row, column in missing[:FORMULAS_SHOWN])
        raise TableInvalid(
            f"{where} has formulas without results ({len(missing)}: {shown}). Open the workbook in a spreadsheet "
            f"program, which computes them, and save it."
        )
    return Grid(where, header, rows[1:], numbers[1:], remarks=remarks)


def _hidden(sheet: Any, grid: Grid, wanted: Collection[str]) -> Iterator[Remark]:
    """Remarks on rows with cells, and on wanted columns, that the sheet does not show but that are read."""
    with sheet._get_source() as source:  # openpyxl reads what is hidden only together with the whole sheet
        xml = source.read()
    tags = [_attributes(tag) for tag in HIDDEN.findall(xml)]
    of_rows = {int(tag["r"]) for tag in tags if "r" in tag}
    rows = [f"row {number}" for number in grid.row_numbers if number in of_rows]
    if rows:
        yield Remark.of("hidden_rows", rows, f"{grid.where}: rows that are hidden, as by a filter, are read too")
    of_columns = {place for tag in tags if "min" in tag for place in range(int(tag["min"]), int(tag["max"]) + 1)}
    columns = [name for place, name in enumerate(grid.header, 1) if place in of_columns and name in wanted]
    if columns:
        yield Remark.of("hidden_columns", columns, f"{grid.where}: columns that are hidden are read too")


def _attributes(tag: bytes) -> dict[str, str]:
    return dict(re.findall(r'([\w:]+)="([^"]*)"', tag.decode()))


def _rows(sheet: Any) -> Iterator[tuple[int, Any]]:
    """All rows of a sheet, with their numbers."""
    sheet.reset_dimensions()  # some programs store wrong ones
    return enumerate(sheet.iter_rows(), 1)
