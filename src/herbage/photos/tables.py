"""Tables of weighed photos and of photos to estimate, checked once, at the door.

Every fault of a table is told in one message, with its row (as a spreadsheet numbers it: the header is row 1) and
column.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.targets import TARGETS

FAULTS_SHOWN = 30
FIRST_ROW = 2
GRAMS_LIMIT = 1e5
"""No quadrat bears more: what is above it is a slip of the pen or of the unit."""

TEXT_COLUMNS = {"sample_id", "image_path", "State", "Sampling_Date", "Species", "target_name"}


@dataclass(frozen=True)
class WeighedTable:
    """Photos with their weights: one row a photo, in the order of the table.

    `frame` has `image_path` and whatever else the table says of a photo; `grams` its weights in g a quadrat.
    """

    files: list[PhotoFile]
    grams: Float[np.ndarray, "photo 5"]
    frame: pd.DataFrame

    def keep(self, rows: list[int]) -> "WeighedTable":
        """The table with these rows only."""
        return WeighedTable(
            [self.files[r] for r in rows], self.grams[rows], self.frame.iloc[rows].reset_index(drop=True)
        )


def read_weighed_table(table: str | Path | pd.DataFrame, photos: str | Path) -> WeighedTable:
    """A TABLE in long form (target_name, target) or wide form (five target columns); raises TableInvalid."""
    frame, where = _read(table)
    finder = _PhotoFinder(Path(photos))
    if "target_name" in frame.columns or "target" in frame.columns:
        _check(frame, where, finder, _long_columns(), unique=["image_path", "target_name"])
        wide = _widen(frame, where)
    else:
        _check(frame, where, finder, {name: _grams_column() for name in TARGETS}, unique=["image_path"])
        wide = frame.reset_index(drop=True)
    files = [PhotoFile(path, finder.find(path) or Path(path)) for path in wide["image_path"]]
    return WeighedTable(files, wide[list(TARGETS)].to_numpy(float), wide.drop(columns=list(TARGETS)))


def read_test_table(table: str | Path, photos: str | Path) -> tuple[pd.DataFrame, list[PhotoFile]]:
    """A TEST_CSV (sample_id, image_path, target_name) and its photos, each once; raises TableInvalid.

    A photo that is not there keeps its place in the list (its estimate will be the training mean), unless none is.
    """
    import pandera.pandas as pa

    frame, where = _read(table)
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


def _read(table: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, str]:
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True).copy(), "the table"
    try:
        # As text first: "NA" is a State to some, and a number must not turn a column of names into numbers.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(table, encoding="utf-8-sig", dtype=str, keep_default_na=False, index_col=False)
    except pd.errors.ParserWarning as error:
        raise TableInvalid(
            f"{table} has rows with more cells than its header names: a comma at the end, or decimals with a comma?"
        ) from error
    except FileNotFoundError as error:
        raise TableInvalid(f"{table} is not there: expected a CSV table.") from error
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise TableInvalid(f"{table} cannot be read as a CSV table: {error}") from error
    if frame.empty:
        raise TableInvalid(f"{table} has no rows.")
    frame = frame.mask(frame == "")
    for name in set(frame.columns) - TEXT_COLUMNS:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if numbers.notna().eq(frame[name].notna()).all():
            frame[name] = numbers
    return frame, str(table)


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
        raise TableInvalid(f"{where} has {len(faults)} fault(s):\n  " + "\n  ".join(shown))


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
            what = ", ".join(str(frame[c].iloc[index]) for c in ("image_path", "target_name") if c in frame.columns)
            faults.setdefault((row, "duplicate"), f"row {row}: duplicate of another row ({what})")
        elif check == "field_uniqueness":
            faults.setdefault((row, column), f"row {row}, column {column}: duplicate of another row (got {value!r})")
        elif check == "not_nullable":
            value = frame[column].iloc[index]
            what = "empty" if pd.isna(value) else f"not a number (got {value!r})"
            faults.setdefault((row, column), f"row {row}, column {column}: {what}")
        else:
            faults.setdefault((row, column), f"row {row}, column {column}: {check} (got {value!r})")
    return [faults[key] for key in sorted(faults)]


def _holes(frame: pd.DataFrame) -> list[str]:
    """Images of a long table that lack some of the targets."""
    faults = []
    for path, rows in frame.groupby("image_path", sort=False):
        missing = [target for target in TARGETS if target not in set(rows["target_name"])]
        if missing:
            row = int(rows.index[0]) + FIRST_ROW
            faults.append(f"row {row}, column target_name: {path} has no {', '.join(missing)}")
    return faults


def _widen(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """One row a photo, in the order of first appearance; what the table says of a photo is taken from its first row."""
    facts = [c for c in frame.columns if c not in ("sample_id", "target_name", "target", "image_path")]
    first = frame.groupby("image_path", sort=False)[facts].nunique(dropna=False)
    differing = [f"{path}: {column}" for path, row in first.iterrows() for column in facts if row[column] > 1]
    if differing:
        raise TableInvalid(f"{where} says different things of one photo: {'; '.join(differing[:FAULTS_SHOWN])}.")
    grams = frame.pivot(index="image_path", columns="target_name", values="target")
    facts_frame = frame.drop_duplicates("image_path")[["image_path", *facts]].reset_index(drop=True)
    return facts_frame.join(grams[list(TARGETS)].astype(float), on="image_path")
