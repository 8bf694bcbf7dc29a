"""Read the dates of a column as days, in whatever way they are written."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from herbage.errors import TableInvalid
from herbage.tables.spreadsheet import DateOrder

YEARS = range(1900, 2101)
CENTURY = 2000
"""Of years with two digits."""
SERIAL_ORIGIN = date(1899, 12, 30)
"""Day 0 of the serial numbers by which spreadsheets count days, from March 1900 on."""
SERIALS = range(20_000, 73_050)
"""Serial numbers that are taken for days: those from 1954 to 2099."""

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WORDS = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
DATE_WORDS = re.compile(r"dates?|\w*datum|fecha", re.IGNORECASE)
"""Words in the names of columns in which numbers such as 45904 and 20250904, and 4-9-25, are dates."""
EXCEL_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2}(?:\.\d+)?)?")
"""A date cell of a workbook as text."""

WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]? +", re.IGNORECASE)
TIME = re.compile(
    r"(?:T|,? +)\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?(?: ?(?:Z|UTC|GMT|[-+]\d{2}:?\d{2}))?$",
    re.IGNORECASE,
)
NUMBERS = re.compile(r"(\d{1,2})([-/.]) ?(\d{1,2})\2 ?(\d{4}|\d{2})")
YEAR_FIRST = re.compile(r"(\d{4})([-/.:])(\d{1,2})\2(\d{1,2})")
COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?P<time>[T_]\d{4,6}Z?)?")
SERIAL = re.compile(r"(\d{5})(?:[.,]\d+)?")
NAMED = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[-. /]*([a-z]{3,9})[-. /,]*(\d{4}|\d{2})", re.IGNORECASE)
MONTH_FIRST = re.compile(r"([a-z]{3,9})[-. ]*(\d{1,2})(?:st|nd|rd|th)?,?[- ]+(\d{4})", re.IGNORECASE)
YEAR_NAMED = re.compile(r"(\d{4})[-. /]([a-z]{3,9})[-. /](\d{1,2})", re.IGNORECASE)


POSSIBLE, LIKELY, SURE = range(3)
"""How sure it is that a text is a date: 45904 can be a code, 4/9/25 hardly, and 2025-09-04 is a date in any column."""


@dataclass(frozen=True)
class _Reading:
    """The days that a text can be, by the order of day and month; None where it is no day in that order."""

    day_first: date | None
    month_first: date | None
    certainty: int = SURE
    may_begin_with_year: bool = False

    def day(self, order: DateOrder) -> date | None:
        return self.day_first if order == "day-first" else self.month_first


def days(values: Sequence[str], column: str, labels: Sequence[str], order: DateOrder | None = None) -> list[str] | None:
    """The days of a column as ISO dates such as 2025-09-04, "" where it is empty; None if it is not one of dates.

    `labels` are the photos or rows of the values, for messages. The time of day is left out; a time zone is not
    converted. Where day and month can be exchanged, as in 4/9/2025, the other values of the column decide; `order` is
    needed where they do not. Raises TableInvalid where the order is missing or contradicted, and where some values are
    dates and others are not.
    """
    readings = [_read(" ".join(value.split())) for value in values]
    filled = [row for row, value in enumerate(values) if value.strip()]
    dates = {row: reading for row in filled if (reading := readings[row]) is not None}
    certainties = [reading.certainty for reading in dates.values()]
    is_named = any(map(DATE_WORDS.fullmatch, WORDS.findall(column)))
    # A few numbers that can be dates, among other values, are no dates, whatever the name of the column.
    is_named &= len(dates) > len(filled) / 2 or LIKELY in certainties
    all_likely = bool(dates) and len(dates) == len(filled) and min(certainties) >= LIKELY
    if not (is_named or all_likely or SURE in certainties):
        return None

    def cell(row: int) -> str:
        return f"{values[row]!r} ({labels[row]})"

    if odd := [row for row in filled if row not in dates]:
        raise TableInvalid(
            f"column {column}: {cell(odd[0])} is not a date, but {cell(next(iter(dates)))} is. Write all dates of the "
            f"column as 2025-09-04."
        )
    _check_not_exchanged(values, dates, column, cell)
    chosen = order or _order(dates, column, cell)
    read = {row: reading.day(chosen) for row, reading in dates.items()}
    if wrong := [row for row, day in read.items() if day is None]:
        raise TableInvalid(f'column {column}: {cell(wrong[0])} is not a date with `dates="{chosen}"`.')
    return [day.isoformat() if (day := read.get(row)) else "" for row in range(len(values))]


def _check_not_exchanged(
    values: Sequence[str], dates: Mapping[int, _Reading], column: str, cell: Callable[[int], str]
) -> None:
    """Raise TableInvalid where a spreadsheet program probably exchanged the day and month of some dates.

    A program set to the other order than the dates makes a date of 9/3/2025, and leaves 18/6/2025 as text: all of its
    dates have days up to 12, and all of the text has not.
    """
    native = [row for row in dates if EXCEL_DAY.fullmatch(values[row])]
    text = [row for row in dates if re.search(r"\d[-/] ?\d", values[row]) and row not in native]
    certain = all((dates[row].day_first is None) != (dates[row].month_first is None) for row in text)
    if not (text and certain and all(int(values[row][8:10]) <= 12 for row in native)):
        return
    for row in native:
        if values[row][5:7] != values[row][8:10]:
            raise TableInvalid(
                f"column {column}: day and month of {cell(row)} are probably exchanged. All dates like it have days "
                f"up to 12, and none like {cell(text[0])} has: a spreadsheet program set to the other order of day and "
                f"month does that. Correct the dates, and write all of the column as 2025-09-04."
            )


def _order(dates: Mapping[int, _Reading], column: str, cell: Callable[[int], str]) -> DateOrder:
    """The order of day and month that the values of a column show; day-first where none is needed."""
    pass_one = 'Pass `dates="day-first"` or `dates="month-first"`'
    if unclear := [row for row, reading in dates.items() if reading.may_begin_with_year]:
        raise TableInvalid(
            f"column {column}: {cell(unclear[0])} may begin with its day, month or year. {pass_one}, or write years "
            f"with four digits."
        )
    day_first = [row for row, reading in dates.items() if reading.month_first is None]
    month_first = [row for row, reading in dates.items() if reading.day_first is None]
    either = [row for row, reading in dates.items() if reading.day_first != reading.month_first]
    if day_first and month_first:
        raise TableInvalid(
            f"column {column}: {cell(day_first[0])} has the day before the month, and {cell(month_first[0])} the month "
            f"before the day. Write all dates of the column as 2025-09-04."
        )
    if either and not day_first and not month_first:
        reading = dates[either[0]]
        raise TableInvalid(
            f"column {column}: {cell(either[0])} is {reading.day_first} or {reading.month_first}, and no other date of "
            f"the column decides it. {pass_one}."
        )
    return "month-first" if month_first else "day-first"


def _read(text: str) -> _Reading | None:
    """The days that a text can be, None if it is none."""
    bare = WEEKDAY.sub("", text, count=1) if WEEKDAY.match(text) else text
    time = TIME.search(bare)
    bare = bare[: time.start()] if time else bare
    if found := NUMBERS.fullmatch(bare):
        first, sign, second, year = found.groups()
        day_first = _day(year, second, first)
        month_first = day_first if sign == "." else _day(year, first, second)
        is_short = len(year) == 2 and time is None
        certainty = SURE if not is_short else POSSIBLE if sign == "-" else LIKELY
        reading = _Reading(day_first, month_first, certainty, sign == "-" and len(year) == 2)
        return None if day_first is None and month_first is None else reading
    day, certainty = _unambiguous_day(bare)
    return None if day is None else _Reading(day, day, SURE if time else certainty)


def _unambiguous_day(text: str) -> tuple[date | None, int]:
    """The day of a text in which the order of day and month is certain, and how sure it is that it is a date."""
    if found := YEAR_FIRST.fullmatch(text):
        return _day(found[1], found[3], found[4]), SURE
    if found := NAMED.fullmatch(text):
        return _day(found[3], _month(found[2]), found[1]), SURE
    if found := MONTH_FIRST.fullmatch(text):
        return _day(found[3], _month(found[1]), found[2]), SURE
    if found := YEAR_NAMED.fullmatch(text):
        return _day(found[1], _month(found[2]), found[3]), SURE
    if found := COMPACT.fullmatch(text):
        return _day(found[1], found[2], found[3]), SURE if found["time"] else POSSIBLE
    if (found := SERIAL.fullmatch(text)) and int(found[1]) in SERIALS:
        return SERIAL_ORIGIN + timedelta(int(found[1])), POSSIBLE
    return None, POSSIBLE


def _month(name: str) -> int:
    """The month with an English name or its first letters, 0 if there is none."""
    start = name.lower().replace("sept", "sep") if len(name) == 4 else name.lower()
    return next((number for number, month in enumerate(MONTHS, 1) if month.startswith(start)), 0)


def _day(year: str | int, month: str | int, day: str | int) -> date | None:
    full_year = int(year) + (CENTURY if len(str(year)) == 2 else 0)
    try:
        return date(full_year, int(month), int(day)) if full_year in YEARS else None
    except ValueError:
        return None
