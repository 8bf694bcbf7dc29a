"""Read CSV and Excel files into data frames; columns without text become numeric, except those in TEXT_COLUMNS."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import listed
from herbage.remarks import Remark

DecimalSign = Literal["point", "comma"]
DateOrder = Literal["day-first", "month-first"]

EXCEL = (".xlsx", ".xlsm")
TEXT_COLUMNS = {"sample_id", "image_path", "State", "Sampling_Date", "Species", "target_name"}


@dataclass(frozen=True)
class TableFormat:
    """How to read a table where its text alone does not decide it.

    `columns` maps herbage's column names to the file's. `decimal` is the decimal sign of its numbers, `sheet` a sheet
    of a workbook, and `dates` the order of dates such as 4/9/2025; None leaves the decision to the table's own values.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    decimal: DecimalSign | None = None
    sheet: str | None = None
    dates: DateOrder | None = None


DEFAULT_FORMAT = TableFormat()


@dataclass(frozen=True)
class Table:
    """A table as read: `where` is its name for messages, `remarks` is how it was read where that could be doubted."""

    frame: pd.DataFrame
    where: str
    remarks: tuple[Remark, ...] = ()


def read_frame(table: str | Path | pd.DataFrame, how: TableFormat = DEFAULT_FORMAT) -> Table:
    """Read a table; raises TableInvalid."""
    if isinstance(table, pd.DataFrame):
        return Table(_renamed(table.reset_index(drop=True).copy(), how.columns, "the table"), "the table")
    frame = _renamed(_read_text(table), how.columns, str(table)).fillna("")
    # Empty lines are dropped, but the index still counts them, so that row numbers match the spreadsheet's.
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise TableInvalid(f"{table} has no rows: expected a header and at least one row.")
    frame = frame.mask(frame == "")
    for name in set(frame.columns) - TEXT_COLUMNS:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if numbers.notna().eq(frame[name].notna()).all():
            frame[name] = numbers
    return Table(frame, str(table))


def _read_text(table: str | Path) -> pd.DataFrame:
    # Read everything as text: "NA" may be a State, and names that consist of digits must stay unchanged.
    excel = Path(table).suffix.lower() in EXCEL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            if not excel:
                return _read_csv(Path(table))
            frame = pd.read_excel(table, dtype=str, keep_default_na=False)
    except pd.errors.ParserWarning as error:
        raise TableInvalid(
            f"{table} has rows with more cells than its header: is there a trailing comma, or a decimal comma?"
        ) from error
    except FileNotFoundError as error:
        raise TableInvalid(f"{table} does not exist: expected a table, as .csv or .xlsx.") from error
    except Exception as error:  # pandas and openpyxl raise many types
        kind = "Excel workbook" if excel else "CSV table"
        raise TableInvalid(f"{table} could not be read as {'an' if excel else 'a'} {kind}: {error}") from error
    frame = frame.loc[:, [not str(name).startswith("Unnamed:") for name in frame.columns]]
    # Excel stores a date as a time at midnight.
    return frame.replace(r"^(\d{4}-\d{2}-\d{2}) 00:00:00$", r"\1", regex=True)


def _read_csv(table: Path) -> pd.DataFrame:
    """Read with the most frequent of comma, semicolon and tab in the header as separator.

    With another separator than a comma, decimal commas are accepted.
    """
    with table.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = max(",;\t", key=header.count)
    frame = pd.read_csv(
        table,
        sep=separator,
        encoding="utf-8-sig",
        dtype=str,
        keep_default_na=False,
        index_col=False,
        skip_blank_lines=False,
    )
    return frame if separator == "," else frame.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)


def _renamed(frame: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    present = [str(name) for name in frame.columns]
    if missing := [name for name in columns.values() if name not in present]:
        raise TableInvalid(
            f"`columns`: {where} lacks {listed('column', missing)}; its columns are {', '.join(present)}."
        )
    clashing = [new for new, old in columns.items() if new in present and new != old and new not in columns.values()]
    if clashing:
        raise TableInvalid(f"`columns`: {where} already has {listed('column', clashing)}; rename or remove it.")
    if len(set(columns.values())) < len(columns):
        raise TableInvalid("`columns` maps two names to the same column.")
    return frame.rename(columns={old: new for new, old in columns.items()})
