"""Check the columns of a table. All faults are reported in one message, with their rows and columns.

Rows are numbered as in a spreadsheet: the header is row 1.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import counted
from herbage.tables.matching import PhotoFinder
from herbage.targets import TARGETS

FAULTS_SHOWN = 30
FIRST_ROW = 2
HEAVY_KG_PER_HA = 20_000
"""Maximum herbage mass of a pasture; a larger weight is a typing error, a code or in another unit."""


MANY = 0.1
"""If more weights than this share, and more than two, are above the maximum, the unit is probably wrong."""


def check_columns(
    frame: pd.DataFrame,
    where: str,
    finder: PhotoFinder | None,
    columns: dict[str, Any],
    unique: list[str],
    codes: Mapping[tuple[int, str], str] | None = None,
    heavy: float = math.inf,
) -> None:
    """Convert weights to numbers in place, and raise TableInvalid with the faults of all columns.

    With a `finder`, each `image_path` must be the path of a photo. `codes` are cells that were read as empty because
    they have a code for a missing value, by row label and column. `heavy` is HEAVY_KG_PER_HA in the unit of the table.
    """
    import pandera.pandas as pa

    faults: list[str] = []
    if finder and "image_path" in frame and not any(finder.find(path) for path in frame["image_path"].dropna()):
        faults.append(f"column image_path: none of its photos was found in {finder.root}{_compared(frame, finder)}")
        finder = None
    paths = pa.Column(
        str,
        pa.Check(lambda p: finder.find(p) is not None, element_wise=True, error=_not_found(frame, finder))
        if finder and "image_path" in frame
        else None,
    )
    unique = unique if set(unique) <= set(frame.columns) else []
    schema = pa.DataFrameSchema({"image_path": paths, **columns}, unique=unique or None)
    as_read = frame.copy()
    weights = [name for name in ("target", *TARGETS) if name in frame]
    for name in weights:
        frame[name] = as_floats(frame[name])
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        faults += _describe(errors.failure_cases, as_read, codes or {})
    if {"image_path", "target_name"} <= set(frame.columns) and "target" in frame.columns:
        faults += _missing_targets(frame)
    faults += [fault for name in weights for fault in _too_heavy(frame, name, heavy)]
    if faults:
        raise TableInvalid(fault_list(where, faults))


def lookalikes(wanted: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """By name, the other names that differ from it only in case, spaces and signs: dry_total for Dry Total."""
    by_key: dict[str, list[str]] = {}
    for name in map(str, names):
        by_key.setdefault(_bare(name), []).append(name)
    found = {name: [other for other in by_key.get(_bare(name), ()) if other != name] for name in wanted}
    return {name: others for name, others in found.items() if others}


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def did_you_mean(wanted: Iterable[str], names: Iterable[str]) -> str:
    """A question about the lookalikes, "" without any."""
    others = [other for similar in lookalikes(wanted, names).values() for other in similar]
    return f"; did you mean {' and '.join(others)}?" if others else ""


def fault_list(where: str, faults: Sequence[str]) -> str:
    """One message with the number of faults and the first of them."""
    lines = [f"{where} has {counted(len(faults), 'fault')}:", *faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        lines.append(f"... and {len(faults) - FAULTS_SHOWN} more")
    return "\n  ".join(lines)


def as_floats(column: "pd.Series[Any]") -> "pd.Series[float]":
    """A column of numbers with NaN for the cells that are text."""
    return column.map(lambda cell: math.nan if isinstance(cell, str) else cell).astype(float)


def check_numbers(frame: pd.DataFrame, where: str, columns: Sequence[str]) -> None:
    """Raise TableInvalid where a cell of these columns is text or infinite."""
    faults = [
        f"row {row + FIRST_ROW}, column {name}: not a {'' if isinstance(cell, str) else 'finite '}number (got {cell!r})"
        for row, cells in zip(frame.index.tolist(), frame[list(columns)].to_numpy(object), strict=True)
        for name, cell in zip(columns, cells, strict=True)
        if isinstance(cell, str) or math.isinf(cell)
    ]
    if faults:
        raise TableInvalid(fault_list(where, faults))


def grams_column() -> Any:
    """The check of a column of weights."""
    import pandera.pandas as pa

    return pa.Column(
        float,
        checks=[
            pa.Check(lambda s: ~(s < 0), error="negative grams"),
            pa.Check(lambda s: ~np.isinf(s), error="grams not finite"),
        ],
    )


def target_name_column() -> Any:
    """The check of a column of target names."""
    import pandera.pandas as pa

    return pa.Column(str, pa.Check.isin(TARGETS, error=f"unknown target (known: {', '.join(TARGETS)})"))


def long_columns() -> dict[str, Any]:
    """The checks of the columns of a table in long form."""
    return {"target_name": target_name_column(), "target": grams_column()}


def _compared(frame: pd.DataFrame, finder: PhotoFinder) -> str:
    """What to say of paths none of which is a photo: a pair that differs in its endings, or the first of each."""
    paths = [PurePosixPath(path.replace("\\", "/")) for path in frame["image_path"].dropna()]
    photos = [PurePosixPath(path) for path in finder.photos.paths]
    if not paths or not photos:
        return ": is `photos` correct?" + ("" if photos else " It has no photos.")
    stems = {photo.stem.casefold(): photo for photo in photos}
    for path in paths:
        photo = stems.get(path.stem.casefold())
        if photo and photo.suffix.casefold() != path.suffix.casefold():
            return (
                f": {path} and the photo {photo} differ in their endings; write the photos' names into "
                f"image_path, with their endings"
            )
    return f": is `photos` correct? The table has {paths[0]}, the folder {photos[0]}"


def _not_found(frame: pd.DataFrame, finder: PhotoFinder) -> str:
    """The fault of a path that is not that of a photo, with the reason if the names lack their endings."""
    fault = f"photo not found in {finder.root}"
    missing = {PurePosixPath(path).name for path in frame["image_path"].dropna() if finder.find(path) is None}
    named = next((photo for photo in finder.photos.paths if PurePosixPath(photo).stem in missing), None)
    return fault if named is None else f"{fault}; write names with their endings, such as {PurePosixPath(named).name}"


def _describe(cases: pd.DataFrame, frame: pd.DataFrame, codes: Mapping[tuple[int, str], str]) -> list[str]:
    """Format pandera's failure cases as `row R, column C: fault (got V)`, sorted by row, without duplicates.

    Faults of weights also name the photo.
    """
    faults: dict[tuple[int, str], str] = {}
    for case in cases.to_dict("records"):
        check, value, column = str(case["check"]), case["failure_case"], str(case["column"])
        if check == "column_in_dataframe":
            faults.setdefault(
                (0, str(value)),
                f"column {value} is missing; the columns are {', '.join(map(str, frame.columns))}"
                + did_you_mean([str(value)], frame.columns),
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
            code = codes.get((index, column))
            missing = "empty" if code is None else f"a code for a missing value (got {code!r})"
            fault = missing if pd.isna(cell) else f"not a number (got {cell!r})"
            faults.setdefault((row, column), f"row {row}, column {column}: {fault}{_photo_of(frame, index, column)}")
        else:
            photo = _photo_of(frame, index, column)
            faults.setdefault((row, column), f"row {row}, column {column}: {check} (got {value!r}){photo}")
    return [faults[key] for key in sorted(faults)]


def _too_heavy(frame: pd.DataFrame, column: str, heavy: float) -> list[str]:
    """Faults for weights above HEAVY_KG_PER_HA; one for the column if many of its weights are."""
    weights = frame[column]
    rows = frame.index[(weights > heavy) & (weights < math.inf)].tolist()
    if len(rows) > len(frame) / 2 or len(rows) > max(2, MANY * len(frame)):
        return [
            f"column {column}: {len(rows)} of {len(frame)} weights are more than {HEAVY_KG_PER_HA:,} kg DM/ha, such as "
            f"{weights[rows[0]]:.6g} in row {rows[0] + FIRST_ROW}: are `unit` and `quadrat_area_m2` correct?"
        ]
    return [
        f"row {row + FIRST_ROW}, column {column}: {weights[row] / heavy * HEAVY_KG_PER_HA:,.0f} kg DM/ha, more than "
        f"{HEAVY_KG_PER_HA:,} (got {weights[row]:.6g}){_photo_of(frame, row, column)}; a code for a missing weight?"
        for row in rows
    ]


def _photo_of(frame: pd.DataFrame, index: int, column: str) -> str:
    path: Any = frame.loc[index, "image_path"] if "image_path" in frame and column != "image_path" else None
    return "" if pd.isna(path) else f", photo {path}"


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
