"""Read and validate tables of weighed photos and of photos to estimate.

The faults of a table are reported together in one message, which lists the first 30 with their rows and columns. Rows
are numbered as in a spreadsheet: the header is row 1.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.formatting import counted, listed
from herbage.photos.photo import Corners, PhotoFile, is_quadrilateral
from herbage.photos.spreadsheet import read_frame
from herbage.targets import (
    CLOVER,
    DEAD,
    GDM,
    GREEN,
    QUADRAT_AREA_M2,
    TARGETS,
    TOTAL,
    derive,
    kg_per_ha,
    known_targets,
    main_target,
)

log = logging.getLogger("herbage")

FAULTS_SHOWN = 30
FIRST_ROW = 2
GRAMS_LIMIT = 1e5
"""Maximum weight in g per quadrat; a larger number is a typing error or in another unit."""

LIGHT_KG_PER_HA, HEAVY_KG_PER_HA = 20, 20_000
"""Plausible range of a table's mean herbage mass; outside it, `unit` or `quadrat_area_m2` is probably wrong."""

TOLERANCE_G = 0.1
"""Differences between a target and the sum of its parts up to this are attributed to the scales and to rounding."""

# The last follows from the first two; it is checked only in tables that lack some targets.
SUMS_TO_CHECK = ((TOTAL, (CLOVER, DEAD, GREEN)), (GDM, (CLOVER, GREEN)), (TOTAL, (GDM, DEAD)))
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

    def take(self, rows: list[int]) -> "WeighedTable":
        """A table of these rows, in this order."""
        return WeighedTable(
            [self.files[row] for row in rows], self.grams[rows], self.frame.iloc[rows].reset_index(drop=True)
        )


def read_weighed_table(
    table: str | Path | pd.DataFrame,
    photos: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "g",
    quadrat_area_m2: float = QUADRAT_AREA_M2,
    skip_empty: bool = False,
) -> WeighedTable:
    """Read a table in long form (columns target_name and target) or wide form (a column per target).

    A target may be missing from the whole table: it is derived if the sums determine it, else NaN. `columns` maps
    herbage's column names to the file's. With `skip_empty`, photos without any weight are skipped; otherwise they are
    faults. Weights that contradict the sums are logged as warnings. Raises TableInvalid.
    """
    frame, where = read_frame(table, columns)
    finder = _PhotoFinder(Path(photos))
    if "target_name" in frame.columns or "target" in frame.columns:
        if skip_empty and {"image_path", "target"} <= set(frame.columns):
            of_photo = frame["target"].isna().groupby(frame["image_path"], dropna=False)
            frame = _without_empty(frame, of_photo.transform("all"), where)
        _check(frame, where, finder, _long_columns(), unique=["image_path", "target_name"])
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
        _check(frame, where, finder, {name: _grams_column() for name in weighed}, unique=["image_path"])
        wide = frame
    grams = wide.reindex(columns=TARGETS).to_numpy(float) * _g_per_unit(unit, quadrat_area_m2)
    _warn_of_contradictions(grams, wide["image_path"].tolist(), where)
    _warn_of_implausible_mean(grams, quadrat_area_m2, where)
    corners = _corners(wide, where)
    files = [
        PhotoFile(path, finder.find(path) or Path(path), quadrat)
        for path, quadrat in zip(wide["image_path"], corners, strict=True)
    ]
    other = wide.drop(columns=list(TARGETS), errors="ignore").reset_index(drop=True)
    return WeighedTable(files, derive(grams), other)


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
    columns: Mapping[str, str] | None = None,
) -> tuple[Sequence[PhotoFile], dict[str, str]]:
    """Read quadrat corners, and optionally a column of text, for photos from a table with `image_path`.

    Returns the photos, with corners if the table has columns x1 y1 ... x4 y4, and the text in `column` by photo name.
    Without `column`, the corners are required. Rows are matched to photos by path, or else by file name; photos without
    a row are unchanged. `columns` maps herbage's column names to the file's. Raises TableInvalid.
    """
    frame, where = read_frame(table, columns)
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

    frame, where = read_frame(table)
    frame = frame.drop(columns="target", errors="ignore")
    columns = {"sample_id": pa.Column(str, unique=True), "target_name": _target_name_column()}
    _check(frame, where, None, columns, unique=["image_path", "target_name"])
    finder = _PhotoFinder(Path(photos))
    names = list(dict.fromkeys(frame["image_path"]))
    found = {name: finder.find(name) for name in names}
    if not any(found.values()):
        raise TableInvalid(f"None of the {len(names)} photos in {where} was found in {photos}: is `photos` correct?")
    return frame, [PhotoFile(name, found[name] or Path(photos) / name) for name in names]


class _PhotoFinder:
    """Finds an `image_path` in a folder, with or without the first component of the path."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise TableInvalid(f"`photos={root}`: expected a folder.")
        self.root = root

    def find(self, image_path: str) -> Path | None:
        path = PurePosixPath(str(image_path).replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not path.parts:
            return None
        for parts in (path.parts, path.parts[1:]):
            candidate = self.root.joinpath(*parts)
            if parts and candidate.is_file():
                return candidate
        return None


def _grams_column() -> Any:
    import pandera.pandas as pa

    return pa.Column(
        float,
        checks=[
            pa.Check(lambda s: ~(s < 0), error="negative grams"),
            pa.Check(lambda s: ~np.isinf(s), error="grams not finite"),
            pa.Check(lambda s: ~(s > GRAMS_LIMIT) | np.isinf(s), error=f"more than {GRAMS_LIMIT:,.0f} g per quadrat"),
        ],
    )


def _target_name_column() -> Any:
    import pandera.pandas as pa

    return pa.Column(str, pa.Check.isin(TARGETS, error=f"unknown target (known: {', '.join(TARGETS)})"))


def _long_columns() -> dict[str, Any]:
    return {"target_name": _target_name_column(), "target": _grams_column()}


def _check(
    frame: pd.DataFrame, where: str, finder: _PhotoFinder | None, columns: dict[str, Any], unique: list[str]
) -> None:
    import pandera.pandas as pa

    faults: list[str] = []
    if finder and "image_path" in frame and not any(finder.find(path) for path in frame["image_path"].dropna()):
        faults.append(f"column image_path: none of its photos was found in {finder.root}: is `photos` correct?")
        finder = None
    paths = pa.Column(
        str,
        pa.Check(lambda p: finder.find(p) is not None, element_wise=True, error=_not_found(finder)) if finder else None,
    )
    unique = unique if set(unique) <= set(frame.columns) else []
    schema = pa.DataFrameSchema({"image_path": paths, **columns}, unique=unique or None)
    as_read = frame.copy()
    for name in {"target", *TARGETS} & set(frame.columns):
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        faults += _describe(errors.failure_cases, as_read)
    if {"image_path", "target_name"} <= set(frame.columns) and "target" in frame.columns:
        faults += _missing_targets(frame)
    if faults:
        raise TableInvalid(_fault_list(where, faults))


def _fault_list(where: str, faults: Sequence[str]) -> str:
    """One message with the number of faults and the first of them."""
    lines = [f"{where} has {counted(len(faults), 'fault')}:", *faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        lines.append(f"... and {len(faults) - FAULTS_SHOWN} more")
    return "\n  ".join(lines)


def _not_found(finder: _PhotoFinder) -> str:
    return f"photo not found in {finder.root}"


def _describe(cases: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    """Format pandera's failure cases as `row R, column C: fault (got V)`, sorted by row, without duplicates."""
    faults: dict[tuple[int, str], str] = {}
    for case in cases.to_dict("records"):
        check, value, column = str(case["check"]), case["failure_case"], str(case["column"])
        if check == "column_in_dataframe":
            faults.setdefault(
                (0, str(value)), f"column {value} is missing; the columns are {', '.join(map(str, frame.columns))}"
            )
            continue
        if pd.isna(case["index"]):
            continue  # a type fault of the whole column; other cases list its rows
        index = int(case["index"])
        row = index + FIRST_ROW
        if check == "multiple_fields_uniqueness":
            key = ", ".join(str(frame.loc[index, c]) for c in ("image_path", "target_name") if c in frame.columns)
            faults.setdefault((row, "duplicate"), f"row {row}: duplicate of another row ({key})")
        elif check == "field_uniqueness":
            faults.setdefault((row, column), f"row {row}, column {column}: duplicate of another row (got {value!r})")
        elif check == "not_nullable":
            cell: Any = frame.loc[index, column]
            fault = "empty" if pd.isna(cell) else f"not a number (got {cell!r})"
            faults.setdefault((row, column), f"row {row}, column {column}: {fault}")
        else:
            faults.setdefault((row, column), f"row {row}, column {column}: {check} (got {value!r})")
    return [faults[key] for key in sorted(faults)]


def _missing_targets(frame: pd.DataFrame) -> list[str]:
    """Faults for photos in a long table that lack targets which other photos have."""
    faults = []
    weighed = set(frame["target_name"])
    for path, rows in frame.groupby("image_path", sort=False):
        missing = [target for target in TARGETS if target in weighed - set(rows["target_name"])]
        if missing:
            row = int(rows.index[0]) + FIRST_ROW
            faults.append(f"row {row}, column target_name: {path} has no {', '.join(missing)}")
    return faults


def _g_per_unit(unit: Unit, quadrat_area_m2: float) -> float:
    return {"g": 1.0, "g_per_m2": quadrat_area_m2, "kg_per_ha": quadrat_area_m2 / 10}[unit]


def _warn_of_contradictions(grams: Float[np.ndarray, "photo 5"], paths: Sequence[str], where: str) -> None:
    """Warn about photos whose weights differ from a sum of weighed parts by more than TOLERANCE_G."""
    lines = []
    complete = not np.isnan(grams).any()
    for total, parts in SUMS_TO_CHECK[: 2 if complete else 3]:
        # NaN if a part was not weighed; the comparison below is then False.
        difference = grams[:, total] - grams[:, list(parts)].sum(1)
        for row in np.flatnonzero(np.abs(difference) > TOLERANCE_G).tolist():
            names = " + ".join(TARGETS[part] for part in parts)
            lines.append(f"{paths[row]}: {TARGETS[total]} differs from {names} by {difference[row]:+.2f} g")
    if lines:
        more = f"\n  ... and {len(lines) - FAULTS_SHOWN} more" if len(lines) > FAULTS_SHOWN else ""
        log.warning("Some weights in %s do not add up; they are used unchanged:\n  %s%s",
                    where, "\n  ".join(lines[:FAULTS_SHOWN]), more)  # fmt: skip


def _warn_of_implausible_mean(grams: Float[np.ndarray, "photo 5"], quadrat_area_m2: float, where: str) -> None:
    known = known_targets(grams)
    if len(grams) and any(known):
        mean = float(kg_per_ha(grams[:, main_target(known)].mean(keepdims=True), quadrat_area_m2)[0])
        if not LIGHT_KG_PER_HA <= mean <= HEAVY_KG_PER_HA:
            log.warning("The weights in %s are %s kg DM/ha on average: are `unit` and `quadrat_area_m2` correct?",
                        where, f"{mean:,.0f}")  # fmt: skip


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
        raise TableInvalid(_fault_list(where, faults))
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
