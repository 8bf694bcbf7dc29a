"""Read and validate tables of weighed photos and of photos to estimate.

The faults of a table are reported together in one message, which lists the first 30 with their rows and columns. Rows
are numbered as in a spreadsheet: the header is row 1.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.formatting import counted, listed
from herbage.photos.matching import Matches, PhotoFinder, ambiguous_paths, match_paths, other_case
from herbage.photos.photo import PhotoFile
from herbage.photos.plausibility import remarks_on_outliers, warn_of_contradictions, warn_of_implausible_mean
from herbage.photos.quadrats import corner_columns, quadrat_suffixes, read_corners
from herbage.photos.spreadsheet import CORNERS, DEFAULT_FORMAT, TableFormat, read_frame
from herbage.photos.validation import (
    FAULTS_SHOWN,
    FIRST_ROW,
    HEAVY_KG_PER_HA,
    check_columns,
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
    g_per_unit = _g_per_unit(unit, quadrat_area_m2)
    heavy = HEAVY_KG_PER_HA * _g_per_unit("kg_per_ha", quadrat_area_m2) / g_per_unit
    finder = PhotoFinder(Path(photos), _paths(frame), where)
    key = ["image_path", *corner_columns(frame)]
    if "target_name" in frame.columns or "target" in frame.columns:
        if skip_empty and {"image_path", "target"} <= set(frame.columns):
            of_photo = frame["target"].isna().groupby(frame["image_path"], dropna=False)
            frame = _without_empty(frame, of_photo.transform("all"), where)
        check_columns(frame, where, finder, long_columns(), [*key, "target_name"], read.codes, heavy)
        wide = _widen(frame, key, where)
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
        weights = {name: grams_column() for name in weighed}
        check_columns(frame, where, finder, weights, key, read.codes, heavy)
        wide = frame
    grams = wide.reindex(columns=TARGETS).to_numpy(float) * g_per_unit
    corners = read_corners(wide, where)
    suffixes = quadrat_suffixes(wide["image_path"], corners, where)
    names = [path + suffix for path, suffix in zip(wide["image_path"], suffixes, strict=True)]
    warn_of_contradictions(grams, names, where)
    warn_of_implausible_mean(grams, quadrat_area_m2, where)
    files = [
        PhotoFile(name, finder.find(path) or Path(path), quadrat)
        for name, path, quadrat in zip(names, wide["image_path"], corners, strict=True)
    ]
    other = wide.assign(image_path=names).drop(columns=list(TARGETS), errors="ignore").reset_index(drop=True)
    outliers = remarks_on_outliers(grams, wide, quadrat_area_m2, where)
    return WeighedTable(files, derive(grams), other, (*read.remarks, *finder.remarks(), *outliers))


def _without_empty(frame: pd.DataFrame, empty: "pd.Series[bool]", where: str) -> pd.DataFrame:
    """Drop the rows without weights; the index, from which row numbers are computed, is unchanged."""
    if empty.all():
        raise TableInvalid(f"{where} has no weights; enter one weight per photo.")
    if empty.any():
        log.info("Skipped %s of %s without weights.", counted(int(empty.sum()), "row"), where)
    return frame[~empty]


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
    matches = match_paths(_paths(frame), photos, folder)
    if matches.ambiguous:
        raise TableInvalid(ambiguous_paths(matches, where))
    if not matches.photo:
        raise TableInvalid(f"{where}: no image_path matches any of the photos; expected their paths or file names.")
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
    remarks = (*read.remarks, *other_case(matches, where), *_without_match(_paths(frame), matches, lonely, where))
    return Sidecar(found, text, remarks)


def _paths(frame: pd.DataFrame) -> list[str]:
    """The paths in a table, for matching; a table without them is refused later, with all its faults."""
    return [] if "image_path" not in frame else [path for path in frame["image_path"] if isinstance(path, str)]


def _without_match(paths: Sequence[str], matches: Matches, lonely: Sequence[str], where: str) -> Iterator[Remark]:
    """Remarks about rows of a sidecar table without a photo, and photos without a row (`lonely`)."""
    if others := [path for path in paths if path not in matches.photo]:
        message = f"{counted(len(others), 'row')} of {where} without a photo"
        yield Remark.of("rows_without_photo", others, message, is_warning=False)
    if lonely:
        yield Remark.of("photos_without_row", lonely, f"{counted(len(lonely), 'photo')} without a row in {where}")


def read_test_table(table: str | Path, photos: str | Path) -> tuple[pd.DataFrame, list[PhotoFile]]:
    """Read a test table (columns sample_id, image_path, target_name); return it and its photos, each once.

    Missing photos stay in the list: their estimates will be the training mean. Raises TableInvalid if all are missing.
    """
    import pandera.pandas as pa

    read = read_frame(table)
    frame, where = read.frame.drop(columns="target", errors="ignore"), read.where
    columns = {"sample_id": pa.Column(str, unique=True), "target_name": target_name_column()}
    check_columns(frame, where, None, columns, unique=["image_path", "target_name"])
    finder = PhotoFinder(Path(photos), _paths(frame), where)
    names = list(dict.fromkeys(frame["image_path"]))
    found = {name: finder.find(name) for name in names}
    if not any(found.values()):
        raise TableInvalid(f"None of the {len(names)} photos in {where} was found in {photos}: is `photos` correct?")
    return frame, [PhotoFile(name, found[name] or Path(photos) / name) for name in names]


def _g_per_unit(unit: Unit, quadrat_area_m2: float) -> float:
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
