"""Tables of weighed photos and of photos to estimate, checked once, at the door.

Every fault of a table is told in one message, with its row (as a spreadsheet numbers it: the header is row 1) and
column.
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
"""No quadrat bears more: what is above it is a slip of the pen or of the unit."""

LIGHT_KG_PER_HA, HEAVY_KG_PER_HA = 20, 20_000
"""Means that no pasture has; a table that has one is more often in another unit than it was said to be."""

TOLERANCE_G = 0.1
"""What scales and rounding may take from a sum."""

# The last follows from the others, and is for tables that lack one of their parts.
SUMS_TO_CHECK = ((TOTAL, (CLOVER, DEAD, GREEN)), (GDM, (CLOVER, GREEN)), (TOTAL, (GDM, DEAD)))
CORNERS = tuple(f"{axis}{number}" for number in range(1, 5) for axis in "xy")

Unit = Literal["g", "g_per_m2", "kg_per_ha"]
"""Of weights in a table: grams a quadrat, grams a square metre, kilograms a hectare."""


@dataclass(frozen=True)
class WeighedTable:
    """Photos with their weights: one row a photo, in the order of the table.

    `frame` has `image_path` and whatever else the table says of a photo; `grams` its weights in g a quadrat, NaN for
    targets that nobody weighed and no sum determines.
    """

    files: Sequence[PhotoFile]
    grams: Float[np.ndarray, "photo 5"]
    frame: pd.DataFrame

    def keep(self, rows: list[int]) -> "WeighedTable":
        """The table with these rows only."""
        return WeighedTable(
            [self.files[r] for r in rows], self.grams[rows], self.frame.iloc[rows].reset_index(drop=True)
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
    """A TABLE in long form (target_name, target) or wide form (target columns); raises TableInvalid.

    Some targets may lack, whole columns of them: what the sums determine is derived, and the others stay NaN.
    `columns` gives the file's names for herbage's; `unit` is what its weights are in. With `skip_empty` photos without
    any weight are left out; else they are a fault. Weights that contradict the sums are warned about, row by row.
    """
    frame, where = read_frame(table, columns)
    finder = _PhotoFinder(Path(photos))
    if "target_name" in frame.columns or "target" in frame.columns:
        if skip_empty and {"image_path", "target"} <= set(frame.columns):
            of_photo = frame["target"].isna().groupby(frame["image_path"], dropna=False)
            frame = _without(frame, of_photo.transform("all"), where)
        _check(frame, where, finder, _long_columns(), unique=["image_path", "target_name"])
        wide = _widen(frame, where)
    else:
        empty = [name for name in TARGETS if name in frame and frame[name].isna().all()]
        frame = frame.drop(columns=empty)
        there = [name for name in TARGETS if name in frame]
        if not there and empty:
            raise TableInvalid(f"{where}: {', '.join(empty)} is empty; fill in what was weighed, a number a photo.")
        if not there:
            raise TableInvalid(
                f"{where} has none of the columns {', '.join(TARGETS)}; there are "
                f"{', '.join(map(str, frame.columns))}. --columns Dry_Total_g=NAME says which one holds the weights."
            )
        if skip_empty:
            frame = _without(frame, frame[there].isna().all(axis=1), where)
        _check(frame, where, finder, {name: _grams_column() for name in there}, unique=["image_path"])
        wide = frame
    weighed = wide.reindex(columns=TARGETS).to_numpy(float) * _g_per_unit(unit, quadrat_area_m2)
    _warn_of_contradictions(weighed, wide["image_path"].tolist(), where)
    _warn_of_odd_means(weighed, quadrat_area_m2, where)
    corners = _corners(wide, where)
    files = [
        PhotoFile(path, finder.find(path) or Path(path), own)
        for path, own in zip(wide["image_path"], corners, strict=True)
    ]
    facts = wide.drop(columns=list(TARGETS), errors="ignore").reset_index(drop=True)
    return WeighedTable(files, derive(weighed), facts)


def _without(frame: pd.DataFrame, empty: "pd.Series[bool]", where: str) -> pd.DataFrame:
    """The rows that have a weight, each under its own number."""
    if empty.all():
        raise TableInvalid(f"{where} has no weight yet; fill in what was weighed, a number a photo.")
    if empty.any():
        log.info("%s of %s without a weight, left out", counted(int(empty.sum()), "row"), where)
    return frame[~empty]


def read_sidecar(
    table: str | Path,
    files: Sequence[PhotoFile],
    column: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> tuple[Sequence[PhotoFile], dict[str, str]]:
    """What a table of `image_path` says of photos; raises TableInvalid.

    The photos with the quadrats' corners, where it has x1 y1 ... x4 y4, and each photo's text in `column`, by name.
    Photos that it does not name stay as they are. `columns` gives the file's names for herbage's.
    """
    frame, where = read_frame(table, columns)
    wanted = ["image_path", *([column] if column else CORNERS)]
    if missing := [name for name in wanted if name not in frame]:
        raise TableInvalid(
            f"{where} lacks {listed('column', missing)}; there are {', '.join(map(str, frame.columns))}."
        )
    if empty := [f"row {row + FIRST_ROW}" for row in frame.index[frame["image_path"].isna()]]:
        raise TableInvalid(f"{where} has no image_path in {', '.join(empty[:FAULTS_SHOWN])}.")
    row_of = {PurePosixPath(path).name: row for row, path in enumerate(frame["image_path"])}
    row_of |= {path: row for row, path in enumerate(frame["image_path"])}
    rows = [row_of.get(file.name, row_of.get(Path(file.name).name)) for file in files]
    if all(row is None for row in rows):
        raise TableInvalid(f"{where} names none of the photos: is its image_path as they are called?")
    corners = _corners(frame, where)
    told = {
        file.name: _as_written(frame[column].iloc[row])
        for file, row in zip(files, rows, strict=True)
        if column and row is not None and pd.notna(frame[column].iloc[row])
    }
    return [
        file if row is None or corners[row] is None else replace(file, corners=corners[row])
        for file, row in zip(files, rows, strict=True)
    ], told


def _as_written(cell: Any) -> str:
    """A cell as text: a paddock called 7 is no 7.0, which it becomes where other cells of its column are empty."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def read_test_table(table: str | Path, photos: str | Path) -> tuple[pd.DataFrame, list[PhotoFile]]:
    """A TEST_CSV (sample_id, image_path, target_name) and its photos, each once; raises TableInvalid.

    A photo that is not there keeps its place in the list (its estimate will be the training mean), unless none is.
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
        raise TableInvalid(f"None of the {len(names)} photos of {where} is below {photos}: is --photos right?")
    return frame, [PhotoFile(name, found[name] or Path(photos) / name) for name in names]


class _PhotoFinder:
    """Looks `image_path` up below a folder, with or without its leading folder."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise TableInvalid(f"--photos {root} is not a folder.")
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
            pa.Check(lambda s: ~(s > GRAMS_LIMIT) | np.isinf(s), error=f"more than {GRAMS_LIMIT:,.0f} g a quadrat"),
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
        faults.append(f"column image_path: none of its photos is below {finder.root}: is --photos right?")
        finder = None
    paths = pa.Column(
        str,
        pa.Check(lambda p: finder.find(p) is not None, element_wise=True, error=_absent(finder)) if finder else None,
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
        faults += _holes(frame)
    if faults:
        shown = faults[:FAULTS_SHOWN] + ([f"... and {len(faults) - FAULTS_SHOWN} more"] * (len(faults) > FAULTS_SHOWN))
        raise TableInvalid(f"{where} has {counted(len(faults), 'fault')}:\n  " + "\n  ".join(shown))


def _absent(finder: _PhotoFinder) -> str:
    return f"photo not found below {finder.root}"


def _describe(cases: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    """Pandera's failure cases as lines `row R, column C: what (got V)`, each fault once, in the order of rows."""
    faults: dict[tuple[int, str], str] = {}
    for case in cases.to_dict("records"):
        check, value, column = str(case["check"]), case["failure_case"], str(case["column"])
        if check == "column_in_dataframe":
            faults.setdefault(
                (0, str(value)), f"column {value} is missing; there are {', '.join(map(str, frame.columns))}"
            )
            continue
        if pd.isna(case["index"]):
            continue  # a whole-column type fault; its rows are listed by the coercion's own cases
        index = int(case["index"])
        row = index + FIRST_ROW
        if check == "multiple_fields_uniqueness":
            what = ", ".join(str(frame.loc[index, c]) for c in ("image_path", "target_name") if c in frame.columns)
            faults.setdefault((row, "duplicate"), f"row {row}: duplicate of another row ({what})")
        elif check == "field_uniqueness":
            faults.setdefault((row, column), f"row {row}, column {column}: duplicate of another row (got {value!r})")
        elif check == "not_nullable":
            cell: Any = frame.loc[index, column]
            what = "empty" if pd.isna(cell) else f"not a number (got {cell!r})"
            faults.setdefault((row, column), f"row {row}, column {column}: {what}")
        else:
            faults.setdefault((row, column), f"row {row}, column {column}: {check} (got {value!r})")
    return [faults[key] for key in sorted(faults)]


def _holes(frame: pd.DataFrame) -> list[str]:
    """Images of a long table that lack some of the targets that others have."""
    faults = []
    there = set(frame["target_name"])
    for path, rows in frame.groupby("image_path", sort=False):
        missing = [target for target in TARGETS if target in there - set(rows["target_name"])]
        if missing:
            row = int(rows.index[0]) + FIRST_ROW
            faults.append(f"row {row}, column target_name: {path} has no {', '.join(missing)}")
    return faults


def _g_per_unit(unit: Unit, quadrat_area_m2: float) -> float:
    return {"g": 1.0, "g_per_m2": quadrat_area_m2, "kg_per_ha": quadrat_area_m2 / 10}[unit]


def _warn_of_contradictions(grams: Float[np.ndarray, "photo 5"], paths: Sequence[str], where: str) -> None:
    """Say which photos' weights miss a sum by more than TOLERANCE_G, as far as their parts were weighed."""
    said = []
    every = not np.isnan(grams).any()
    for whole, parts in SUMS_TO_CHECK[: 2 if every else 3]:
        # NaN where a part was not weighed, and then no contradiction.
        apart = grams[:, whole] - grams[:, list(parts)].sum(1)
        for row in np.flatnonzero(np.abs(apart) > TOLERANCE_G).tolist():
            names = " + ".join(TARGETS[part] for part in parts)
            said.append(f"{paths[row]}: {TARGETS[whole]} is {apart[row]:+.2f} g from {names}")
    if said:
        more = f"\n  ... and {len(said) - FAULTS_SHOWN} more" if len(said) > FAULTS_SHOWN else ""
        log.warning("Weights of %s that do not add up, taken as they are:\n  %s%s",
                    where, "\n  ".join(said[:FAULTS_SHOWN]), more)  # fmt: skip


def _warn_of_odd_means(grams: Float[np.ndarray, "photo 5"], quadrat_area_m2: float, where: str) -> None:
    known = known_targets(grams)
    if len(grams) and any(known):
        mean = float(kg_per_ha(grams[:, main_target(known)].mean(keepdims=True), quadrat_area_m2)[0])
        if not LIGHT_KG_PER_HA <= mean <= HEAVY_KG_PER_HA:
            log.warning("The weights of %s are %s kg DM/ha on average: are --unit and --quadrat-area right?",
                        where, f"{mean:,.0f}")  # fmt: skip


def _corners(frame: pd.DataFrame, where: str) -> list[Corners | None]:
    """The quadrat's corners of each row; None where the table has no such columns, or the row leaves them empty."""
    there = [name for name in CORNERS if name in frame]
    if not there:
        return [None] * len(frame)
    if missing := [name for name in CORNERS if name not in there]:
        raise TableInvalid(f"{where} has some columns of corners but lacks {', '.join(missing)}.")
    numbers = frame[list(CORNERS)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    given = frame[list(CORNERS)].notna().to_numpy()
    faults: list[str] = []
    corners: list[Corners | None] = []
    for row, values, cells in zip(frame.index, numbers, given, strict=True):
        if not cells.any():
            corners.append(None)
            continue
        own: Corners = tuple(zip(values[::2].tolist(), values[1::2].tolist(), strict=True))
        if not is_quadrilateral(own):
            faults.append(
                f"row {row + FIRST_ROW}: {', '.join(f'({x:g}, {y:g})' for x, y in own)} are no corners of a quadrat, "
                f"in pixels from the upper left: upper left, upper right, lower right, lower left"
            )
        corners.append(own)
    if faults:
        raise TableInvalid(f"{where} has {counted(len(faults), 'fault')}:\n  " + "\n  ".join(faults[:FAULTS_SHOWN]))
    return corners


def _widen(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """One row a photo, in the order of first appearance; what the table says of a photo is taken from its first row."""
    facts = [c for c in frame.columns if c not in ("sample_id", "target_name", "target", "image_path")]
    first = frame.groupby("image_path", sort=False)[facts].nunique(dropna=False)
    differing = [f"{path}: {column}" for path, row in first.iterrows() for column in facts if row[column] > 1]
    if differing:
        raise TableInvalid(f"{where} says different things of one photo: {'; '.join(differing[:FAULTS_SHOWN])}.")
    grams = frame.pivot(index="image_path", columns="target_name", values="target")
    facts_frame = frame.drop_duplicates("image_path")[["image_path", *facts]]
    return facts_frame.join(grams.astype(float), on="image_path")
