"""A CSV or Excel file as a frame: text first, and numbers where a whole column is numbers."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import listed

EXCEL = (".xlsx", ".xlsm")
TEXT_COLUMNS = {"sample_id", "image_path", "State", "Sampling_Date", "Species", "target_name"}


def read_frame(table: str | Path | pd.DataFrame, columns: Mapping[str, str] | None = None) -> tuple[pd.DataFrame, str]:
    """The table and what messages call it; `columns` gives the file's names for herbage's. Raises TableInvalid."""
    if isinstance(table, pd.DataFrame):
        return _renamed(table.reset_index(drop=True).copy(), columns or {}, "the table"), "the table"
    frame = _renamed(_read_text(table), columns or {}, str(table)).fillna("")
    # Empty lines are no rows, but count as such where a row is told by its number.
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise TableInvalid(f"{table} has no rows.")
    frame = frame.mask(frame == "")
    for name in set(frame.columns) - TEXT_COLUMNS:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if numbers.notna().eq(frame[name].notna()).all():
            frame[name] = numbers
    return frame, str(table)


def _read_text(table: str | Path) -> pd.DataFrame:
    # As text first: "NA" is a State to some, and a number must not turn a column of names into numbers.
    excel = Path(table).suffix.lower() in EXCEL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            if not excel:
                return _read_csv(Path(table))
            frame = pd.read_excel(table, dtype=str, keep_default_na=False)
    except pd.errors.ParserWarning as error:
        raise TableInvalid(
            f"{table} has rows with more cells than its header names: a comma at the end, or decimals with a comma?"
        ) from error
    except FileNotFoundError as error:
        raise TableInvalid(f"{table} is not there: expected a table, as .csv or .xlsx.") from error
    except Exception as error:  # pandas' and the workbook reader's errors are of many kinds
        kind = "Excel workbook" if excel else "CSV table"
        raise TableInvalid(f"{table} cannot be read as {'an' if excel else 'a'} {kind}: {error}") from error
    frame = frame.loc[:, [not str(name).startswith("Unnamed:") for name in frame.columns]]
    # A day in a workbook is a moment at midnight.
    return frame.replace(r"^(\d{4}-\d{2}-\d{2}) 00:00:00$", r"\1", regex=True)


def _read_csv(table: Path) -> pd.DataFrame:
    """With commas, semicolons or tabs between, as its header says; where commas are not, they may be in numbers."""
    with table.open(encoding="utf-8-sig") as file:
        header = file.readline()
    between = max(",;\t", key=header.count)
    frame = pd.read_csv(
        table,
        sep=between,
        encoding="utf-8-sig",
        dtype=str,
        keep_default_na=False,
        index_col=False,
        skip_blank_lines=False,
    )
    return frame if between == "," else frame.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)


def _renamed(frame: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    there = [str(name) for name in frame.columns]
    if missing := [name for name in columns.values() if name not in there]:
        raise TableInvalid(f"--columns: {where} lacks {listed('column', missing)}; there are {', '.join(there)}.")
    if twice := [own for own, name in columns.items() if own in there and own != name and own not in columns.values()]:
        raise TableInvalid(f"--columns: {where} has a column {', '.join(twice)} already; rename or remove it.")
    if len(set(columns.values())) < len(columns):
        raise TableInvalid("--columns gives two names to one column.")
    return frame.rename(columns={name: own for own, name in columns.items()})
