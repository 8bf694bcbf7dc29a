"""Read and validate tables of weighed photos and of photos to estimate.

The faults of a table are reported together in one message, which lists the first 30 with their rows and columns. Rows
are numbered as in a spreadsheet: the header is row 1.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.formatting import counted, listed
from herbage.photos.matching import PhotoFinder
from herbage.photos.photo import Corners, PhotoFile, is_quadrilateral
from herbage.photos.plausibility import warn_of_contradictions, warn_of_implausible_mean
from herbage.photos.spreadsheet import DEFAULT_FORMAT, TableFormat, read_frame
from herbage.photos.validation import (
    FAULTS_SHOWN,
    FIRST_ROW,
    check_columns,
    fault_list,
    grams_column,
    long_columns,
    target_name_column,
)
from herbage.remarks import Remark
from herbage.targets import (
    QUADRAT_AREA_M2,
    TARGETS,
    derive,
)

log = logging.getLogger("herbage")

CORNERS = tuple(f"{axis}{number}" for number in range(1, 5) for axis in "xy")

Unit = Literal["g", "g_per_m2", "kg_per_ha"]
"""Unit of the weights in a table: g per quadrat, g per square metre, kg per hectare."""


@dataclass(frozen=True)
class WeighedTable:
    """Photos with their weights: one row per photo, in the order of the table.

    `frame` has `image_path` and the table's other columns, without the targets. `grams` has the weights in g per
    quadrat, NaN for targets that were neither weighed nor derivable from the sums.
    """

    files: Sequence[PhotoFile]
    grams: Float[np.ndarray, "photo 5"]
    frame: pd.DataFrame
    remarks: tuple[Remark, ...] = ()

    def take(self, rows: list[int]) -> "WeighedTable":
        """A table of these rows, in this order."""
        return WeighedTable(
            [self.files[row] for row in rows],
            self.grams[rows],
            self.frame.iloc[rows].reset_index(drop=True),
            self.remarks,
        )


def read_weighed_table(
    table: str | Path | pd.DataFrame,
    photos: str | Path,
    how: TableFormat = DEFAULT_FORMAT,
    *,
    unit: Unit = "g",
    quadrat_area_m2: float = QUADRAT_AREA_M2,
    skip_empty: bool = False,
) -> WeighedTable:
    """Read a table in long form (columns target_name and target) or wide form (a column per target).

    A target may be missing from the whole table: it is derived if the sums determine it, else NaN. With `skip_empty`,
    photos without any weight are skipped; otherwise they are faults. Weights that contradict the sums are logged as
    warnings. Raises TableInvalid.
    """
    read = read_frame(table, how)
    frame, where = read.frame, read.where
    finder = PhotoFinder(Path(photos))
    if "target_name" in frame.columns or "target" in frame.columns:
        if skip_empty and {"image_path", "target"} <= set(frame.columns):
            of_photo = frame["target"].isna().groupby(frame["image_path"], dropna=False)
            frame = _without_empty(frame, of_photo.transform("all"), where)
        check_columns(frame, where, finder, long_columns(), unique=["image_path", "target_name"])
        wide = _widen(frame, where)
    else:
        empty = [name for name in TARGETS if name in frame and frame[name].isna().all()]
        frame = frame.drop(columns=empty)
        weighed = [name for name in TARGETS if name in frame]
        if not weighed and empty:
            raise TableInvalid(f"{where} has no weights in {listed('column', empty)}; enter one weight per photo.")
        if not weighed:
            raise TableInvalid(
                f"{where} has none of the columns {', '.join(TARGETS)}; its columns are "
                f"{', '.join(map(str, frame.columns))}. Name the column of the weights with `columns`, such as "
                f"Dry_Total_g=NAME."
            )
        if skip_empty:
            frame = _without_empty(frame, frame[weighed].isna().all(axis=1), where)
        check_columns(frame, where, finder, {name: grams_column() for name in weighed}, unique=["image_path"])
        wide = frame
    grams = wide.reindex(columns=TARGETS).to_numpy(float) * _g_per_unit(unit, quadrat_area_m2)
    warn_of_contradictions(grams, wide["image_path"].tolist(), where)
    warn_of_implausible_mean(grams, quadrat_area_m2, where)
    corners = _corners(wide, where)
    files = [
        PhotoFile(path, finder.find(path) or Path(path), quadrat)
        for path, quadrat in zip(wide["image_path"], corners, strict=True)
    ]
    other = wide.drop(columns=list(TARGETS), errors="ignore").reset_index(drop=True)
    return WeighedTable(files, derive(grams), other, read.remarks)


def _without_empty(frame: pd.DataFrame, empty: "pd.Series[bool]", where: str) -> pd.DataFrame:
    """Drop the rows without weights; the index, from which row numbers are computed, is unchanged."""
    if empty.all():
        raise TableInvalid(f"{where} has no weights; enter one weight per photo.")
    if empty.any():
        log.info("Skipped %s of %s without weights.", counted(int(empty.sum()), "row"), where)
    return frame[~empty]


def read_sidecar(
    table: str | Path,
    files: Sequence[PhotoFile],
    column: str | None = None,
    how: TableFormat = DEFAULT_FORMAT,
) -> tuple[Sequence[PhotoFile], dict[str, str]]:
    """Read quadrat corners, and optionally a column of text, for photos from a table with `image_path`.

    Returns the photos, with corners if the table has columns x1 y1 ... x4 y4, and the text in `column` by photo name.
    Without `column`, the corners are required. Rows are matched to photos by path, or else by file name; photos without
    a row are unchanged. Raises TableInvalid.
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
    row_of = {PurePosixPath(path).name: row for row, path in enumerate(frame["image_path"])}
    row_of |= {path: row for row, path in enumerate(frame["image_path"])}
    rows = [row_of.get(file.name, row_of.get(Path(file.name).name)) for file in files]
    if all(row is None for row in rows):
        raise TableInvalid(f"{where}: no image_path matches any of the photos; expected their paths or file names.")
    corners = _corners(frame, where)
    text = {
        file.name: _as_written(frame[column].iloc[row])
        for file, row in zip(files, rows, strict=True)
        if column and row is not None and pd.notna(frame[column].iloc[row])
    }
    return [
        file if row is None or corners[row] is None else replace(file, corners=corners[row])
        for file, row in zip(files, rows, strict=True)
    ], text


def _as_written(cell: Any) -> str:
    """A cell as text: 7.0 becomes "7", since pandas reads a column of integers with empty cells as floats."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def read_test_table(table: str | Path, photos: str | Path) -> tuple[pd.DataFrame, list[PhotoFile]]:
    """Read a test table (columns sample_id, image_path, target_name); return it and its photos, each once.

    Missing photos stay in the list: their estimates will be the training mean. Raises TableInvalid if all are missing.
    """
    import pandera.pandas as pa

    read = read_frame(table)
    frame, where = read.frame.drop(columns="target", errors="ignore"), read.where
    columns = {"sample_id": pa.Column(str, unique=True), "target_name": target_name_column()}
    check_columns(frame, where, None, columns, unique=["image_path", "target_name"])
    finder = PhotoFinder(Path(photos))
    names = list(dict.fromkeys(frame["image_path"]))
    found = {name: finder.find(name) for name in names}
    if not any(found.values()):
        raise TableInvalid(f"None of the {len(names)} photos in {where} was found in {photos}: is `photos` correct?")
    return frame, [PhotoFile(name, found[name] or Path(photos) / name) for name in names]


def _g_per_unit(unit: Unit, quadrat_area_m2: float) -> float:
    return {"g": 1.0, "g_per_m2": quadrat_area_m2, "kg_per_ha": quadrat_area_m2 / 10}[unit]


def _corners(frame: pd.DataFrame, where: str) -> list[Corners | None]:
    """The quadrat's corners in each row, or None if the row's cells are empty or the table has no corner columns."""
    present = [name for name in CORNERS if name in frame]
    if not present:
        return [None] * len(frame)
    if missing := [name for name in CORNERS if name not in present]:
        raise TableInvalid(f"{where} has some of the corner columns but lacks {', '.join(missing)}.")
    numbers = frame[list(CORNERS)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    filled = frame[list(CORNERS)].notna().to_numpy()
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


def _widen(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Convert long form to one row per photo, in order of first appearance, with all columns of its first row."""
    other = [c for c in frame.columns if c not in ("sample_id", "target_name", "target", "image_path")]
    values = frame.groupby("image_path", sort=False)[other].nunique(dropna=False)
    differing = [f"{path}: {column}" for path, row in values.iterrows() for column in other if row[column] > 1]
    if differing:
        raise TableInvalid(
            f"{where} has different values in the rows of one photo: {'; '.join(differing[:FAULTS_SHOWN])}."
        )
    grams = frame.pivot(index="image_path", columns="target_name", values="target")
    first_rows = frame.drop_duplicates("image_path")[["image_path", *other]]
    return first_rows.join(grams.astype(float), on="image_path")
