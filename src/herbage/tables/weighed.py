"""Read and validate tables of weighed photos.

The faults of a table are reported together in one message, which lists the first 30 with their rows and columns. Rows
are numbered as in a spreadsheet: the header is row 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.formatting import counted, listed
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.tables.matching import PhotoFinder, paths_of
from herbage.tables.plausibility import remarks_on_weights
from herbage.tables.quadrats import corner_columns, quadrat_suffixes, read_corners, remarks_on_corners
from herbage.tables.spreadsheet import CORNERS, DEFAULT_FORMAT, TableFormat, read_frame
from herbage.tables.validation import (
    FAULTS_SHOWN,
    HEAVY_KG_PER_HA,
    check_columns,
    grams_column,
    long_columns,
    lookalikes,
)
from herbage.targets import (
    QUADRAT_AREA_M2,
    TARGETS,
    derive,
)

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
    photos without any weight are skipped; otherwise they are faults. Raises TableInvalid.
    """
    read = read_frame(table, how)
    frame, where = read.frame, read.where
    remarks = [*read.remarks, *_unused_lookalikes(frame, where)]
    finder = PhotoFinder(Path(photos), paths_of(frame), where)
    is_long, weighed = _is_long(frame, where), ["target"]
    if not is_long:
        frame, weighed = _weighed_columns(frame, where)
    if skip_empty and {"image_path", *weighed} <= set(frame.columns):
        frame, skipped = _without_empty(frame, weighed, where)
        remarks += skipped
    g_per_unit = grams_per_unit(unit, quadrat_area_m2)
    heavy = HEAVY_KG_PER_HA * grams_per_unit("kg_per_ha", quadrat_area_m2) / g_per_unit
    columns = long_columns() if is_long else {name: grams_column() for name in weighed}
    key = ["image_path", *corner_columns(frame)]
    check_columns(frame, where, finder, columns, [*key, *(["target_name"] if is_long else [])], read.codes, heavy)
    wide = _widen(frame, key, where) if is_long else frame
    grams = wide.reindex(columns=TARGETS).to_numpy(float) * g_per_unit
    files = _quadrats(wide, finder, where)
    other = wide.assign(image_path=[file.name for file in files])
    other = other.drop(columns=list(TARGETS), errors="ignore").reset_index(drop=True)
    remarks += [
        *finder.remarks(),
        *remarks_on_corners(files),
        *remarks_on_weights(grams, other, quadrat_area_m2, where),
    ]
    return WeighedTable(files, derive(grams), other, tuple(remarks))


def _quadrats(wide: pd.DataFrame, finder: PhotoFinder, where: str) -> list[PhotoFile]:
    """The photo of each row, with the corners of its quadrat; raises TableInvalid for rows that are about one."""
    corners = read_corners(wide, where)
    suffixes = quadrat_suffixes(wide["image_path"], corners, where)
    return [
        PhotoFile(path + suffix, finder.find(path) or Path(path), quadrat)
        for path, suffix, quadrat in zip(wide["image_path"], suffixes, corners, strict=True)
    ]


def _unused_lookalikes(frame: pd.DataFrame, where: str) -> tuple[Remark, ...]:
    """A remark on columns that look like one that is used, beside it; raises TableInvalid where it is missing.

    Columns of corners look like others only if all do: x1 alone can be anything.
    """
    columns = list(map(str, frame.columns))
    used = [*TARGETS, *(() if set(TARGETS) & set(columns) else ("target_name", "target"))]
    if len(set(CORNERS) & set(columns) | set(lookalikes(CORNERS, columns))) == len(CORNERS):
        used += CORNERS
    similar = lookalikes(used, columns)
    if wrong := [f"{others[0]} looks like {name}" for name, others in similar.items() if name not in columns]:
        raise TableInvalid(f"{where}: column {', column '.join(wrong)}: rename it, or name it with `columns`.")
    names = [f"{other} (beside {name})" for name, others in similar.items() for other in others]
    if not names:
        return ()
    return (Remark.of("unused_lookalikes", names, f"{where}: columns that look like one that is read are not used"),)


def _is_long(frame: pd.DataFrame, where: str) -> bool:
    """Whether a table has a row per target; raises TableInvalid where it has a column per target too."""
    wide = [name for name in TARGETS if name in frame]
    if wide and "target" in frame:
        raise TableInvalid(
            f"{where} has both {listed('column', wide)} and the column target, which is that of a table with a row per "
            f"target: rename or remove one of them."
        )
    return "target" in frame or ("target_name" in frame and not wide)


def _weighed_columns(frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[str]]:
    """A wide table without empty columns of weights, and the names of the others; raises TableInvalid without any."""
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
    return frame, weighed


def _without_empty(frame: pd.DataFrame, weighed: list[str], where: str) -> tuple[pd.DataFrame, list[Remark]]:
    """Drop the rows of photos without any weight; the index, from which row numbers are computed, is unchanged."""
    empty = frame[weighed].isna().all(axis=1).groupby(frame["image_path"], dropna=False).transform("all")
    if empty.all():
        raise TableInvalid(f"{where} has no weights; enter one weight per photo.")
    if not empty.any():
        return frame, []
    message = f"{where}: skipped {counted(int(empty.sum()), 'row')} without weights"
    names = frame["image_path"][empty].astype(str).drop_duplicates().tolist()
    measured = frame[~empty].copy()  # without it, pandas 2 warns when a column is set later
    return measured, [Remark.of("rows_without_weights", names, message, count=int(empty.sum()), is_warning=False)]


def grams_per_unit(unit: Unit, quadrat_area_m2: float) -> float:
    """The grams in such a quadrat that are 1 in this unit."""
    return {"g": 1.0, "g_per_m2": quadrat_area_m2, "kg_per_ha": quadrat_area_m2 / 10}[unit]


def _widen(frame: pd.DataFrame, key: list[str], where: str) -> pd.DataFrame:
    """Convert long form to one row per photo, in order of first appearance, with all columns of its first row.

    `key` are the columns that identify a photo, or a quadrat in it. Raises TableInvalid where rows of a photo differ.
    """
    other = [c for c in frame.columns if c not in ("sample_id", "target_name", "target", *key)]
    quadrats = frame.groupby(key, sort=False, dropna=False)
    first, values = frame.drop_duplicates(key), quadrats[other].nunique(dropna=False)
    differing = [
        f"{path}: {column}"
        for path, counts in zip(first["image_path"], values.to_dict("records"), strict=True)
        for column in other
        if counts[column] > 1
    ]
    if differing:
        raise TableInvalid(
            f"{where} has different values in the rows of one photo: {'; '.join(differing[:FAULTS_SHOWN])}."
        )
    numbered = frame.assign(quadrat=quadrats.ngroup())
    grams = numbered.pivot(index="quadrat", columns="target_name", values="target").astype(float)
    if grams.isna().any(axis=None):
        raise TableInvalid(f"{where} has quadrats without a row for each target that others have.")
    return pd.concat([first[[*key, *other]], grams.set_axis(first.index)], axis=1)
