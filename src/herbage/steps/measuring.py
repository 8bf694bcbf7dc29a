"""Attach measured values, such as heights, to photos for a model that uses them."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import TableInvalid
from herbage.formatting import counted
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.tables.measured import measured_values, remarks_on_measured
from herbage.tables.sidecar import read_sidecar
from herbage.tables.spreadsheet import TableFormat
from herbage.tokens.extraction import Extracted

log = logging.getLogger("herbage")


@dataclass(frozen=True)
class MeasuredPhotos:
    """Photos with their measured values, and remarks on values that are missing or outside the training range."""

    files: Sequence[PhotoFile]
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class MeasuredSource:
    """Where a model's measured values are: in columns of the main table, or in `table`, a sidecar table beside it.

    `photos` is the folder of the photos, and `how` the format of the main table.
    """

    model: HerbageModel
    photos: Path
    table: str | Path | pd.DataFrame | None
    how: TableFormat

    @property
    def main_format(self) -> TableFormat:
        """How to read the main table."""
        names = self.model.measured_names
        return replace(self.how, measured=names) if self.table is None else self.how.without(names)

    def attach(self, files: Sequence[PhotoFile], frame: pd.DataFrame, where: str = "the table") -> MeasuredPhotos:
        """The files with their values; `frame` is the main table, called `where`, with a row per file."""
        if self.table is None:
            return from_columns(self.model, files, frame, where)
        how = self.how.for_sidecar(self.model.measured_names)
        return from_table(self.model, files, self.photos, self.table, how)


def from_table(
    model: HerbageModel, files: Sequence[PhotoFile], photos: Path, table: str | Path | pd.DataFrame, how: TableFormat
) -> MeasuredPhotos:
    """Values from a table with a row per photo, which all quadrats of a photo share.

    Raises TableInvalid, also for corners: they are those of quadrats, which have to be in the table of the quadrats.
    """
    folder = photos.resolve().name if photos.is_dir() else ""
    names = [_photo_name(file) for file in files]
    own = [PhotoFile(name, file.path) for name, file in dict(zip(names, files, strict=True)).items()]
    sidecar = read_sidecar(table, own, how=how, folder=folder, measured=model.measured_names)
    if any(file.corners for file in sidecar.files):
        raise TableInvalid(
            "`table` has corners of quadrats, but is read for measured values only: remove the columns x1 y1 ... x4 y4."
        )
    values = {file.name: file.measured for file in sidecar.files}
    files = [replace(file, measured=values[name]) for file, name in zip(files, names, strict=True)]
    return MeasuredPhotos(files, (*sidecar.remarks, *outside_range(model, files)))


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
    """Remarks on photos with a value that is outside the range of the training photos, or that cannot be used."""
    if not model.uses_measured:
        return
    for number, column in enumerate(model.config.measured_columns):
        values = [(file.name, file.measured[number]) for file in files if file.measured]
        given = [(name, value) for name, value in values if value == value]
        unusable = [f"{name} ({value:g})" for name, value in given if not column.is_usable(value)]
        outside = [
            f"{name} ({value:g})" for name, value in given if column.is_usable(value) and not column.contains(value)
        ]
        span = f"{column.low:g} to {column.high:g}"
        if unusable:
            message = f"{counted(len(unusable), 'photo')} with {column.name} too far outside the training range, {span}"
            yield Remark.of(f"{column.name}_unusable", unusable, f"{message}: estimated from the photo alone")
        if outside:
            message = f"{counted(len(outside), 'photo')} with {column.name} outside the training range, {span}"
            yield Remark.of(f"{column.name}_outside_range", outside, message)


def both_grams(
    model: HerbageModel, estimate: Estimate, item: Extracted
) -> tuple[Float[np.ndarray, "5"], Float[np.ndarray, "5"]]:
    """The grams of a photo by the photo alone, and with measured columns, NaN where these were not used."""
    if not estimate.measured:
        return estimate.grams, np.full(len(estimate.grams), np.nan)
    return model.estimate_tokens(item.content()[1]).grams, estimate.grams


def log_unused_columns(model: HerbageModel, files: Sequence[PhotoFile]) -> None:
    """Tell the user of measured columns that the model could use, where no photo has their values."""
    if model.uses_measured and not any(file.measured for file in files):
        log.info(
            "The model also has heads that use %s: pass the values in a `table` to use them.",
            " and ".join(model.measured_names),
        )  # fmt: skip


def _photo_name(file: PhotoFile) -> str:
    """The name of the photo, without the number of a quadrat in it."""
    return file.name if file.corners is None else re.sub(r"#\d+$", "", file.name)
