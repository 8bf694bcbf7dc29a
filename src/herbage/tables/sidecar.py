"""Read a sidecar table: the corners of quadrats, measured covariates, and the paddocks of photos."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import counted, listed
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.tables.matching import Matches, match_paths, paths_of
from herbage.tables.measured import measured_values, remarks_on_measured
from herbage.tables.quadrats import corner_columns, quadrat_suffixes, read_corners, remarks_on_corners
from herbage.tables.spreadsheet import CORNERS, DEFAULT_FORMAT, TableFormat, read_frame
from herbage.tables.validation import FAULTS_SHOWN, FIRST_ROW


@dataclass(frozen=True)
class Sidecar:
    """Photos with what a sidecar table adds: corners of quadrats and measured values, and a text by photo name."""

    files: Sequence[PhotoFile]
    text: Mapping[str, str]
    remarks: tuple[Remark, ...] = ()


def read_sidecar(
    table: str | Path | pd.DataFrame,
    files: Sequence[PhotoFile],
    column: str | None = None,
    how: TableFormat = DEFAULT_FORMAT,
    folder: str = "",
    measured: Sequence[str] = (),
) -> Sidecar:
    """Read quadrat corners, measured columns, and optionally a column of text, for photos from a table.

    The table has `image_path` and at least one of: the corners x1 y1 ... x4 y4, a column of `measured`, and `column`. A
    photo with several rows is returned once per row, as `NAME#1`, `NAME#2` and so on. Photos without a row are
    unchanged. `folder` is the name of the folder that contains the photos. Raises TableInvalid.
    """
    read = read_frame(table, replace(how, measured=tuple(measured)))
    frame, where = read.frame, read.where
    _check_has_something(frame, column, measured, where)
    if empty := [f"row {row + FIRST_ROW}" for row in frame.index[frame["image_path"].isna()]]:
        raise TableInvalid(f"{where} has no image_path in {', '.join(empty[:FAULTS_SHOWN])}.")
    photos = [file.name for file in files]
    matches = match_paths(paths_of(frame), photos, folder)
    matches.refuse_ambiguous(where)
    if not matches.photo:
        raise TableInvalid(f"{where}: no image_path matches any of the photos; expected their paths or file names.")
    frame = _without_repeated(frame, [*([column] if column else []), *measured], where)
    corners, values = read_corners(frame, where), measured_values(frame, measured, where)
    suffixes = quadrat_suffixes(frame["image_path"], corners, where)
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, path in enumerate(frame["image_path"]):
        if path in matches.photo:
            rows_of[matches.photo[path]].append(row)
    found: list[PhotoFile] = []
    text: dict[str, str] = {}
    for number, file in enumerate(files):
        if number not in rows_of:
            found.append(file)
        for row in rows_of.get(number, []):
            name, quadrat, own = file.name + suffixes[row], corners[row] or file.corners, tuple(values[row].tolist())
            found.append(replace(file, name=name, corners=quadrat, measured=own))
            if column and pd.notna(cell := frame[column].iloc[row]):
                text[found[-1].name] = str(cell)
    lonely = [file.name for number, file in enumerate(files) if number not in rows_of]
    remarks = (
        *read.remarks,
        *matches.remarks(where),
        *remarks_on_corners(found),
        *_without_match(paths_of(frame), matches, lonely, where),
        *remarks_on_measured(frame[frame["image_path"].isin(list(matches.photo))], measured, where),
    )
    return Sidecar(found, text, remarks)


def _check_has_something(frame: pd.DataFrame, column: str | None, measured: Sequence[str], where: str) -> None:
    """Raise TableInvalid where a table has no column that could be used."""
    required = [column] if column else [] if any(name in frame for name in measured) else CORNERS
    if missing := [name for name in ("image_path", *required) if name not in frame]:
        expected = ""
        if required == CORNERS:
            names = f"the measured columns {', '.join(measured)}"
            expected = f" or {names}" if measured else " (the model has no measured columns)"
        raise TableInvalid(
            f"{where} lacks {listed('column', missing)}{expected}; its columns are "
            f"{', '.join(map(str, frame.columns))}."
        )


def _without_repeated(frame: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    """The table without rows that say the same of a photo, as a table with a row per target has them.

    Raises TableInvalid where rows of a photo have no corners and differ in one of the columns. Rows with corners are
    quadrats.
    """
    columns = [name for name in columns if name in frame]
    if not columns or frame[corner_columns(frame)].notna().any(axis=None):
        return frame
    frame = frame.drop_duplicates(["image_path", *columns])
    repeated = frame[frame["image_path"].duplicated(keep=False)]
    if len(repeated):
        path = repeated["image_path"].iloc[0]
        own = repeated[repeated["image_path"] == path]
        column = next(name for name in columns if own[name].nunique(dropna=False) > 1)
        cells = ", ".join(f"{cell} (row {row + FIRST_ROW})" for row, cell in own[column].items())
        raise TableInvalid(
            f"{where}: {path} has several values of {column}: {cells}. Name one per photo, or, if the photo shows "
            f"several quadrats, give their corners x1 y1 ... x4 y4."
        )
    return frame


def _without_match(paths: Sequence[str], matches: Matches, lonely: Sequence[str], where: str) -> Iterator[Remark]:
    """Remarks about rows of a sidecar table without a photo, and photos without a row (`lonely`)."""
    if others := [path for path in paths if path not in matches.photo]:
        message = f"{counted(len(others), 'row')} of {where} without a photo"
        yield Remark.of("rows_without_photo", others, message, is_warning=False)
    if lonely:
        yield Remark.of("photos_without_row", lonely, f"{counted(len(lonely), 'photo')} without a row in {where}")
