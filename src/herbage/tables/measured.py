"""Measured covariates in tables: columns of numbers beside the photos, such as the height of the sward."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.formatting import counted, listed
from herbage.remarks import Remark
from herbage.tables.validation import check_numbers, did_you_mean
from herbage.targets import TARGETS


def measured_columns(frame: pd.DataFrame, columns: Sequence[str], where: str) -> Float[np.ndarray, "row column"]:
    """The values of columns of a training table, NaN for empty cells; raises TableInvalid where one has no numbers."""
    if weights := [name for name in columns if name in TARGETS]:
        raise TableInvalid(f"`measured`: {listed('column', weights)} of {where} holds the weights to estimate.")
    if missing := [name for name in columns if name not in frame]:
        raise TableInvalid(
            f"`measured`: {where} lacks {listed('column', missing)}; its columns are "
            f"{', '.join(map(str, frame.columns))}{did_you_mean(missing, frame.columns) or '.'}"
        )
    values = measured_values(frame, columns, where)
    for name, cells in zip(columns, values.T, strict=True):
        if len(np.unique(cells[~np.isnan(cells)])) < 2:
            raise TableInvalid(f"`measured`: {where} has no two different numbers in the column {name}.")
    return values


def measured_values(frame: pd.DataFrame, columns: Sequence[str], where: str) -> Float[np.ndarray, "row column"]:
    """The values of columns, NaN for empty cells and missing columns; raises TableInvalid for a cell of text."""
    present = [name for name in columns if name in frame]
    check_numbers(frame, where, present)
    return frame.reindex(columns=list(columns)).to_numpy(float)


def remarks_on_measured(
    frame: pd.DataFrame, columns: Sequence[str], where: str, *, in_training: bool = False
) -> Iterator[Remark]:
    """A remark on columns that a table lacks, and one on photos that lack a value."""
    if missing := [name for name in columns if name not in frame]:
        message = f"{where} lacks {listed('column', missing)}, so all estimates are from the photo alone"
        yield Remark("no_measured_columns", message + (did_you_mean(missing, frame.columns) or "."), len(missing))
        return
    lacking = frame["image_path"][frame[list(columns)].isna().any(axis=1)].drop_duplicates().tolist()
    if lacking:
        message = f"{counted(len(lacking), 'photo')} without {' or '.join(columns)} in {where}"
        what = "not used for the heads with measured columns" if in_training else "estimated from the photo alone"
        yield Remark.of("photos_without_measured", lacking, f"{message}: {what}")
