"""Attach measured values, such as heights, to photos for a model that uses them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from herbage.formatting import counted
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.tables.measured import measured_values, remarks_on_measured
from herbage.tables.sidecar import read_sidecar
from herbage.tables.spreadsheet import TableFormat

log = logging.getLogger("herbage")


@dataclass(frozen=True)
class MeasuredPhotos:
    """Photos with their measured values, and remarks on values that are missing or outside the training range."""

    files: Sequence[PhotoFile]
    remarks: tuple[Remark, ...] = ()


def from_table(
    model: HerbageModel, files: Sequence[PhotoFile], photos: Path, table: str | Path | pd.DataFrame, how: TableFormat
) -> MeasuredPhotos:
    """Values from a sidecar table, which may also have the corners of quadrats; raises TableInvalid."""
    folder = photos.resolve().name if photos.is_dir() else ""
    sidecar = read_sidecar(table, files, how=how, folder=folder, measured=model.measured_names)
    return MeasuredPhotos(sidecar.files, (*sidecar.remarks, *outside_range(model, sidecar.files)))


def from_columns(
    model: HerbageModel, files: Sequence[PhotoFile], frame: pd.DataFrame, where: str = "the table"
) -> MeasuredPhotos:
    """Values from the columns of a table with a row per file; raises TableInvalid for a cell of text."""
    names = model.measured_names
    if not any(name in frame for name in names):
        return MeasuredPhotos(files)
    values = measured_values(frame, names, where).tolist()
    files = [replace(file, measured=tuple(own)) for file, own in zip(files, values, strict=True)]
    return MeasuredPhotos(files, (*remarks_on_measured(frame, names, where), *outside_range(model, files)))


def outside_range(model: HerbageModel, files: Sequence[PhotoFile]) -> Iterator[Remark]:
    """A remark per measured column on photos whose values are outside the range of the training photos."""
    used = [file for file in files if model.measured_inputs(file.measured) is not None]
    for number, column in enumerate(model.config.measured_columns):
        values = [(file.name, file.measured[number]) for file in used]
        outside = [f"{name} ({value:g})" for name, value in values if not column.contains(value)]
        if outside:
            message = (
                f"{counted(len(outside), 'photo')} with {column.name} outside the training range, {column.low:g} to "
                f"{column.high:g}"
            )
            yield Remark.of(f"{column.name}_outside_range", outside, message)


def log_unused_columns(model: HerbageModel, files: Sequence[PhotoFile]) -> None:
    """Tell the user of measured columns that the model could use, where no photo has their values."""
    if model.uses_measured and not any(file.measured for file in files):
        log.info(
            "The model also has heads that use %s: give the values in a table to use them.",
            " and ".join(model.measured_names),
        )  # fmt: skip
