"""The quadrats that a table marks in photos: their corners, and their names where a photo shows several."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import counted
from herbage.photos.photo import Corners, PhotoFile, is_quadrilateral
from herbage.remarks import Remark
from herbage.tables.spreadsheet import CORNERS
from herbage.tables.validation import FIRST_ROW, check_numbers, fault_list

LARGEST_SHARE = 1.5
"""Corners up to this, in pixels, would be a point; as shares of the photo they may be a little outside it."""


def corner_columns(frame: pd.DataFrame) -> list[str]:
    """The corner columns that a table has."""
    return [name for name in CORNERS if name in frame]


def read_corners(frame: pd.DataFrame, where: str) -> list[Corners | None]:
    """The quadrat's corners in each row, or None if the row's cells are empty or the table has no corner columns.

    Raises TableInvalid where corners are not those of a quadrilateral in pixels; `where` is the name of the table.
    """
    present = corner_columns(frame)
    if not present:
        return [None] * len(frame)
    if missing := [name for name in CORNERS if name not in present]:
        raise TableInvalid(f"{where} has some of the corner columns but lacks {', '.join(missing)}.")
    check_numbers(frame, where, CORNERS)
    numbers = frame[list(CORNERS)].to_numpy(float)
    filled = frame[list(CORNERS)].notna().to_numpy()
    if filled.any() and np.nanmax(numbers) <= LARGEST_SHARE:
        raise TableInvalid(
            f"{where} has corners from {np.nanmin(numbers):g} to {np.nanmax(numbers):g}, which look like shares of the "
            f"photo; expected pixels: multiply x by the photo's width and y by its height."
        )
    faults: list[str] = []
    corners: list[Corners | None] = []
    for row, values, is_filled in zip(frame.index, numbers, filled, strict=True):
        if not is_filled.any():
            corners.append(None)
            continue
        quadrat: Corners = tuple(zip(values[::2].tolist(), values[1::2].tolist(), strict=True))
        if not is_quadrilateral(quadrat):
            faults.append(
                f"row {row + FIRST_ROW}: expected the quadrat's upper left, upper right, lower right and lower left "
                f"corner in pixels, got {', '.join(f'({x:g}, {y:g})' for x, y in quadrat)}"
            )
        corners.append(quadrat)
    if faults:
        raise TableInvalid(fault_list(where, faults))
    return corners


def remarks_on_corners(files: Sequence[PhotoFile]) -> Iterator[Remark]:
    """A remark on quadrats whose first corner is not the upper left one: they are turned by about 90 degrees."""
    turned = [file.name for file in files if file.corners and _is_turned(file.corners)]
    if turned:
        message = f"{counted(len(turned), 'quadrat')} turned, because the first corner is not the upper left one"
        yield Remark.of("turned_quadrats", turned, message)


def _is_turned(quadrat: Corners) -> bool:
    """Whether the side from the first to the second corner does not run from left to right."""
    (x, y), (next_x, next_y) = quadrat[:2]
    return next_x - x < abs(next_y - y)


def quadrat_suffixes(paths: "pd.Series[str]", corners: Sequence[Corners | None], where: str) -> list[str]:
    """What distinguishes the names of the quadrats in a photo: #1, #2, ... or nothing where a photo has one row.

    Raises TableInvalid where the rows of a photo do not all have corners, or not different ones.
    """
    rows_of, number = Counter(paths), Counter[str]()
    seen: dict[tuple[str, Corners | None], int] = {}
    suffixes, faults = [], []
    for label, path, quadrat in zip(paths.index, paths, corners, strict=True):
        row = label + FIRST_ROW
        number[path] += 1
        suffixes.append(f"#{number[path]}" if rows_of[path] > 1 else "")
        if rows_of[path] > 1 and quadrat is None:
            faults.append(f"row {row}: {path} has several rows, but this one has no corners")
        elif (earlier := seen.setdefault((path, quadrat), row)) != row:
            faults.append(f"row {row}: {path} has the same corners as in row {earlier}")
    if faults:
        faults.append("several rows of a photo are several quadrats in it: give corners x1 y1 ... x4 y4 that differ")
        raise TableInvalid(fault_list(where, faults))
    return suffixes
