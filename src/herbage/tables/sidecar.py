"""Read a sidecar table: the corners of quadrats, and the paddocks of photos."""

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
from herbage.tables.quadrats import corner_columns, quadrat_suffixes, read_corners, remarks_on_corners
from herbage.tables.spreadsheet import CORNERS, DEFAULT_FORMAT, TableFormat, read_frame
from herbage.tables.validation import FAULTS_SHOWN, FIRST_ROW


@dataclass(frozen=True)
class Sidecar:
    """Photos with what a sidecar table adds: corners of quadrats, and a text by photo name."""

    files: Sequence[PhotoFile]
    text: Mapping[str, str]
    remarks: tuple[Remark, ...] = ()


def read_sidecar(
    table: str | Path,
    files: Sequence[PhotoFile],
    column: str | None = None,
    how: TableFormat = DEFAULT_FORMAT,
    folder: str = "",
) -> Sidecar:
    """Read quadrat corners, and optionally a column of text, for photos from a table with `image_path`.

    Corners are in the columns x1 y1 ... x4 y4; without `column`, they are required. A photo with several rows is
    returned once per row, as `NAME#1`, `NAME#2` and so on. Photos without a row are unchanged. `folder` is the name of
    the folder that contains the photos. Raises TableInvalid.
    """
    read = read_frame(table, how)
    frame, where = read.frame, read.where
    required = ["image_path", *([column] if column else CORNERS)]
    if missing := [name for name in required if name not in frame]:
        raise TableInvalid(
            f"{where} lacks {listed('column', missing)}; its columns are {', '.join(map(str, frame.columns))}."
        )
    if empty := [f"row {row + FIRST_ROW}" for row in frame.index[frame["image_path"].isna()]]:
        raise TableInvalid(f"{where} has no image_path in {', '.join(empty[:FAULTS_SHOWN])}.")
    photos = [file.name for file in files]
    matches = match_paths(paths_of(frame), photos, folder)
    matches.refuse_ambiguous(where)
    if not matches.photo:
        raise TableInvalid(f"{where}: no image_path matches any of the photos; expected their paths or file names.")
    frame = _without_repeated(frame, column, where)
    corners = read_corners(frame, where)
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
            found.append(replace(file, name=file.name + suffixes[row], corners=corners[row] or file.corners))
            if column and pd.notna(cell := frame[column].iloc[row]):
                text[found[-1].name] = str(cell)
    lonely = [file.name for number, file in enumerate(files) if number not in rows_of]
    remarks = (
        *read.remarks,
        *matches.remarks(where),
        *remarks_on_corners(found),
        *_without_match(paths_of(frame), matches, lonely, where),
    )
    return Sidecar(found, text, remarks)


def _without_repeated(frame: pd.DataFrame, column: str | None, where: str) -> pd.DataFrame:
    """The table without rows that say the same of a photo, as a table with a row per target has them.

    Raises TableInvalid where rows of a photo have no corners and differ. Rows with corners are quadrats.
    """
    if column is None or frame[corner_columns(frame)].notna().any(axis=None):
        return frame
    frame = frame.drop_duplicates(["image_path", column])
    repeated = frame[frame["image_path"].duplicated(keep=False)]
    if len(repeated):
        path = repeated["image_path"].iloc[0]
        own = repeated[repeated["image_path"] == path]
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
