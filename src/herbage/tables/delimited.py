"""Read text files of separated cells, as spreadsheets, field apps and scripts write them."""

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from herbage.errors import TableInvalid
from herbage.formatting import clean
from herbage.remarks import Remark
from herbage.tables.cells import HEADER_ROWS, Cell, Grid, check_header

SEPARATORS = ",;\t|"
SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
BINARY = {
    b"PK\x03\x04": "a workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "an old workbook",
    b"%PDF": "a PDF file",
    b"PAR1": "a Parquet file",
}
"""First bytes of files that are often taken for text."""

SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[,;|\t])"?(?P=separator)*\s*', re.IGNORECASE)
# Signs of another code page read as Windows-1252: a capital within a word, a sign between letters or before an accented
# one, the two bytes of a UTF-8 letter, four accented letters in a row, control characters.
NOT_WINDOWS_1252 = re.compile(
    r"[a-zà-ÿ][À-ÖØ-ÞŠŽŸ]|[A-Z][À-ÖØ-ÞŠŽŸ][a-z]|[^\W\d_][^\w\s\x00-\x7f\u2019\u2013\xb4\xb7\xb0][^\W\d_]"
    r"|[\xa2-\xa9\xac\xae\xaf\xb1-\xb6\xb8\xb9\xbc-\xbe][À-ÿ]|[ÃÂ][^\x00-\x7f\xa0À-ÿ]|[À-ÿŠšŽžŸŒœ]{4}|[\x00-\x08\x0e-\x1f]"
)
SAVE_AS_UTF8 = "save it as CSV UTF-8"


def read_delimited(path: Path, wanted: Collection[str]) -> Grid:
    """Read a file with commas, semicolons, tabs or pipes as separators; raises TableInvalid.

    `wanted` are names of columns, by which the header is recognised. A first line such as sep=; and comment lines above
    the header (# ...) are skipped; like blank lines, they count as rows.
    """
    text, remarks = _decode(path)
    lines = list(io.StringIO(text, newline=""))
    above, separator = 0, None
    if lines and (found := SEPARATOR_LINE.fullmatch(lines[0])):
        above, separator = 1, found["separator"]
    while above < len(lines) and _is_above_the_header(lines[above], wanted):
        above += 1
    candidates = list(enumerate(lines[above : above + HEADER_ROWS], above + 1))
    for one in SEPARATORS:
        check_header(str(path), ((row, _cells([line], one)) for row, line in candidates), wanted)
    if separator is None:
        separator = max(SEPARATORS, key=lambda one: _fit(lines[above:], one, wanted))
    try:
        records = list(csv.reader(lines[above:], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise TableInvalid(f"{path} could not be read as a CSV table: {error}; is a quotation mark missing?") from error
    if not records:
        raise TableInvalid(f"{path} has no rows: expected a header and at least one row.")
    return _grid(path, [[clean(cell) for cell in record] for record in records], above, separator, remarks)


def _grid(path: Path, records: Sequence[list[str]], above: int, separator: str, remarks: tuple[Remark, ...]) -> Grid:
    header = records[0]
    rows: list[list[Cell]] = []
    numbers, too_long = [], []
    for number, record in enumerate(records[1:], above + 2):
        if not any(record):
            continue
        if len(record) > len(header):
            too_long.append(f"row {number} has {len(record)}")
        numbers.append(number)
        rows.append([*record, *[""] * (len(header) - len(record))])
    if too_long:
        name = SEPARATOR_NAMES[separator]
        hint = f"is there a trailing {name}, or a {name} in a text without quotation marks"
        raise TableInvalid(
            f"{path} has rows with more cells than its header, which has {len(header)}: {', '.join(too_long[:5])}; "
            f"{hint}{', or a decimal comma' if separator == ',' else ''}?"
        )
    return Grid(str(path), header, rows, numbers, separator, remarks)


def _is_above_the_header(line: str, wanted: Collection[str]) -> bool:
    """Whether a line is blank or a comment; a first column named # does not make a header a comment."""
    if not line.strip(SEPARATORS + ' "\r\n'):
        return True
    return line.lstrip('"').startswith("#") and all(_fit([line], one, wanted)[0] == 0 for one in SEPARATORS)


def _fit(lines: Sequence[str], separator: str, wanted: Collection[str]) -> tuple[int, int]:
    """How many columns of the header are wanted ones with this separator, and how many columns there are."""
    header = _cells(lines, separator)
    return sum(cell in wanted for cell in header) if header else -1, len(header)


def _cells(lines: Sequence[str], separator: str) -> list[str]:
    """The cells of the first row, none where it cannot be read."""
    try:
        return [
            clean(cell) for cell in next(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True), [])
        ]
    except csv.Error:
        return []


def _decode(path: Path) -> tuple[str, tuple[Remark, ...]]:
    """The file's text: UTF-8, UTF-16 or UTF-32, or else Windows-1252, with a remark."""
    data = path.read_bytes()
    for start, kind in BINARY.items():
        if data.startswith(start):
            raise TableInvalid(f"{path} could not be read as a CSV table: it is {kind}; {SAVE_AS_UTF8}, or as .xlsx.")
    marked = [name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)]
    encoding = marked[0] if marked else _utf_16(data) or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = ""
        if encoding == "utf-8":
            return _as_windows_1252(path, data)
    if "\x00" in text or (data and not text):
        raise TableInvalid(f"{path} could not be read as a CSV table: it is not text in {encoding}; {SAVE_AS_UTF8}.")
    return text, ()


def _utf_16(data: bytes) -> str | None:
    """UTF-16 without a byte order mark, in which every second byte of the mostly Western text is 0."""
    first, second = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 == 0 and max(first, second) > len(data) / 4 and min(first, second) == 0:
        return "utf-16-be" if first else "utf-16-le"
    return None


def _as_windows_1252(path: Path, data: bytes) -> tuple[str, tuple[Remark, ...]]:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = "\x00"
    if NOT_WINDOWS_1252.search(text):
        raise TableInvalid(f"{path} could not be read as a CSV table: it is not in UTF-8; {SAVE_AS_UTF8}.")
    words = list(dict.fromkeys(word for word in re.findall(r"[^\s,;|]+", text) if not word.isascii()))
    return text, (
        Remark.of(
            "encoding", words, f"{path} is not in UTF-8 and was read as Windows-1252 (if these words are wrong, "
            f"{SAVE_AS_UTF8})", is_warning=False,
        ),
    )  # fmt: skip
