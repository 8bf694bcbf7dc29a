"""Read numbers as people write them: decimal points or commas, thousands separators, and codes for missing values."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from herbage.errors import TableInvalid
from herbage.tables.cells import Cell
from herbage.tables.validation import fault_list

DecimalSign = Literal["point", "comma"]

MISSING_WORDS = frozenset({"na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "none", "nil"})
"""Codes for a missing value, in small letters; they count in any case."""
MISSING_NUMBERS = frozenset({-99.0, -999.0, -9999.0, -99999.0})
"""Numbers that are codes for a missing value, since no weight and no reading is negative by that much."""
POSSIBLE_CODES = frozenset({999.0, 9999.0, 99999.0})
"""Numbers that are often codes for a missing value, but can be weights in some unit."""

SIGNS: dict[DecimalSign, str] = {"point": ".", "comma": ","}
SPACES = " \u00a0\u2007\u2009\u202f"
APOSTROPHES = "'\u2019"
MINUS = "-\u2212"


@dataclass(frozen=True)
class Written:
    """A cell of text in a column of numbers; `place` is its row and column."""

    place: str
    text: str


def number(text: str, decimal: DecimalSign) -> float | None:
    """The number that `text` is with this decimal sign, None if it is none.

    The other sign, spaces and apostrophes may separate thousands: 1 to 3 digits without a leading 0, followed by groups
    of 3 digits with the same separator.
    """
    if text.lower() in ("inf", "-inf"):
        return float(text)
    found = _pattern(decimal).fullmatch(text)
    if found is None:
        return None
    whole = re.sub(r"[^0-9]", "", found["whole"])
    part, exponent = found["part"] or "", found["exponent"] or ""
    if not whole + part or (exponent and found["separator"]):
        return None
    sign = "-" if found["minus"] else ""
    return float(f"{sign}{whole or 0}.{part or 0}{exponent}")


@cache
def _pattern(decimal: DecimalSign) -> re.Pattern[str]:
    other = SIGNS["comma" if decimal == "point" else "point"]
    grouped = rf"[1-9][0-9]{{0,2}}(?P<separator>[{other}{SPACES}{APOSTROPHES}])[0-9]{{3}}(?:(?P=separator)[0-9]{{3}})*"
    part = rf"(?:[{SIGNS[decimal]}](?P<part>[0-9]*))?"
    return re.compile(rf"(?:\+|(?P<minus>[{MINUS}]))?(?P<whole>{grouped}|[0-9]*){part}(?P<exponent>[eE][-+]?[0-9]+)?")


def decimal_sign(
    cells: Sequence[Written], where: str, given: DecimalSign | None = None, fallback: DecimalSign | None = None
) -> DecimalSign:
    """The decimal sign of a table, from the text in all its columns of numbers.

    A cell decides it if it is a number with one sign only: "12.5", "1,563.2" and "1,563,000" have a decimal point or
    none, "0,123" and "1234,567" have a decimal comma. Without such a cell, the sign is the `fallback`. Raises
    TableInvalid where cells contradict each other or the `given` sign, and where nothing decides how to read a cell.
    """
    only: dict[DecimalSign, list[Written]] = {"point": [], "comma": []}
    doubtful: list[tuple[Written, float, float]] = []
    for cell in cells:
        point, comma = number(cell.text, "point"), number(cell.text, "comma")
        if point is not None and comma is not None and point != comma:
            doubtful.append((cell, point, comma))
        elif point is not None and comma is None:
            only["point"].append(cell)
        elif comma is not None and point is None:
            only["comma"].append(cell)
    if given is not None:
        if wrong := only["comma" if given == "point" else "point"]:
            faults = [f'{cell.place}: {cell.text!r} is not a number with `decimal="{given}"`' for cell in wrong]
            raise TableInvalid(fault_list(where, faults))
        return given
    if only["point"] and only["comma"]:
        one, two = only["point"][0], only["comma"][0]
        raise TableInvalid(
            f"{where} mixes decimal signs: {one.text!r} ({one.place}) is a number with a decimal point, and "
            f"{two.text!r} ({two.place}) is one with a decimal comma. Write all numbers in the same way."
        )
    if only["point"] or only["comma"]:
        return "point" if only["point"] else "comma"
    if doubtful and fallback is None:
        cell, point, comma = doubtful[0]
        raise TableInvalid(
            f"{where}, {cell.place}: {cell.text!r} is {point:.15g} with a decimal point, {comma:.15g} with a decimal "
            f'comma, and no other number of the table decides it. Pass `decimal="point"` or `decimal="comma"`.'
        )
    return fallback or "point"


def read_cell(cell: Cell, decimal: DecimalSign) -> float | str:
    """The number that a cell has, NaN if it is empty or has a code for a missing value, else its text unchanged."""
    if isinstance(cell, str):
        if not cell or cell.lower() in MISSING_WORDS:
            return math.nan
        value = number(cell, decimal)
        if value is None:
            return cell
    else:
        value = cell.value
    return math.nan if value in MISSING_NUMBERS else value
